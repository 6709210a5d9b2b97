//! What was acknowledged survives a killed process, a power cut and a failing disk.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fastsync_conformance::crash::CrashHarness;
use fastsync_core::{Result, SyncableDataSource};
use fastsync_dao_redb::{RedbConfig, RedbDataSource};

struct RedbCrashHarness;

#[async_trait]
impl CrashHarness for RedbCrashHarness {
    async fn open(&self, place: &str) -> Result<Arc<dyn SyncableDataSource>> {
        let config = RedbConfig::new(Path::new(place)).lock_timeout(Duration::from_secs(20));
        Ok(Arc::new(RedbDataSource::open_with(&config)?))
    }
}

// Fails if commits are not durable, the folder of a new file is not synced, a failed group is answered as done, or a store
// that failed goes on.
fastsync_conformance::crash_tests!(RedbCrashHarness);
