//! The data source: each method hands its work to a thread of the store.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use fastsync_core::source::upgrade::Upgrades;
use fastsync_core::source::{
    AuditRequest, Changes, ChangesRequest, Commit, CommitOutcome, Found, PendingRequest, PlannedChange,
    Preparation, Purge, StateRange, Turn, Write, Writes,
};
use fastsync_core::{
    ErrorKind, ObjectId, Query, Record, Result, SessionId, SessionSummary, SyncableDataSource, TypeName,
    TypeSchema, Zone,
};

use crate::kv::draft::Draft;
use crate::kv::engine::Engine;
use crate::kv::fail::{Fail, Run, guarded};
use crate::kv::registry::Registry;
use crate::kv::store::Store;
use crate::kv::upgrade::{Upgrade, upgrades};
use crate::kv::workers::Workers;
use crate::kv::{commit, feed, query, read, staged, staging};

/// A data source over an [`Engine`]. A cheap handle: clones share the store.
///
/// [`data_source!`](crate::data_source) makes a type of your own of it.
pub struct KvDataSource<E: Engine> {
    inner: Arc<Inner<E>>,
}

struct Inner<E: Engine> {
    workers: Workers<E>,
    store: Arc<Store<E>>,
}

impl<E: Engine> fmt::Debug for KvDataSource<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KvDataSource").field("backend", &E::NAME).finish_non_exhaustive()
    }
}

impl<E: Engine> Clone for KvDataSource<E> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

const MAX_READERS: usize = 64;

impl<E: Engine> KvDataSource<E> {
    /// Opens a store whose engine `open` opens, with one thread that writes and so many that read.
    ///
    /// The types of an existing store are known without [`SyncableDataSource::prepare`], as they were prepared last.
    /// What an earlier release wrote in another form is upgraded by `prepare`, and every other call is `Config` until
    /// then. A staged commit that a process died over is carried to its end.
    ///
    /// # Errors
    /// Those of `open`, or `Corrupt` if it panics; `Config` unless there are 1 to 64 readers; `Corrupt` if the store is
    /// damaged; `Unsupported` if a newer release wrote it.
    pub fn open(readers: usize, open: impl FnOnce() -> Run<E>) -> Result<Self> {
        Self::open_as(readers, open, upgrades())
    }

    /// Opens a store as a release with these steps would.
    pub(crate) fn open_as(
        readers: usize,
        open: impl FnOnce() -> Run<E>,
        upgrades: Upgrades<Upgrade<E::View>>,
    ) -> Result<Self> {
        let open = || {
            if !(1..=MAX_READERS).contains(&readers) {
                let message = format!("{readers} readers; 1 to {MAX_READERS} are possible");
                return Err(Fail::new(ErrorKind::Config, message));
            }
            let store = Arc::new(Store::open(guarded(open)?, upgrades)?);
            let workers = Workers::start(&store, readers)?;
            Ok(Self { inner: Arc::new(Inner { workers, store }) })
        };
        open().map_err(|fail: Fail| fail.into_error(E::NAME, "open"))
    }

    /// The engine of the store.
    #[must_use]
    pub fn engine(&self) -> &E {
        self.inner.store.engine()
    }

    fn check_version(&self) -> Result<()> {
        self.inner.store.check_version().map_err(|fail| fail.into_error(E::NAME, "upgrade"))
    }

    async fn read<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Registry, &E::View) -> Run<T> + Send + 'static,
    ) -> Result<T> {
        self.check_version()?;
        self.inner.workers.read(operation, work).await
    }

    async fn write<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Registry, &mut Draft<'_, E::View>) -> Run<T> + Send + 'static,
    ) -> Result<T> {
        self.check_version()?;
        self.inner.workers.write(operation, work).await
    }
}

#[async_trait]
impl<E: Engine> SyncableDataSource for KvDataSource<E> {
    fn backend(&self) -> &'static str {
        E::NAME
    }

    async fn prepare(&self, types: &[TypeSchema], how: Preparation) -> Result<Vec<PlannedChange>> {
        let operation = if how == Preparation::Plan { "plan" } else { "prepare" };
        let (planned, store) = (types.to_vec(), Arc::clone(&self.inner.store));
        let plan = move |registry: &Registry, _: &E::View| {
            let mut changes = store.planned()?;
            changes.extend(registry.decide(&planned)?.changes);
            Ok(changes)
        };
        // What is refused is refused before anything is upgraded.
        let changes = self.inner.workers.read(operation, plan).await?;
        if how == Preparation::Plan {
            return Ok(changes);
        }
        let upgrades = self.inner.store.planned().map_err(|fail| fail.into_error(E::NAME, operation))?;
        if self.inner.store.check_version().is_err() {
            self.inner.workers.write_alone("prepare", |store| store.upgrade()).await?;
        }
        let types = types.to_vec();
        self.write("prepare", move |_, draft| {
            // As they are with what others prepare at the same time.
            let decided = Registry::load(draft)?.decide(&types)?;
            decided.carry_out(draft)?;
            Ok([upgrades, decided.changes].concat())
        })
        .await
    }

    async fn get(&self, type_name: &TypeName, zone: &Zone, ids: &[ObjectId]) -> Result<Vec<Record>> {
        let (type_name, zone, ids) = (type_name.clone(), zone.clone(), ids.to_vec());
        self.read("get", move |registry, rows| read::get(registry, rows, &type_name, &zone, ids)).await
    }

    async fn find(&self, query: &Query) -> Result<Found> {
        let query = query.clone();
        self.read("find", move |registry, rows| query::find(registry, rows, query)).await
    }

    async fn changes(&self, request: &ChangesRequest) -> Result<Changes> {
        let request = request.clone();
        self.read("changes", move |registry, rows| feed::changes(registry, rows, &request)).await
    }

    async fn pending(&self, request: &PendingRequest) -> Result<Found> {
        let request = *request;
        self.read("pending", move |registry, rows| read::pending(registry, rows, request)).await
    }

    async fn zones(&self, type_name: &TypeName) -> Result<Vec<Zone>> {
        let type_name = type_name.clone();
        self.read("zones", move |registry, rows| read::zones(registry, rows, &type_name)).await
    }

    async fn stage(&self, session: SessionId, sequence: u64, writes: Vec<Write>) -> Result<()> {
        self.write("stage", move |registry, draft| staging::stage(registry, draft, session, sequence, writes))
            .await
    }

    async fn commit(&self, mut commit: Commit, turn: Turn) -> Result<CommitOutcome> {
        turn.comes().await;
        match std::mem::replace(&mut commit.writes, Writes::Inline(Vec::new())) {
            Writes::Inline(writes) => {
                self.write("commit", move |registry, draft| commit::commit(registry, draft, commit, writes))
                    .await
            }
            Writes::Staged { overrides } => {
                self.check_version()?;
                let work = move |store: &Store<E>| staged::commit(store, commit, overrides);
                self.inner.workers.write_alone("commit", work).await
            }
        }
    }

    async fn sessions(&self, request: &AuditRequest) -> Result<Vec<SessionSummary>> {
        let request = request.clone();
        self.read("sessions", move |_, rows| read::sessions(rows, &request)).await
    }

    async fn state(&self, range: &StateRange) -> Result<Vec<(String, Vec<u8>)>> {
        let range = range.clone();
        self.read("state", move |_, rows| read::state(rows, &range)).await
    }

    async fn purge(&self, what: &Purge) -> Result<u64> {
        let what = what.clone();
        let purge = move |registry: &Registry, draft: &mut Draft<'_, E::View>| match what {
            Purge::Tombstones { zone, through } => feed::purge(registry, draft, &zone, through),
            Purge::Staged(session) => staging::unstage(draft, session).map(|()| 0),
        };
        self.write("purge", purge).await
    }
}
