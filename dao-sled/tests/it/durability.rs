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

fastsync_conformance::crash_tests!(SledCrashHarness { synchronous: Synchronous::Full });

/// The name of the test that calls this, as the process that it starts has to be told.
macro_rules! caught {
    ($crash:ident, $test:ident, $harness:expr) => {
        check(Crash::$crash, concat!(module_path!(), "::", stringify!($test)), &$harness)
    };
}

/// What the settings say of themselves: without a sync the last commits are lost with power.
#[test]
fn commits_that_are_not_synced_are_missed() {
    let harness = SledCrashHarness { synchronous: Synchronous::Normal };
    match caught!(PowerCut, commits_that_are_not_synced_are_missed, harness) {
        Ok(Checked::Skipped(reason)) => eprintln!("SKIPPED: {reason}"),
        Err(problem) => assert!(problem.contains("power cut at call"), "{problem}"),
        Ok(passed) => panic!("{passed:?}"),
    }
}
