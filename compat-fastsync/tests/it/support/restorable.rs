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
    async fn prepare(&self, types: &[TypeSchema]) -> Result<()> {
        self.now().prepare(types).await
    }
    async fn plan(&self, types: &[TypeSchema]) -> Result<Vec<PlannedChange>> {
        self.now().plan(types).await
    }
    async fn get(&self, type_name: &TypeName, zone: &Zone, ids: &[ObjectId]) -> Result<Vec<Record>> {
        self.now().get(type_name, zone, ids).await
    }
    async fn find(&self, query: &Query) -> Result<Vec<Record>> {
        self.now().find(query).await
    }
    async fn count(&self, query: &Query) -> Result<u64> {
        self.now().count(query).await
    }
    async fn changes(&self, request: &ChangesRequest) -> Result<Changes> {
        self.now().changes(request).await
    }
    async fn point(&self, zone: &Zone, position: Position) -> Result<Option<Point>> {
        self.now().point(zone, position).await
    }
    async fn pending(&self, after: u64, limit: usize) -> Result<Vec<Record>> {
        self.now().pending(after, limit).await
    }
    async fn count_pending(&self) -> Result<u64> {
        self.now().count_pending().await
    }
    async fn zones(&self, type_name: &TypeName) -> Result<Vec<Zone>> {
        self.now().zones(type_name).await
    }
    async fn stage(&self, session: SessionId, sequence: u64, writes: Vec<Write>) -> Result<()> {
        self.now().stage(session, sequence, writes).await
    }
    async fn unstage(&self, session: Option<SessionId>) -> Result<()> {
        self.now().unstage(session).await
    }
    async fn commit(&self, commit: Commit) -> Result<CommitOutcome> {
        self.now().commit(commit).await
    }
    async fn session(&self, id: SessionId) -> Result<Option<SessionSummary>> {
        self.now().session(id).await
    }
    async fn sessions(&self, zone: &Zone, after: Position, limit: usize) -> Result<Vec<SessionSummary>> {
        self.now().sessions(zone, after, limit).await
    }
    async fn state(&self, key: &str) -> Result<Option<Vec<u8>>> {
        self.now().state(key).await
    }
    async fn states(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>> {
        self.now().states(prefix).await
    }
    async fn purge(&self, zone: &Zone, through: Position) -> Result<u64> {
        self.now().purge(zone, through).await
    }
}
