//! A data source that fails on demand.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use fastsync_core::source::{
    Changes, ChangesRequest, Commit, CommitOutcome, PlannedChange, Point, Turn, Write,
};
use fastsync_core::{
    Error, ErrorKind, ObjectId, Position, Query, Record, Result, SessionId, SessionSummary,
    SyncableDataSource, TypeName, TypeSchema, Zone,
};

/// A method of [`SyncableDataSource`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// [`SyncableDataSource::point`].
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

/// On which side of its effect a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum When {
    /// Before: nothing happened.
    Before,
    /// After: it happened, and the caller does not learn of it.
    After,
}

/// One failure to come.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// Which methods count and can fail.
    pub methods: Vec<Method>,
    /// Which of their calls fails, counted from the arming of the fault: 1 is the next.
    pub call: u64,
    /// Whether the call has its effect.
    pub when: When,
    /// The kind of the error.
    pub kind: ErrorKind,
}

impl Fault {
    /// Of the calls of these methods the one of this number fails; 1 is the next.
    #[must_use]
    pub const fn new(methods: Vec<Method>, call: u64, when: When, kind: ErrorKind) -> Self {
        Self { methods, call, when, kind }
    }

    /// The next commit fails before it does anything: the storage cannot be reached.
    #[must_use]
    pub fn next_commit_fails() -> Self {
        Self { methods: vec![Method::Commit], call: 1, when: When::Before, kind: ErrorKind::Unavailable }
    }

    /// The next commit is applied and its answer lost: the outcome is unknown to the caller.
    #[must_use]
    pub fn next_commit_times_out() -> Self {
        Self { methods: vec![Method::Commit], call: 1, when: When::After, kind: ErrorKind::Timeout }
    }
}

/// Wraps a data source and makes chosen calls fail. Clones share the faults that are to come.
///
/// ```
/// use fastsync_conformance::{Fault, FaultSource};
/// use fastsync_core::{MemoryDataSource, SyncableDataSource};
///
/// let source = FaultSource::new(MemoryDataSource::new());
/// source.arm(Fault::next_commit_times_out());
/// assert_eq!(source.armed(), 1);
/// assert_eq!(source.backend(), "memory");
/// ```
#[derive(Debug, Clone)]
pub struct FaultSource<S> {
    inner: S,
    faults: Arc<Mutex<Vec<Fault>>>,
}

impl<S: Sync> FaultSource<S> {
    /// Wraps a data source; nothing fails yet.
    pub fn new(inner: S) -> Self {
        Self { inner, faults: Arc::default() }
    }

    /// The data source inside.
    #[must_use]
    pub const fn inner(&self) -> &S {
        &self.inner
    }

    /// Adds a failure. Each comes once.
    pub fn arm(&self, fault: Fault) {
        self.with_faults(|faults| faults.push(fault));
    }

    /// Drops the failures that did not come yet.
    pub fn disarm(&self) {
        self.with_faults(Vec::clear);
    }

    /// How many failures did not come yet.
    #[must_use]
    pub fn armed(&self) -> usize {
        self.with_faults(|faults| faults.len())
    }

    fn with_faults<T>(&self, operation: impl FnOnce(&mut Vec<Fault>) -> T) -> T {
        operation(&mut self.faults.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Counts a call and tells whether and when it fails.
    fn due(&self, method: Method) -> Option<(When, ErrorKind)> {
        self.with_faults(|faults| {
            for fault in faults.iter_mut().filter(|fault| fault.methods.contains(&method)) {
                fault.call = fault.call.saturating_sub(1);
            }
            let at = faults.iter().position(|fault| fault.methods.contains(&method) && fault.call == 0)?;
            let fault = faults.remove(at);
            Some((fault.when, fault.kind))
        })
    }

    async fn run<T>(&self, method: Method, call: impl Future<Output = Result<T>> + Send) -> Result<T> {
        let Some((when, kind)) = self.due(method) else { return call.await };
        if when == When::After {
            call.await?;
        }
        Err(Error::new(kind, "fault", format!("{method:?} fails as it was told to")))
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: SyncableDataSource> SyncableDataSource for FaultSource<S> {
    fn backend(&self) -> &'static str {
        self.inner.backend()
    }
    async fn prepare(&self, types: &[TypeSchema]) -> Result<()> {
        self.run(Method::Prepare, self.inner.prepare(types)).await
    }
    async fn plan(&self, types: &[TypeSchema]) -> Result<Vec<PlannedChange>> {
        self.run(Method::Plan, self.inner.plan(types)).await
    }
    async fn get(&self, type_name: &TypeName, zone: &Zone, ids: &[ObjectId]) -> Result<Vec<Record>> {
        self.run(Method::Get, self.inner.get(type_name, zone, ids)).await
    }
    async fn find(&self, query: &Query) -> Result<Vec<Record>> {
        self.run(Method::Find, self.inner.find(query)).await
    }
    async fn count(&self, query: &Query) -> Result<u64> {
        self.run(Method::Count, self.inner.count(query)).await
    }
    async fn changes(&self, request: &ChangesRequest) -> Result<Changes> {
        self.run(Method::Changes, self.inner.changes(request)).await
    }
    async fn point(&self, zone: &Zone, position: Position) -> Result<Option<Point>> {
        self.run(Method::Point, self.inner.point(zone, position)).await
    }
    async fn pending(&self, after: u64, limit: usize) -> Result<Vec<Record>> {
        self.run(Method::Pending, self.inner.pending(after, limit)).await
    }
    async fn count_pending(&self) -> Result<u64> {
        self.run(Method::CountPending, self.inner.count_pending()).await
    }
    async fn zones(&self, type_name: &TypeName) -> Result<Vec<Zone>> {
        self.run(Method::Zones, self.inner.zones(type_name)).await
    }
    async fn stage(&self, session: SessionId, sequence: u64, writes: Vec<Write>) -> Result<()> {
        self.run(Method::Stage, self.inner.stage(session, sequence, writes)).await
    }
    async fn unstage(&self, session: Option<SessionId>) -> Result<()> {
        self.run(Method::Unstage, self.inner.unstage(session)).await
    }
    async fn commit(&self, commit: Commit) -> Result<CommitOutcome> {
        self.run(Method::Commit, self.inner.commit(commit)).await
    }
    async fn commit_in_turn(&self, commit: Commit, turn: Turn) -> Result<CommitOutcome> {
        self.run(Method::Commit, self.inner.commit_in_turn(commit, turn)).await
    }
    async fn session(&self, id: SessionId) -> Result<Option<SessionSummary>> {
        self.run(Method::Session, self.inner.session(id)).await
    }
    async fn sessions(&self, zone: &Zone, after: Position, limit: usize) -> Result<Vec<SessionSummary>> {
        self.run(Method::Sessions, self.inner.sessions(zone, after, limit)).await
    }
    async fn state(&self, key: &str) -> Result<Option<Vec<u8>>> {
        self.run(Method::State, self.inner.state(key)).await
    }
    async fn states(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>> {
        self.run(Method::States, self.inner.states(prefix)).await
    }
    async fn purge(&self, zone: &Zone, through: Position) -> Result<u64> {
        self.run(Method::Purge, self.inner.purge(zone, through)).await
    }
}
