//! A store whose managers pull other zones than before: what is kept of each zone stays right.

use crate::support::*;
use fastsync_core::*;

fn everything(_: &SyncContext) -> ZoneAccess {
    ["a", "b"]
        .into_iter()
        .fold(ZoneAccess::none().read_write(Zone::Global), |access, key| access.read_write(zone(key)))
}

async fn serve_everything() -> ServerSide {
    serve(MemoryDataSource::new(), LastWriterWins, everything, ServerLimits::default()).await
}

/// A manager of a store, for these zones.
fn manager(server: &ServerSide, side: &ClientSide, keys: &[&str]) -> SyncManager<Client> {
    let zones = keys.iter().map(|key| zone(key)).chain([Zone::Global]);
    SyncManager::client(&side.store)
        .register(side.lists.clone(), LastWriterWins)
        .register(side.tasks.clone(), LastWriterWins)
        .register(notes(side, keys.first().unwrap()), LastWriterWins)
        .zones(zones)
        .transport(LoopbackTransport::new(server.manager.clone(), SyncContext::new("ada")))
        .build()
        .unwrap()
}

fn notes(side: &ClientSide, key: &str) -> Repository<Note> {
    Repository::in_zone(&side.store, zone(key))
}

fn note(id: &str) -> Note {
    Note { id: id.into(), text: "x".into() }
}

async fn ids(side: &ClientSide, key: &str) -> Vec<String> {
    let mut ids: Vec<_> = notes(side, key).get_all().await.unwrap().into_iter().map(|note| note.id).collect();
    ids.sort();
    ids
}

/// Fails if what was dropped of a zone is taken for fetched when another zone is pulled: the device's own records never came
/// back, since the server passes over what a device has pushed.
#[tokio::test]
async fn what_was_dropped_of_a_zone_comes_back_with_it() {
    let server = serve_everything().await;
    let side = client(&server, "ada").await;
    let both = manager(&server, &side, &["a", "b"]);
    notes(&side, "b").add(&note("own")).await.unwrap();
    both.sync().await.unwrap();
    let only_a = manager(&server, &side, &["a"]);
    only_a.sync().await.unwrap();
    notes(&side, "b").hard_delete().await.unwrap();
    only_a.sync().await.unwrap();
    assert!(!both.status().await.unwrap().in_step && only_a.status().await.unwrap().in_step);
    let both = manager(&server, &side, &["a", "b"]);
    both.sync().await.unwrap();
    assert_eq!(ids(&side, "b").await, ["own"]);
    assert!(both.status().await.unwrap().in_step);
    assert_eq!(both.sync().await.unwrap().pull.received, 0);
}

/// Fails if a zone is fetched from its beginning after it was left for a while, or misses what went in between.
#[tokio::test]
async fn who_comes_back_to_a_zone_goes_on_where_it_was() {
    let server = serve_everything().await;
    let side = client(&server, "ada").await;
    let theirs = Repository::<Note>::in_zone(&server.store, zone("b"));
    theirs.add_many(&["1", "2", "3"].map(note)).await.unwrap();
    manager(&server, &side, &["a", "b"]).sync().await.unwrap();
    let only_a = manager(&server, &side, &["a"]);
    only_a.sync().await.unwrap();
    assert!(theirs.remove(&id("1")).await.unwrap());
    theirs.add(&note("4")).await.unwrap();
    server.tasks.add(&task("1", "x")).await.unwrap();
    assert_eq!(only_a.sync().await.unwrap().pull.received, 1);
    let report = manager(&server, &side, &["a", "b"]).sync().await.unwrap();
    assert_eq!(report.pull.received, 2);
    assert_eq!(ids(&side, "b").await, ["2", "3", "4"]);
}

/// Fails if managers of one store that pull different zones take each other's place away, or miss a record.
#[tokio::test]
async fn two_managers_of_one_zone_each() {
    let server = serve_everything().await;
    let side = client(&server, "ada").await;
    let (a, b) = (manager(&server, &side, &["a"]), manager(&server, &side, &["b"]));
    let theirs = ["a", "b"].map(|key| Repository::<Note>::in_zone(&server.store, zone(key)));
    for round in 0..4 {
        for notes in &theirs {
            notes.add(&note(&format!("theirs-{round}"))).await.unwrap();
        }
        for key in ["a", "b"] {
            notes(&side, key).add(&note(&format!("own-{round}"))).await.unwrap();
        }
        for manager in if round % 2 == 0 { [&a, &b] } else { [&b, &a] } {
            let report = manager.sync().await.unwrap();
            assert_eq!((report.pull.received, report.pull.reset), (1, None), "round {round}");
        }
        for key in ["a", "b"] {
            assert_eq!(ids(&side, key).await.len(), 2 * (round + 1));
        }
    }
}

/// Fails if a reset in some zones leaves what is stale in the others.
#[tokio::test]
async fn what_is_fetched_anew_in_one_zone_is_fetched_anew_in_the_other_later() {
    let server = serve_everything().await;
    let side = client(&server, "ada").await;
    let theirs = Repository::<Note>::in_zone(&server.store, zone("b"));
    theirs.add_many(&["1", "2"].map(note)).await.unwrap();
    manager(&server, &side, &["a", "b"]).sync().await.unwrap();
    // The deletion is purged, and the reset loses the place where the zone was left.
    assert!(theirs.remove(&id("1")).await.unwrap());
    server.store.source().purge_tombstones(&zone("b"), Position(2)).await.unwrap();
    let only_a = manager(&server, &side, &["a"]);
    only_a.hard_reset(&[], PendingEdits::Refuse).await.unwrap();
    assert!(only_a.status().await.unwrap().in_step);
    manager(&server, &side, &["a", "b"]).sync().await.unwrap();
    assert_eq!(ids(&side, "b").await, ["2"]);
}

/// Fails if what was deleted and purged in a zone while it was revoked stays on a device for ever.
#[tokio::test]
async fn a_zone_that_is_granted_again_has_nothing_that_was_deleted_meanwhile() {
    let granted = std::sync::Arc::new(std::sync::Mutex::new(true));
    let policy = {
        let granted = std::sync::Arc::clone(&granted);
        move |context: &SyncContext| {
            let access = ZoneAccess::none().read_write(Zone::Global).read_write(zone("a"));
            if *granted.lock().unwrap() { everything(context) } else { access }
        }
    };
    let server = serve(MemoryDataSource::new(), LastWriterWins, policy, ServerLimits::default()).await;
    let theirs = Repository::<Note>::in_zone(&server.store, zone("b"));
    theirs.add_many(&["1", "2"].map(note)).await.unwrap();
    let side = client(&server, "ada").await;
    manager(&server, &side, &["a", "b"]).sync().await.unwrap();
    *granted.lock().unwrap() = false;
    let only_a = manager(&server, &side, &["a"]);
    server.tasks.add(&task("1", "x")).await.unwrap();
    only_a.sync().await.unwrap();
    assert!(theirs.remove(&id("1")).await.unwrap());
    server.store.source().purge_tombstones(&zone("b"), Position(2)).await.unwrap();
    *granted.lock().unwrap() = true;
    manager(&server, &side, &["a", "b"]).sync().await.unwrap();
    assert_eq!(ids(&side, "b").await, ["2"]);
}

/// A note of the next release.
#[derive(Debug, Clone, PartialEq, SyncableObject)]
#[syncable(name = "notes", version = 2, restricted)]
struct LaterNote {
    #[syncable(id)]
    id: String,
    text: String,
    colour: String,
}

/// A manager of the next release on this storage, for a zone.
async fn later(server: &SyncManager<Server>, storage: &MemoryDataSource, key: &str) -> SyncManager<Client> {
    let store = Store::client(storage.clone()).register::<LaterNote>().open().await.unwrap();
    SyncManager::client(&store)
        .register(Repository::<LaterNote>::in_zone(&store, zone(key)), LastWriterWins)
        .zones([zone(key)])
        .transport(LoopbackTransport::new(server.clone(), SyncContext::new("ada")))
        .build()
        .unwrap()
}

/// Fails if an edit of before an upgrade takes the new field of its object away, because a manager of another zone has
/// fetched the type anew and that was taken for all zones.
#[tokio::test]
async fn a_new_field_is_fetched_in_each_zone_before_anything_of_it_is_pushed() {
    let store = Store::server(MemoryDataSource::new()).register::<LaterNote>().open().await.unwrap();
    let theirs = ["a", "b"].map(|key| Repository::<LaterNote>::in_zone(&store, zone(key)));
    let server = SyncManager::server(&store)
        .register(theirs[0].clone(), LastWriterWins)
        .zones(everything)
        .build()
        .await
        .unwrap();
    for notes in &theirs {
        let note = LaterNote { id: "1".into(), text: "x".into(), colour: "red".into() };
        notes.add(&note).await.unwrap();
    }
    let storage = MemoryDataSource::new();
    let before = Store::client(storage.clone()).register::<Note>().open().await.unwrap();
    let own = Repository::<Note>::in_zone(&before, zone("b"));
    SyncManager::client(&before)
        .register(own.clone(), LastWriterWins)
        .zones([zone("a"), zone("b")])
        .transport(LoopbackTransport::new(server.clone(), SyncContext::new("ada")))
        .build()
        .unwrap()
        .sync()
        .await
        .unwrap();
    own.update(&Note { id: "1".into(), text: "edited".into() }).await.unwrap();
    drop((own, before));
    let report = later(&server, &storage, "a").await.sync().await.unwrap();
    assert_eq!(report.push.applied, 0);
    assert_eq!(
        report.waiting().iter().map(|edits| edits.reason).collect::<Vec<_>>(),
        [WaitingReason::Unfetched]
    );
    let b = later(&server, &storage, "b").await;
    assert_eq!(b.push().await.unwrap().applied, 1);
    let stored = theirs[1].find_by_id(&id("1")).await.unwrap().unwrap();
    assert_eq!((stored.text.as_str(), stored.colour.as_str()), ("edited", "red"));
    assert!(storage.entries("fastsync/refetch/").await.unwrap().is_empty());
    assert_eq!(b.sync().await.unwrap().pull.received, 0);
}

/// Fails if managers of one store take each other's places away with what they fetch anew, and so fetch it again for ever.
#[tokio::test]
async fn managers_of_one_zone_each_come_to_rest_after_a_reset() {
    let server = serve_everything().await;
    let side = client(&server, "ada").await;
    let (a, b) = (manager(&server, &side, &["a"]), manager(&server, &side, &["b"]));
    server.tasks.add(&task("1", "x")).await.unwrap();
    for key in ["a", "b"] {
        Repository::<Note>::in_zone(&server.store, zone(key)).add(&note("theirs")).await.unwrap();
    }
    for manager in [&a, &b] {
        manager.sync().await.unwrap();
    }
    let report = a.hard_reset(&[], PendingEdits::Refuse).await.unwrap();
    assert_eq!(report.received, 2);
    notes(&side, "b").hard_delete().await.unwrap();
    assert_eq!(b.sync().await.unwrap().pull.received, 1);
    for _ in 0..2 {
        for manager in [&a, &b] {
            assert_eq!(manager.sync().await.unwrap().pull.received, 0);
            assert!(manager.status().await.unwrap().in_step);
        }
    }
    for key in ["a", "b"] {
        assert_eq!(ids(&side, key).await, ["theirs"]);
    }
}
