//! A storage in memory whose commits a test answers otherwise.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use fastsync_core::source::{Changes, ChangesRequest, Commit, CommitOutcome, Point, Turn, Write};
use fastsync_core::*;

type Hook = dyn Fn(CommitOutcome) -> CommitOutcome + Send + Sync;

/// What a commit answers goes through a function first.
#[derive(Clone)]
pub struct Hooked {
    pub inner: MemoryDataSource,
    pub answer: Arc<Hook>,
}

impl fmt::Debug for Hooked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hooked")
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl SyncableDataSource for Hooked {
    fn backend(&self) -> &'static str {
        self.inner.backend()
    }
    async fn prepare(&self, types: &[TypeSchema]) -> Result<()> {
        self.inner.prepare(types).await
    }
    async fn get(&self, type_name: &TypeName, zone: &Zone, ids: &[ObjectId]) -> Result<Vec<Record>> {
        self.inner.get(type_name, zone, ids).await
    }
    async fn find(&self, query: &Query) -> Result<Vec<Record>> {
        self.inner.find(query).await
    }
    async fn count(&self, query: &Query) -> Result<u64> {
        self.inner.count(query).await
    }
    async fn changes(&self, request: &ChangesRequest) -> Result<Changes> {
        self.inner.changes(request).await
    }
    async fn point(&self, zone: &Zone, position: Position) -> Result<Option<Point>> {
        self.inner.point(zone, position).await
    }
    async fn pending(&self, after: u64, limit: usize) -> Result<Vec<Record>> {
        self.inner.pending(after, limit).await
    }
    async fn count_pending(&self) -> Result<u64> {
        self.inner.count_pending().await
    }
    async fn stage(&self, session: SessionId, sequence: u64, writes: Vec<Write>) -> Result<()> {
        self.inner.stage(session, sequence, writes).await
    }
    async fn unstage(&self, session: Option<SessionId>) -> Result<()> {
        self.inner.unstage(session).await
    }
    async fn commit(&self, commit: Commit) -> Result<CommitOutcome> {
        self.inner.commit(commit).await.map(&*self.answer)
    }
    async fn commit_in_turn(&self, commit: Commit, turn: Turn) -> Result<CommitOutcome> {
        self.inner.commit_in_turn(commit, turn).await.map(&*self.answer)
    }
    async fn session(&self, id: SessionId) -> Result<Option<SessionSummary>> {
        self.inner.session(id).await
    }
    async fn sessions(&self, zone: &Zone, after: Position, limit: usize) -> Result<Vec<SessionSummary>> {
        self.inner.sessions(zone, after, limit).await
    }
    async fn state(&self, key: &str) -> Result<Option<Vec<u8>>> {
        self.inner.state(key).await
    }
    async fn states(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>> {
        self.inner.states(prefix).await
    }
    async fn purge(&self, zone: &Zone, through: Position) -> Result<u64> {
        self.inner.purge(zone, through).await
    }
}
