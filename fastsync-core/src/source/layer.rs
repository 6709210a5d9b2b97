//! Data sources around data sources.

use std::fmt::Debug;

use async_trait::async_trait;

use super::{
    Changes, ChangesRequest, Commit, CommitOutcome, PlannedChange, Point, SyncableDataSource, Turn, Write,
};
use crate::error::Result;
use crate::model::{ObjectId, Position, Record, SessionId, SessionSummary, TypeName, Zone};
use crate::query::Query;
use crate::schema::TypeSchema;

/// A call of a data source: one for each of its methods, except that [`SyncableDataSource::commit_in_turn`] is a commit, and that
/// [`SyncableDataSource::backend`], which asks nothing of the storage, is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Method {
    /// [`SyncableDataSource::prepare`]
    Prepare,
    /// [`SyncableDataSource::plan`]
    Plan,
    /// [`SyncableDataSource::get`]
    Get,
    /// [`SyncableDataSource::find`]
    Find,
    /// [`SyncableDataSource::count`]
    Count,
    /// [`SyncableDataSource::changes`]
    Changes,
    /// [`SyncableDataSource::point`]
    Point,
    /// [`SyncableDataSource::pending`]
    Pending,
    /// [`SyncableDataSource::count_pending`]
    CountPending,
    /// [`SyncableDataSource::zones`]
    Zones,
    /// [`SyncableDataSource::stage`]
    Stage,
    /// [`SyncableDataSource::unstage`]
    Unstage,
    /// [`SyncableDataSource::commit`]
    Commit,
    /// [`SyncableDataSource::session`]
    Session,
    /// [`SyncableDataSource::sessions`]
    Sessions,
    /// [`SyncableDataSource::state`]
    State,
    /// [`SyncableDataSource::states`]
    States,
    /// [`SyncableDataSource::purge`]
    Purge,
}

/// A data source around another one: for metrics, delays, faults, audits. Every layer is a data source.
///
/// Implement [`inner`](Self::inner) and the methods that you want to change. All others call the inner source through
/// [`around`](Self::around).
///
/// Import this trait only where a layer is implemented: its methods have the names of the data source's, so that a call is
/// ambiguous where both traits are in scope. If the inner source is a layer itself, call it as
/// `SyncableDataSource::get(self.inner(), ..)`.
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// use fastsync_core::source::{self, Method};
/// use fastsync_core::{MemoryDataSource, Result, SyncableDataSource};
///
/// /// Counts the calls.
/// #[derive(Debug, Default)]
/// struct Counting {
///     inner: MemoryDataSource,
///     calls: AtomicU64,
/// }
///
/// impl source::Layer for Counting {
///     type Inner = MemoryDataSource;
///     fn inner(&self) -> &MemoryDataSource {
///         &self.inner
///     }
///     async fn around<T: Send>(
///         &self,
///         _: Method,
///         call: impl Future<Output = Result<T>> + Send,
///     ) -> Result<T> {
///         self.calls.fetch_add(1, Ordering::Relaxed);
///         call.await
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// let source = Counting::default();
/// assert_eq!(source.count_pending().await?, 0);
/// assert_eq!((source.backend(), source.calls.load(Ordering::Relaxed)), ("memory", 1));
/// # Ok(())
/// # }
/// ```
pub trait Layer: Debug + Send + Sync + 'static {
    /// The type of the inner source.
    type Inner: SyncableDataSource + ?Sized;

    /// The inner source.
    fn inner(&self) -> &Self::Inner;

    /// Makes a call of a method that this layer does not change. Provided: it awaits `call`.
    fn around<T: Send>(
        &self,
        method: Method,
        call: impl Future<Output = Result<T>> + Send,
    ) -> impl Future<Output = Result<T>> + Send {
        let _ = method;
        call
    }

    /// As [`SyncableDataSource::backend`].
    fn backend(&self) -> &'static str {
        self.inner().backend()
    }

    /// As [`SyncableDataSource::prepare`].
    fn prepare(&self, types: &[TypeSchema]) -> impl Future<Output = Result<()>> + Send {
        async move { self.around(Method::Prepare, self.inner().prepare(types)).await }
    }

    /// As [`SyncableDataSource::plan`].
    fn plan(&self, types: &[TypeSchema]) -> impl Future<Output = Result<Vec<PlannedChange>>> + Send {
        async move { self.around(Method::Plan, self.inner().plan(types)).await }
    }

    /// As [`SyncableDataSource::get`].
    fn get(
        &self,
        type_name: &TypeName,
        zone: &Zone,
        ids: &[ObjectId],
    ) -> impl Future<Output = Result<Vec<Record>>> + Send {
        async move { self.around(Method::Get, self.inner().get(type_name, zone, ids)).await }
    }

    /// As [`SyncableDataSource::find`].
    fn find(&self, query: &Query) -> impl Future<Output = Result<Vec<Record>>> + Send {
        async move { self.around(Method::Find, self.inner().find(query)).await }
    }

    /// As [`SyncableDataSource::count`].
    fn count(&self, query: &Query) -> impl Future<Output = Result<u64>> + Send {
        async move { self.around(Method::Count, self.inner().count(query)).await }
    }

    /// As [`SyncableDataSource::changes`].
    fn changes(&self, request: &ChangesRequest) -> impl Future<Output = Result<Changes>> + Send {
        async move { self.around(Method::Changes, self.inner().changes(request)).await }
    }

    /// As [`SyncableDataSource::point`].
    fn point(&self, zone: &Zone, position: Position) -> impl Future<Output = Result<Option<Point>>> + Send {
        async move { self.around(Method::Point, self.inner().point(zone, position)).await }
    }

    /// As [`SyncableDataSource::pending`].
    fn pending(&self, after: u64, limit: usize) -> impl Future<Output = Result<Vec<Record>>> + Send {
        async move { self.around(Method::Pending, self.inner().pending(after, limit)).await }
    }

    /// As [`SyncableDataSource::count_pending`].
    fn count_pending(&self) -> impl Future<Output = Result<u64>> + Send {
        async move { self.around(Method::CountPending, self.inner().count_pending()).await }
    }

    /// As [`SyncableDataSource::zones`].
    fn zones(&self, type_name: &TypeName) -> impl Future<Output = Result<Vec<Zone>>> + Send {
        async move { self.around(Method::Zones, self.inner().zones(type_name)).await }
    }

    /// As [`SyncableDataSource::stage`].
    fn stage(
        &self,
        session: SessionId,
        sequence: u64,
        writes: Vec<Write>,
    ) -> impl Future<Output = Result<()>> + Send {
        async move { self.around(Method::Stage, self.inner().stage(session, sequence, writes)).await }
    }

    /// As [`SyncableDataSource::unstage`].
    fn unstage(&self, session: Option<SessionId>) -> impl Future<Output = Result<()>> + Send {
        async move { self.around(Method::Unstage, self.inner().unstage(session)).await }
    }

    /// As [`SyncableDataSource::commit_in_turn`]. A [`SyncableDataSource::commit`] comes here too, with a turn after none, so that
    /// no commit passes a layer by.
    fn commit(&self, commit: Commit, turn: Turn) -> impl Future<Output = Result<CommitOutcome>> + Send {
        async move { self.around(Method::Commit, self.inner().commit_in_turn(commit, turn)).await }
    }

    /// As [`SyncableDataSource::session`].
    fn session(&self, id: SessionId) -> impl Future<Output = Result<Option<SessionSummary>>> + Send {
        async move { self.around(Method::Session, self.inner().session(id)).await }
    }

    /// As [`SyncableDataSource::sessions`].
    fn sessions(
        &self,
        zone: &Zone,
        after: Position,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<SessionSummary>>> + Send {
        async move { self.around(Method::Sessions, self.inner().sessions(zone, after, limit)).await }
    }

    /// As [`SyncableDataSource::state`].
    fn state(&self, key: &str) -> impl Future<Output = Result<Option<Vec<u8>>>> + Send {
        async move { self.around(Method::State, self.inner().state(key)).await }
    }

    /// As [`SyncableDataSource::states`].
    fn states(&self, prefix: &str) -> impl Future<Output = Result<Vec<(String, Vec<u8>)>>> + Send {
        async move { self.around(Method::States, self.inner().states(prefix)).await }
    }

    /// As [`SyncableDataSource::purge`].
    fn purge(&self, zone: &Zone, through: Position) -> impl Future<Output = Result<u64>> + Send {
        async move { self.around(Method::Purge, self.inner().purge(zone, through)).await }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<L: Layer> SyncableDataSource for L {
    fn backend(&self) -> &'static str {
        Layer::backend(self)
    }
    async fn prepare(&self, types: &[TypeSchema]) -> Result<()> {
        Layer::prepare(self, types).await
    }
    async fn plan(&self, types: &[TypeSchema]) -> Result<Vec<PlannedChange>> {
        Layer::plan(self, types).await
    }
    async fn get(&self, type_name: &TypeName, zone: &Zone, ids: &[ObjectId]) -> Result<Vec<Record>> {
        Layer::get(self, type_name, zone, ids).await
    }
    async fn find(&self, query: &Query) -> Result<Vec<Record>> {
        Layer::find(self, query).await
    }
    async fn count(&self, query: &Query) -> Result<u64> {
        Layer::count(self, query).await
    }
    async fn changes(&self, request: &ChangesRequest) -> Result<Changes> {
        Layer::changes(self, request).await
    }
    async fn point(&self, zone: &Zone, position: Position) -> Result<Option<Point>> {
        Layer::point(self, zone, position).await
    }
    async fn pending(&self, after: u64, limit: usize) -> Result<Vec<Record>> {
        Layer::pending(self, after, limit).await
    }
    async fn count_pending(&self) -> Result<u64> {
        Layer::count_pending(self).await
    }
    async fn zones(&self, type_name: &TypeName) -> Result<Vec<Zone>> {
        Layer::zones(self, type_name).await
    }
    async fn stage(&self, session: SessionId, sequence: u64, writes: Vec<Write>) -> Result<()> {
        Layer::stage(self, session, sequence, writes).await
    }
    async fn unstage(&self, session: Option<SessionId>) -> Result<()> {
        Layer::unstage(self, session).await
    }
    async fn commit(&self, commit: Commit) -> Result<CommitOutcome> {
        Layer::commit(self, commit, Turn::default()).await
    }
    async fn commit_in_turn(&self, commit: Commit, turn: Turn) -> Result<CommitOutcome> {
        Layer::commit(self, commit, turn).await
    }
    async fn session(&self, id: SessionId) -> Result<Option<SessionSummary>> {
        Layer::session(self, id).await
    }
    async fn sessions(&self, zone: &Zone, after: Position, limit: usize) -> Result<Vec<SessionSummary>> {
        Layer::sessions(self, zone, after, limit).await
    }
    async fn state(&self, key: &str) -> Result<Option<Vec<u8>>> {
        Layer::state(self, key).await
    }
    async fn states(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>> {
        Layer::states(self, prefix).await
    }
    async fn purge(&self, zone: &Zone, through: Position) -> Result<u64> {
        Layer::purge(self, zone, through).await
    }
}
