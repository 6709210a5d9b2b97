//! Short forms of common calls of a data source.

use async_trait::async_trait;

use super::{
    AuditRequest, PendingRequest, PlannedChange, Preparation, Purge, StateRange, SyncableDataSource, Turn,
};
use super::{Commit, CommitOutcome};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Position, Record, SessionId, SessionSummary, Zone};
use crate::query::Query;
use crate::schema::TypeSchema;

/// Short forms of common calls. Every data source has them; none implements them.
#[async_trait]
pub trait SyncableDataSourceExt: SyncableDataSource {
    /// What [`prepare`](SyncableDataSource::prepare) would change.
    ///
    /// # Errors
    /// Those of the call. The same holds for every method of this trait.
    async fn plan(&self, types: &[TypeSchema]) -> Result<Vec<PlannedChange>> {
        self.prepare(types, Preparation::Plan).await
    }

    /// How many live records the query's filter selects.
    async fn count(&self, query: &Query) -> Result<u64> {
        let query = Query { limit: Some(0), total: true, ..query.clone() };
        counted(self.backend(), "count", self.find(&query).await?.total)
    }

    /// At most `limit` records that wait to be pushed, of those edited after this local commit.
    async fn pending_after(&self, change: u64, limit: usize) -> Result<Vec<Record>> {
        Ok(self.pending(&PendingRequest::after(change, limit)).await?.records)
    }

    /// How many records wait to be pushed.
    async fn count_pending(&self) -> Result<u64> {
        counted(self.backend(), "count_pending", self.pending(&PendingRequest::COUNT).await?.total)
    }

    /// Commits without a predecessor.
    async fn commit_alone(&self, commit: Commit) -> Result<CommitOutcome> {
        self.commit(commit, Turn::default()).await
    }

    /// The audit entry of a session, if it was committed.
    async fn session(&self, id: SessionId) -> Result<Option<SessionSummary>> {
        Ok(self.sessions(&AuditRequest::Session(id)).await?.pop())
    }

    /// At most `limit` audit entries of a zone's sessions after a position, in commit order.
    async fn sessions_of(&self, zone: &Zone, after: Position, limit: usize) -> Result<Vec<SessionSummary>> {
        self.sessions(&AuditRequest::Zone { zone: zone.clone(), after, limit }).await
    }

    /// The state entry of a key.
    async fn entry(&self, key: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.state(&StateRange::Key(key.to_owned())).await?.pop().map(|(_, value)| value))
    }

    /// All state entries whose key begins with `prefix`, by the bytes of the key.
    async fn entries(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>> {
        self.state(&StateRange::Prefix(prefix.to_owned())).await
    }

    /// Removes staged batches, of one session or of all.
    async fn unstage(&self, session: Option<SessionId>) -> Result<()> {
        self.purge(&Purge::Staged(session)).await.map(|_| ())
    }

    /// Removes the tombstones of a zone that were written at or below a position; gives how many that were.
    async fn purge_tombstones(&self, zone: &Zone, through: Position) -> Result<u64> {
        self.purge(&Purge::Tombstones { zone: zone.clone(), through }).await
    }
}

#[async_trait]
impl<S: SyncableDataSource + ?Sized> SyncableDataSourceExt for S {}

fn counted(backend: &'static str, operation: &'static str, total: Option<u64>) -> Result<u64> {
    let missing =
        || Error::new(ErrorKind::Backend, operation, "the data source did not count").with_backend(backend);
    total.ok_or_else(missing)
}
