//! The data source: each method hands its work to a thread of the store.

use std::path::{Path, PathBuf};
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

use crate::config::SledConfig;
use crate::error::{BACKEND, Fail, Run};
use crate::registry::Registry;
use crate::store::Store;
use crate::tree::{Draft, Rows};
use crate::upgrade::{UPGRADES, Upgrade};
use crate::workers::Workers;
use crate::{commit, feed, query, read, staged, staging};

/// Records in a folder of sled's. A cheap handle: clones share the store.
///
/// One handle and its clones have the store to themselves: opening it a second time, here or in another process, is
/// `Unavailable`.
#[derive(Debug, Clone)]
pub struct SledDataSource {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    workers: Workers,
    store: Arc<Store>,
}

const MAX_READERS: usize = 64;

impl SledDataSource {
    /// Opens a store with the default settings; it is made if it is not there.
    ///
    /// The types of an existing store are known without [`SyncableDataSource::prepare`], as they were prepared last.
    /// What an earlier release wrote in another form is upgraded by `prepare`, and every other call is `Config` until then.
    /// Opening reads sled's snapshot and the log since then; it blocks for that long.
    ///
    /// # Errors
    /// `Unavailable` if the store is open already; `Corrupt` if it is damaged (see [`Self::move_aside`]); `Config` if
    /// the settings do not hold or the folder cannot be used; `Unsupported` if a newer release wrote the store.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        Self::open_with(&SledConfig::new(path))
    }

    /// Opens a store with these settings.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with(config: &SledConfig) -> Result<Self> {
        Self::open_as(config, UPGRADES)
    }

    /// Opens a store as a release with these steps would.
    pub(crate) fn open_as(config: &SledConfig, upgrades: Upgrades<Upgrade>) -> Result<Self> {
        let fail = |fail: Fail| fail.into_error("open").with_context("path", config.path.display());
        if !(1..=MAX_READERS).contains(&config.readers) {
            let message = format!("{} readers; 1 to {MAX_READERS} are possible", config.readers);
            return Err(fail(Fail::new(ErrorKind::Config, message)));
        }
        let store = Arc::new(Store::open(config, upgrades).map_err(fail)?);
        let workers = Workers::start(&store, config.readers).map_err(fail)?;
        Ok(Self { inner: Arc::new(Inner { path: config.path.clone(), workers, store }) })
    }

    /// The folder of the store.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// How many groups of writes were made durable.
    #[cfg(test)]
    pub(crate) fn flushes(&self) -> u64 {
        self.inner.store.flushes()
    }

    fn check_version(&self) -> Result<()> {
        self.inner.store.check_version().map_err(|fail| fail.into_error("upgrade"))
    }

    async fn read<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Registry, &dyn Rows) -> Run<T> + Send + 'static,
    ) -> Result<T> {
        self.check_version()?;
        self.inner.workers.read(operation, work).await
    }

    async fn write<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Registry, &mut Draft<'_>) -> Run<T> + Send + 'static,
    ) -> Result<T> {
        self.check_version()?;
        self.inner.workers.write(operation, work).await
    }
}

#[async_trait]
impl SyncableDataSource for SledDataSource {
    fn backend(&self) -> &'static str {
        BACKEND
    }

    async fn prepare(&self, types: &[TypeSchema]) -> Result<()> {
        // What is refused is refused before anything is upgraded.
        self.plan(types).await?;
        if self.inner.store.check_version().is_err() {
            self.inner.workers.write_alone("prepare", Store::upgrade).await?;
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
        let plan = move |registry: &Registry, _: &dyn Rows| {
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
                let work = move |store: &Store| staged::commit(store, commit, overrides);
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
