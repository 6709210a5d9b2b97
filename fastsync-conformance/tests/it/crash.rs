//! Proof that the checks on crashes can fail.

use std::sync::Arc;

use async_trait::async_trait;
use fastsync_conformance::crash::{Checked, Crash, CrashHarness, check};
use fastsync_core::{MemoryDataSource, Result, SyncableDataSource};

/// Everything is acknowledged, and gone with the process.
struct InMemory;

#[async_trait]
impl CrashHarness for InMemory {
    async fn open(&self, _: &str) -> Result<Arc<dyn SyncableDataSource>> {
        Ok(Arc::new(MemoryDataSource::new()))
    }
}

#[allow(clippy::print_stderr, reason = "a check that does not run says so")]
fn assert_caught(found: std::result::Result<Checked, String>) {
    match found {
        Err(problem) => assert!(problem.contains("was acknowledged, 0 is there"), "{problem}"),
        Ok(Checked::Skipped(reason)) => eprintln!("SKIPPED: {reason}"),
        Ok(passed) => panic!("{passed:?}"),
    }
}

#[test]
fn a_store_that_goes_with_its_process_is_caught() {
    let test = concat!(module_path!(), "::a_store_that_goes_with_its_process_is_caught");
    assert_caught(check(Crash::KilledProcess, test, &InMemory));
}

#[test]
fn a_store_that_goes_with_the_power_is_caught() {
    let test = concat!(module_path!(), "::a_store_that_goes_with_the_power_is_caught");
    assert_caught(check(Crash::PowerCut, test, &InMemory));
}
