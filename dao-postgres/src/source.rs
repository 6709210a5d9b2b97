//! The data source.

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
use fastsync_dao_kit::sql::{Attempts, Fail, Run};
use sqlx::postgres::{PgPool, PgPoolOptions};

use crate::config::{PostgresConfig, Warning};
use crate::error::{BACKEND, failed};
use crate::sql::Schema;
use crate::store::Store;
use crate::upgrade::{self, Upgrade};
use crate::{audit, checks, commit, feed, prepare, query, read, staging};

/// Records in a PostgreSQL database. A cheap handle: clones share the pool.
///
/// Several processes may use one database; they are coordinated by nothing but the database.
#[derive(Clone)]
pub struct PostgresDataSource {
    store: Arc<Store>,
}

// The pool's own form would name the server and its user.
impl fmt::Debug for PostgresDataSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresDataSource").finish_non_exhaustive()
    }
}

impl PostgresDataSource {
    /// Connects to a database with the default settings, for example `postgres://user:password@host/database`.
    ///
    /// Add `?sslmode=verify-full` where the network is not yours: otherwise TLS (rustls) is used if the server has it, and
    /// its certificate is not checked.
    ///
    /// # Errors
    /// As [`Self::with_config`]; `Config` if the URL is invalid. No error has the URL in its text.
    pub async fn connect(url: &str) -> Result<Self> {
        let pool = PgPoolOptions::new().connect(url).await;
        let pool = pool.map_err(|error| failed(error).into_error(BACKEND, "open"))?;
        Self::new(pool).await
    }

    /// Uses a pool of yours, with the default settings.
    ///
    /// # Errors
    /// As [`Self::with_config`].
    pub async fn new(pool: PgPool) -> Result<Self> {
        Self::with_config(pool, PostgresConfig::new()).await
    }

    /// Uses a pool of yours with these settings, and checks that the server keeps what it acknowledges.
    ///
    /// Nothing is created: [`prepare`](SyncableDataSource::prepare) does that. The types of a database that was
    /// prepared before are known without it. Sync tables that an earlier release made are upgraded by it, and every
    /// other call is `Config` until then.
    ///
    /// # Errors
    /// `Config` that names every setting of the server that breaks a promise; `Unsupported` if a newer release wrote
    /// the sync tables; `Unavailable` if the server cannot be reached.
    pub async fn with_config(pool: PgPool, config: PostgresConfig) -> Result<Self> {
        Self::open_as(pool, config, upgrade::UPGRADES).await
    }

    /// Opens a database as a release with these steps would.
    pub(crate) async fn open_as(
        pool: PgPool,
        config: PostgresConfig,
        upgrades: Upgrades<Upgrade>,
    ) -> Result<Self> {
        let schema = Schema::new(&config.schema);
        let open = || async {
            let mut connection = pool.acquire().await.map_err(failed)?;
            let warnings = checks::check(&mut connection, &schema, &config).await?;
            let found = upgrade::version(&mut connection, &schema).await?;
            found.map_or(Ok(()), |found| upgrades.due(found).map(drop))?;
            Run::Ok((warnings, found))
        };
        let (warnings, found) =
            retried(config.attempts, open).await.map_err(|fail| fail.into_error(BACKEND, "open"))?;
        Ok(Self { store: Arc::new(Store::new(pool, (schema, warnings), config, upgrades, found)) })
    }

    /// The pool.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.store.pool
    }

    /// The settings of the server that weaken a promise; show or log them.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.store.warnings
    }

    #[cfg(test)]
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Runs a call in a task of its own, so that it ends as a whole when its caller is dropped: a write is done or not, and
    /// no connection goes back to the pool in the middle of a statement, of which the driver knows too little then.
    async fn run<T, F>(&self, operation: &'static str, work: impl FnOnce(Arc<Store>) -> F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Run<T>> + Send + 'static,
    {
        self.store.check_version().map_err(|fail| fail.into_error(BACKEND, operation))?;
        self.run_in_any_version(operation, work).await
    }

    async fn run_in_any_version<T, F>(
        &self,
        operation: &'static str,
        work: impl FnOnce(Arc<Store>) -> F,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Run<T>> + Send + 'static,
    {
        match tokio::spawn(work(Arc::clone(&self.store))).await {
            Ok(done) => done.map_err(|fail| fail.into_error(BACKEND, operation)),
            Err(_) => {
                let message = "the runtime ended before the call did; a write may be done or not";
                Err(Fail::new(ErrorKind::Unavailable, operation, message).into_error(BACKEND, operation))
            }
        }
    }
}

/// Tries again what lost to another transaction.
async fn retried<T, F: Future<Output = Run<T>>>(attempts: u32, work: impl Fn() -> F) -> Run<T> {
    let mut attempts = Attempts::new(attempts);
    loop {
        match work().await {
            Ok(done) => return Ok(done),
            Err(fail) => tokio::time::sleep(attempts.after(fail)?).await,
        }
    }
}

#[async_trait]
impl SyncableDataSource for PostgresDataSource {
    fn backend(&self) -> &'static str {
        BACKEND
    }

    async fn prepare(&self, types: &[TypeSchema], how: Preparation) -> Result<Vec<PlannedChange>> {
        let types = types.to_vec();
        let work = |store: Arc<Store>| async move {
            let attempts = store.config.attempts;
            match how {
                Preparation::Apply => retried(attempts, || prepare::prepare(&store, &types)).await,
                Preparation::Plan => retried(attempts, || prepare::plan(&store, &types)).await,
            }
        };
        let operation = if how == Preparation::Plan { "plan" } else { "prepare" };
        self.run_in_any_version(operation, work).await
    }

    async fn get(&self, type_name: &TypeName, zone: &Zone, ids: &[ObjectId]) -> Result<Vec<Record>> {
        let (name, zone, ids) = (type_name.clone(), zone.clone(), ids.to_vec());
        let get = |store: Arc<Store>| async move {
            retried(store.config.attempts, || read::get(&store, &name, &zone, &ids)).await
        };
        self.run("get", get).await
    }

    async fn find(&self, query: &Query) -> Result<Found> {
        let query = query.clone();
        let find = |store: Arc<Store>| async move {
            retried(store.config.attempts, || query::find(&store, &query)).await
        };
        self.run("find", find).await
    }

    async fn changes(&self, request: &ChangesRequest) -> Result<Changes> {
        let request = request.clone();
        let changes = |store: Arc<Store>| async move {
            retried(store.config.attempts, || feed::changes(&store, &request)).await
        };
        self.run("changes", changes).await
    }

    async fn pending(&self, request: &PendingRequest) -> Result<Found> {
        let request = *request;
        let pending = |store: Arc<Store>| async move {
            retried(store.config.attempts, || read::pending(&store, request)).await
        };
        self.run("pending", pending).await
    }

    async fn zones(&self, type_name: &TypeName) -> Result<Vec<Zone>> {
        let name = type_name.clone();
        let zones = |store: Arc<Store>| async move {
            retried(store.config.attempts, || read::zones(&store, &name)).await
        };
        self.run("zones", zones).await
    }

    async fn stage(&self, session: SessionId, sequence: u64, writes: Vec<Write>) -> Result<()> {
        let stage = |store: Arc<Store>| async move {
            retried(store.config.attempts, || staging::stage(&store, session, sequence, &writes)).await
        };
        self.run("stage", stage).await
    }

    async fn commit(&self, commit: Commit, turn: Turn) -> Result<CommitOutcome> {
        self.run("commit", |store| async move { commit::commit(&store, commit, &turn).await }).await
    }

    async fn sessions(&self, request: &AuditRequest) -> Result<Vec<SessionSummary>> {
        let request = request.clone();
        let sessions = |store: Arc<Store>| async move {
            retried(store.config.attempts, || audit::sessions(&store, &request)).await
        };
        self.run("sessions", sessions).await
    }

    async fn state(&self, range: &StateRange) -> Result<Vec<(String, Vec<u8>)>> {
        let range = range.clone();
        let state = |store: Arc<Store>| async move {
            retried(store.config.attempts, || read::state(&store, &range)).await
        };
        self.run("state", state).await
    }

    async fn purge(&self, what: &Purge) -> Result<u64> {
        let what = what.clone();
        let purge = |store: Arc<Store>| async move {
            let purge = async || match &what {
                Purge::Tombstones { zone, through } => feed::purge(&store, zone, *through).await,
                Purge::Staged(session) => {
                    let mut connection = store.connection().await?;
                    staging::unstage(&store.schema, &mut connection, *session).await.map(|()| 0)
                }
            };
            retried(store.config.attempts, purge).await
        };
        self.run("purge", purge).await
    }
}
