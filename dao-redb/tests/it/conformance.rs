//! The suite that every data source passes.

use std::sync::{Arc, Mutex, Weak};

use async_trait::async_trait;
use fastsync_conformance::Harness;
use fastsync_core::SyncableDataSource;
use fastsync_dao_redb::RedbDataSource;

/// A store is opened once and shared; after the last handle is gone it is opened again.
struct RedbHarness {
    folder: tempfile::TempDir,
    handle: Mutex<Weak<RedbDataSource>>,
}

impl RedbHarness {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), handle: Mutex::default() }
    }
}

#[async_trait]
impl Harness for RedbHarness {
    async fn open(&self) -> Arc<dyn SyncableDataSource> {
        let mut handle = self.handle.lock().unwrap();
        if let Some(open) = handle.upgrade() {
            return Arc::new(RedbDataSource::clone(&open));
        }
        let opened = Arc::new(RedbDataSource::open(self.folder.path().join("store")).unwrap());
        *handle = Arc::downgrade(&opened);
        opened
    }
}

fastsync_conformance::conformance_tests!(RedbHarness::new());
fastsync_conformance::evolution_tests!(RedbHarness::new());
