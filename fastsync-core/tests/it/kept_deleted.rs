//! The last values of deleted objects, for types that opt in.

use fastsync_core::source::*;
use fastsync_core::*;

#[derive(Debug, Clone, PartialEq, SyncableObject)]
#[syncable(name = "notes", restricted)]
struct Note {
    #[syncable(id)]
    id: String,
    text: String,
    stars: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, SyncableObject)]
#[syncable(name = "secrets")]
struct Secret {
    #[syncable(id)]
    id: String,
    text: String,
}

fn note(id: &str, text: &str) -> Note {
    Note { id: id.into(), text: text.into(), stars: Some(3) }
}

fn zone(name: &str) -> Zone {
    Zone::restricted(name).unwrap()
}

async fn server(source: &MemoryDataSource) -> Store {
    let store = Store::server(source.clone()).register::<Note>().register::<Secret>();
    store.keep_deleted::<Note>().open().await.unwrap()
}

fn manager(store: &Store) -> impl Future<Output = Result<SyncManager<Server>>> {
    SyncManager::server(store)
        .register(Repository::<Note>::in_zone(store, zone("any")), LastWriterWins)
        .register(Repository::<Secret>::new(store), LastWriterWins)
        .zones(|_: &SyncContext| {
            ZoneAccess::none()
                .read_write(zone("a"))
                .read_write(zone("b"))
                .read(zone("read"))
                .read_write(Zone::Global)
        })
        .build()
}

/// The text that was kept of a note.
async fn kept(store: &Store, zone: &Zone, id: &str) -> Option<Value> {
    let name = TypeName::new("notes").unwrap();
    let found = store.source().get(&name, zone, &[ObjectId::new(id).unwrap()]).await.unwrap();
    let found: Vec<_> = found.iter().filter(|record| record.is_deleted()).collect();
    let values = store.last_values(&found).await.unwrap();
    found.first().and_then(|record| values.get(&record.key)?.get("text").cloned())
}

async fn entries(store: &Store) -> usize {
    store.source().entries("fastsync/deleted/").await.unwrap().len()
}

#[tokio::test]
async fn a_deletion_keeps_the_last_values_whoever_deletes() {
    let store = server(&MemoryDataSource::new()).await;
    let notes = Repository::<Note>::in_zone(&store, zone("a"));
    notes.add_many(&[note("1", "first"), note("2", "second")]).await.unwrap();
    notes.update(&note("1", "last")).await.unwrap();
    notes.remove("1").await.unwrap();
    assert_eq!(kept(&store, &zone("a"), "1").await, Some(text("last")));

    // A client of ours.
    let own = Store::client(MemoryDataSource::new()).register::<Note>().open().await.unwrap();
    let own_notes = Repository::<Note>::in_zone(&own, zone("a"));
    let server = manager(&store).await.unwrap();
    let client = SyncManager::client(&own)
        .register(own_notes.clone(), LastWriterWins)
        .transport(LoopbackTransport::new(server, SyncContext::new("ada")))
        .build()
        .unwrap();
    client.sync().await.unwrap();
    own_notes.update(&note("2", "edited")).await.unwrap();
    client.sync().await.unwrap();
    own_notes.remove("2").await.unwrap();
    client.sync().await.unwrap();
    assert_eq!(kept(&store, &zone("a"), "2").await, Some(text("edited")));
}

/// Fails if values that belong to the new zone are left in the old one.
#[tokio::test]
async fn a_departure_keeps_what_the_old_zone_last_held() {
    let store = server(&MemoryDataSource::new()).await;
    let (old, new) =
        (Repository::<Note>::in_zone(&store, zone("a")), Repository::<Note>::in_zone(&store, zone("b")));
    old.add(&note("1", "as it was")).await.unwrap();
    let mut moving = store.edit();
    old.stage_remove(&mut moving, "1").unwrap();
    new.stage_add(&mut moving, &note("1", "written with the move")).unwrap();
    moving.commit().await.unwrap();
    assert_eq!(kept(&store, &zone("a"), "1").await, Some(text("as it was")));
}

#[tokio::test]
async fn what_is_kept_goes_with_the_tombstone() {
    let store = server(&MemoryDataSource::new()).await;
    let notes = Repository::<Note>::in_zone(&store, zone("a"));
    notes.add_many(&[note("1", "one"), note("2", "two"), note("3", "three")]).await.unwrap();
    notes.remove("1").await.unwrap();
    notes.remove("3").await.unwrap();
    notes.add(&note("3", "anew")).await.unwrap();
    notes.remove("2").await.unwrap();
    let source = store.source();
    assert_eq!(source.purge_tombstones(&zone("a"), Position(2)).await.unwrap(), 1);
    assert_eq!(kept(&store, &zone("a"), "2").await, Some(text("two")), "its tombstone is younger");
    assert_eq!(entries(&store).await, 1, "nor is anything left of an object that was made anew");
    source.purge_tombstones(&zone("a"), Position(99)).await.unwrap();
    assert_eq!(entries(&store).await, 0);
}

/// Fails if an object of a later life gets the values of an earlier one.
#[tokio::test]
async fn each_life_has_its_own_last_values() {
    let source = MemoryDataSource::new();
    let store = server(&source).await;
    let notes = Repository::<Note>::in_zone(&store, zone("a"));
    notes.add(&note("1", "first life")).await.unwrap();
    notes.remove("1").await.unwrap();
    notes.add(&note("1", "second life")).await.unwrap();
    assert_eq!(kept(&store, &zone("a"), "1").await, None);
    // A server that does not keep the type any more.
    let store = Store::server(source).register::<Note>().register::<Secret>().open().await.unwrap();
    Repository::<Note>::in_zone(&store, zone("a")).remove("1").await.unwrap();
    assert_eq!(kept(&store, &zone("a"), "1").await, None);
}

#[tokio::test]
async fn nothing_is_kept_unless_it_is_asked_for() {
    let store = server(&MemoryDataSource::new()).await;
    let secrets = Repository::<Secret>::new(&store);
    secrets.add(&Secret { id: "1".into(), text: "x".into() }).await.unwrap();
    secrets.remove("1").await.unwrap();
    assert_eq!(entries(&store).await, 0);
    let client = Store::client(MemoryDataSource::new()).register::<Note>().keep_deleted::<Note>();
    assert_eq!(client.open().await.unwrap_err().kind(), ErrorKind::Config);
    let other = Store::server(MemoryDataSource::new()).register::<Note>().keep_deleted::<Secret>();
    let error = other.open().await.unwrap_err();
    assert!(error.message().contains("secrets"), "{error}");
}

/// Many are read another way than one by one.
#[tokio::test]
async fn the_values_of_thousands_of_tombstones_are_found() {
    let store = server(&MemoryDataSource::new()).await;
    let notes = Repository::<Note>::in_zone(&store, zone("a"));
    let all: Vec<_> = (0..2_000).map(|n| note(&n.to_string(), &format!("text {n}"))).collect();
    notes.add_many(&all).await.unwrap();
    let ids: Vec<_> = all.iter().map(|note| note.id.clone()).collect();
    notes.remove_many(&ids).await.unwrap();
    let name = TypeName::new("notes").unwrap();
    let ids: Vec<_> = ids.iter().map(|id| ObjectId::new(id).unwrap()).collect();
    let found = store.source().get(&name, &zone("a"), &ids).await.unwrap();
    let values = store.last_values(&found.iter().collect::<Vec<_>>()).await.unwrap();
    assert_eq!(values.len(), 2_000);
    assert!(values.iter().all(|(key, values)| values["text"] == text(&format!("text {}", key.id))));
}

fn key(zone: Zone, id: &str) -> RecordKey {
    RecordKey { zone, type_name: TypeName::new("notes").unwrap(), id: ObjectId::new(id).unwrap() }
}

/// Fails if an object is changed, a reader makes a tombstone, or what nobody asked for is stored.
#[tokio::test]
async fn what_is_stored_again_is_as_it_was_and_has_a_later_position() {
    let store = server(&MemoryDataSource::new()).await;
    let notes = Repository::<Note>::in_zone(&store, zone("a"));
    notes.add_many(&[note("live", "live"), note("gone", "gone")]).await.unwrap();
    notes.remove("gone").await.unwrap();
    let server = manager(&store).await.unwrap();
    let values = || [("text".to_owned(), text("never stored"))].into_iter().collect();
    let objects = vec![
        Restamp::new(key(zone("a"), "live")),
        Restamp::new(key(zone("a"), "gone")).or_deleted_with(values()),
        Restamp::new(key(zone("a"), "new")).or_deleted_with(values()),
        Restamp::new(key(zone("a"), "nothing")),
        Restamp::new(key(zone("read"), "new")).or_deleted_with(values()),
        Restamp::new(key(zone("hidden"), "new")).or_deleted_with(values()),
    ];
    let note_of = StateWrite::set("gateway/note", Some(vec![1]));
    let device = DeviceId::from_uuid(uuid::Uuid::from_u128(7));
    server.restamp(&SyncContext::new("ada"), device, objects, vec![note_of]).await.unwrap();
    let request = ChangesRequest {
        zone: zone("a"),
        after: Position(2).into(),
        types: None,
        skip_own: None,
        limits: PageLimits { records: 100, bytes: 1 << 20 },
        count_remaining: false,
    };
    let Changes::Page(page) = store.source().changes(&request).await.unwrap() else { panic!("a reset") };
    let found: Vec<_> =
        page.records.iter().map(|record| (record.key.id.as_str(), record.is_deleted())).collect();
    assert_eq!(found, [("gone", true), ("live", false), ("new", true)]);
    assert_eq!(notes.find_by_id("live").await.unwrap(), Some(note("live", "live")));
    assert_eq!(kept(&store, &zone("a"), "gone").await, Some(text("gone")), "the object's own");
    assert_eq!(kept(&store, &zone("a"), "new").await, Some(text("never stored")));
    assert_eq!(store.source().entry("gateway/note").await.unwrap(), Some(vec![1]));
    for other in ["read", "hidden"] {
        let key = key(zone(other), "new");
        let found = store.source().get(&key.type_name, &key.zone, std::slice::from_ref(&key.id)).await;
        assert_eq!(found.unwrap(), []);
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}
