//! `cargo xtask prove convergence`: whatever happens on the way, replicas end equal.
#![allow(clippy::print_stdout, reason = "a program that reports")]

use std::process::ExitCode;

use simulation::args::Args;
use simulation::convergence::{PER_THOUSAND, run_cases};
use simulation::report::Report;

/// The share of cases on disk, which take longer.
const DISK_PERCENT: u32 = 3;

fn main() -> ExitCode {
    let args = Args::read();
    let cases = u32::try_from(args.target(2_000, 20_000)).unwrap_or(u32::MAX);
    println!("convergence: {cases} cases of up to 200 steps, seed {}", args.seed);
    let report = Report::begin("convergence", args.seed);
    let outcome = run_cases(args.seed, cases, DISK_PERCENT, None);
    let scaled = |least: u64| least * u64::from(cases) / 1_000;
    let minimum: Vec<_> = PER_THOUSAND.iter().map(|(what, least)| (*what, scaled(*least))).collect();
    report.end(outcome, &minimum)
}
