//! A store: a data source together with its types, clock, device and role.

mod builder;
mod edit;
mod events;
mod gateway;
mod keys;
mod last_values;
mod migrate;
mod migration;
mod pending;

use std::any::TypeId;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use async_lock::{RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use builder::StoreBuilder;
pub use edit::EditSession;
pub(crate) use edit::unchanged;
pub(crate) use events::Events;
pub use events::{ObjectChanges, StoreChange};
pub(crate) use keys::StateKey;
pub use migration::{Migration, MigrationRow};
pub(crate) use pending::PendingReader;

use crate::conflict::Handling;
use crate::error::Result;
use crate::model::{
    Clock, DeviceId, HybridClock, Random, Revision, SessionId, Tag, Timestamp, TypeName, Zone,
};
use crate::object::SyncableObject;
use crate::protocol::unknown_type;
use crate::schema::TypeSchema;
use crate::source::SyncableDataSource;

/// Which end a store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreRole {
    /// Edits wait here until they are pushed.
    Client,
    /// The shared truth: edits are committed and visible to every reader of their zone at once.
    Server,
}

impl StoreRole {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }
}

/// How large one session may be: a local commit and what is pushed at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionLimits {
    /// The most records.
    pub records: usize,
    /// About the most bytes ([`Record::approximate_bytes`](crate::Record::approximate_bytes)).
    pub bytes: usize,
}

impl SessionLimits {
    /// Sessions of at most so many records and about so many bytes.
    #[must_use]
    pub const fn new(records: usize, bytes: usize) -> Self {
        Self { records, bytes }
    }
}

impl Default for SessionLimits {
    /// 10,000 records and 2 MiB: a store writes fewer pages of its trees per record in large commits.
    fn default() -> Self {
        Self { records: 10_000, bytes: 2 << 20 }
    }
}

/// A data source together with its types, clock, device and role: what repositories and managers work on.
///
/// A cheap handle; clones share the same store.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    source: Arc<dyn SyncableDataSource>,
    role: StoreRole,
    schemas: BTreeMap<TypeName, TypeSchema>,
    /// The names of the registered Rust types: asked for every object, and a schema is dear to build.
    names: HashMap<TypeId, TypeName>,
    /// What decides conflicts, for the types that were registered with it.
    handlers: BTreeMap<TypeName, Arc<dyn Handling>>,
    limits: SessionLimits,
    kept: BTreeSet<TypeName>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    hybrid: HybridClock,
    device: std::sync::RwLock<DeviceId>,
    events: Events,
    /// Edits share it; who cannot win against them takes it alone.
    editing: RwLock<()>,
}

impl Store {
    /// Starts a client's store: edits wait here until they are pushed.
    pub fn client(source: impl SyncableDataSource) -> StoreBuilder {
        StoreBuilder::new(Arc::new(source), StoreRole::Client)
    }

    /// Starts a server's store: edits are committed to their zone at once.
    pub fn server(source: impl SyncableDataSource) -> StoreBuilder {
        StoreBuilder::new(Arc::new(source), StoreRole::Server)
    }

    /// The data source. Writing through it directly bypasses sessions and positions: other readers may miss it.
    #[must_use]
    pub fn source(&self) -> &Arc<dyn SyncableDataSource> {
        &self.inner.source
    }

    /// Which end this is.
    #[must_use]
    pub fn role(&self) -> StoreRole {
        self.inner.role
    }

    /// The identity of this installation.
    #[must_use]
    pub fn device(&self) -> DeviceId {
        *self.inner.device.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) fn set_device(&self, device: DeviceId) {
        *self.inner.device.write().unwrap_or_else(std::sync::PoisonError::into_inner) = device;
    }

    /// How large one local commit may be.
    #[must_use]
    pub fn limits(&self) -> SessionLimits {
        self.inner.limits
    }

    /// The schema of a type of this store.
    ///
    /// # Errors
    /// `UnknownType` if it was not registered.
    pub fn schema(&self, type_name: &TypeName) -> Result<&TypeSchema> {
        self.inner.schemas.get(type_name).ok_or_else(|| unknown_type(type_name))
    }

    /// The name of an object type.
    pub(crate) fn name_of<T: SyncableObject>(&self) -> Result<TypeName> {
        match self.inner.names.get(&TypeId::of::<T>()) {
            Some(name) => Ok(name.clone()),
            None => T::schema().map(|schema| schema.name().clone()),
        }
    }

    /// The types of this store, by name.
    pub fn schemas(&self) -> impl Iterator<Item = &TypeSchema> {
        self.inner.schemas.values()
    }

    /// Starts an atomic group of edits over any number of types.
    pub fn edit(&self) -> EditSession {
        EditSession::new(self.clone())
    }

    /// The changes of this store's records from now on, of every type.
    #[must_use]
    pub fn changes(&self) -> ObjectChanges {
        self.inner.events.subscribe(None)
    }

    /// Whether the last values of deleted objects of a type are [kept](StoreBuilder::keep_deleted).
    #[must_use]
    pub fn keeps_deleted(&self, type_name: &TypeName) -> bool {
        self.inner.kept.contains(type_name)
    }

    /// Whether both are handles of one store.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// The time by the store's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.inner.clock
    }

    pub(crate) fn random(&self) -> &dyn Random {
        &*self.inner.random
    }

    pub(crate) fn hybrid(&self) -> &HybridClock {
        &self.inner.hybrid
    }

    pub(crate) fn events(&self) -> &Events {
        &self.inner.events
    }

    /// A turn to edit, beside others.
    async fn edit_turn(&self) -> RwLockReadGuard<'_, ()> {
        self.inner.editing.read().await
    }

    /// Waits for the edits that are under way; until it is dropped, further ones of this process wait.
    pub(crate) async fn hold_edits(&self) -> RwLockWriteGuard<'_, ()> {
        self.inner.editing.write().await
    }

    pub(crate) fn new_session(&self) -> SessionId {
        SessionId::new(self.now(), self.random())
    }

    /// What decides conflicts of a type, if the store knows it.
    pub(crate) fn handling(&self, name: &TypeName) -> Option<Arc<dyn Handling>> {
        self.inner.handlers.get(name).cloned()
    }

    /// A fresh name of a commit; records that it commits take it as their revision.
    pub(crate) fn new_tag(&self) -> (Tag, Revision) {
        // 0 means "none" in both roles.
        let bits = self.random().next_u64().max(1);
        (Tag(bits), Revision::from_bits(bits))
    }

    /// Whether a zone is of the sort that a type has.
    pub(crate) fn check_zone(&self, type_name: &TypeName, zone: &Zone) -> Result<()> {
        if self.schema(type_name)?.fits(zone) {
            return Ok(());
        }
        Err(crate::Error::new(
            crate::ErrorKind::UnknownZone,
            "check",
            format!(
                "zone {zone} is {}, and objects of type {type_name} live in {} zones: {}",
                if zone.key().is_none() { "global" } else { "restricted" },
                if zone.key().is_none() { "restricted" } else { "global" },
                if zone.key().is_none() {
                    "use `Repository::in_zone`"
                } else {
                    "use `Repository::new`, or make the type `restricted`"
                }
            ),
        ))
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("role", &self.inner.role)
            .field("source", &self.inner.source)
            .field("types", &self.inner.schemas.keys())
            .finish_non_exhaustive()
    }
}
