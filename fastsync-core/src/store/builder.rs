//! Opening a store.

use std::{
    any::TypeId,
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    sync::{Arc, RwLock},
};

use serde::de::DeserializeOwned;

use super::last_values::{KeepDeleted, Means};
use super::migrate::Due;
use super::{Events, Inner, Migration, SessionLimits, StateKey, Store, StoreRole};
use crate::conflict::{ConflictsHandler, Handler, Handling};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    Author, Clock, DeviceId, Hlc, HybridClock, Random, SessionId, SessionKind, SystemClock, SystemRandom,
    Tag, TypeName,
};
use crate::object::SyncableObject;
use crate::schema::TypeSchema;
use crate::source::entry::{self, decode, encode};
use crate::source::{
    Commit, CommitOutcome, ExpectState, PlannedChange, Preparation, StateWrite, SyncableDataSource,
    SyncableDataSourceExt as _, Writes,
};

/// Collects what a store needs; everything is checked in [`StoreBuilder::open`].
#[must_use]
pub struct StoreBuilder {
    pub(super) source: Arc<dyn SyncableDataSource>,
    pub(super) role: StoreRole,
    schemas: Vec<Result<TypeSchema>>,
    kept: Vec<Result<TypeName>>,
    pub(super) migrations: Vec<(Result<TypeName>, Migration)>,
    names: HashMap<TypeId, TypeName>,
    handlers: BTreeMap<TypeName, Arc<dyn Handling>>,
    limits: SessionLimits,
    tenant: Option<String>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: Arc<dyn Random>,
}

impl fmt::Debug for StoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreBuilder")
            .field("source", &self.source)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

/// How often the identity of a new store is written before another process is given up on.
const ATTEMPTS: usize = 8;

impl StoreBuilder {
    pub(super) fn new(source: Arc<dyn SyncableDataSource>, role: StoreRole) -> Self {
        Self {
            source,
            role,
            schemas: Vec::new(),
            kept: Vec::new(),
            migrations: Vec::new(),
            names: HashMap::new(),
            handlers: BTreeMap::new(),
            limits: SessionLimits::default(),
            tenant: None,
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
        }
    }

    /// Adds a type, and what decides its conflicts wherever a manager of this store meets them: no manager has to register it.
    ///
    /// A type with [rules](crate::SyncableRepository::validate) has a repository of its own: give it to the manager too
    /// ([`ClientBuilder::repository`](crate::ClientBuilder::repository)). For a restricted type a client's manager is told which
    /// [zones](crate::ClientBuilder::zones) to pull.
    ///
    /// ```
    /// use fastsync_core::*;
    ///
    /// #[derive(Debug, Clone, PartialEq, SyncableObject)]
    /// struct Task {
    ///     #[syncable(id)]
    ///     id: String,
    ///     text: String,
    /// }
    ///
    /// /// The same types at both ends.
    /// fn types(store: StoreBuilder) -> StoreBuilder {
    ///     store.sync::<Task>(LastWriterWins)
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<()> {
    /// let store = types(Store::server(MemoryDataSource::new())).open().await?;
    /// let zones = |_: &SyncContext| ZoneAccess::none().read_write(Zone::Global);
    /// let server = SyncManager::server(&store).zones(zones).build().await?;
    ///
    /// let store = types(Store::client(MemoryDataSource::new())).open().await?;
    /// let transport = LoopbackTransport::new(server, SyncContext::new("ada"));
    /// let client = SyncManager::client(&store).transport(transport).build()?;
    ///
    /// Repository::<Task>::new(&store).add(&Task { id: "1".into(), text: "buy bread".into() }).await?;
    /// assert_eq!(client.sync().await?.push.applied, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn sync<T: SyncableObject>(mut self, handler: impl ConflictsHandler<T>) -> Self {
        if let Ok(schema) = T::schema() {
            self.handlers.insert(schema.name().clone(), Arc::new(Handler::<T, _>::new(handler)));
        }
        self.register::<T>()
    }

    /// Adds a type. Whatever syncs it says what decides its conflicts; [`sync`](Self::sync) says it here.
    pub fn register<T: SyncableObject>(mut self) -> Self {
        let schema = T::schema();
        if let Ok(schema) = &schema {
            self.names.insert(TypeId::of::<T>(), schema.name().clone());
        }
        self.schemas.push(schema);
        self
    }

    /// Adds a type by its schema.
    pub fn register_schema(mut self, schema: TypeSchema) -> Self {
        self.schemas.push(Ok(schema));
        self
    }

    /// Keeps the last values of this type's deleted objects with their tombstones, on a server's store: for readers that
    /// want them, such as the original clients of `fastsync-compat`. They are written by the commit that deletes, whoever
    /// makes it, and removed by the [purge](crate::SyncableDataSourceExt::purge_tombstones) that removes the tombstone, if
    /// it is made through [`Store::source`]. An object that moves to another zone leaves in the old one what it was there.
    ///
    /// Off unless set: a deletion then leaves nothing of what was deleted. Think of personal data. Batches that somebody
    /// stages and commits on the server are not looked into.
    pub fn keep_deleted<T: SyncableObject>(mut self) -> Self {
        self.kept.push(T::schema().map(|schema| schema.name().clone()));
        self
    }

    /// Changes the stored objects of a type by code, where they are in a version before that of the migration.
    ///
    /// [`open`](Self::open) does it, once: after new fields were added and before anyone can read. All objects of all types
    /// change in one commit, or none. Nothing becomes an edit: records keep their revision, their place in the history,
    /// and whether they wait to be pushed. Edits that wait are changed too, refused ones among them, and go out in the new
    /// form. A push whose answer has not arrived stays as it was sent.
    ///
    /// Register the same migrations at the server and at the clients. Keep them for as long as a store of an earlier version
    /// may be opened: those that a store lacks are run in the order of their versions.
    ///
    /// ```
    /// use fastsync_core::*;
    ///
    /// mod v1 {
    ///     # use fastsync_core::*;
    ///     #[derive(SyncableObject)]
    ///     #[syncable(name = "items")]
    ///     pub struct Item {
    ///         #[syncable(id)]
    ///         pub id: String,
    ///         pub euros: i64,
    ///     }
    /// }
    ///
    /// #[derive(Debug, PartialEq, SyncableObject)]
    /// #[syncable(name = "items", version = 2)]
    /// struct Item {
    ///     #[syncable(id)]
    ///     id: String,
    ///     cents: i64,
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<()> {
    /// let source = MemoryDataSource::new();
    /// let store = Store::client(source.clone()).register::<v1::Item>().open().await?;
    /// Repository::new(&store).add(&v1::Item { id: "i-1".into(), euros: 3 }).await?;
    ///
    /// let in_cents = Migration::to(2, |item| {
    ///     let euros: i64 = item.get("euros")?;
    ///     item.set("cents", euros * 100)
    /// });
    /// let store =
    ///     Store::client(source).register::<Item>().migrate::<Item>(in_cents.had::<i64>("euros")).open().await?;
    /// let items = Repository::<Item>::new(&store).get_all().await?;
    /// assert_eq!(items, [Item { id: "i-1".into(), cents: 300 }]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn migrate<T: SyncableObject>(mut self, migration: Migration) -> Self {
        self.migrations.push((T::schema().map(|schema| schema.name().clone()), migration));
        self
    }

    /// Limits the size of a local commit and of what is pushed at once.
    pub fn limits(mut self, limits: SessionLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Binds the store to a tenant at its first opening; it then refuses to be opened for another.
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }

    /// Replaces the system's clock.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Replaces the system's randomness. Outside tests it must be unpredictable.
    pub fn random(mut self, random: impl Random) -> Self {
        self.random = Arc::new(random);
        self
    }

    /// What [`open`](Self::open) would do to the storage for these types, without doing it: a dry run.
    ///
    /// Ask before you open a store with a new release, and show or log what it says.
    ///
    /// ```
    /// use fastsync_core::{FieldKind, MemoryDataSource, Store, TypeSchema};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> fastsync_core::Result<()> {
    /// let items = TypeSchema::builder("items", "id").field("name", FieldKind::Text).build()?;
    /// let source = MemoryDataSource::new();
    /// let builder = Store::server(source.clone()).register_schema(items.clone());
    /// for change in builder.plan().await? {
    ///     println!("{change}"); // add type items
    /// }
    /// builder.open().await?;
    ///
    /// assert!(Store::server(source).register_schema(items).plan().await?.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Self::open`], for types that break a rule or contradict what is stored; errors of the data source. The
    /// store's role and tenant are not looked at.
    pub async fn plan(&self) -> Result<Vec<PlannedChange>> {
        let schemas = self.check()?;
        let prepared: Vec<_> = schemas.values().cloned().collect();
        let mut planned = self.source.plan(&prepared).await?;
        let due = self.due(&schemas, &planned).await?;
        planned.extend(due.iter().map(Due::planned));
        Ok(planned)
    }

    /// Prepares the data source for the types and gives the store its identity.
    ///
    /// # Errors
    /// `Config` that names every problem: no type, types that break a rule or differ only in case, a migration of a type that is
    /// not registered, beyond the type's version, or of a version that has another one, limits of zero, a store of the other
    /// role or of another tenant, storage that contradicts a type. `Unsupported` if a newer release wrote to
    /// the store. Those of a [migration](Self::migrate), with the object that it failed for; no object is changed then.
    /// `Constraint` if the user's table refuses what a migration made. Errors of the data source. Nothing is changed then but
    /// what `prepare` adds.
    ///
    /// Cancellation: opening again continues where this stopped.
    pub async fn open(self) -> Result<Store> {
        let schemas = self.check()?;
        let prepared: Vec<_> = schemas.values().cloned().collect();
        self.migrate_stored(&schemas, &prepared).await?;
        self.source.prepare(&prepared, Preparation::Apply).await?;
        let (device, last_edit) = self.identify().await?;
        let events = Events::new(schemas.keys().cloned().collect());
        let source = self.keeping(&schemas);
        Ok(Store {
            inner: Arc::new(Inner {
                source,
                role: self.role,
                schemas,
                names: self.names,
                handlers: self.handlers,
                limits: self.limits,
                kept: self.kept.into_iter().flatten().collect(),
                clock: self.clock,
                random: self.random,
                hybrid: HybridClock::starting_after(last_edit),
                device: RwLock::new(device),
                events,
                editing: async_lock::RwLock::default(),
            }),
        })
    }

    /// The data source, which on a server keeps what was deleted.
    fn keeping(&self, schemas: &BTreeMap<TypeName, TypeSchema>) -> Arc<dyn SyncableDataSource> {
        let inner = Arc::clone(&self.source);
        if self.role == StoreRole::Client {
            return inner;
        }
        let fields = |schema: &TypeSchema| schema.fields().iter().map(|field| field.name.clone()).collect();
        let kept = self.kept.iter().filter_map(|name| schemas.get_key_value(name.as_ref().ok()?));
        let types = kept.map(|(name, schema)| (name.clone(), fields(schema))).collect();
        let means = Means { clock: Arc::clone(&self.clock), random: Arc::clone(&self.random) };
        Arc::new(KeepDeleted { inner, types, means })
    }

    fn check(&self) -> Result<BTreeMap<TypeName, TypeSchema>> {
        let mut problems = Vec::new();
        let mut schemas = BTreeMap::new();
        let mut folded = BTreeSet::new();
        for schema in &self.schemas {
            match schema {
                Ok(schema) => {
                    if !folded.insert(schema.name().as_str().to_ascii_lowercase()) {
                        problems
                            .push(format!("type {} is there twice, or differs only in case", schema.name()));
                    }
                    schemas.insert(schema.name().clone(), schema.clone());
                }
                Err(error) => problems.push(error.message().to_owned()),
            }
        }
        problems.extend(self.misplaced_migrations(&schemas));
        if self.schemas.is_empty() {
            problems.push("no type is registered".to_owned());
        }
        for name in self.kept.iter().flatten() {
            if self.role == StoreRole::Client {
                problems
                    .push(format!("type {name} is to be kept when deleted: only a server's store does that"));
            } else if !schemas.contains_key(name) {
                problems.push(format!("type {name} is to be kept when deleted, and is not registered"));
            }
        }
        let SessionLimits { records, bytes } = self.limits;
        for (limit, name) in [(records, "records"), (bytes, "bytes")] {
            if limit == 0 {
                problems.push(format!("the session limit `{name}` is zero: no edit could be made"));
            }
        }
        if problems.is_empty() {
            return Ok(schemas);
        }
        Err(Error::new(ErrorKind::Config, "open", problems.join("; ")))
    }

    /// Reads who this store is, or decides it at the first opening.
    pub(super) async fn identify(&self) -> Result<(DeviceId, Hlc)> {
        for _ in 0..ATTEMPTS {
            if let Some(role) = self.source.entry(StateKey::ROLE).await? {
                return self.recognise(&decode::<String>(&role)?).await;
            }
            let key = [(); 4].map(|()| self.random.next_u64().to_le_bytes());
            let key = (self.role == StoreRole::Server).then(|| encode(&key)).transpose()?;
            let entries = [
                (StateKey::ROLE, Some(encode(self.role.name())?)),
                (StateKey::DEVICE, Some(encode(&DeviceId::random(&*self.random))?)),
                (StateKey::EPOCH, Some(encode(&self.random.next_u64())?)),
                (StateKey::CURSOR_KEY, key),
                (StateKey::TENANT, self.tenant.as_deref().map(encode).transpose()?),
            ];
            let state = entries
                .into_iter()
                .filter(|(_, value)| value.is_some())
                .map(|(key, value)| StateWrite { key: key.to_owned(), expect: ExpectState::Absent, value })
                .collect();
            let now = self.clock.now();
            let commit = Commit {
                session: SessionId::new(now, &*self.random),
                kind: SessionKind::Edit,
                author: Author { user: None, device: DeviceId::random(&*self.random), number: 0 },
                at: now,
                tag: Tag(self.random.next_u64()),
                positioned: false,
                clears: Vec::new(),
                writes: Writes::Inline(Vec::new()),
                state,
            };
            // Another process may be first; then its decision is read in the next round.
            let (CommitOutcome::Applied(_) | CommitOutcome::Conflicts { .. } | CommitOutcome::Duplicate(_)) =
                self.source.commit_alone(commit).await?;
        }
        Err(Error::new(ErrorKind::Contention, "open", "the identity of a new store cannot be written"))
    }

    async fn recognise(&self, role: &str) -> Result<(DeviceId, Hlc)> {
        let config = |message: String| Error::new(ErrorKind::Config, "open", message);
        let corrupt = || Error::new(ErrorKind::Corrupt, "open", "the identity of the store cannot be read");
        if role != self.role.name() {
            let own = self.role.name();
            return Err(config(format!(
                "this is the store of a {role}, not of a {own}: open it with `Store::{role}`"
            )));
        }
        let bound: Option<String> = self.entry(StateKey::TENANT).await?;
        if bound != self.tenant {
            let own = self.tenant.as_deref().map_or("none".to_owned(), |tenant| format!("{tenant:?}"));
            return Err(config(format!(
                "the store is bound to another tenant than {own}: open another store for it"
            )));
        }
        self.check_forms().await?;
        let device = self.entry(StateKey::DEVICE).await?.ok_or_else(corrupt)?;
        Ok((device, self.entry(StateKey::CLOCK).await?.unwrap_or_default()))
    }

    pub(super) async fn entry<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        self.source.entry(key).await?.as_deref().map(decode).transpose()
    }

    /// Refuses entries of a later form before anything is changed. A server has one for each device of its users: those
    /// are met one by one.
    async fn check_forms(&self) -> Result<()> {
        let entries = match self.role {
            StoreRole::Client => self.source.entries(StateKey::ALL).await?,
            StoreRole::Server => {
                let mut entries = Vec::new();
                for key in [StateKey::EPOCH, StateKey::CURSOR_KEY] {
                    entries.extend(self.source.entry(key).await?.map(|value| (key.to_owned(), value)));
                }
                entries
            }
        };
        for (key, value) in &entries {
            entry::parts(value, StateKey::newest_form(key))
                .map_err(|error| error.with_context("entry", key))?;
        }
        Ok(())
    }
}
