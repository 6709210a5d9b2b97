//! Records in memory: the reference data source, for tests and for data that may be lost.

mod commit;
mod constraints;
mod history;
mod query;
mod schema;
mod state;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;

pub use self::constraints::MemoryConstraint;
use self::state::State;
use super::{
    AuditRequest, Changes, ChangesRequest, Commit, CommitOutcome, Found, PendingRequest, PlannedChange,
    Preparation, Purge, StateRange, SyncableDataSource, Turn, Write,
};
use crate::error::Result;
use crate::model::{ObjectId, Record, SessionId, SessionSummary, TypeName, Zone};
use crate::query::Query;
use crate::schema::TypeSchema;

/// A data source that keeps everything in memory. Clones are handles to the same storage.
///
/// It meets the whole contract of [`SyncableDataSource`] except that nothing outlives the process, and is the
/// one to read to see what the contract means. Its tables have the constraints that
/// [`constrain`](Self::constrain) declares.
///
/// ```
/// use fastsync_core::{MemoryDataSource, SyncableDataSource};
///
/// let source = MemoryDataSource::new();
/// let same_storage = source.clone();
/// assert_eq!(same_storage.backend(), "memory");
/// ```
#[derive(Clone, Default)]
pub struct MemoryDataSource {
    state: Arc<Mutex<State>>,
}

impl MemoryDataSource {
    /// An empty storage.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A storage of its own with the same contents: a backup, or a copied device.
    #[must_use]
    pub fn snapshot(&self) -> Self {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// How many batches are staged, of all sessions: what no method of the port tells, for tests.
    #[must_use]
    pub fn staged_batches(&self) -> usize {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.staged.values().map(std::collections::BTreeMap::len).sum()
    }

    /// Declares a constraint, as a user would on a table with the database's tools, for tests. What is stored already is
    /// not looked at.
    pub fn constrain(&self, constraint: MemoryConstraint) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.constraints.push(constraint);
    }

    /// Runs one operation under the lock. A panic cannot leave the state half written: operations check
    /// everything that can fail before they change anything, so a poisoned lock is taken as it is.
    fn with<T>(&self, operation: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        operation(&mut state).map_err(|error| error.with_backend("memory"))
    }
}

impl fmt::Debug for MemoryDataSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryDataSource").finish_non_exhaustive()
    }
}

#[async_trait]
impl SyncableDataSource for MemoryDataSource {
    fn backend(&self) -> &'static str {
        "memory"
    }

    async fn prepare(&self, types: &[TypeSchema], how: Preparation) -> Result<Vec<PlannedChange>> {
        self.with(|state| state.prepare(types, how))
    }

    async fn get(&self, type_name: &TypeName, zone: &Zone, ids: &[ObjectId]) -> Result<Vec<Record>> {
        self.with(|state| state.get(type_name, zone, ids))
    }

    async fn find(&self, query: &Query) -> Result<Found> {
        self.with(|state| query::find(state, query))
    }

    async fn changes(&self, request: &ChangesRequest) -> Result<Changes> {
        self.with(|state| history::changes(state, request))
    }

    async fn pending(&self, request: &PendingRequest) -> Result<Found> {
        self.with(|state| Ok(state.pending(request)))
    }

    async fn zones(&self, type_name: &TypeName) -> Result<Vec<Zone>> {
        self.with(|state| state.zones(type_name))
    }

    async fn stage(&self, session: SessionId, sequence: u64, writes: Vec<Write>) -> Result<()> {
        self.with(|state| commit::stage(state, session, sequence, writes))
    }

    async fn commit(&self, commit: Commit, turn: Turn) -> Result<CommitOutcome> {
        turn.comes().await;
        self.with(|state| commit::commit(state, commit))
    }

    async fn sessions(&self, request: &AuditRequest) -> Result<Vec<SessionSummary>> {
        self.with(|state| Ok(history::sessions(state, request)))
    }

    async fn state(&self, range: &StateRange) -> Result<Vec<(String, Vec<u8>)>> {
        self.with(|state| {
            let entry = |(key, value): (&String, &Vec<u8>)| (key.clone(), value.clone());
            Ok(match range {
                StateRange::Key(key) => state.entries.get_key_value(key).map(entry).into_iter().collect(),
                StateRange::Prefix(prefix) => {
                    let later = state.entries.range(prefix.clone()..);
                    later.take_while(|(key, _)| key.starts_with(prefix)).map(entry).collect()
                }
            })
        })
    }

    async fn purge(&self, what: &Purge) -> Result<u64> {
        self.with(|state| {
            Ok(match what {
                Purge::Tombstones { zone, through } => history::purge(state, zone, *through),
                Purge::Staged(session) => {
                    state.unstage(*session);
                    0
                }
            })
        })
    }
}
