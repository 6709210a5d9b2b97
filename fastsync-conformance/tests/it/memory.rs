//! The memory data source passes the suite, alone and inside wrappers.

use std::sync::Arc;

use async_trait::async_trait;
use fastsync_conformance::{Constraint, FaultSource, Harness};
use fastsync_core::source::memory::MemoryConstraint;
use fastsync_core::{MemoryDataSource, SyncableDataSource};

/// The storage lives in the harness, so it outlives its handles.
struct Memory(MemoryDataSource);

fn declared(constraint: &Constraint) -> MemoryConstraint {
    match constraint.clone() {
        Constraint::Unique { type_name, field } => MemoryConstraint::Unique { type_name, field },
        Constraint::Reference { type_name, field, parent } => {
            MemoryConstraint::Parent { type_name, field, parent }
        }
    }
}

#[async_trait]
impl Harness for Memory {
    async fn open(&self) -> Arc<dyn SyncableDataSource> {
        Arc::new(self.0.clone())
    }

    async fn count_staged(&self) -> Option<u64> {
        u64::try_from(self.0.staged_batches()).ok()
    }

    async fn constrain(&self, constraint: &Constraint) -> bool {
        self.0.constrain(declared(constraint));
        true
    }
}

fastsync_conformance::conformance_tests!(Memory(MemoryDataSource::new()));

/// Without a fault, a wrapper changes nothing.
struct Wrapped(FaultSource<MemoryDataSource>);

#[async_trait]
impl Harness for Wrapped {
    async fn open(&self) -> Arc<dyn SyncableDataSource> {
        Arc::new(self.0.clone())
    }

    async fn count_staged(&self) -> Option<u64> {
        u64::try_from(self.0.inner().staged_batches()).ok()
    }
}

fastsync_conformance::conformance_tests!(without_faults, Wrapped(FaultSource::new(MemoryDataSource::new())));

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

fastsync_conformance::evolution_tests!(Memory(MemoryDataSource::new()));
