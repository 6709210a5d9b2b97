//! `cargo xtask prove convergence`: whatever happens on the way, replicas end equal.

use std::process::ExitCode;

use crate::args::Args;
use crate::convergence::{SHRINKS, minimum, run_cases, run_numbered};
use crate::pace::Pace;
use crate::report::{Failure, Report};

pub(super) const NAME: &str = "convergence";

/// The share of cases on disk or on a database, which take longer.
const DISK_PERCENT: u32 = 3;

/// A run of some seconds does at least what happens in so many cases.
const LEAST: u64 = 300;

pub(super) fn run(args: &Args) -> ExitCode {
    let report = Report::begin(NAME, args.seed);
    if let Some(case) = args.case {
        println!("{NAME}: case {case} of seed {}", args.seed);
        let outcome = run_numbered(args.seed, case, DISK_PERCENT, SHRINKS, None);
        return report.end(outcome.map_err(|problem| Failure::of(case, problem)), &[]);
    }
    let budget = args.budget(2_000, 20_000);
    println!("{NAME}: {budget} of cases of up to 200 steps, seed {}", args.seed);
    let pace = Pace::begin(budget, minimum(budget.least(LEAST)));
    report.end(run_cases(args.seed, &pace, DISK_PERCENT), pace.minimum())
}
