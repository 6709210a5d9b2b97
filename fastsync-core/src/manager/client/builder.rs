//! Building a client's manager.

use std::{collections::BTreeSet, fmt, ops::RangeInclusive, sync::Arc};

use super::cut::Cut;
use super::versions::Agreeing;
use super::{Client, ProgressListener, SyncProgress, WhenForgotten};
use crate::conflict::ConflictsHandler;
use crate::error::Result;
use crate::manager::SyncManager;
use crate::manager::endpoint::Endpoint;
use crate::manager::registry::Registry;
use crate::model::Zone;
use crate::protocol::{MIN_PROTOCOL_VERSION, PROTOCOL_VERSION, PushMode};
use crate::repository::SyncableRepository;
use crate::store::{Store, StoreRole};
use crate::transport::Transport;

/// How large a pulled page may be (the server may send smaller ones), and how much may be kept aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PullLimits {
    /// The most records.
    pub records: u32,
    /// About the most bytes.
    pub bytes: u32,
    /// The most records of the server that are kept aside because this device cannot hold them.
    pub aside_records: u32,
    /// About the most bytes of them.
    pub aside_bytes: u32,
}

impl PullLimits {
    /// Pages of at most so many records and about so many bytes.
    #[must_use]
    pub const fn new(records: u32, bytes: u32) -> Self {
        Self { records, bytes, aside_records: 10_000, aside_bytes: 16 << 20 }
    }

    /// The same with at most so many records and about so many bytes aside. A pull that would set more aside fails with
    /// `TooLarge` and changes nothing.
    #[must_use]
    pub const fn with_aside(self, records: u32, bytes: u32) -> Self {
        Self { aside_records: records, aside_bytes: bytes, ..self }
    }
}

impl Default for PullLimits {
    /// 5,000 records and 4 MiB; 10,000 records and 16 MiB aside.
    fn default() -> Self {
        Self::new(5_000, 4 << 20)
    }
}

/// Collects what a client's manager needs; everything is checked in [`ClientBuilder::build`].
#[must_use]
pub struct ClientBuilder {
    registry: Registry,
    store: Store,
    transport: Option<Arc<dyn Transport>>,
    zones: Option<Vec<Zone>>,
    mode: PushMode,
    pull_limits: PullLimits,
    when_forgotten: WhenForgotten,
    progress: Option<ProgressListener>,
    protocols: RangeInclusive<u16>,
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder").field("store", &self.store).finish_non_exhaustive()
    }
}

impl ClientBuilder {
    pub(crate) fn new(store: Store) -> Self {
        Self {
            registry: Registry::new(store.clone()),
            store,
            transport: None,
            zones: None,
            mode: PushMode::default(),
            pull_limits: PullLimits::default(),
            when_forgotten: WhenForgotten::default(),
            progress: None,
            protocols: MIN_PROTOCOL_VERSION..=PROTOCOL_VERSION,
        }
    }

    /// Adds a type: its repository, and what decides its conflicts. Types that the store has
    /// [with a handler](crate::StoreBuilder::sync) are there already.
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

    /// Sets how requests reach the server.
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.transport = Some(Arc::new(transport));
        self
    }

    /// Sets the zones to pull. By default, and if none are given, they are those of the registered repositories, and
    /// the global one for types that need none. Several
    /// managers may share a store, each with zones of its own.
    pub fn zones(mut self, zones: impl IntoIterator<Item = Zone>) -> Self {
        self.zones = Some(zones.into_iter().collect());
        self
    }

    /// Sets what happens to the rest of a pushed session if one object is refused (atomic unless set).
    pub fn push_mode(mut self, mode: PushMode) -> Self {
        self.mode = mode;
        self
    }

    /// Sets how large a pulled page may be, and how much may be set aside.
    pub fn pull_limits(mut self, limits: PullLimits) -> Self {
        self.pull_limits = limits;
        self
    }

    /// Sets what becomes of objects that the server had acknowledged and has forgotten (they are kept, and the application is asked,
    /// unless set).
    pub fn when_forgotten(mut self, policy: WhenForgotten) -> Self {
        self.when_forgotten = policy;
        self
    }

    /// Calls a function as a synchronisation goes on. It should return quickly.
    pub fn on_progress(mut self, listener: impl Fn(&SyncProgress) + Send + Sync + 'static) -> Self {
        self.progress = Some(Box::new(listener));
        self
    }

    /// Sets the protocol versions that are offered, for tests of a transport that makes up others.
    #[doc(hidden)]
    pub fn protocols(mut self, versions: RangeInclusive<u16>) -> Self {
        self.protocols = versions;
        self
    }

    /// Checks everything.
    ///
    /// # Errors
    /// `Config` that names every problem: no transport, a server's store, a type without repository or registered
    /// twice, a repository of another store or of the wrong sort of zone, limits of zero, no zone, a zone that no type of
    /// the store can be in.
    pub fn build(mut self) -> Result<SyncManager<Client>> {
        self.registry.require_all();
        self.registry.require_zones();
        let mut zones: BTreeSet<Zone> = self.zones.take().unwrap_or_default().into_iter().collect();
        if zones.is_empty() {
            let endpoints = self.registry.endpoints.iter();
            let of = |(name, endpoint): (_, &Endpoint)| endpoint.zone().ok_or(name);
            let (found, missing): (Vec<_>, Vec<_>) = endpoints.map(of).partition(Result::is_ok);
            zones = found.into_iter().flatten().collect();
            let message = |name| format!("type {name} is restricted: name the zones to pull by `zones`");
            let missing: Vec<_> = missing.into_iter().filter_map(Result::err).map(message).collect();
            self.registry.problems.extend(missing);
        }
        let problems = &mut self.registry.problems;
        if self.store.role() != StoreRole::Client {
            problems
                .push("the store was opened with `Store::server`: open it with `Store::client`".to_owned());
        }
        if self.transport.is_none() {
            problems.push("no transport is set".to_owned());
        }
        if zones.is_empty() {
            problems.push("no zone is set".to_owned());
        }
        let PullLimits { records, bytes, .. } = self.pull_limits;
        for (limit, name) in [(records, "records"), (bytes, "bytes")] {
            if limit == 0 {
                problems.push(format!("the pull limit `{name}` is zero: no page could hold anything"));
            }
        }
        // A zone that no type can be in, pulls in vain; one of the other sort means that a repository was forgotten.
        for zone in &zones {
            if !self.store.schemas().any(|schema| schema.fits(zone)) {
                problems.push(format!("no type of the store can be in zone {zone}"));
            }
        }
        let endpoints = self.registry.finish()?;
        let transport =
            self.transport.ok_or_else(|| crate::Error::invalid("build", "no transport is set"))?;
        Ok(SyncManager {
            inner: Arc::new(Client {
                cut: Cut::new(self.store.limits()),
                store: self.store,
                endpoints,
                transport: Arc::new(Agreeing::new(transport, self.protocols)),
                zones: zones.into_iter().collect(),
                mode: self.mode,
                pull_limits: self.pull_limits,
                when_forgotten: self.when_forgotten,
                progress: self.progress,
                has_unregistered: async_lock::OnceCell::new(),
                running: async_lock::Mutex::new(()),
            }),
        })
    }
}
