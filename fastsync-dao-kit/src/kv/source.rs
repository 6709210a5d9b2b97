//! The data source: each method hands its work to a thread of the store.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use fastsync_core::source::upgrade::Upgrades;
use fastsync_core::source::{
    Changes, ChangesRequest, Commit, CommitOutcome, PlannedChange, Point, Write, Writes,
};
use fastsync_core::{
    ErrorKind, ObjectId, Position, Query, Record, Result, SessionId, SessionSummary, SyncableDataSource,
    TypeName, TypeSchema, Zone,
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

    async fn prepare(&self, types: &[TypeSchema]) -> Result<()> {
        // What is refused is refused before anything is upgraded.
        self.plan(types).await?;
        if self.inner.store.check_version().is_err() {
            self.inner.workers.write_alone("prepare", |store| store.upgrade()).await?;
        }
        let types = types.to_vec();
        self.write("prepare", move |_, draft| {
            // As they are with what others prepare at the same time.
            Registry::load(draft)?.decide(&types)?.carry_out(draft)
        })
        .await
    }

    async fn plan(&self, types: &[TypeSchema]) -> Result<Vec<PlannedChange>> {
        let (types, store) = (types.to_vec(), Arc::clone(&self.inner.store));
        let plan = move |registry: &Registry, _: &E::View| {
            let mut planned = store.planned()?;
            planned.extend(registry.decide(&types)?.changes);
            Ok(planned)
        };
        self.inner.workers.read("plan", plan).await
    }

    async fn get(&self, type_name: &TypeName, zone: &Zone, ids: &[ObjectId]) -> Result<Vec<Record>> {
        let (type_name, zone, ids) = (type_name.clone(), zone.clone(), ids.to_vec());
        self.read("get", move |registry, rows| read::get(registry, rows, &type_name, &zone, ids)).await
    }

    async fn find(&self, query: &Query) -> Result<Vec<Record>> {
        let query = query.clone();
        self.read("find", move |registry, rows| query::find(registry, rows, query)).await
    }

    async fn count(&self, query: &Query) -> Result<u64> {
        let query = query.clone();
        self.read("count", move |registry, rows| query::count(registry, rows, query)).await
    }

    async fn changes(&self, request: &ChangesRequest) -> Result<Changes> {
        let request = request.clone();
        self.read("changes", move |registry, rows| feed::changes(registry, rows, &request)).await
    }

    async fn point(&self, zone: &Zone, position: Position) -> Result<Option<Point>> {
        let zone = zone.clone();
        self.read("point", move |_, rows| feed::point(rows, &zone, position)).await
    }

    async fn pending(&self, after: u64, limit: usize) -> Result<Vec<Record>> {
        self.read("pending", move |registry, rows| read::pending(registry, rows, after, limit)).await
    }

    async fn count_pending(&self) -> Result<u64> {
        self.read("count_pending", |_, rows| read::count_pending(rows)).await
    }

    async fn zones(&self, type_name: &TypeName) -> Result<Vec<Zone>> {
        let type_name = type_name.clone();
        self.read("zones", move |registry, rows| read::zones(registry, rows, &type_name)).await
    }

    async fn stage(&self, session: SessionId, sequence: u64, writes: Vec<Write>) -> Result<()> {
        self.write("stage", move |registry, draft| staging::stage(registry, draft, session, sequence, writes))
            .await
    }

    async fn unstage(&self, session: Option<SessionId>) -> Result<()> {
        self.write("unstage", move |_, draft| staging::unstage(draft, session)).await
    }

    async fn commit(&self, mut commit: Commit) -> Result<CommitOutcome> {
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

    async fn session(&self, id: SessionId) -> Result<Option<SessionSummary>> {
        self.read("session", move |_, rows| read::session(rows, id)).await
    }

    async fn sessions(&self, zone: &Zone, after: Position, limit: usize) -> Result<Vec<SessionSummary>> {
        let zone = zone.clone();
        self.read("sessions", move |_, rows| read::sessions(rows, &zone, after, limit)).await
    }

    async fn state(&self, key: &str) -> Result<Option<Vec<u8>>> {
        let key = key.to_owned();
        self.read("state", move |_, rows| read::state(rows, &key)).await
    }

    async fn states(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>> {
        let prefix = prefix.to_owned();
        self.read("states", move |_, rows| read::states(rows, &prefix)).await
    }

    async fn purge(&self, zone: &Zone, through: Position) -> Result<u64> {
        let zone = zone.clone();
        self.write("purge", move |registry, draft| feed::purge(registry, draft, &zone, through)).await
    }
}
