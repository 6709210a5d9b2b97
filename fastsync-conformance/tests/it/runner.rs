//! What becomes of cases that hang, or cannot run.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fastsync_conformance::{Harness, Outcome, cases, run_all};
use fastsync_core::{MemoryDataSource, SyncableDataSource};

const LIMIT: Duration = Duration::from_millis(50);

/// What a storage does instead of opening.
#[derive(Clone, Copy)]
enum Odd {
    Waits,
    BlocksItsThread,
    IsNotThere,
}

#[async_trait]
impl Harness for Odd {
    async fn open(&self) -> Arc<dyn SyncableDataSource> {
        match self {
            Self::Waits => std::future::pending().await,
            Self::BlocksItsThread => loop {
                std::thread::park();
            },
            Self::IsNotThere => panic!("a case that is skipped opens nothing"),
        }
    }

    fn skip(&self) -> Option<String> {
        matches!(self, Self::IsNotThere).then(|| "no server".to_owned())
    }

    fn time_limit(&self) -> Duration {
        LIMIT
    }
}

#[test]
fn a_case_that_hangs_fails_and_is_named() {
    for odd in [Odd::Waits, Odd::BlocksItsThread] {
        for case in [cases().first(), cases().last()].into_iter().flatten() {
            let outcome = case.run(Arc::new(odd));
            let Outcome::Failed(report) = outcome else { panic!("{outcome:?}") };
            assert!(report.contains(case.name()) && report.contains("it took longer than 50ms"), "{report}");
            assert!(report.contains(case.sentence()), "{report}");
        }
    }
}

/// Without constraints, and without a way to count what is staged.
struct Plain(MemoryDataSource);

#[async_trait]
impl Harness for Plain {
    async fn open(&self) -> Arc<dyn SyncableDataSource> {
        Arc::new(self.0.clone())
    }
}

#[test]
fn what_cannot_run_is_skipped_and_not_passed() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let outcomes = runtime.block_on(run_all(|| Odd::IsNotThere));
    assert_eq!(outcomes.len(), cases().len());
    assert!(outcomes.iter().all(|(_, outcome)| *outcome == Outcome::Skipped("no server".into())));

    let skipped: Vec<_> = cases()
        .iter()
        .filter(|case| matches!(case.run(Arc::new(Plain(MemoryDataSource::new()))), Outcome::Skipped(_)))
        .map(|case| case.name())
        .collect();
    assert_eq!(
        skipped,
        [
            "staging::batches_go_when_they_are_applied",
            "constraints::a_refused_write_is_a_conflict",
            "constraints::parents_are_written_first_and_deleted_last",
            "exchanges::rows_may_exchange_unique_values",
            "exchanges::a_clash_beside_an_exchange_is_named_alone",
            "exchanges::an_exchange_is_seen_whole_or_not_at_all"
        ]
    );
}

#[test]
fn every_case_has_a_sentence() {
    for case in cases() {
        assert!(case.sentence().len() > 10, "{}", case.name());
    }
}
