//! The suite that every data source passes, over the engine of the tests.

use std::sync::{Arc, Mutex, Weak};

use async_trait::async_trait;
use fastsync_conformance::Harness;
use fastsync_core::SyncableDataSource;

use crate::kv::KvDataSource;
use crate::kv::toy::{Disk, Toy};

/// A store is opened once and shared; after the last handle is gone it is opened again.
#[derive(Default)]
struct ToyHarness {
    disk: Disk,
    handle: Mutex<Weak<Wrapped>>,
}

/// A data source with a name of its own, as packages make one.
#[derive(Debug, Clone)]
struct Wrapped(KvDataSource<Toy>);

crate::data_source!(Wrapped);

#[async_trait]
impl Harness for ToyHarness {
    async fn open(&self) -> Arc<dyn SyncableDataSource> {
        let mut handle = self.handle.lock().unwrap();
        if let Some(open) = handle.upgrade() {
            return Arc::new(Wrapped::clone(&open));
        }
        let opened = KvDataSource::open(2, || Ok(Toy::open(&self.disk))).unwrap();
        let opened = Arc::new(Wrapped(opened));
        *handle = Arc::downgrade(&opened);
        opened
    }
}

fastsync_conformance::conformance_tests!(ToyHarness::default());
fastsync_conformance::evolution_tests!(ToyHarness::default());
