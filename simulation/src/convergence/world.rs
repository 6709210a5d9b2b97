//! A world: one server, some clients, the network between them, and a clock for each.

use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use fastsync_core::protocol::PushMode;
use fastsync_core::{
    Client, MemoryDataSource, PullLimits, Repository, Result, Server, ServerLimits, SessionLimits, Store,
    StoreRole, SyncContext, SyncManager, SyncableDataSource, Zone, ZoneAccess,
};

use super::case::{Setup, Upgrade};
use super::ledger::Ledger;
use super::link::{Link, Wire};
use super::mutation::Mutation;
use super::observer::Observer;
use super::versions;
use crate::model::{CheckedItems, Item, LaterNote, Note, Shelf, zone};
use crate::random::{NodeClock, Seeded, WorldTime};
use crate::storage::{self, StorageKind};

/// Everything there is in a case.
#[derive(Debug)]
pub(super) struct World {
    /// How it was set up.
    pub(super) setup: Setup,
    /// What is known of it from outside.
    pub(super) ledger: Ledger,
    /// The time for everyone.
    pub(super) time: WorldTime,
    /// What is wrong with it on purpose.
    pub(super) mutation: Option<Mutation>,
    server: Node,
    clients: Vec<Node>,
    server_end: Mutex<Option<ServerEnd>>,
    client_ends: Vec<Mutex<Option<ClientEnd>>>,
}

/// What of an end outlives its process.
#[derive(Debug)]
struct Node {
    clock: NodeClock,
    random: Seeded,
    storage: Storage,
    wire: Arc<Wire>,
    /// Whether the later release of the application runs here.
    is_later: AtomicBool,
    /// The newest version of the protocol that is spoken here.
    speaks: AtomicU16,
}

impl Node {
    /// Makes a part later; whether it was so before.
    fn upgrade(&self, to: Upgrade) -> bool {
        match to {
            Upgrade::Types => self.is_later.swap(true, Ordering::SeqCst),
            Upgrade::Protocol => self.speaks.swap(versions::LATER, Ordering::SeqCst) == versions::LATER,
        }
    }
}

#[derive(Debug)]
enum Storage {
    Memory(MemoryDataSource),
    Elsewhere(storage::Storage),
}

impl Storage {
    async fn new(kind: Option<StorageKind>) -> Result<Self, String> {
        Ok(match kind {
            None => Self::Memory(MemoryDataSource::new()),
            Some(kind) => Self::Elsewhere(storage::Storage::new(kind).await?),
        })
    }

    async fn open(&self) -> Result<Arc<dyn SyncableDataSource>, String> {
        Ok(match self {
            Self::Memory(source) => Arc::new(source.clone()),
            Self::Elsewhere(storage) => storage.open_light().await?,
        })
    }
}

/// A running server.
#[derive(Debug, Clone)]
pub(super) struct ServerEnd {
    /// Its store.
    pub(super) store: Store,
    /// Its manager.
    pub(super) manager: SyncManager<Server>,
}

/// A running client.
#[derive(Debug, Clone)]
pub(super) struct ClientEnd {
    /// Its store.
    pub(super) store: Store,
    /// Its manager.
    pub(super) manager: SyncManager<Client>,
}

/// The two restricted zones.
pub(super) fn zones() -> [Zone; 2] {
    [zone("north"), zone("south")]
}

/// The user of a client: some have several devices.
pub(super) fn user_of(client: usize) -> String {
    format!("user-{}", client % 3)
}

/// Who may do what: the first user everything, the second may not write in the south, the third sees the south only.
pub(super) fn access(user: &str) -> ZoneAccess {
    let [north, south] = zones();
    let everyone = ZoneAccess::none().read_write(Zone::Global);
    match user {
        "user-0" => everyone.read_write(north).read_write(south),
        "user-1" => everyone.read_write(north).read(south),
        "user-2" => everyone.read_write(south),
        _ => ZoneAccess::none(),
    }
}

/// The zones that a client reads, the global one first.
pub(super) fn readable(client: usize) -> Vec<Zone> {
    let access = access(&user_of(client));
    std::iter::once(Zone::Global).chain(zones()).filter(|zone| access.can_read(zone)).collect()
}

/// The restricted zones that a client writes.
pub(super) fn writable(client: usize) -> Vec<Zone> {
    let access = access(&user_of(client));
    zones().into_iter().filter(|zone| access.can_write(zone)).collect()
}

impl World {
    /// A world with everyone started.
    pub(super) async fn new(setup: Setup, mutation: Option<Mutation>) -> Result<Arc<Self>> {
        let time = WorldTime::new();
        let mut nodes = Vec::new();
        for (clock, part) in setup.clocks.iter().zip(0_u64..) {
            let kind = if part == 0 { setup.server } else { setup.clients.map(StorageKind::Disk) };
            nodes.push(Node {
                clock: NodeClock::new(&time, i64::from(clock.offset) * 1_000, i64::from(clock.drift)),
                random: Seeded::stream(setup.seed, part),
                storage: Storage::new(kind).await.expect("a storage"),
                wire: Arc::default(),
                is_later: AtomicBool::new(false),
                speaks: AtomicU16::new(versions::EARLIER),
            });
        }
        let mut nodes = nodes.into_iter();
        let server = nodes.next().expect("a clock for the server");
        let clients: Vec<Node> = nodes.collect();
        let world = Arc::new(Self {
            setup,
            ledger: Ledger::default(),
            time,
            mutation,
            server,
            client_ends: clients.iter().map(|_| Mutex::new(None)).collect(),
            clients,
            server_end: Mutex::new(None),
        });
        world.restart_server().await?;
        for client in 0..world.client_count() {
            Self::restart_client(&world, client).await?;
        }
        Ok(world)
    }

    /// How many clients there are.
    pub(super) fn client_count(&self) -> usize {
        self.clients.len()
    }

    /// The running server.
    pub(super) fn server(&self) -> ServerEnd {
        let end = self.server_end.lock().unwrap_or_else(PoisonError::into_inner);
        end.clone().expect("the server runs")
    }

    /// A running client.
    pub(super) fn client(&self, client: usize) -> ClientEnd {
        let end = self.client_ends[client].lock().unwrap_or_else(PoisonError::into_inner);
        end.clone().expect("the client runs")
    }

    /// The network at a client.
    pub(super) fn wire(&self, client: usize) -> &Wire {
        &self.clients[client].wire
    }

    /// A clock: 0 is the server's.
    pub(super) fn clock(&self, node: usize) -> &NodeClock {
        match node.checked_sub(1) {
            None => &self.server.clock,
            Some(client) => &self.clients[client].clock,
        }
    }

    /// Whether the later release of the application runs on the server.
    pub(super) fn server_is_later(&self) -> bool {
        self.server.is_later.load(Ordering::SeqCst)
    }

    /// Whether the later release of the application runs on a client.
    pub(super) fn client_is_later(&self, client: usize) -> bool {
        self.clients[client].is_later.load(Ordering::SeqCst)
    }

    /// The newest version of the protocol that the server speaks.
    pub(super) fn server_speaks(&self) -> u16 {
        self.server.speaks.load(Ordering::SeqCst)
    }

    /// Ends the server's process and starts its later release. Gives whether that release is new and started; then it is counted
    /// under the first name if its types are later, else under the second.
    pub(super) async fn upgrade_server(&self, to: Upgrade, names: [&'static str; 2]) -> bool {
        let was_later = self.server.upgrade(to);
        self.upgraded(self.restart_server().await, was_later, to, names)
    }

    /// The same with a client's process.
    pub(super) async fn upgrade_client(world: &Arc<Self>, client: usize, to: Upgrade) -> bool {
        let was_later = world.clients[client].upgrade(to);
        let outcome = Self::restart_client(world, client).await;
        world.upgraded(outcome, was_later, to, ["upgrades of a client", "protocol upgrades of a client"])
    }

    fn upgraded(
        &self,
        outcome: Result<()>,
        was_later: bool,
        to: Upgrade,
        [types, protocol]: [&'static str; 2],
    ) -> bool {
        match outcome {
            Ok(()) if was_later => false,
            Ok(()) => {
                self.ledger.note(if to == Upgrade::Types { types } else { protocol });
                true
            }
            Err(error) => {
                self.ledger.violated(format!("the later release does not start: {error}"));
                false
            }
        }
    }

    async fn watched(&self, node: &Node, role: StoreRole) -> Observer {
        let source = node.storage.open().await.expect("a storage that can be opened");
        Observer::new(source, role, &self.ledger, self.mutation)
    }

    /// Ends the server's process, if it runs, and starts it on the same storage.
    pub(super) async fn restart_server(&self) -> Result<()> {
        self.server_end.lock().unwrap_or_else(PoisonError::into_inner).take();
        let later = self.server_is_later();
        let store = Store::server(self.watched(&self.server, StoreRole::Server).await)
            .register::<Shelf>()
            .register::<Item>();
        let store = if later { store.register::<LaterNote>() } else { store.register::<Note>() };
        let store = store.clock(self.server.clock.clone()).random(self.server.random.clone()).open().await?;
        let manager = SyncManager::server(&store)
            .register(Repository::<Shelf>::new(&store), self.setup.rule)
            .register(CheckedItems(Repository::new(&store)), self.setup.rule);
        let manager = if later {
            manager.register(Repository::<LaterNote>::in_zone(&store, zone("any")), self.setup.rule)
        } else {
            manager.register(Repository::<Note>::in_zone(&store, zone("any")), self.setup.rule)
        };
        let manager = manager
            .limits(ServerLimits::default())
            .zones(|context: &SyncContext| access(&context.user))
            .build()
            .await?;
        let mut end = self.server_end.lock().unwrap_or_else(PoisonError::into_inner);
        *end = Some(ServerEnd { store, manager });
        Ok(())
    }

    /// Ends a client's process, if it runs, and starts it on the same storage.
    pub(super) async fn restart_client(world: &Arc<Self>, client: usize) -> Result<()> {
        let node = &world.clients[client];
        let end = &world.client_ends[client];
        end.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Setup { rule, atomic, session_records, page_records, tiny_pages, .. } = world.setup;
        let later = world.client_is_later(client);
        let store = Store::client(world.watched(node, StoreRole::Client).await)
            .register::<Shelf>()
            .register::<Item>();
        let store = if later { store.register::<LaterNote>() } else { store.register::<Note>() };
        let store = store
            .limits(SessionLimits::new(session_records, 1 << 20))
            .clock(node.clock.clone())
            .random(node.random.clone())
            .open()
            .await?;
        let weak: Weak<Self> = Arc::downgrade(world);
        let manager = SyncManager::client(&store)
            .register(Repository::<Shelf>::new(&store), rule)
            .register(Repository::<Item>::new(&store), rule);
        let home = writable(client)[0].clone();
        let manager = if later {
            manager.register(Repository::<LaterNote>::in_zone(&store, home), rule)
        } else {
            manager.register(Repository::<Note>::in_zone(&store, home), rule)
        };
        let manager = manager
            .zones(readable(client))
            .protocols(versions::EARLIER..=node.speaks.load(Ordering::SeqCst))
            .push_mode(if atomic { PushMode::Atomic } else { PushMode::PerObject })
            .pull_limits(PullLimits::new(page_records, if tiny_pages { 400 } else { 1 << 20 }))
            .transport(Link::new(weak, client))
            .build()?;
        *end.lock().unwrap_or_else(PoisonError::into_inner) = Some(ClientEnd { store, manager });
        Ok(())
    }

    /// Ends everyone and removes what they have stored.
    pub(super) async fn remove(self: Arc<Self>) -> Result<(), String> {
        // Requests that were never answered may still hold it; then the storage stays until the run ends.
        let Some(world) = Arc::into_inner(self) else { return Ok(()) };
        let Self { server, server_end, .. } = world;
        drop(server_end);
        match server.storage {
            Storage::Memory(_) => Ok(()),
            Storage::Elsewhere(storage) => storage.remove().await,
        }
    }
}
