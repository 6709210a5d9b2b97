//! A small world: one server and any number of clients in memory, with a transport that can be made to fail.
#![allow(dead_code, missing_docs, unreachable_pub)]

pub mod by_hand;
pub mod gate;
mod hooked;

use std::marker::PhantomData;
use std::pin::pin;
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use fastsync_core::protocol::{PullReply, PullRequest, PushReply, PushRequest};
use fastsync_core::*;
use futures_util::future::{BoxFuture, FutureExt as _};

pub use hooked::{Call, Hooked, one_at_a_time};

#[derive(Debug, Clone, PartialEq, SyncableObject)]
#[syncable(name = "lists", priority = 0)]
pub struct List {
    #[syncable(id)]
    pub id: String,
    pub title: String,
}

#[derive(Debug, Clone, PartialEq, SyncableObject)]
#[syncable(name = "tasks", priority = 10)]
pub struct Task {
    #[syncable(id)]
    pub id: String,
    pub list: String,
    pub text: String,
    pub done: bool,
}

#[derive(Debug, Clone, PartialEq, SyncableObject)]
#[syncable(name = "notes", restricted)]
pub struct Note {
    #[syncable(id)]
    pub id: String,
    pub text: String,
}

pub fn task(id: &str, text: &str) -> Task {
    Task { id: id.into(), list: "home".into(), text: text.into(), done: false }
}

pub fn id(id: &str) -> ObjectId {
    ObjectId::new(id).unwrap()
}

/// What a future comes to that waits for nothing outside of this thread; where it would hang, the test fails.
pub async fn ends<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    for _ in 0..10_000 {
        if let Some(output) = future.as_mut().now_or_never() {
            return output;
        }
        tokio::task::yield_now().await;
    }
    panic!("it does not come to an end");
}

/// A clock that the test moves.
#[derive(Debug, Clone, Default)]
pub struct TestClock(Arc<AtomicU64>);

impl TestClock {
    pub fn new(millis: u64) -> Self {
        Self(Arc::new(AtomicU64::new(millis)))
    }
    pub fn set(&self, millis: u64) {
        self.0.store(millis, Ordering::SeqCst);
    }
    pub fn advance(&self, millis: u64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// What the transport does to the next requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The request never arrives.
    DropRequest,
    /// The server does its work and the answer is lost.
    LoseReply,
    /// The request arrives twice.
    Duplicate,
}

/// A loopback with faults, which keeps what went through it.
#[derive(Clone)]
pub struct Link {
    inner: LoopbackTransport,
    faults: Arc<Mutex<Vec<Fault>>>,
    meanwhile: Arc<Mutex<Option<BoxFuture<'static, ()>>>>,
    pub pushes: Arc<Mutex<Vec<PushRequest>>>,
    pub pulls: Arc<Mutex<Vec<(PullRequest, PullReply)>>>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Link")
    }
}

impl Link {
    pub fn new(inner: LoopbackTransport) -> Self {
        let (faults, meanwhile, pushes, pulls) = Default::default();
        Self { inner, faults, meanwhile, pushes, pulls }
    }
    /// Lets something happen while the answer to the next request is on its way.
    pub fn meanwhile(&self, happens: impl Future<Output = ()> + Send + 'static) {
        *self.meanwhile.lock().unwrap() = Some(happens.boxed());
    }
    async fn happens(&self) {
        let happens = self.meanwhile.lock().unwrap().take();
        if let Some(happens) = happens {
            happens.await;
        }
    }
    pub fn fail_next(&self, fault: Fault) {
        self.faults.lock().unwrap().push(fault);
    }
    fn fault(&self) -> Option<Fault> {
        self.faults.lock().unwrap().pop()
    }
}

fn lost() -> Error {
    Error::new(ErrorKind::Unavailable, "transport", "the connection broke")
}

#[async_trait]
impl Transport for Link {
    async fn push(&self, request: &Outgoing) -> Result<PushReply> {
        self.pushes.lock().unwrap().push(request.request().clone());
        match self.fault() {
            Some(Fault::DropRequest) => return Err(lost()),
            Some(Fault::LoseReply) => {
                self.inner.push(request).await?;
                return Err(lost());
            }
            Some(Fault::Duplicate) => {
                self.inner.push(request).await?;
            }
            None => {}
        }
        let reply = self.inner.push(request).await;
        self.happens().await;
        reply
    }

    async fn pull(&self, request: &PullRequest) -> Result<PullAnswer> {
        let reply = match self.fault() {
            Some(Fault::DropRequest) => return Err(lost()),
            Some(Fault::LoseReply) => {
                self.pulled(request).await?;
                return Err(lost());
            }
            Some(Fault::Duplicate) => {
                self.pulled(request).await?;
                self.pulled(request).await?
            }
            None => self.pulled(request).await?,
        };
        self.pulls.lock().unwrap().push((request.clone(), reply.clone()));
        self.happens().await;
        Ok(reply.into())
    }
}

impl Link {
    async fn pulled(&self, request: &PullRequest) -> Result<PullReply> {
        self.inner.pull(request).await?.read().await
    }
}

pub struct ServerSide {
    pub clock: TestClock,
    pub store: Store,
    pub manager: SyncManager<Server>,
    pub tasks: Repository<Task>,
}

pub fn zone(key: &str) -> Zone {
    Zone::restricted(key).unwrap()
}

/// Everyone may read and write the global zone and a zone named after them.
pub fn own_zone_policy(context: &SyncContext) -> ZoneAccess {
    ZoneAccess::none().read_write(Zone::Global).read_write(zone(&context.user))
}

pub async fn server() -> ServerSide {
    server_with(LastWriterWins).await
}

pub async fn server_with(handler: impl ConflictsHandler<Task>) -> ServerSide {
    server_on(MemoryDataSource::new(), handler).await
}

pub async fn server_on(source: MemoryDataSource, handler: impl ConflictsHandler<Task>) -> ServerSide {
    serve(source, handler, own_zone_policy, ServerLimits::default()).await
}

pub async fn serve(
    source: impl SyncableDataSource,
    handler: impl ConflictsHandler<Task>,
    policy: impl ZonePolicy,
    limits: ServerLimits,
) -> ServerSide {
    let clock = TestClock::new(1_000_000);
    let store = Store::server(source)
        .register::<List>()
        .register::<Task>()
        .register::<Note>()
        .clock(clock.clone())
        .open()
        .await
        .unwrap();
    let tasks = Repository::<Task>::new(&store);
    let manager = SyncManager::server(&store)
        .register(Repository::<List>::new(&store), LastWriterWins)
        .register(tasks.clone(), handler)
        .register(Repository::<Note>::in_zone(&store, zone("any")), LastWriterWins)
        .zones(policy)
        .limits(limits)
        .build()
        .await
        .unwrap();
    ServerSide { clock, store, manager, tasks }
}

/// A server's repository with a rule of its own.
#[derive(Clone)]
pub struct StrictTasks(pub Store);

impl SyncableRepository for StrictTasks {
    type Object = Task;

    fn store(&self) -> &Store {
        &self.0
    }

    fn validate(&self, task: &Task) -> Result<(), Rejection> {
        if task.text.contains("bad") { Err(Rejection::new("bad_word", "mind your language")) } else { Ok(()) }
    }
}

/// A repository that does not know whether its zone is of the sort that its type has.
pub struct Anywhere<T> {
    store: Store,
    zone: Zone,
    object: PhantomData<fn() -> T>,
}

impl<T> Anywhere<T> {
    pub fn new(store: &Store, zone: Zone) -> Self {
        Self { store: store.clone(), zone, object: PhantomData }
    }
}

impl<T: SyncableObject> SyncableRepository for Anywhere<T> {
    type Object = T;

    fn store(&self) -> &Store {
        &self.store
    }

    fn zone(&self) -> Zone {
        self.zone.clone()
    }
}

/// A server that refuses bad tasks.
pub async fn strict_server() -> ServerSide {
    let base = server().await;
    let manager = SyncManager::server(&base.store)
        .register(Repository::<List>::new(&base.store), LastWriterWins)
        .register(StrictTasks(base.store.clone()), LastWriterWins)
        .register(Repository::<Note>::in_zone(&base.store, zone("any")), LastWriterWins)
        .zones(own_zone_policy)
        .build()
        .await
        .unwrap();
    ServerSide { manager, ..base }
}

#[derive(Clone)]
pub struct ClientSide {
    pub clock: TestClock,
    pub source: MemoryDataSource,
    pub store: Store,
    pub link: Link,
    pub sync: SyncManager<Client>,
    pub lists: Repository<List>,
    pub tasks: Repository<Task>,
    pub notes: Repository<Note>,
}

pub async fn client(server: &ServerSide, user: &str) -> ClientSide {
    client_on(server, user, MemoryDataSource::new()).await
}

pub async fn client_on(server: &ServerSide, user: &str, source: MemoryDataSource) -> ClientSide {
    client_with(server, user, source, LastWriterWins, PullLimits::default()).await
}

pub async fn client_with(
    server: &ServerSide,
    user: &str,
    source: MemoryDataSource,
    handler: impl ConflictsHandler<Task>,
    limits: PullLimits,
) -> ClientSide {
    client_over(server, user, source.clone(), source, handler, limits).await
}

/// A client whose storage in memory is behind another one.
pub async fn client_behind(
    server: &ServerSide,
    user: &str,
    hooked: Hooked,
    handler: impl ConflictsHandler<Task>,
) -> ClientSide {
    let source = hooked.inner.clone();
    client_over(server, user, hooked, source, handler, PullLimits::default()).await
}

async fn client_over(
    server: &ServerSide,
    user: &str,
    over: impl SyncableDataSource,
    source: MemoryDataSource,
    handler: impl ConflictsHandler<Task>,
    limits: PullLimits,
) -> ClientSide {
    let clock = TestClock::new(1_000_000);
    let store = Store::client(over)
        .register::<List>()
        .register::<Task>()
        .register::<Note>()
        .limits(SessionLimits::new(10, 10_000))
        .clock(clock.clone())
        .open()
        .await
        .unwrap();
    let link = Link::new(LoopbackTransport::new(server.manager.clone(), SyncContext::new(user)));
    let lists = Repository::<List>::new(&store);
    let tasks = Repository::<Task>::new(&store);
    let notes = Repository::<Note>::in_zone(&store, zone(user));
    let sync = SyncManager::client(&store)
        .register(lists.clone(), LastWriterWins)
        .register(tasks.clone(), handler)
        .register(notes.clone(), LastWriterWins)
        .transport(link.clone())
        .pull_limits(limits)
        .build()
        .unwrap();
    ClientSide { clock, source, store, link, sync, lists, tasks, notes }
}

impl ClientSide {
    /// Another manager of the same store, with all its repositories and without a transport yet.
    pub fn manager(&self) -> ClientBuilder {
        SyncManager::client(&self.store)
            .register(self.lists.clone(), LastWriterWins)
            .register(self.tasks.clone(), LastWriterWins)
            .register(self.notes.clone(), LastWriterWins)
    }

    pub async fn task(&self, name: &str) -> Option<Task> {
        self.tasks.find_by_id(&id(name)).await.unwrap()
    }
    /// A task as it is stored.
    pub async fn record(&self, name: &str) -> Option<Record> {
        stored(&self.source, name).await
    }
    pub async fn pending(&self) -> u64 {
        self.sync.status().await.unwrap().pending
    }
}

/// A task as it is stored.
pub async fn stored(source: &dyn SyncableDataSource, name: &str) -> Option<Record> {
    source.get(&TypeName::new("tasks").unwrap(), &Zone::Global, &[id(name)]).await.unwrap().pop()
}
