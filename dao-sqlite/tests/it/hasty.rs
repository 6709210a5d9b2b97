//! A data source that acknowledges a commit before it is made.

use async_trait::async_trait;
use fastsync_core::source::*;
use fastsync_core::*;
use fastsync_dao_sqlite::SqliteDataSource;

#[derive(Debug)]
pub(crate) struct Hasty(pub(crate) SqliteDataSource);

#[async_trait]
impl SyncableDataSource for Hasty {
    async fn commit(&self, commit: Commit) -> Result<CommitOutcome> {
        let inner = self.0.clone();
        tokio::spawn(async move { inner.commit(commit).await });
        tokio::task::yield_now().await;
        Ok(CommitOutcome::Applied(Receipt { positions: Vec::new(), change: 0, skipped: Vec::new() }))
    }

    fn backend(&self) -> &'static str {
        self.0.backend()
    }
    async fn prepare(&self, types: &[TypeSchema]) -> Result<()> {
        self.0.prepare(types).await
    }
    async fn plan(&self, types: &[TypeSchema]) -> Result<Vec<PlannedChange>> {
        self.0.plan(types).await
    }
    async fn get(&self, type_name: &TypeName, zone: &Zone, ids: &[ObjectId]) -> Result<Vec<Record>> {
        self.0.get(type_name, zone, ids).await
    }
    async fn find(&self, query: &Query) -> Result<Vec<Record>> {
        self.0.find(query).await
    }
    async fn count(&self, query: &Query) -> Result<u64> {
        self.0.count(query).await
    }
    async fn changes(&self, request: &ChangesRequest) -> Result<Changes> {
        self.0.changes(request).await
    }
    async fn pending(&self, after: u64, limit: usize) -> Result<Vec<Record>> {
        self.0.pending(after, limit).await
    }
    async fn count_pending(&self) -> Result<u64> {
        self.0.count_pending().await
    }
    async fn zones(&self, type_name: &TypeName) -> Result<Vec<Zone>> {
        self.0.zones(type_name).await
    }
    async fn stage(&self, session: SessionId, sequence: u64, writes: Vec<Write>) -> Result<()> {
        self.0.stage(session, sequence, writes).await
    }
    async fn unstage(&self, session: Option<SessionId>) -> Result<()> {
        self.0.unstage(session).await
    }
    async fn session(&self, id: SessionId) -> Result<Option<SessionSummary>> {
        self.0.session(id).await
    }
    async fn sessions(&self, zone: &Zone, after: Position, limit: usize) -> Result<Vec<SessionSummary>> {
        self.0.sessions(zone, after, limit).await
    }
    async fn state(&self, key: &str) -> Result<Option<Vec<u8>>> {
        self.0.state(key).await
    }
    async fn states(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>> {
        self.0.states(prefix).await
    }
    async fn purge(&self, zone: &Zone, through: Position) -> Result<u64> {
        self.0.purge(zone, through).await
    }
}
