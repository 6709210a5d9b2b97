//! Data sources around data sources.

use std::fmt::Debug;

use async_trait::async_trait;

use super::{
    AuditRequest, Changes, ChangesRequest, Commit, CommitOutcome, Found, PendingRequest, PlannedChange,
    Preparation, Purge, StateRange, SyncableDataSource, Turn, Write,
};
use crate::error::Result;
use crate::model::{ObjectId, Record, SessionId, SessionSummary, TypeName, Zone};
use crate::query::Query;
use crate::schema::TypeSchema;

/// A call of a data source: one for each of its methods except [`SyncableDataSource::backend`], which asks nothing of the
/// storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Method {
    /// [`SyncableDataSource::prepare`]
    Prepare,
    /// [`SyncableDataSource::get`]
    Get,
    /// [`SyncableDataSource::find`]
    Find,
    /// [`SyncableDataSource::changes`]
    Changes,
    /// [`SyncableDataSource::pending`]
    Pending,
    /// [`SyncableDataSource::zones`]
    Zones,
    /// [`SyncableDataSource::stage`]
    Stage,
    /// [`SyncableDataSource::commit`]
    Commit,
    /// [`SyncableDataSource::sessions`]
    Sessions,
    /// [`SyncableDataSource::state`]
    State,
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
/// use fastsync_core::{MemoryDataSource, Result, SyncableDataSource, SyncableDataSourceExt as _};
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
    fn prepare(
        &self,
        types: &[TypeSchema],
        how: Preparation,
    ) -> impl Future<Output = Result<Vec<PlannedChange>>> + Send {
        async move { self.around(Method::Prepare, self.inner().prepare(types, how)).await }
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
    fn find(&self, query: &Query) -> impl Future<Output = Result<Found>> + Send {
        async move { self.around(Method::Find, self.inner().find(query)).await }
    }

    /// As [`SyncableDataSource::changes`].
    fn changes(&self, request: &ChangesRequest) -> impl Future<Output = Result<Changes>> + Send {
        async move { self.around(Method::Changes, self.inner().changes(request)).await }
    }

    /// As [`SyncableDataSource::pending`].
    fn pending(&self, request: &PendingRequest) -> impl Future<Output = Result<Found>> + Send {
        async move { self.around(Method::Pending, self.inner().pending(request)).await }
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

    /// As [`SyncableDataSource::commit`].
    fn commit(&self, commit: Commit, turn: Turn) -> impl Future<Output = Result<CommitOutcome>> + Send {
        async move { self.around(Method::Commit, self.inner().commit(commit, turn)).await }
    }

    /// As [`SyncableDataSource::sessions`].
    fn sessions(&self, request: &AuditRequest) -> impl Future<Output = Result<Vec<SessionSummary>>> + Send {
        async move { self.around(Method::Sessions, self.inner().sessions(request)).await }
    }

    /// As [`SyncableDataSource::state`].
    fn state(&self, range: &StateRange) -> impl Future<Output = Result<Vec<(String, Vec<u8>)>>> + Send {
        async move { self.around(Method::State, self.inner().state(range)).await }
    }

    /// As [`SyncableDataSource::purge`].
    fn purge(&self, what: &Purge) -> impl Future<Output = Result<u64>> + Send {
        async move { self.around(Method::Purge, self.inner().purge(what)).await }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<L: Layer> SyncableDataSource for L {
    fn backend(&self) -> &'static str {
        Layer::backend(self)
    }
    async fn prepare(&self, types: &[TypeSchema], how: Preparation) -> Result<Vec<PlannedChange>> {
        Layer::prepare(self, types, how).await
    }
    async fn get(&self, type_name: &TypeName, zone: &Zone, ids: &[ObjectId]) -> Result<Vec<Record>> {
        Layer::get(self, type_name, zone, ids).await
    }
    async fn find(&self, query: &Query) -> Result<Found> {
        Layer::find(self, query).await
    }
    async fn changes(&self, request: &ChangesRequest) -> Result<Changes> {
        Layer::changes(self, request).await
    }
    async fn pending(&self, request: &PendingRequest) -> Result<Found> {
        Layer::pending(self, request).await
    }
    async fn zones(&self, type_name: &TypeName) -> Result<Vec<Zone>> {
        Layer::zones(self, type_name).await
    }
    async fn stage(&self, session: SessionId, sequence: u64, writes: Vec<Write>) -> Result<()> {
        Layer::stage(self, session, sequence, writes).await
    }
    async fn commit(&self, commit: Commit, turn: Turn) -> Result<CommitOutcome> {
        Layer::commit(self, commit, turn).await
    }
    async fn sessions(&self, request: &AuditRequest) -> Result<Vec<SessionSummary>> {
        Layer::sessions(self, request).await
    }
    async fn state(&self, range: &StateRange) -> Result<Vec<(String, Vec<u8>)>> {
        Layer::state(self, range).await
    }
    async fn purge(&self, what: &Purge) -> Result<u64> {
        Layer::purge(self, what).await
    }
}
