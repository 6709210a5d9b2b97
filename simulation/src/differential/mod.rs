//! The same random operations on several data sources: every outcome, and at checkpoints everything that is stored,
//! is equal to that of the data source in memory.
//!
//! Local commits are numbered by the data sources, each in its own way, so an operation names a local commit by its
//! place among those of the run (`Edits`), and what comes back is compared in these terms.

mod operation;
mod subject;

use std::sync::Arc;

use fastsync_core::{Random as _, SyncableDataSource};

pub use operation::Operation;
pub use subject::Subject;

use crate::counts::Counts;
use crate::random::Seeded;
use operation::Maker;

/// How many operations lie between two checkpoints.
const CHECKPOINT: u64 = 250;

/// How many operations a case has: every tenth is a long one.
#[must_use]
pub const fn case_length(number: u64) -> u64 {
    if number % 10 == 9 { 10_000 } else { 1_000 }
}

/// What everything random of a case derives from.
#[must_use]
pub fn seed_of(seed: u64, number: u64) -> u64 {
    Seeded::stream(seed, number).next_u64()
}

/// What must have happened in a run of so many operations.
#[must_use]
pub fn minimum(operations: u64) -> Vec<(&'static str, u64)> {
    vec![
        ("operations", operations),
        ("commits applied", operations / 5),
        ("commits that conflicted", operations / 50),
        ("duplicates", operations / 200),
        ("refused operations", operations / 500),
        ("pages of changes", operations / 20),
        ("resets required", operations / 500),
        ("tombstones purged", operations / 500),
        ("checkpoints", operations / CHECKPOINT),
    ]
}

/// Runs so many operations on every subject. The first one is what the others are compared with.
///
/// # Errors
/// Where one differs.
pub async fn run(seed: u64, operations: u64, mut subjects: Vec<Subject>) -> Result<Counts, String> {
    let random = Seeded::new(seed);
    let mut maker = Maker::new(random.clone());
    let mut counts = Counts::default();
    for subject in &mut subjects {
        subject.open().await?;
    }
    for number in 0..operations {
        let reference: Arc<dyn SyncableDataSource> =
            subjects.first().map(|subject| Arc::clone(subject.source())).ok_or("there is no data source")?;
        let operation = maker.next(&*reference, subjects[0].edits()).await;
        let mut expected = None;
        for subject in &mut subjects {
            let outcome = subject.run(&operation).await;
            match &expected {
                None => {
                    operation::count(&mut counts, &operation, &outcome);
                    maker.learn(&operation, &outcome);
                    expected = Some(outcome);
                }
                Some(expected) if *expected != outcome => {
                    return Err(format!(
                        "operation {number} on {}: {operation:?}\nexpected {expected:?}\nfound    {outcome:?}",
                        subject.name()
                    ));
                }
                Some(_) => {}
            }
        }
        counts.note("operations");
        if (number + 1) % CHECKPOINT == 0 || number + 1 == operations {
            checkpoint(number, &mut subjects, random.percent(30)).await?;
            counts.note("checkpoints");
        }
    }
    for subject in subjects {
        subject.remove().await?;
    }
    Ok(counts)
}

async fn checkpoint(number: u64, subjects: &mut [Subject], reopen: bool) -> Result<(), String> {
    let mut expected: Option<String> = None;
    for subject in subjects {
        if reopen {
            subject.reopen().await?;
        }
        let found = subject.everything().await?;
        match &expected {
            None => expected = Some(found),
            Some(expected) if *expected != found => {
                let line = expected.lines().zip(found.lines()).find(|(expected, found)| expected != found);
                return Err(format!("after operation {number} {} differs: {line:#?}", subject.name()));
            }
            Some(_) => {}
        }
    }
    Ok(())
}
