//! The data source: each method runs to its end as a task of its own.

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
use mongodb::{Client, Database};

use crate::error::{BACKEND, Fail, Run};
use crate::store::Store;
use crate::upgrade::{self, Upgrade};
use crate::{audit, commit, feed, prepare, query, read, staging};

/// Records in a MongoDB database. A cheap handle: clones share the connections.
///
/// Several processes, and several data sources of one process, may use one database.
#[derive(Clone)]
pub struct MongoDataSource {
    store: Arc<Store>,
}

impl std::fmt::Debug for MongoDataSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MongoDataSource")
            .field("database", &self.store.database.name())
            .finish_non_exhaustive()
    }
}

impl MongoDataSource {
    /// Connects with a URI, for example `mongodb://localhost:27017/?replicaSet=rs0`, and opens a database.
    ///
    /// # Errors
    /// As [`Self::open`]; also `Config` if the URI is malformed.
    pub async fn connect(uri: &str, database: &str) -> Result<Self> {
        let client =
            Client::with_uri_str(uri).await.map_err(|error| Fail::from(error).into_error("connect"))?;
        Self::open(&client.database(database)).await
    }

    /// Opens a database of a client that you have already. Its sync collections are made if they are not there.
    ///
    /// The types of an existing database are known without [`SyncableDataSource::prepare`], as they were prepared
    /// last. Sync collections that an earlier release made are upgraded by it, and every other call is `Config` until then.
    /// The read and write concerns of the client do not matter: everything goes to the primary, and nothing is
    /// read or acknowledged that a majority has not journaled.
    ///
    /// # Errors
    /// `Config` if the server is older than MongoDB 5.0 or a standalone, or refuses the credentials; `Unsupported` if a
    /// newer release wrote the sync collections; `Unavailable` if it cannot be reached.
    pub async fn open(database: &Database) -> Result<Self> {
        Self::open_as(database, upgrade::UPGRADES).await
    }

    /// Opens a database as a release with these steps would.
    pub(crate) async fn open_as(database: &Database, upgrades: Upgrades<Upgrade>) -> Result<Self> {
        let store = Arc::new(Store::new(database, upgrades));
        let source = Self { store };
        source
            .run_in_any_version("connect", |store| async move {
                store.check_server().await?;
                store.note_version(upgrade::set_up(&store.database, &store.upgrades).await?);
                store.types.load(&store.database).await
            })
            .await?;
        Ok(source)
    }

    /// The database, with the concerns that this data source reads and writes with.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.store.database
    }

    /// Runs an operation as a task: the driver's futures should not be dropped halfway.
    async fn run<T, F>(&self, operation: &'static str, work: impl FnOnce(Arc<Store>) -> F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Run<T>> + Send + 'static,
    {
        self.store.check_version().map_err(|fail| fail.into_error(operation))?;
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
        let gone =
            |_| Err(Fail::new(ErrorKind::Backend, operation, "the operation panicked or its runtime ended"));
        let done = tokio::spawn(work(Arc::clone(&self.store))).await;
        done.unwrap_or_else(gone).map_err(|fail| fail.into_error(operation))
    }
}

#[async_trait]
impl SyncableDataSource for MongoDataSource {
    fn backend(&self) -> &'static str {
        BACKEND
    }

    async fn prepare(&self, types: &[TypeSchema], how: Preparation) -> Result<Vec<PlannedChange>> {
        let types = types.to_vec();
        if how == Preparation::Plan {
            let plan = |store: Arc<Store>| async move { prepare::plan(&store, &types).await };
            return self.run_in_any_version("plan", plan).await;
        }
        self.run_in_any_version("prepare", |store| async move {
            let (prepared, changes) = prepare::prepare(&store, &types).await?;
            store.note_version(store.upgrades.version());
            store.types.put(prepared);
            Ok(changes)
        })
        .await
    }

    async fn get(&self, type_name: &TypeName, zone: &Zone, ids: &[ObjectId]) -> Result<Vec<Record>> {
        let (name, zone, ids) = (type_name.clone(), zone.clone(), ids.to_vec());
        let read =
            |store: Arc<Store>| async move { store.retried(|| read::get(&store, &name, &zone, &ids)).await };
        self.run("get", read).await
    }

    async fn find(&self, query: &Query) -> Result<Found> {
        let query = query.clone();
        let read = |store: Arc<Store>| async move { store.retried(|| query::find(&store, &query)).await };
        self.run("find", read).await
    }

    async fn changes(&self, request: &ChangesRequest) -> Result<Changes> {
        let request = request.clone();
        let read = |store: Arc<Store>| async move { store.retried(|| feed::changes(&store, &request)).await };
        self.run("changes", read).await
    }

    async fn pending(&self, request: &PendingRequest) -> Result<Found> {
        let request = *request;
        let read = |store: Arc<Store>| async move { store.retried(|| read::pending(&store, request)).await };
        self.run("pending", read).await
    }

    async fn zones(&self, type_name: &TypeName) -> Result<Vec<Zone>> {
        let name = type_name.clone();
        self.run("zones", |store| async move { read::zones(&store, &name).await }).await
    }

    async fn stage(&self, session: SessionId, sequence: u64, writes: Vec<Write>) -> Result<()> {
        self.run("stage", |store| async move { staging::stage(&store, session, sequence, writes).await })
            .await
    }

    async fn commit(&self, commit: Commit, turn: Turn) -> Result<CommitOutcome> {
        turn.comes().await;
        self.run("commit", |store| async move { commit::commit(&store, commit).await }).await
    }

    async fn sessions(&self, request: &AuditRequest) -> Result<Vec<SessionSummary>> {
        let request = request.clone();
        let read =
            |store: Arc<Store>| async move { store.retried(|| audit::sessions(&store, &request)).await };
        self.run("sessions", read).await
    }

    async fn state(&self, range: &StateRange) -> Result<Vec<(String, Vec<u8>)>> {
        let range = range.clone();
        let read = |store: Arc<Store>| async move { store.retried(|| read::state(&store, &range)).await };
        self.run("state", read).await
    }

    async fn purge(&self, what: &Purge) -> Result<u64> {
        let what = what.clone();
        let purge = |store: Arc<Store>| async move {
            match what {
                Purge::Tombstones { zone, through } => feed::purge(&store, &zone, through).await,
                Purge::Staged(session) => staging::unstage(&store, session).await.map(|()| 0),
            }
        };
        self.run("purge", purge).await
    }
}
