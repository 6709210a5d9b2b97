//! The memory data source passes the suite, alone and inside wrappers.

use std::sync::Arc;

use async_trait::async_trait;
use fastsync_conformance::{FaultSource, Harness};
use fastsync_core::{MemoryDataSource, SyncableDataSource};

/// The storage lives in the harness, so it outlives its handles.
struct Clones<S>(S);

#[async_trait]
impl<S: SyncableDataSource + Clone> Harness for Clones<S> {
    async fn open(&self) -> Arc<dyn SyncableDataSource> {
        Arc::new(self.0.clone())
    }
}

fastsync_conformance::conformance_tests!(Clones(MemoryDataSource::new()));

fastsync_conformance::conformance_tests!(without_faults, Clones(FaultSource::new(MemoryDataSource::new())));

/// A harness that promises nothing: each handle has a storage of its own.
struct Forgetful;

#[async_trait]
impl Harness for Forgetful {
    async fn open(&self) -> Arc<dyn SyncableDataSource> {
        Arc::new(MemoryDataSource::new())
    }

    fn is_durable(&self) -> bool {
        false
    }

    fn shares_storage(&self) -> bool {
        false
    }
}

fastsync_conformance::conformance_tests!(with_one_handle, Forgetful);
