//! Building a server's manager.

use std::{fmt, sync::Arc, time::Duration};

use serde::de::DeserializeOwned;

use super::{Server, UnderWay};
use crate::conflict::ConflictsHandler;
use crate::context::ZonePolicy;
use crate::error::{Error, ErrorKind, Result};
use crate::manager::SyncManager;
use crate::manager::registry::Registry;
use crate::protocol::CursorSeal;
use crate::repository::SyncableRepository;
use crate::source::SyncableDataSourceExt as _;
use crate::source::entry::decode;
use crate::store::{SessionLimits, StateKey, Store, StoreRole};

/// What a server accepts and sends at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerLimits {
    /// The largest session that may be pushed at once.
    pub session: SessionLimits,
    /// The most records of a pulled page.
    pub page_records: usize,
    /// About the most bytes of a pulled page.
    pub page_bytes: usize,
    /// The most zones of a pull.
    pub zones: usize,
    /// How far ahead of the server's clock an edit may be dated.
    pub clock_drift: Duration,
}

impl Default for ServerLimits {
    /// Sessions of 10,000 records and 2 MiB, pages of 10,000 records and 4 MiB, 100 zones, 5 minutes.
    fn default() -> Self {
        Self {
            session: SessionLimits::default(),
            page_records: 10_000,
            page_bytes: 4 << 20,
            zones: 100,
            clock_drift: Duration::from_secs(300),
        }
    }
}

impl ServerLimits {
    /// Sets the largest session that may be pushed at once.
    #[must_use]
    pub fn with_session(mut self, session: SessionLimits) -> Self {
        self.session = session;
        self
    }

    /// Sets the largest page.
    #[must_use]
    pub fn with_page(mut self, records: usize, bytes: usize) -> Self {
        self.page_records = records;
        self.page_bytes = bytes;
        self
    }

    /// Sets how far ahead of the server's clock an edit may be dated.
    #[must_use]
    pub fn with_clock_drift(mut self, drift: Duration) -> Self {
        self.clock_drift = drift;
        self
    }
}

/// Collects what a server's manager needs; everything is checked in [`ServerBuilder::build`].
#[must_use]
pub struct ServerBuilder {
    registry: Registry,
    store: Store,
    policy: Option<Box<dyn ZonePolicy>>,
    limits: ServerLimits,
}

impl fmt::Debug for ServerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerBuilder").field("store", &self.store).finish_non_exhaustive()
    }
}

impl ServerBuilder {
    pub(crate) fn new(store: Store) -> Self {
        Self { registry: Registry::new(store.clone()), store, policy: None, limits: ServerLimits::default() }
    }

    /// Adds a type: its repository (for validation; any zone of the type's sort will do), and what decides conflicts. Types that the
    /// store has [with a handler](crate::StoreBuilder::sync) are there already.
    pub fn register<R, H>(mut self, repository: R, handler: H) -> Self
    where
        R: SyncableRepository,
        H: ConflictsHandler<R::Object>,
    {
        self.registry.register(repository, handler);
        self
    }

    /// Adds a repository with rules of its own, for a type that the store has [with a handler](crate::StoreBuilder::sync).
    pub fn repository(mut self, repository: impl SyncableRepository) -> Self {
        self.registry.repository(repository);
        self
    }

    /// Sets who may read and write which zones. There is no default.
    pub fn zones(mut self, policy: impl ZonePolicy) -> Self {
        self.policy = Some(Box::new(policy));
        self
    }

    /// Sets what the server accepts and sends at most.
    pub fn limits(mut self, limits: ServerLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Checks everything and reads the store's identity.
    ///
    /// # Errors
    /// `Config` that names every problem: no zone policy, a client's store, a type without repository or registered
    /// twice, a repository of another store or of the wrong sort of zone, limits of zero. Errors of the data source.
    pub async fn build(mut self) -> Result<SyncManager<Server>> {
        self.registry.require_all();
        self.registry.require_zones();
        let problems = &mut self.registry.problems;
        if self.store.role() != StoreRole::Server {
            problems.push("the store is not one of a server".to_owned());
        }
        if self.policy.is_none() {
            problems.push("no zone policy is set".to_owned());
        }
        let ServerLimits { session, page_records, page_bytes, zones, clock_drift: _ } = self.limits;
        for (limit, name) in [
            (session.records, "session.records"),
            (session.bytes, "session.bytes"),
            (page_records, "page_records"),
            (page_bytes, "page_bytes"),
            (zones, "zones"),
        ] {
            if limit == 0 {
                problems.push(format!("the server's limit `{name}` is zero: nothing could be exchanged"));
            }
        }
        let endpoints = self.registry.finish()?;
        let policy =
            self.policy.ok_or_else(|| Error::new(ErrorKind::Config, "build", "no zone policy is set"))?;
        let epoch = read_identity(&self.store, StateKey::EPOCH).await?;
        let key = read_identity(&self.store, StateKey::CURSOR_KEY).await?;
        Ok(SyncManager {
            inner: Arc::new(Server {
                store: self.store,
                endpoints,
                policy,
                limits: self.limits,
                seal: CursorSeal::new(key, self.limits.zones),
                epoch,
                pushes: UnderWay::default(),
            }),
        })
    }
}

async fn read_identity<T: DeserializeOwned>(store: &Store, key: &str) -> Result<T> {
    let stored = store.source().entry(key).await?;
    stored
        .as_deref()
        .map(decode)
        .transpose()?
        .ok_or_else(|| Error::new(ErrorKind::Corrupt, "build", "the identity of the store cannot be read"))
}
