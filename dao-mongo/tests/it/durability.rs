//! What was acknowledged survives a killed process and a killed server.

use std::sync::Arc;

use async_trait::async_trait;
use fastsync_conformance::crash::{CrashHarness, Storage};
use fastsync_core::{Result, SyncableDataSource};
use fastsync_dao_mongo::MongoDataSource;

use crate::common::{Scratch, reason, url};

struct MongoCrashHarness;

#[async_trait]
impl CrashHarness for MongoCrashHarness {
    fn skip(&self) -> Option<String> {
        url().is_none().then(reason)
    }

    fn storage(&self) -> Storage {
        let scratch = Scratch::new().unwrap();
        let storage = Storage::in_server(scratch.name().to_owned(), scratch);
        match std::env::var_os("FASTSYNC_MONGO_PID_FILE") {
            Some(file) => storage.with_pid_file(file),
            None => storage,
        }
    }

    async fn open(&self, place: &str) -> Result<Arc<dyn SyncableDataSource>> {
        Ok(Arc::new(MongoDataSource::connect(&url().unwrap_or_default(), place).await?))
    }
}

fastsync_conformance::crash_tests!(server MongoCrashHarness);
