//! What was acknowledged survives a killed process, a power cut and a failing disk.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use fastsync_conformance::crash::{Checked, Crash, CrashHarness, check};
use fastsync_core::{Result, SyncableDataSource};
use fastsync_dao_sqlite::{SqliteConfig, SqliteDataSource, Synchronous};

struct SqliteCrashHarness {
    synchronous: Synchronous,
}

#[async_trait]
impl CrashHarness for SqliteCrashHarness {
    async fn open(&self, place: &str) -> Result<Arc<dyn SyncableDataSource>> {
        let config = SqliteConfig::new(Path::new(place)).synchronous(self.synchronous);
        Ok(Arc::new(SqliteDataSource::open_with(&config)?))
    }

    /// The index of the log, which is made of it.
    fn is_scratch(&self, file_name: &str) -> bool {
        file_name.ends_with("-shm")
    }
}

fastsync_conformance::crash_tests!(SqliteCrashHarness { synchronous: Synchronous::Full });

/// The name of the test that calls this, as the process that it starts has to be told.
macro_rules! caught {
    ($crash:ident, $test:ident, $harness:expr) => {
        check(Crash::$crash, concat!(module_path!(), "::", stringify!($test)), &$harness)
    };
}

/// What the settings say of themselves: without a sync the last commits are lost with power.
#[test]
fn commits_that_are_not_synced_are_missed() {
    let harness = SqliteCrashHarness { synchronous: Synchronous::Normal };
    match caught!(PowerCut, commits_that_are_not_synced_are_missed, harness) {
        Ok(Checked::Skipped(reason)) => eprintln!("SKIPPED: {reason}"),
        Err(problem) => assert!(problem.contains("power cut at call"), "{problem}"),
        Ok(passed) => panic!("{passed:?}"),
    }
}
