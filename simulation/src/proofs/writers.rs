//! `cargo xtask prove concurrency`, and the same on other stores: pushers and pullers in two processes on one storage, or
//! in one where a store takes one only.

use std::process::ExitCode;

use fastsync_core::Random as _;

use super::{block_on, end_of_child, refused, skipped};
use crate::args::Args;
use crate::concurrency::run;
use crate::counts::Counts;
use crate::pace::{Budget, Pace};
use crate::random::Seeded;
use crate::report::{Failure, Report};
use crate::storage::StorageKind;

pub(super) const NAME: &str = run::PROOF;

/// The sessions of a round of a run that goes by seconds: some seconds' worth on each, since no round is cut short.
fn round_of(kind: StorageKind) -> u64 {
    match kind {
        StorageKind::Disk(_) => 1_000,
        StorageKind::MySql if kind.is_cluster() => 250,
        StorageKind::MySql | StorageKind::Postgres | StorageKind::Mongo => 300,
    }
}

const NO_CASE: &str = "its processes run freely, and their scheduling decides what meets what";

pub(super) fn run(args: &Args) -> ExitCode {
    block_on(4, async {
        if let Some(told) = &args.child {
            return end_of_child(run::child(told).await, |problem| format!("problem {problem}"));
        }
        let kind = match args.no_case(NO_CASE).and_then(|()| args.storage()) {
            Ok(kind) => kind,
            Err(problem) => return refused(&problem),
        };
        if let Some(is_failure) = kind.skip(NAME) {
            return skipped(is_failure);
        }
        let budget = args.budget(2_000, 20_000);
        println!("{NAME} on {}: {budget} of sessions, seed {}", kind.name(), args.seed);
        let report = Report::begin(NAME, args.seed);
        let pace = Pace::begin(budget, run::minimum(kind, budget.least(round_of(kind))));
        let outcome = rounds(kind, args.seed, budget, &pace).await;
        report.end(outcome.map_err(Failure::from), pace.minimum())
    })
}

/// One round of as many sessions as asked for, or as many rounds as time permits; then the broken data source, which
/// has to fail. What was too little in a round is made up for by another one, with another seed.
async fn rounds(kind: StorageKind, seed: u64, budget: Budget, pace: &Pace) -> Result<Counts, String> {
    let mut counts = Counts::default();
    let (mut round, size) = (0, round_of(kind));
    while pace.goes_on(counts.of("sessions pushed"), &counts) {
        let sessions = if round == 0 { budget.least(size) } else { size };
        let seed = Seeded::stream(seed, round).next_u64();
        counts.merge(&run::run(kind, seed, sessions).await?);
        round += 1;
    }
    let missed = run::broken(kind, seed).await?;
    println!("broken source: caught ({missed} records missed)");
    Ok(counts)
}
