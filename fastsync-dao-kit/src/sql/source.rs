//! The data source: each method is a task of its own.

use std::fmt;
use std::sync::Arc;

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

use crate::sql::adoption::{AdoptedRows, RowZones};
use crate::sql::driver::Database;
use crate::sql::fail::{Fail, Run};
use crate::sql::store::Store;
use crate::sql::upgrade::{Upgrade, version};
use crate::sql::{audit, commit, feed, prepare, query, read, staging, untracked};

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
        let found = version(&database, &mut database.link().await?).await?;
        found.map_or(Ok(()), |found| upgrades.due(found).map(drop))?;
        Ok(Self { store: Arc::new(Store::new(database, upgrades, found)) })
    }

    /// The database.
    #[must_use]
    pub fn database(&self) -> &D {
        &self.store.database
    }

    /// Makes objects of the rows of an adopted table that no method has returned so far, because they
    /// were there before it was adopted or were inserted past this library, with SQL.
    ///
    /// They are committed as they are, in sessions of up to 10,000, by the author `adoption`: with
    /// positions, so that clients pull them, and with audit entries. Calling it again is fine, at any
    /// time and from several processes at once: a row becomes an object once, and what a crash cut
    /// off goes on. A row whose id was deleted through this library stays as it is.
    ///
    /// Call it after [`prepare`](SyncableDataSource::prepare) and before the store is opened, which
    /// does not hear of it. A row that is changed with SQL meanwhile may get back what it had.
    ///
    /// # Errors
    /// `UnknownType` if the type is not prepared; `InvalidInput` if its objects cannot be in the zone,
    /// or if a row cannot be read as the type says, with its id: what came before it is adopted;
    /// `Constraint` if a rule of the table refuses a row as it is; those of a commit.
    pub async fn adopt_rows(&self, type_name: &TypeName, zones: &RowZones) -> Result<AdoptedRows> {
        let (name, zones) = (type_name.clone(), zones.clone());
        let work = |store: Arc<Store<D>>| async move { untracked::adopt_rows(&store, &name, &zones).await };
        self.run("adopt_rows", work).await
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

    async fn prepare(&self, types: &[TypeSchema], how: Preparation) -> Result<Vec<PlannedChange>> {
        let types = types.to_vec();
        let work = |store: Arc<Store<D>>| async move {
            match how {
                Preparation::Apply => store.retried(|| prepare::prepare(&store, &types)).await,
                Preparation::Plan => store.retried(|| prepare::plan(&store, &types)).await,
            }
        };
        let operation = if how == Preparation::Plan { "plan" } else { "prepare" };
        self.run_in_any_version(operation, work).await
    }

    async fn get(&self, type_name: &TypeName, zone: &Zone, ids: &[ObjectId]) -> Result<Vec<Record>> {
        let (name, zone, ids) = (type_name.clone(), zone.clone(), ids.to_vec());
        let work = |store: Arc<Store<D>>| async move {
            store.retried(|| read::get(&store, &name, &zone, &ids)).await
        };
        self.run("get", work).await
    }

    async fn find(&self, query: &Query) -> Result<Found> {
        let query = query.clone();
        let work = |store: Arc<Store<D>>| async move { store.retried(|| query::find(&store, &query)).await };
        self.run("find", work).await
    }

    async fn changes(&self, request: &ChangesRequest) -> Result<Changes> {
        let request = request.clone();
        let work =
            |store: Arc<Store<D>>| async move { store.retried(|| feed::changes(&store, &request)).await };
        self.run("changes", work).await
    }

    async fn pending(&self, request: &PendingRequest) -> Result<Found> {
        let request = *request;
        let work =
            |store: Arc<Store<D>>| async move { store.retried(|| read::pending(&store, request)).await };
        self.run("pending", work).await
    }

    async fn zones(&self, type_name: &TypeName) -> Result<Vec<Zone>> {
        let name = type_name.clone();
        let work = |store: Arc<Store<D>>| async move { store.retried(|| read::zones(&store, &name)).await };
        self.run("zones", work).await
    }

    async fn stage(&self, session: SessionId, sequence: u64, writes: Vec<Write>) -> Result<()> {
        let work = |store: Arc<Store<D>>| async move {
            store.retried(|| staging::stage(&store, session, sequence, &writes)).await
        };
        self.run("stage", work).await
    }

    async fn commit(&self, commit: Commit, turn: Turn) -> Result<CommitOutcome> {
        self.run("commit", |store| async move { commit::commit(&store, commit, &turn).await }).await
    }

    async fn sessions(&self, request: &AuditRequest) -> Result<Vec<SessionSummary>> {
        let request = request.clone();
        let work =
            |store: Arc<Store<D>>| async move { store.retried(|| audit::sessions(&store, &request)).await };
        self.run("sessions", work).await
    }

    async fn state(&self, range: &StateRange) -> Result<Vec<(String, Vec<u8>)>> {
        let range = range.clone();
        let work = |store: Arc<Store<D>>| async move { store.retried(|| read::state(&store, &range)).await };
        self.run("state", work).await
    }

    async fn purge(&self, what: &Purge) -> Result<u64> {
        let what = what.clone();
        let work = |store: Arc<Store<D>>| async move {
            let purge = async || match &what {
                Purge::Tombstones { zone, through } => feed::purge(&store, zone, *through).await,
                Purge::Staged(session) => {
                    staging::unstage(&mut store.database.link().await?, *session).await.map(|()| 0)
                }
            };
            store.retried(purge).await
        };
        self.run("purge", work).await
    }
}
