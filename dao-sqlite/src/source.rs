//! The data source: each method hands a job to the thread that owns a connection.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use fastsync_core::source::upgrade::Upgrades;
use fastsync_core::source::{
    AuditRequest, Changes, ChangesRequest, Commit, CommitOutcome, Found, PendingRequest, PlannedChange,
    Preparation, Purge, StateRange, Turn, Write,
};
use fastsync_core::{
    ErrorKind, ObjectId, Query, Record, Result, SessionId, SessionSummary, SyncableDataSource, TypeName,
    TypeSchema, Zone,
};

use fastsync_dao_kit::workers::Workers;

use crate::config::SqliteConfig;
use crate::connection::{MIN_SQLITE, Store};
use crate::error::{BACKEND, Fail, Run};
use crate::registry::{Registry, load};
use crate::schema::Upgrade;
use crate::{commit, feed, prepare, query, read, schema, staging};

/// Records in a SQLite file. A cheap handle: clones share the connections.
///
/// Several processes, and several data sources of one process, may use one file.
#[derive(Debug, Clone)]
pub struct SqliteDataSource {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    registry: Arc<RwLock<Registry>>,
    writer: Workers<Store>,
    readers: Workers<Store>,
    upgrades: Upgrades<Upgrade>,
    /// The version that the sync tables had when this was opened or prepared last.
    version: AtomicU32,
}

const MAX_READERS: usize = 64;

impl SqliteDataSource {
    /// Opens a file with the default settings; it is made if it is not there.
    ///
    /// The types of an existing file are known without [`SyncableDataSource::prepare`], as they were prepared last. Sync
    /// tables that an earlier release made are upgraded by `prepare`, and every other call is `Config` until then.
    /// Opening reads a few pages and starts three threads; it blocks for that long.
    ///
    /// # Errors
    /// `Config` if the linked SQLite is too old, the settings do not hold or the file cannot be opened; `Unsupported` if
    /// a newer release wrote its sync tables; `Corrupt` if the file is damaged or no database; `Unavailable` if another
    /// process holds it for longer than the busy timeout.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        Self::open_with(&SqliteConfig::new(path))
    }

    /// Opens a file with these settings.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with(config: &SqliteConfig) -> Result<Self> {
        Self::open_as(config, schema::UPGRADES)
    }

    /// Opens a file as a release with these steps would.
    pub(crate) fn open_as(config: &SqliteConfig, upgrades: Upgrades<Upgrade>) -> Result<Self> {
        let fail = |fail: Fail| fail.into_error("open").with_context("path", config.path.display());
        check(config).map_err(fail)?;
        let registry = Arc::new(RwLock::new(Registry::default()));
        let connect = |cache_bytes| Store::open(config, cache_bytes, Arc::clone(&registry)).map_err(fail);
        let writer = connect(config.page_cache_bytes)?;
        let version = schema::set_up(&writer, upgrades).map_err(fail)?;
        load(&mut registry.write().unwrap_or_else(PoisonError::into_inner), &writer).map_err(fail)?;
        let readers =
            (0..config.readers).map(|_| connect(config.page_cache_bytes / 2)).collect::<Result<Vec<_>>>()?;
        Ok(Self {
            inner: Arc::new(Inner {
                path: config.path.clone(),
                registry,
                writer: Workers::start(BACKEND, "fastsync-writer", vec![writer])?,
                readers: Workers::start(BACKEND, "fastsync-reader", readers)?,
                upgrades,
                version: AtomicU32::new(version),
            }),
        })
    }

    /// The database file.
    #[must_use]
    pub fn path(&self) -> &std::path::Path {
        &self.inner.path
    }

    /// Runs work on the writing connection, which begins and ends its transactions.
    pub(crate) async fn on_writer<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Store) -> Run<T> + Send + 'static,
    ) -> Result<T> {
        self.check_version()?;
        run(&self.inner.writer, operation, work).await
    }

    /// Refuses to work with tables that `prepare` has not upgraded yet.
    fn check_version(&self) -> Result<()> {
        let checked = self.inner.upgrades.check(self.inner.version.load(Ordering::Acquire));
        checked.map_err(|error| Fail::from(error).into_error("upgrade"))
    }

    /// Runs a read on one committed state.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Store) -> Run<T> + Send + 'static,
    ) -> Result<T> {
        self.check_version()?;
        run(&self.inner.readers, operation, move |store| store.read(work)).await
    }

    /// Runs a write in a transaction of its own.
    async fn write<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Store) -> Run<T> + Send + 'static,
    ) -> Result<T> {
        self.on_writer(operation, move |store| store.write(work)).await
    }
}

async fn run<T: Send + 'static>(
    workers: &Workers<Store>,
    operation: &'static str,
    work: impl FnOnce(&Store) -> Run<T> + Send + 'static,
) -> Result<T> {
    workers.run(operation, move |store| work(store).map_err(|fail| fail.into_error(operation))).await
}

fn check(config: &SqliteConfig) -> Run<()> {
    let (number, name) = MIN_SQLITE;
    if rusqlite::version_number() < number {
        let found = rusqlite::version();
        let message = format!("SQLite {name} or later is needed, {found} is linked");
        return Err(Fail::new(ErrorKind::Config, "open", message));
    }
    if !(1..=MAX_READERS).contains(&config.readers) {
        let message = format!("{} readers; 1 to {MAX_READERS} are possible", config.readers);
        return Err(Fail::new(ErrorKind::Config, "open", message));
    }
    Ok(())
}

#[async_trait]
impl SyncableDataSource for SqliteDataSource {
    fn backend(&self) -> &'static str {
        BACKEND
    }

    async fn prepare(&self, types: &[TypeSchema], how: Preparation) -> Result<Vec<PlannedChange>> {
        let (types, upgrades) = (types.to_vec(), self.inner.upgrades);
        if how == Preparation::Plan {
            let work = move |store: &Store| prepare::plan(store, upgrades, &types);
            return run(&self.inner.writer, "plan", work).await;
        }
        let work = move |store: &Store| prepare::prepare(store, upgrades, &types);
        let (prepared, changes) = run(&self.inner.writer, "prepare", work).await?;
        self.inner.version.store(upgrades.version(), Ordering::Release);
        let mut registry = self.inner.registry.write().unwrap_or_else(PoisonError::into_inner);
        for kind in prepared {
            registry.insert(kind.n, kind.schema.name().clone(), kind);
        }
        Ok(changes)
    }

    async fn get(&self, type_name: &TypeName, zone: &Zone, ids: &[ObjectId]) -> Result<Vec<Record>> {
        let (type_name, zone, ids) = (type_name.clone(), zone.clone(), ids.to_vec());
        self.read("get", move |store| read::get(store, &type_name, &zone, &ids)).await
    }

    async fn find(&self, query: &Query) -> Result<Found> {
        let query = query.clone();
        self.read("find", move |store| query::find(store, &query)).await
    }

    async fn changes(&self, request: &ChangesRequest) -> Result<Changes> {
        let request = request.clone();
        self.read("changes", move |store| feed::changes(store, &request)).await
    }

    async fn pending(&self, request: &PendingRequest) -> Result<Found> {
        let request = *request;
        if request.limit == 0 {
            return self.read("pending", move |store| read::pending(store, request)).await;
        }
        // On the writer's connection: a push reads what was just written, and only that connection still has the
        // pages at hand.
        self.on_writer("pending", move |store| store.read(|store| read::pending(store, request))).await
    }

    async fn zones(&self, type_name: &TypeName) -> Result<Vec<Zone>> {
        let type_name = type_name.clone();
        self.read("zones", move |store| read::zones(store, &type_name)).await
    }

    async fn stage(&self, session: SessionId, sequence: u64, writes: Vec<Write>) -> Result<()> {
        self.write("stage", move |store| staging::stage(store, session, sequence, writes)).await
    }

    async fn commit(&self, commit: Commit, turn: Turn) -> Result<CommitOutcome> {
        turn.comes().await;
        self.on_writer("commit", move |store| commit::commit(store, commit)).await
    }

    async fn sessions(&self, request: &AuditRequest) -> Result<Vec<SessionSummary>> {
        let request = request.clone();
        self.read("sessions", move |store| read::sessions(store, &request)).await
    }

    async fn state(&self, range: &StateRange) -> Result<Vec<(String, Vec<u8>)>> {
        let range = range.clone();
        self.read("state", move |store| read::state(store, &range)).await
    }

    async fn purge(&self, what: &Purge) -> Result<u64> {
        let what = what.clone();
        let purge = move |store: &Store| match what {
            Purge::Tombstones { zone, through } => feed::purge(store, &zone, through),
            Purge::Staged(session) => staging::unstage(store, session).map(|()| 0),
        };
        self.write("purge", purge).await
    }
}
