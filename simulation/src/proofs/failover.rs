//! `cargo xtask prove failover-postgres`: the primary dies under load and does not come back, the standby is promoted. Nothing
//! acknowledged is lost behind a synchronous one; what an asynchronous one lacked, the devices are told of and send again.

use std::process::ExitCode;

use super::{block_on, refused, skipped};
use crate::args::Args;
use crate::failover;
use crate::pace::Pace;
use crate::report::{Failure, Report};

pub(super) const NAME: &str = failover::PROOF;

const THREADS: usize = 2;

/// Why a round cannot be repeated alone.
const NO_CASE: &str = "the moment of a kill decides what it meets";

pub(super) fn run(args: &Args) -> ExitCode {
    block_on(THREADS, async {
        if let Err(problem) = args.no_case(NO_CASE) {
            return refused(&problem);
        }
        if let Some(reason) = failover::missing() {
            let is_required = std::env::var("FASTSYNC_REQUIRE").is_ok_and(|names| names.contains("postgres"));
            println!("SKIPPED {NAME}: {reason}");
            return skipped(is_required);
        }
        let budget = args.budget(2, 20);
        println!("{NAME}: {budget} of rounds, seed {}", args.seed);
        let report = Report::begin(NAME, args.seed);
        let pace = Pace::begin(budget, failover::minimum(budget.least(2)));
        let outcome = failover::run(args.seed, &pace).await;
        report.end(outcome.map_err(Failure::from), pace.minimum())
    })
}
