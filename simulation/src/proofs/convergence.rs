//! `cargo xtask prove convergence`: whatever happens on the way, replicas end equal.

use std::process::ExitCode;

use crate::args::Args;
use crate::convergence::{PER_THOUSAND, run_cases};
use crate::report::Report;

pub(super) const NAME: &str = "convergence";

/// The share of cases on disk, which take longer.
const DISK_PERCENT: u32 = 3;

pub(super) fn run(args: Args) -> ExitCode {
    let cases = u32::try_from(args.target(2_000, 20_000)).unwrap_or(u32::MAX);
    println!("{NAME}: {cases} cases of up to 200 steps, seed {}", args.seed);
    let report = Report::begin(NAME, args.seed);
    let outcome = run_cases(args.seed, cases, DISK_PERCENT, None);
    let scaled = |least: u64| least * u64::from(cases) / 1_000;
    let minimum: Vec<_> = PER_THOUSAND.iter().map(|(what, least)| (*what, scaled(*least))).collect();
    report.end(outcome, &minimum)
}
