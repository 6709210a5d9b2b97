//! Proof that the cases can fail: data sources with one deliberate bug each, and the cases that catch it.

mod broken;
mod bugs;
mod changes;
mod commits;
mod constraints;
mod evolution;
mod plan;
mod prepare;
mod queries;
mod values;
mod writes;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use fastsync_conformance::{Constraint, Harness, Outcome, cases, run_case};
use fastsync_core::{MemoryDataSource, SyncableDataSource};

use broken::{Broken, Notes};
use bugs::{BUGS, Bug};

struct BrokenHarness {
    storage: MemoryDataSource,
    notes: Arc<Mutex<Notes>>,
    bug: Bug,
}

impl BrokenHarness {
    fn new(bug: Bug) -> Self {
        Self { storage: MemoryDataSource::new(), notes: Arc::default(), bug }
    }
}

#[async_trait]
impl Harness for BrokenHarness {
    async fn open(&self) -> Arc<dyn SyncableDataSource> {
        let storage = match self.bug {
            Bug::HandlesShareNothing => MemoryDataSource::new(),
            _ => self.storage.clone(),
        };
        Arc::new(Broken::new(storage, self.bug, self.notes.clone()))
    }

    fn time_limit(&self) -> Duration {
        Duration::from_secs(60)
    }

    async fn count_staged(&self) -> Option<u64> {
        u64::try_from(self.storage.staged_batches()).ok()
    }

    async fn constrain(&self, constraint: &Constraint) -> bool {
        self.notes.lock().unwrap().constraints.push(constraint.clone());
        true
    }
}

/// Whether a case catches a bug. A race is not lost in every attempt.
fn is_caught(bug: Bug, case: &str) -> bool {
    let case = cases().iter().find(|known| known.name() == case).unwrap();
    let attempts = if case.name().starts_with("concurrency::") { 5 } else { 1 };
    (0..attempts).any(|_| match case.run(Arc::new(BrokenHarness::new(bug))) {
        Outcome::Failed(report) => !report.contains("it took longer than"),
        Outcome::Passed | Outcome::Skipped(_) => false,
    })
}

#[test]
fn every_case_catches_a_bug_and_every_bug_is_caught() {
    let pairs: Vec<_> =
        BUGS.iter().flat_map(|(bug, named)| named.iter().map(move |case| (*bug, *case))).collect();
    let named: BTreeSet<_> = pairs.iter().map(|(_, case)| *case).collect();
    let known: BTreeSet<_> = cases().iter().map(|case| case.name()).collect();
    assert_eq!(named.difference(&known).collect::<Vec<_>>(), [&""; 0], "there are no such cases");
    assert_eq!(
        known.difference(&named).collect::<Vec<_>>(),
        [&""; 0],
        "no bug says that these cases can fail"
    );

    let next = AtomicUsize::new(0);
    let missed = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((bug, case)) = pairs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if !is_caught(*bug, case) {
                        missed.lock().unwrap().push(format!("{case} does not catch {bug:?}"));
                    }
                }
            });
        }
    });
    let missed = missed.into_inner().unwrap();
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn a_report_says_the_sentence_what_was_done_and_what_was_found() {
    let name = "pending::an_acknowledged_edit_is_done";
    let case = cases().iter().find(|case| case.name() == name).unwrap();
    let outcome = case.run(Arc::new(BrokenHarness::new(Bug::AcknowledgementsKeepTheRevision)));
    let Outcome::Failed(report) = outcome else { panic!("{outcome:?}") };
    let mut rest = &*report;
    for part in [
        name,
        "the contract says",
        "a commit acknowledges its latest change",
        "put customers c-1 of restricted:company:acme as an edit",
        "applied: positions [], edit 1, 0 skipped",
        "acknowledge edit 1 of customers c-1",
        "get customers [c-1]",
        "what was found: assertion",
    ] {
        let at = rest.find(part).unwrap_or_else(|| panic!("{part:?} does not follow in {report}"));
        rest = &rest[at..];
    }
    let mut make =
        || -> Arc<dyn Harness> { Arc::new(BrokenHarness::new(Bug::AcknowledgementsKeepTheRevision)) };
    let run = std::panic::AssertUnwindSafe(|| run_case(name, &mut make));
    let panic = std::panic::catch_unwind(run).unwrap_err();
    assert_eq!(panic.downcast_ref::<String>(), Some(&report), "a test of `conformance_tests!` says the same");
}

#[test]
fn a_data_source_without_a_bug_passes() {
    for case in cases() {
        assert_eq!(case.run(Arc::new(BrokenHarness::new(Bug::None))), Outcome::Passed, "{}", case.name());
    }
}
