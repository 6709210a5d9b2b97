//! Two processes that synchronise the client's store in one file: what one does while the other waits for an answer, or
//! decides a conflict, is neither lost nor done twice nor taken back.

use std::pin::Pin;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use fastsync_core::protocol::{PullRequest, PushReply};
use fastsync_core::*;
use fastsync_dao_sqlite::SqliteDataSource;

use crate::common::{Fixture, id, items, name, open};

/// An object of the type [`items`].
#[derive(Debug, Clone, PartialEq)]
struct Item {
    id: String,
    name: String,
}

fn item(id: &str, name: &str) -> Item {
    Item { id: id.to_owned(), name: name.to_owned() }
}

impl SyncableObject for Item {
    fn schema() -> Result<TypeSchema> {
        Ok(items())
    }
    fn id(&self) -> Result<ObjectId> {
        ObjectId::new(&self.id)
    }
    fn to_body(&self) -> Result<Vec<Value>> {
        Ok(vec![Value::Text(self.name.clone()), Value::Integer(1), Value::Null])
    }
    fn from_body(id: &ObjectId, body: Vec<Value>) -> Result<Self> {
        let Some(Value::Text(name)) = body.first() else { panic!("an item has a name: {body:?}") };
        Ok(item(id.as_str(), name))
    }
}

type Happening = Arc<Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>>;

/// A way to the server on which something happens while an answer comes.
#[derive(Clone)]
struct Way {
    inner: LoopbackTransport,
    meanwhile: Happening,
}

impl std::fmt::Debug for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Way")
    }
}

/// Lets happen what waits, once.
async fn happen(waiting: &Happening) {
    let happens = waiting.lock().unwrap().take();
    if let Some(happens) = happens {
        happens.await;
    }
}

#[async_trait]
impl Transport for Way {
    async fn push(&self, request: &Outgoing) -> Result<PushReply> {
        let reply = self.inner.push(request).await;
        happen(&self.meanwhile).await;
        reply
    }
    async fn pull(&self, request: &PullRequest) -> Result<PullAnswer> {
        let reply = self.inner.pull(request).await;
        happen(&self.meanwhile).await;
        reply
    }
}

/// Keeps the local edit; something may happen while it decides.
#[derive(Clone, Default)]
struct Deciding(Happening);

#[async_trait]
impl ConflictsHandler<Item> for Deciding {
    async fn resolve(&self, _: ObjectConflict<Item>) -> Result<Resolution<Item>> {
        happen(&self.0).await;
        Ok(Resolution::Client)
    }
}

/// One process: a data source, a store and a manager of its own.
#[derive(Clone)]
struct Process {
    items: Repository<Item>,
    sync: SyncManager<Client>,
    on_the_way: Happening,
    while_deciding: Happening,
}

impl Process {
    async fn start(fixture: &Fixture, server: &SyncManager<Server>) -> Self {
        let source: SqliteDataSource = open(&fixture.path());
        let store = Store::client(source).register::<Item>().open().await.unwrap();
        let items = Repository::new(&store);
        let (on_the_way, deciding) = (Happening::default(), Deciding::default());
        let inner = LoopbackTransport::new(server.clone(), SyncContext::new("ada"));
        let sync = SyncManager::client(&store)
            .register(items.clone(), deciding.clone())
            .transport(Way { inner, meanwhile: Arc::clone(&on_the_way) })
            .build()
            .unwrap();
        Self { items, sync, on_the_way, while_deciding: deciding.0 }
    }

    async fn name(&self, key: &str) -> Option<String> {
        self.items.find_by_id(&id(key)).await.unwrap().map(|item| item.name)
    }

    async fn pending(&self) -> u64 {
        self.sync.status().await.unwrap().pending
    }
}

fn lay(happening: &Happening, happens: impl Future<Output = ()> + Send + 'static) {
    *happening.lock().unwrap() = Some(Box::pin(happens));
}

struct World {
    _fixture: Fixture,
    server: Store,
    items: Repository<Item>,
    a: Process,
    b: Process,
}

/// A server in memory, which keeps its own version in a conflict, and two processes on one file.
async fn world() -> World {
    let server = Store::server(MemoryDataSource::new()).register::<Item>().open().await.unwrap();
    let items = Repository::<Item>::new(&server);
    let manager = SyncManager::server(&server)
        .register(items.clone(), ServerWins)
        .zones(|_: &SyncContext| ZoneAccess::none().read_write(Zone::Global))
        .build()
        .await
        .unwrap();
    let fixture = Fixture::new();
    let a = Process::start(&fixture, &manager).await;
    let b = Process::start(&fixture, &manager).await;
    World { _fixture: fixture, server, items, a, b }
}

/// Fails if the queue of pushes is stored whatever is there.
#[tokio::test]
async fn another_process_takes_the_answer_to_a_push_and_goes_on() {
    let World { server, items, a, b, .. } = &world().await;
    a.items.add(&item("1", "x")).await.unwrap();
    let other = b.clone();
    lay(&a.on_the_way, async move {
        other.items.update(&item("1", "newer")).await.unwrap();
        other.items.add(&item("2", "y")).await.unwrap();
        assert_eq!(other.sync.push().await.unwrap().sessions, 2);
    });
    let error = a.sync.push().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Contention);
    a.items.add(&item("3", "z")).await.unwrap();
    assert!(!a.sync.push().await.unwrap().forked);
    assert_eq!((a.pending().await, b.pending().await), (0, 0));
    assert_eq!(items.get_all().await.unwrap(), [item("1", "newer"), item("2", "y"), item("3", "z")]);
    let sessions = server.source().sessions_of(&Zone::Global, Position::START, 10).await.unwrap();
    assert_eq!(sessions.len(), 3, "each is stored once");
    assert!(sessions.iter().all(|session| session.author.device == a.sync.store().device()));
}

/// Fails if the cursor is stored whatever is there.
#[tokio::test]
async fn a_pull_that_is_overtaken_does_not_take_the_store_back() {
    let World { items, a, b, .. } = &world().await;
    items.add_many(&[item("1", "old"), item("2", "old")]).await.unwrap();
    let (other, edits) = (b.clone(), items.clone());
    lay(&a.on_the_way, async move {
        edits.update(&item("1", "new")).await.unwrap();
        edits.remove(&id("2")).await.unwrap();
        other.sync.pull().await.unwrap();
    });
    a.sync.pull().await.unwrap();
    assert_eq!(a.items.get_all().await.unwrap(), [item("1", "new")]);
    assert_eq!(b.sync.pull().await.unwrap().received, 0, "the cursor has not gone back");
}

/// Fails if what was decided about an edit is stored whatever has become of the edit.
#[tokio::test]
async fn an_edit_made_while_a_conflict_is_settled_stays() {
    let World { items, a, b, .. } = &world().await;
    items.add(&item("1", "start")).await.unwrap();
    a.sync.pull().await.unwrap();
    a.items.update(&item("1", "mine")).await.unwrap();
    items.update(&item("1", "theirs")).await.unwrap();
    let other = b.clone();
    lay(&a.while_deciding, async move { other.items.update(&item("1", "newer")).await.unwrap() });
    let report = a.sync.pull().await.unwrap();
    assert_eq!((report.conflicts.len(), a.name("1").await.as_deref()), (1, Some("newer")));
    // It is an edit of what the server has now: no conflict there, where it would lose.
    assert!(b.sync.sync().await.unwrap().push.conflicts.is_empty());
    assert_eq!(items.get_all().await.unwrap(), [item("1", "newer")]);
}

/// Fails if an acknowledgement, or a reset that gives edits up, takes an edit that was made since.
#[tokio::test]
async fn an_edit_made_while_another_process_waits_for_an_answer_stays() {
    for reset in [false, true] {
        let World { items, a, b, .. } = &world().await;
        items.add(&item("1", "start")).await.unwrap();
        a.sync.pull().await.unwrap();
        a.items.update(&item("1", "mine")).await.unwrap();
        let (other, what) = (b.clone(), a.clone());
        lay(&a.on_the_way, async move {
            other.items.update(&item("1", "newer")).await.unwrap();
            assert_eq!(what.pending().await, 1);
        });
        if reset {
            a.sync.hard_reset(&[name("items")], PendingEdits::Discard).await.unwrap();
        } else {
            assert_eq!(a.sync.push().await.unwrap().sessions, 2);
        }
        assert_eq!(b.name("1").await.as_deref(), Some("newer"));
        b.sync.sync().await.unwrap();
        assert_eq!(items.get_all().await.unwrap(), [item("1", "newer")]);
        assert_eq!(a.pending().await, 0);
    }
}
