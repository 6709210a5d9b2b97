//! `cargo xtask prove concurrency`, and the same on other stores: pushers and pullers in two processes on one storage, or
//! in one where a store takes one only.

use std::process::ExitCode;

use super::{block_on, end_of_child, refused, skipped};
use crate::args::Args;
use crate::concurrency::run;
use crate::report::Report;

pub(super) const NAME: &str = run::PROOF;

pub(super) fn run(args: Args) -> ExitCode {
    block_on(4, async {
        if let Some(told) = args.child {
            return end_of_child(run::child(&told).await, |problem| format!("problem {problem}"));
        }
        let kind = match args.storage() {
            Ok(kind) => kind,
            Err(problem) => return refused(&problem),
        };
        if let Some(is_failure) = kind.skip(NAME) {
            return skipped(is_failure);
        }
        let sessions = args.target(2_000, 20_000);
        println!("{NAME} on {}: {sessions} sessions, seed {}", kind.name(), args.seed);
        let report = Report::begin(NAME, args.seed);
        let outcome = run::run(kind, args.seed, sessions).await;
        if let Ok(counts) = &outcome {
            let missed = counts.of("records that the broken source lost");
            println!("broken source: caught ({missed} records missed)");
        }
        report.end(outcome, &run::minimum(kind, sessions))
    })
}
