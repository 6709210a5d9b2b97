//! `cargo xtask prove differential`: the same random operations on every data source lead to the same.

use std::process::ExitCode;

use super::block_on;
use crate::args::Args;
use crate::counts::Counts;
use crate::differential::{Subject, case_length, minimum, run as compare, seed_of};
use crate::pace::Pace;
use crate::report::{Failure, Report};
use crate::storage::StorageKind;

pub(super) const NAME: &str = "differential";

/// A run of some seconds does at least what happens in so many operations.
const LEAST: u64 = 1_000;

pub(super) fn run(args: &Args) -> ExitCode {
    block_on(2, async {
        let mut kinds = Vec::new();
        for kind in StorageKind::ALL {
            match kind.skip(NAME) {
                None => kinds.push(kind),
                Some(true) => return ExitCode::FAILURE,
                Some(false) => {}
            }
        }
        let report = Report::begin(NAME, args.seed);
        if let Some(number) = args.case {
            println!("{NAME}: case {number} of seed {}", args.seed);
            return report.end(case(&kinds, args.seed, number).await, &[]);
        }
        let budget = args.budget(2_000, 50_000);
        println!("{NAME}: {budget} of operations, seed {}", args.seed);
        let pace = Pace::begin(budget, minimum(budget.least(LEAST)));
        report.end(cases(&kinds, args.seed, &pace).await, pace.minimum())
    })
}

async fn cases(kinds: &[StorageKind], seed: u64, pace: &Pace) -> Result<Counts, Failure> {
    let mut counts = Counts::default();
    let mut number = 0;
    while pace.goes_on(counts.of("operations"), &counts) {
        counts.merge(&case(kinds, seed, number).await?);
        number += 1;
    }
    Ok(counts)
}

async fn case(kinds: &[StorageKind], seed: u64, number: u64) -> Result<Counts, Failure> {
    let failed = |problem: String| Failure::of(number, problem);
    let mut subjects = vec![Subject::memory()];
    for kind in kinds {
        let subject = Subject::new(*kind).await;
        subjects.push(subject.map_err(|problem| failed(format!("{}: {problem}", kind.name())))?);
    }
    compare(seed_of(seed, number), case_length(number), subjects).await.map_err(failed)
}
