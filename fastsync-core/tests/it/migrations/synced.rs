//! Migrations on devices and servers that exchange what was migrated.

use fastsync_core::*;

use super::*;

/// The second release, as a server that exchanges people with no older one.
async fn server_of<T: SyncableObject>(builder: StoreBuilder) -> (SyncManager<Server>, Repository<T>) {
    let people = opened::<T>(builder).await;
    let manager = SyncManager::server(people.store()).register(people.clone(), LastWriterWins);
    (manager.zones(own_zone_policy).build().await.unwrap(), people)
}

async fn old_server(source: &MemoryDataSource) -> (SyncManager<Server>, Repository<v1::Person>) {
    server_of(Store::server(source.clone())).await
}

async fn new_server(source: &MemoryDataSource) -> (SyncManager<Server>, Repository<v2::Person>) {
    server_of(Store::server(source.clone()).migrate::<v2::Person>(split_name())).await
}

struct Device<T: SyncableObject> {
    people: Repository<T>,
    sync: SyncManager<Client>,
    link: Link,
}

fn device<T: SyncableObject>(people: Repository<T>, server: &SyncManager<Server>) -> Device<T> {
    let link = Link::new(LoopbackTransport::new(server.clone(), SyncContext::new("ada")));
    let manager = SyncManager::client(people.store()).register(people.clone(), LastWriterWins);
    Device { sync: manager.transport(link.clone()).build().unwrap(), people, link }
}

async fn old_device(source: &MemoryDataSource, server: &SyncManager<Server>) -> Device<v1::Person> {
    device(opened(Store::client(source.clone())).await, server)
}

async fn new_device(source: &MemoryDataSource, server: &SyncManager<Server>) -> Device<v2::Person> {
    device(migrated(source.clone()).await, server)
}

impl<T: SyncableObject> Device<T> {
    async fn pending(&self) -> u64 {
        self.sync.status().await.unwrap().pending
    }
}

/// Fails if a server's objects take new positions, or if what was pulled is lost with the upgrade of the device.
#[tokio::test]
async fn both_ends_migrate_what_they_have_and_exchange_the_rest() {
    let (theirs, ours) = (MemoryDataSource::new(), MemoryDataSource::new());
    let (server, people) = old_server(&theirs).await;
    people.add_many(&[old("1", "Ada Byron"), old("2", "Alan Turing")]).await.unwrap();
    let device = old_device(&ours, &server).await;
    device.sync.sync().await.unwrap();
    let before = metadata(&records(&theirs).await);

    let (server, people) = new_server(&theirs).await;
    assert_eq!(metadata(&records(&theirs).await), before);
    let sessions = theirs.sessions_of(&Zone::Global, Position::START, 10).await.unwrap();
    assert_eq!(sessions.len(), 1, "a migration takes no position");
    people.update(&new("2", "A.", "Turing")).await.unwrap();
    let device = new_device(&ours, &server).await;
    assert_eq!(device.people.find_by_id(&id("2")).await.unwrap(), Some(new("2", "Alan", "Turing")));
    device.sync.sync().await.unwrap();
    assert_eq!(device.people.get_all().await.unwrap(), people.get_all().await.unwrap());
    assert_eq!(device.sync.sync().await.unwrap().pull.received, 0);
}

/// Fails if an edit of the old release is sent in its form, or if the new fields of it are taken from the server: also where
/// the migration set one to what a new field has.
#[tokio::test]
async fn an_edit_that_waited_goes_out_in_the_new_form() {
    let (theirs, ours) = (MemoryDataSource::new(), MemoryDataSource::new());
    let (server, people) = old_server(&theirs).await;
    people.add_many(&[old("1", "Ada Byron"), old("2", "Alan Turing"), old("3", "Plato")]).await.unwrap();
    let device = old_device(&ours, &server).await;
    device.sync.sync().await.unwrap();
    device.people.update(&old("1", "Ada")).await.unwrap();
    device.people.add(&old("4", "Mary Shelley")).await.unwrap();
    device.people.remove(&id("3")).await.unwrap();

    let (server, people) = new_server(&theirs).await;
    // The old release cannot send them.
    let device = old_device(&ours, &server).await;
    let report = device.sync.sync().await.unwrap();
    assert_eq!((report.push.applied, report.pull.unknown_types.len(), device.pending().await), (0, 1, 3));

    let device = new_device(&ours, &server).await;
    assert_eq!(device.pending().await, 3);
    device.sync.sync().await.unwrap();
    device.sync.sync().await.unwrap();
    assert_eq!(device.pending().await, 0);
    let expected = [new("1", "Ada", ""), new("2", "Alan", "Turing"), new("4", "Mary", "Shelley")];
    assert_eq!(people.get_all().await.unwrap(), expected);
    assert_eq!(device.people.get_all().await.unwrap(), expected);
}

/// Fails if a push that was processed is processed again after both ends migrated, or if its object is lost.
#[tokio::test]
async fn a_push_without_an_answer_stays_in_the_old_form() {
    for (is_lost, count) in [(Fault::LoseReply, 1), (Fault::DropRequest, 0)] {
        let (theirs, ours) = (MemoryDataSource::new(), MemoryDataSource::new());
        let (server, people) = old_server(&theirs).await;
        let device = old_device(&ours, &server).await;
        device.sync.sync().await.unwrap();
        device.people.add(&old("1", "Ada Byron")).await.unwrap();
        device.link.fail_next(is_lost);
        device.sync.push().await.unwrap_err();
        assert_eq!(people.count(Selection::all()).await.unwrap(), count);

        let (server, people) = new_server(&theirs).await;
        let device = new_device(&ours, &server).await;
        for _ in 0..3 {
            device.sync.sync().await.unwrap();
        }
        assert_eq!(device.pending().await, 0);
        assert!(!device.sync.status().await.unwrap().push_in_flight);
        assert_eq!(people.get_all().await.unwrap(), [new("1", "Ada", "Byron")]);
        assert_eq!(device.people.get_all().await.unwrap(), [new("1", "Ada", "Byron")]);
        let sessions = theirs.sessions_of(&Zone::Global, Position::START, 10).await.unwrap();
        assert_eq!(sessions.len(), 1);
    }
}

/// A server's people, none of them bad.
#[derive(Clone)]
struct Strict(Store);

impl SyncableRepository for Strict {
    type Object = v1::Person;

    fn store(&self) -> &Store {
        &self.0
    }

    fn validate(&self, person: &v1::Person) -> Result<(), Rejection> {
        if person.name.contains("bad") { Err(Rejection::new("bad", "mind your language")) } else { Ok(()) }
    }
}

/// Fails if a refused edit is not migrated, or if giving it up stores what the server had in the old form.
#[tokio::test]
async fn a_refused_edit_is_migrated_and_can_be_sent_or_given_up() {
    for is_sent in [false, true] {
        let (theirs, ours) = (MemoryDataSource::new(), MemoryDataSource::new());
        let people = opened::<v1::Person>(Store::server(theirs.clone())).await;
        people.add(&old("1", "Ada Byron")).await.unwrap();
        let strict =
            SyncManager::server(people.store()).register(Strict(people.store().clone()), LastWriterWins);
        let server = strict.zones(own_zone_policy).build().await.unwrap();
        let device = old_device(&ours, &server).await;
        device.sync.sync().await.unwrap();
        device.people.update(&old("1", "Ada bad")).await.unwrap();
        device.sync.sync().await.unwrap();
        assert_eq!(device.sync.rejected().await.unwrap().len(), 1);

        let (server, people) = new_server(&theirs).await;
        let device = new_device(&ours, &server).await;
        assert_eq!(device.people.get_all().await.unwrap(), [new("1", "Ada", "bad")]);
        let rejected = device.sync.rejected().await.unwrap();
        assert_eq!(rejected.len(), 1);
        if is_sent {
            device.sync.retry_rejected(&rejected).await.unwrap();
        } else {
            device.sync.discard_rejected(&rejected).await.unwrap();
            assert_eq!(device.pending().await, 0);
        }
        device.sync.sync().await.unwrap();
        let last = if is_sent { "bad" } else { "Byron" };
        assert_eq!(device.people.get_all().await.unwrap(), [new("1", "Ada", last)]);
        assert_eq!(people.get_all().await.unwrap(), [new("1", "Ada", last)]);
        assert_eq!(device.pending().await, 0);
    }
}

mod euros {
    use fastsync_core::*;

    #[derive(Debug, Clone, PartialEq, SyncableObject)]
    #[syncable(name = "items")]
    pub(super) struct Item {
        #[syncable(id)]
        pub(super) id: String,
        pub(super) price: i64,
    }
}

mod cents {
    use fastsync_core::*;

    #[derive(Debug, Clone, PartialEq, SyncableObject)]
    #[syncable(name = "items", version = 2, min_version = 2)]
    pub(super) struct Item {
        #[syncable(id)]
        pub(super) id: String,
        pub(super) price: i64,
    }
}

/// Fails if an edit that waits behind `min_version` is sent in the old meaning, or if one is converted twice.
#[tokio::test]
async fn an_edit_behind_min_version_is_converted_by_the_upgrade() {
    let in_cents = || {
        Migration::to(2, |item| {
            let euros: i64 = item.get("price")?;
            item.set("price", euros * 100)
        })
    };
    let (theirs, ours) = (MemoryDataSource::new(), MemoryDataSource::new());
    let (server, items) = server_of::<euros::Item>(Store::server(theirs.clone())).await;
    items.add(&euros::Item { id: "1".into(), price: 2 }).await.unwrap();
    let old = device(opened::<euros::Item>(Store::client(ours.clone())).await, &server);
    old.sync.sync().await.unwrap();

    let upgraded = Store::server(theirs).migrate::<cents::Item>(in_cents());
    let (server, items) = server_of::<cents::Item>(upgraded).await;
    let old = device(opened::<euros::Item>(Store::client(ours.clone())).await, &server);
    old.people.update(&euros::Item { id: "1".into(), price: 3 }).await.unwrap();
    old.people.add(&euros::Item { id: "2".into(), price: 4 }).await.unwrap();
    let report = old.sync.sync().await.unwrap();
    let waiting = &report.waiting()[0];
    assert_eq!((waiting.edits, waiting.reason), (2, WaitingReason::Outdated));
    assert_eq!(items.get_all().await.unwrap(), [cents::Item { id: "1".into(), price: 200 }]);

    let upgraded = Store::client(ours).migrate::<cents::Item>(in_cents());
    let new = device(opened::<cents::Item>(upgraded).await, &server);
    for _ in 0..2 {
        new.sync.sync().await.unwrap();
    }
    assert_eq!(new.sync.status().await.unwrap().waiting, []);
    let prices = items.get_all().await.unwrap();
    let expected = [("1", 300), ("2", 400)].map(|(id, price)| cents::Item { id: id.into(), price });
    assert_eq!(prices, expected);
    assert_eq!(new.people.get_all().await.unwrap(), prices);
}
