//! The data source: each method is a task of its own.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use fastsync_core::source::upgrade::Upgrades;
use fastsync_core::source::{
    Changes, ChangesRequest, Commit, CommitOutcome, PlannedChange, Point, Turn, Write,
};
use fastsync_core::{
    ErrorKind, ObjectId, Position, Query, Record, Result, SessionId, SessionSummary, SyncableDataSource,
    TypeName, TypeSchema, Zone,
};

use crate::sql::driver::Database;
use crate::sql::fail::{Fail, Run};
use crate::sql::store::Store;
use crate::sql::upgrade::{Upgrade, version};
use crate::sql::{audit, commit, feed, prepare, query, read, staging};

/// A data source over a [`Database`]. A cheap handle: clones share it.
///
/// Several processes may use one database; they are coordinated by nothing but the database.
/// [`data_source!`](crate::data_source) makes a type of your own of it.
pub struct SqlDataSource<D: Database> {
    store: Arc<Store<D>>,
}

impl<D: Database> fmt::Debug for SqlDataSource<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlDataSource").field("backend", &D::NAME).finish_non_exhaustive()
    }
}

impl<D: Database> Clone for SqlDataSource<D> {
    fn clone(&self) -> Self {
        Self { store: Arc::clone(&self.store) }
    }
}

impl<D: Database> SqlDataSource<D> {
    /// Opens a database whose sync tables have these steps from version to version.
    ///
    /// Nothing is created: [`prepare`](SyncableDataSource::prepare) does that. The types of a
    /// database that was prepared before are known without it. Sync tables that an earlier release
    /// made are upgraded by it, and every other call is `Config` until then.
    ///
    /// # Errors
    /// `Unsupported` if a newer release wrote the sync tables; those of the server.
    pub async fn open(database: D, upgrades: Upgrades<Upgrade<D>>) -> Run<Self> {
        let found = version(&mut database.link().await?).await?;
        found.map_or(Ok(()), |found| upgrades.due(found).map(drop))?;
        Ok(Self { store: Arc::new(Store::new(database, upgrades, found)) })
    }

    /// The database.
    #[must_use]
    pub fn database(&self) -> &D {
        &self.store.database
    }

    /// Runs a call in a task of its own, so that it ends as a whole when its caller is dropped: a
    /// write is done or not, and no connection goes back to the pool in the middle of a statement,
    /// of which the driver knows too little then.
    async fn run<T, F>(&self, operation: &'static str, work: impl FnOnce(Arc<Store<D>>) -> F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Run<T>> + Send + 'static,
    {
        self.store.check_version().map_err(|fail| fail.into_error(D::NAME, operation))?;
        self.run_in_any_version(operation, work).await
    }

    async fn run_in_any_version<T, F>(
        &self,
        operation: &'static str,
        work: impl FnOnce(Arc<Store<D>>) -> F,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Run<T>> + Send + 'static,
    {
        let done = self.store.database.spawn(work(Arc::clone(&self.store))).await;
        let done = done.unwrap_or_else(|| {
            let message = "the runtime ended before the call did; a write may be done or not";
            Err(Fail::new(ErrorKind::Unavailable, operation, message))
        });
        done.map_err(|fail| fail.into_error(D::NAME, operation))
    }
}

#[async_trait]
impl<D: Database> SyncableDataSource for SqlDataSource<D> {
    fn backend(&self) -> &'static str {
        D::NAME
    }

    async fn prepare(&self, types: &[TypeSchema]) -> Result<()> {
        let types = types.to_vec();
        let prepare =
            |store: Arc<Store<D>>| async move { store.retried(|| prepare::prepare(&store, &types)).await };
        self.run_in_any_version("prepare", prepare).await
    }

    async fn plan(&self, types: &[TypeSchema]) -> Result<Vec<PlannedChange>> {
        let types = types.to_vec();
        let plan =
            |store: Arc<Store<D>>| async move { store.retried(|| prepare::plan(&store, &types)).await };
        self.run_in_any_version("plan", plan).await
    }

    async fn get(&self, type_name: &TypeName, zone: &Zone, ids: &[ObjectId]) -> Result<Vec<Record>> {
        let (name, zone, ids) = (type_name.clone(), zone.clone(), ids.to_vec());
        let get = |store: Arc<Store<D>>| async move {
            store.retried(|| read::get(&store, &name, &zone, &ids)).await
        };
        self.run("get", get).await
    }

    async fn find(&self, query: &Query) -> Result<Vec<Record>> {
        let query = query.clone();
        let find = |store: Arc<Store<D>>| async move { store.retried(|| query::find(&store, &query)).await };
        self.run("find", find).await
    }

    async fn count(&self, query: &Query) -> Result<u64> {
        let query = query.clone();
        let count =
            |store: Arc<Store<D>>| async move { store.retried(|| query::count(&store, &query)).await };
        self.run("count", count).await
    }

    async fn changes(&self, request: &ChangesRequest) -> Result<Changes> {
        let request = request.clone();
        let changes =
            |store: Arc<Store<D>>| async move { store.retried(|| feed::changes(&store, &request)).await };
        self.run("changes", changes).await
    }

    async fn point(&self, zone: &Zone, position: Position) -> Result<Option<Point>> {
        let zone = zone.clone();
        let point = |store: Arc<Store<D>>| async move {
            store.retried(|| feed::point(&store, &zone, position)).await
        };
        self.run("point", point).await
    }

    async fn pending(&self, after: u64, limit: usize) -> Result<Vec<Record>> {
        let pending =
            |store: Arc<Store<D>>| async move { store.retried(|| read::pending(&store, after, limit)).await };
        self.run("pending", pending).await
    }

    async fn count_pending(&self) -> Result<u64> {
        let count = |store: Arc<Store<D>>| async move { store.retried(|| read::count_pending(&store)).await };
        self.run("count_pending", count).await
    }

    async fn zones(&self, type_name: &TypeName) -> Result<Vec<Zone>> {
        let name = type_name.clone();
        let zones = |store: Arc<Store<D>>| async move { store.retried(|| read::zones(&store, &name)).await };
        self.run("zones", zones).await
    }

    async fn stage(&self, session: SessionId, sequence: u64, writes: Vec<Write>) -> Result<()> {
        let stage = |store: Arc<Store<D>>| async move {
            store.retried(|| staging::stage(&store, session, sequence, &writes)).await
        };
        self.run("stage", stage).await
    }

    async fn unstage(&self, session: Option<SessionId>) -> Result<()> {
        let unstage = |store: Arc<Store<D>>| async move {
            let unstage = || async { staging::unstage(&mut store.database.link().await?, session).await };
            store.retried(unstage).await
        };
        self.run("unstage", unstage).await
    }

    async fn commit(&self, commit: Commit) -> Result<CommitOutcome> {
        self.commit_in_turn(commit, Turn::default()).await
    }

    async fn commit_in_turn(&self, commit: Commit, turn: Turn) -> Result<CommitOutcome> {
        self.run("commit", |store| async move { commit::commit(&store, commit, &turn).await }).await
    }

    async fn session(&self, id: SessionId) -> Result<Option<SessionSummary>> {
        let session =
            |store: Arc<Store<D>>| async move { store.retried(|| audit::session(&store, id)).await };
        self.run("session", session).await
    }

    async fn sessions(&self, zone: &Zone, after: Position, limit: usize) -> Result<Vec<SessionSummary>> {
        let zone = zone.clone();
        let sessions = |store: Arc<Store<D>>| async move {
            store.retried(|| audit::sessions(&store, &zone, after, limit)).await
        };
        self.run("sessions", sessions).await
    }

    async fn state(&self, key: &str) -> Result<Option<Vec<u8>>> {
        let key = key.to_owned();
        let state = |store: Arc<Store<D>>| async move { store.retried(|| read::state(&store, &key)).await };
        self.run("state", state).await
    }

    async fn states(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>> {
        let prefix = prefix.to_owned();
        let states =
            |store: Arc<Store<D>>| async move { store.retried(|| read::states(&store, &prefix)).await };
        self.run("states", states).await
    }

    async fn purge(&self, zone: &Zone, through: Position) -> Result<u64> {
        let zone = zone.clone();
        let purge =
            |store: Arc<Store<D>>| async move { store.retried(|| feed::purge(&store, &zone, through)).await };
        self.run("purge", purge).await
    }
}
