//! The data source: each method runs to its end as a task of its own.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

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
use crate::prepare::stored_types;
use crate::registry::add_stored;
use crate::store::{Store, pause};
use crate::upgrade::{self, Upgrade};
use crate::{commit, feed, prepare, query, read, staging};

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

/// How often a read begins anew because its snapshot is not there.
const READ_ATTEMPTS: u32 = 20;

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
                store.note_version(upgrade::set_up(&store).await?);
                let (types, _) = stored_types(&store).await?;
                add_stored(&mut store.registry.write().unwrap_or_else(PoisonError::into_inner), types);
                Ok(())
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
        match tokio::spawn(work(Arc::clone(&self.store))).await {
            Ok(result) => result.map_err(|fail| fail.into_error(operation)),
            Err(_) => {
                let gone =
                    Fail::new(ErrorKind::Backend, operation, "the operation panicked or its runtime ended");
                Err(gone.into_error(operation))
            }
        }
    }

    /// Runs a read, which may find that its snapshot is not there.
    async fn read<T, F>(
        &self,
        operation: &'static str,
        work: impl Fn(Arc<Store>) -> F + Send + 'static,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Run<T>> + Send + 'static,
    {
        self.run(operation, |store| async move {
            let mut attempts = 0;
            loop {
                match work(Arc::clone(&store)).await {
                    Err(fail) if fail.is_snapshot_gone() && attempts < READ_ATTEMPTS => attempts += 1,
                    result => return result,
                }
                pause(Duration::from_millis(1), Duration::from_millis(20)).await;
            }
        })
        .await
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
            let mut registry = store.registry.write().unwrap_or_else(PoisonError::into_inner);
            for kind in prepared {
                registry.insert(kind.n, kind.schema.name().clone(), kind);
            }
            Ok(changes)
        })
        .await
    }

    async fn get(&self, type_name: &TypeName, zone: &Zone, ids: &[ObjectId]) -> Result<Vec<Record>> {
        let wanted = Arc::new((type_name.clone(), zone.clone(), ids.to_vec()));
        let work = move |store: Arc<Store>| {
            let wanted = Arc::clone(&wanted);
            async move { read::get(&store, &wanted.0, &wanted.1, &wanted.2).await }
        };
        self.read("get", work).await
    }

    async fn find(&self, query: &Query) -> Result<Found> {
        let query = Arc::new(query.clone());
        let work = move |store: Arc<Store>| {
            let query = Arc::clone(&query);
            async move { query::find(&store, &query).await }
        };
        self.read("find", work).await
    }

    async fn changes(&self, request: &ChangesRequest) -> Result<Changes> {
        let request = Arc::new(request.clone());
        let work = move |store: Arc<Store>| {
            let request = Arc::clone(&request);
            async move { feed::changes(&store, &request).await }
        };
        self.read("changes", work).await
    }

    async fn pending(&self, request: &PendingRequest) -> Result<Found> {
        let request = *request;
        self.read("pending", move |store| async move { read::pending(&store, request).await }).await
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
        let request = Arc::new(request.clone());
        let work = move |store: Arc<Store>| {
            let request = Arc::clone(&request);
            async move { read::sessions(&store, &request).await }
        };
        self.read("sessions", work).await
    }

    async fn state(&self, range: &StateRange) -> Result<Vec<(String, Vec<u8>)>> {
        let range = Arc::new(range.clone());
        let work = move |store: Arc<Store>| {
            let range = Arc::clone(&range);
            async move { read::state(&store, &range).await }
        };
        self.read("state", work).await
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
