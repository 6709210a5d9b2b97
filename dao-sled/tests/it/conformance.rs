//! The suite that every data source passes.

use std::sync::{Arc, Mutex, Weak};

use async_trait::async_trait;
use fastsync_conformance::Harness;
use fastsync_core::SyncableDataSource;
use fastsync_dao_sled::SledDataSource;

/// A store is opened once and shared; after the last handle is gone it is opened again.
struct SledHarness {
    folder: tempfile::TempDir,
    handle: Mutex<Weak<SledDataSource>>,
}

impl SledHarness {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), handle: Mutex::default() }
    }
}

#[async_trait]
impl Harness for SledHarness {
    async fn open(&self) -> Arc<dyn SyncableDataSource> {
        let mut handle = self.handle.lock().unwrap();
        if let Some(open) = handle.upgrade() {
            return Arc::new(SledDataSource::clone(&open));
        }
        let opened = Arc::new(SledDataSource::open(self.folder.path().join("store")).unwrap());
        *handle = Arc::downgrade(&opened);
        opened
    }
}

fastsync_conformance::conformance_tests!(SledHarness::new());
fastsync_conformance::evolution_tests!(SledHarness::new());
