//! What was acknowledged survives a killed process, a power cut and a failing disk.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fastsync_conformance::crash::{Checked, Crash, CrashHarness, check};
use fastsync_core::{Result, SyncableDataSource};
use fastsync_dao_sled::{SledConfig, SledDataSource, Synchronous};

struct SledCrashHarness {
    synchronous: Synchronous,
}

#[async_trait]
impl CrashHarness for SledCrashHarness {
    async fn open(&self, place: &str) -> Result<Arc<dyn SyncableDataSource>> {
        let config = SledConfig::new(Path::new(place)).lock_timeout(Duration::from_secs(20));
        Ok(Arc::new(SledDataSource::open_with(&config.synchronous(self.synchronous))?))
    }
}

// Fails if a flush, a sync of the log, of a blob or of a folder is left out; if blobs are synced after the flush, or the
// mark is set before the sync; if a failed group is answered as done, or a store that failed goes on.
fastsync_conformance::crash_tests!(SledCrashHarness { synchronous: Synchronous::Full });

/// Without a sync the last commits are lost with power, as the settings say of themselves.
#[test]
fn commits_that_are_not_synced_are_missed() {
    let test = concat!(module_path!(), "::commits_that_are_not_synced_are_missed");
    match check(Crash::PowerCut, test, &SledCrashHarness { synchronous: Synchronous::Normal }) {
        Err(problem) => assert!(problem.contains("power cut"), "{problem}"),
        Ok(Checked::Skipped(reason)) => eprintln!("SKIPPED: {reason}"),
        Ok(passed) => panic!("{passed:?}"),
    }
}
