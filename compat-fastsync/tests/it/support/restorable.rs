//! A data source that is restored from a backup while it is in use.

use std::sync::{Arc, Mutex};

use fastsync_core::source::*;
use fastsync_core::*;

/// Handles share what they stand for now.
#[derive(Debug, Clone)]
pub struct Restorable(Arc<Mutex<Arc<dyn SyncableDataSource>>>);

impl Restorable {
    pub fn new(source: impl SyncableDataSource) -> Self {
        Self(Arc::new(Mutex::new(Arc::new(source))))
    }

    /// From now on it is this one.
    pub fn restore(&self, source: impl SyncableDataSource) {
        *self.0.lock().unwrap() = Arc::new(source);
    }

    fn now(&self) -> Arc<dyn SyncableDataSource> {
        Arc::clone(&self.0.lock().unwrap())
    }
}

#[async_trait::async_trait]
impl SyncableDataSource for Restorable {
    fn backend(&self) -> &'static str {
        self.now().backend()
    }
    async fn prepare(&self, types: &[TypeSchema], how: Preparation) -> Result<Vec<PlannedChange>> {
        self.now().prepare(types, how).await
    }
    async fn get(&self, type_name: &TypeName, zone: &Zone, ids: &[ObjectId]) -> Result<Vec<Record>> {
        self.now().get(type_name, zone, ids).await
    }
    async fn find(&self, query: &Query) -> Result<Found> {
        self.now().find(query).await
    }
    async fn changes(&self, request: &ChangesRequest) -> Result<Changes> {
        self.now().changes(request).await
    }
    async fn pending(&self, request: &PendingRequest) -> Result<Found> {
        self.now().pending(request).await
    }
    async fn zones(&self, type_name: &TypeName) -> Result<Vec<Zone>> {
        self.now().zones(type_name).await
    }
    async fn stage(&self, session: SessionId, sequence: u64, writes: Vec<Write>) -> Result<()> {
        self.now().stage(session, sequence, writes).await
    }
    async fn commit(&self, commit: Commit, turn: Turn) -> Result<CommitOutcome> {
        self.now().commit(commit, turn).await
    }
    async fn sessions(&self, request: &AuditRequest) -> Result<Vec<SessionSummary>> {
        self.now().sessions(request).await
    }
    async fn state(&self, range: &StateRange) -> Result<Vec<(String, Vec<u8>)>> {
        self.now().state(range).await
    }
    async fn purge(&self, what: &Purge) -> Result<u64> {
        self.now().purge(what).await
    }
}
