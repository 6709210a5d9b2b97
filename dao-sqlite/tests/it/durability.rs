//! What was acknowledged survives a killed process, a power cut and a failing disk.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use fastsync_conformance::crash::{Checked, Crash, CrashHarness, check};
use fastsync_core::{Result, SyncableDataSource};
use fastsync_dao_sqlite::{SqliteConfig, SqliteDataSource, Synchronous};

use crate::hasty::Hasty;

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

// Fails if `PRAGMA synchronous` is anything below `FULL`.
fastsync_conformance::crash_tests!(SqliteCrashHarness { synchronous: Synchronous::Full });

/// Without a sync the last commits are lost with power, as the settings say of themselves.
#[test]
fn commits_that_are_not_synced_are_missed() {
    let test = concat!(module_path!(), "::commits_that_are_not_synced_are_missed");
    match check(Crash::PowerCut, test, &SqliteCrashHarness { synchronous: Synchronous::Normal }) {
        Err(problem) => assert!(problem.contains("was acknowledged"), "{problem}"),
        Ok(Checked::Skipped(reason)) => eprintln!("SKIPPED: {reason}"),
        Ok(passed) => panic!("{passed:?}"),
    }
}

struct HastyHarness;

#[async_trait]
impl CrashHarness for HastyHarness {
    async fn open(&self, place: &str) -> Result<Arc<dyn SyncableDataSource>> {
        Ok(Arc::new(Hasty(SqliteDataSource::open(place)?)))
    }
}

#[test]
fn an_acknowledgement_before_the_commit_is_caught() {
    let test = concat!(module_path!(), "::an_acknowledgement_before_the_commit_is_caught");
    let problem = check(Crash::KilledProcess, test, &HastyHarness).unwrap_err();
    assert!(problem.contains("was acknowledged"), "{problem}");
}
