//! What was acknowledged survives a killed process and a killed server.

use std::sync::Arc;

use async_trait::async_trait;
use fastsync_conformance::crash::{CrashHarness, Storage};
use fastsync_core::{Result, SyncableDataSource};
use fastsync_dao_postgres::PostgresDataSource;

use crate::common::server::{self, Database};

struct PostgresCrashHarness;

#[async_trait]
impl CrashHarness for PostgresCrashHarness {
    fn skip(&self) -> Option<String> {
        server::skip()
    }

    fn storage(&self) -> Storage {
        let database = Database::new();
        let storage = Storage::in_server(database.name().to_owned(), database);
        match std::env::var_os("FASTSYNC_POSTGRES_PID_FILE") {
            Some(file) => storage.with_pid_file(file),
            None => storage,
        }
    }

    async fn open(&self, place: &str) -> Result<Arc<dyn SyncableDataSource>> {
        Ok(Arc::new(PostgresDataSource::new(server::pool_of(place)).await?))
    }
}

fastsync_conformance::crash_tests!(server PostgresCrashHarness);
