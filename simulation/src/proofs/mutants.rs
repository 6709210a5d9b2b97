//! `simulation mutants`: which deliberate bugs the convergence cases of a seed find, and how soon.

use std::process::ExitCode;

use crate::args::Args;
use crate::convergence::{Mutation, find};
use crate::pace::Budget;

pub(super) const NAME: &str = "mutants";

pub(super) fn run(args: &Args) -> ExitCode {
    let cases = match args.budget(300, 3_000) {
        Budget::Count(cases) | Budget::Seconds(cases) => cases,
    };
    println!("{NAME}: {cases} cases for each, seed {}", args.seed);
    let mut missed = 0;
    for mutation in Mutation::ALL {
        match find(args.seed, cases, mutation, None) {
            Some(case) => println!("{mutation:?}: found by case {case}"),
            None => {
                println!("{mutation:?}: NOT found");
                missed += 1;
            }
        }
    }
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
