//! Types that a store has with what decides their conflicts: no manager registers them.

use fastsync_core::*;

use crate::support::{Note, Task, task};

const ADA: &str = "ada";

fn zone() -> Zone {
    Zone::restricted(ADA).unwrap()
}

/// The types of an application, at both ends.
fn types(store: StoreBuilder) -> StoreBuilder {
    store.sync::<Task>(ServerWins).sync::<Note>(LastWriterWins)
}

fn grant(_: &SyncContext) -> ZoneAccess {
    ZoneAccess::none().read_write(Zone::Global).read_write(zone())
}

async fn server() -> (Store, SyncManager<Server>) {
    let store = types(Store::server(MemoryDataSource::new())).open().await.unwrap();
    let server = SyncManager::server(&store).zones(grant).build().await.unwrap();
    (store, server)
}

async fn client(server: &SyncManager<Server>) -> (Store, SyncManager<Client>) {
    let store = types(Store::client(MemoryDataSource::new())).open().await.unwrap();
    let transport = LoopbackTransport::new(server.clone(), SyncContext::new(ADA));
    let client =
        SyncManager::client(&store).transport(transport).zones([Zone::Global, zone()]).build().unwrap();
    (store, client)
}

/// Fails if a type is not synchronised, or another handler than the store's decides.
#[tokio::test]
async fn a_type_is_registered_once() {
    let (_, server) = server().await;
    let (phone, sync_phone) = client(&server).await;
    let (laptop, sync_laptop) = client(&server).await;
    let note = |text: &str| Note { id: "n".into(), text: text.into() };
    Repository::<Task>::new(&phone).add(&task("t", "first")).await.unwrap();
    Repository::<Note>::in_zone(&phone, zone()).add(&note("first")).await.unwrap();
    sync_phone.sync().await.unwrap();
    sync_laptop.sync().await.unwrap();
    for (store, text) in [(&phone, "phone"), (&laptop, "laptop")] {
        Repository::<Task>::new(store).update(&task("t", text)).await.unwrap();
        Repository::<Note>::in_zone(store, zone()).update(&note(text)).await.unwrap();
    }
    sync_phone.sync().await.unwrap();
    sync_laptop.sync().await.unwrap();
    sync_phone.sync().await.unwrap();
    for store in [&phone, &laptop] {
        let task = Repository::<Task>::new(store).find_by_id("t").await.unwrap().unwrap();
        assert_eq!(task.text, "phone", "the server wins");
        let note = Repository::<Note>::in_zone(store, zone()).find_by_id("n").await.unwrap().unwrap();
        assert_eq!(note.text, "laptop", "the last writer wins");
    }
}

/// Has rules of its own.
struct Named(Store);

impl SyncableRepository for Named {
    type Object = Task;

    fn store(&self) -> &Store {
        &self.0
    }

    fn validate(&self, task: &Task) -> std::result::Result<(), Rejection> {
        if task.text.is_empty() { Err(Rejection::new("no_text", "a task needs a text")) } else { Ok(()) }
    }
}

/// Fails if the rules of a repository are not asked, or its handler must be given a second time.
#[tokio::test]
async fn a_repository_adds_its_rules() {
    let store = types(Store::server(MemoryDataSource::new())).open().await.unwrap();
    let builder = SyncManager::server(&store).repository(Named(store.clone()));
    let server = builder.zones(grant).build().await.unwrap();
    let (phone, sync) = client(&server).await;
    Repository::<Task>::new(&phone).add(&task("t", "")).await.unwrap();
    let report = sync.sync().await.unwrap();
    assert_eq!(report.push.rejected, 1);
    assert_eq!(sync.rejected().await.unwrap()[0].code, "no_text");
}

/// Fails if a type without a handler, or a restricted type without a zone, is passed over.
#[tokio::test]
async fn what_is_missing_is_named() {
    let store = Store::client(MemoryDataSource::new()).register::<Task>().sync::<Note>(ServerWins);
    let store = store.open().await.unwrap();
    let (_, server) = server().await;
    let transport = LoopbackTransport::new(server, SyncContext::new(ADA));
    let builder = SyncManager::client(&store).repository(Named(store.clone())).transport(transport);
    let error = builder.build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    for part in ["no conflict handler for type tasks", "type notes is restricted"] {
        assert!(error.message().contains(part), "{error}");
    }
}
