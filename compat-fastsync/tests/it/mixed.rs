//! Original clients and ours on the same data, many at once, and much of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::old_client::*;
use crate::support::*;
use fastsync_compat::CompatLimits;
use fastsync_core::*;
use fastsync_dao_sqlite::SqliteDataSource;
use serde_json::json;

#[tokio::test]
async fn old_and_new_clients_share_their_data() {
    for dialect in DIALECTS {
        let world = world().await;
        let mut old = OldClient::new(&world, "ada@home", dialect);
        let new = new_client(&world, "bob@home").await;
        old.add_item("1", "old");
        new.items.add(&item("2", "new")).await.unwrap();
        assert!(old.sync().await);
        new.sync.sync().await.unwrap();
        old.pull().await;
        assert_eq!(old.names().len(), 2);

        // Edits of what the other made.
        old.rename("2", "new, by old");
        new.items.update(&item("1", "old, by new")).await.unwrap();
        assert!(old.sync().await);
        new.sync.sync().await.unwrap();
        old.pull().await;
        assert_eq!(old.name("1").as_deref(), Some("old, by new"));
        assert_eq!(new.items.find_by_id(&id("2")).await.unwrap().unwrap().name, "new, by old");

        // A conflict: the last to arrive wins, and both have it.
        old.rename("1", "old's");
        new.items.update(&item("1", "new's")).await.unwrap();
        new.sync.sync().await.unwrap();
        assert!(old.sync().await);
        new.sync.sync().await.unwrap();
        assert_eq!(old.name("1").as_deref(), Some("old's"));
        assert_eq!(new.items.find_by_id(&id("1")).await.unwrap().unwrap().name, "old's");

        // A deletion by the new one meets an edit of the old one.
        new.items.remove(&id("2")).await.unwrap();
        new.sync.sync().await.unwrap();
        old.rename("2", "too late");
        assert!(old.sync().await);
        assert_eq!(old.name("2"), None);
        new.sync.sync().await.unwrap();
        assert_eq!(new.items.get_all().await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_client_moves_to_ours_with_what_it_has_not_sent() {
    let world = world().await;
    let mut old = OldClient::new(&world, "ada@home", Dialect::TypeScript);
    old.add_item("1", "sent");
    old.sync().await;
    old.rename("1", "unsent");
    assert!(old.push().await, "its last push");
    let new = new_client(&world, "ada@home").await;
    new.sync.sync().await.unwrap();
    assert_eq!(new.items.find_by_id(&id("1")).await.unwrap().unwrap().name, "unsent");
}

const PUSHERS: usize = 8;
const ROUNDS: usize = 12;

/// Eight pushers and a puller in one zone; everyone also edits one object that all share.
async fn nothing_is_lost(world: World) {
    let pushers: Vec<_> = (0..PUSHERS)
        .map(|n| {
            let world = world.clone();
            tokio::spawn(async move {
                let dialect = DIALECTS[n % 2];
                let mut client = OldClient::new(&world, &format!("user{n}@home"), dialect);
                client.pull().await;
                for round in 0..ROUNDS {
                    client.add_item(&format!("{n}-{round}"), "x");
                    client.rename("shared", &format!("{n}-{round}"));
                    if round % 3 == 0 {
                        client.fault = Some(Fault::LoseReply);
                        client.push().await;
                    }
                    // Where eight fight for one object the server may ask to come again.
                    let mut attempts = 0;
                    while !client.push().await {
                        attempts += 1;
                        assert!(attempts < 100, "{}", client.last_answer);
                    }
                    if round % 2 == 0 {
                        client.pull().await;
                    }
                }
            })
        })
        .collect();
    let stored = Arc::new(AtomicBool::new(false));
    let puller = tokio::spawn({
        let (world, stored) = (world.clone(), stored.clone());
        async move {
            let mut client = OldClient::new(&world, "puller@home", Dialect::Dart);
            loop {
                let is_last = stored.load(Ordering::SeqCst);
                if client.pull().await == 0 && is_last {
                    return client;
                }
                tokio::task::yield_now().await;
            }
        }
    });
    for pusher in pushers {
        pusher.await.unwrap();
    }
    stored.store(true, Ordering::SeqCst);
    let puller = puller.await.unwrap();
    assert_eq!(puller.names().len(), PUSHERS * ROUNDS + 1, "a record was lost");
    let stored = world.items("puller@home").get_all().await.unwrap();
    let stored: BTreeSet<_> = stored.into_iter().map(|item| (item.id, item.name)).collect();
    assert_eq!(puller.names().into_iter().collect::<BTreeSet<_>>(), stored);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_pushers_and_a_puller_lose_nothing_in_memory() {
    let world = world().await;
    world.items("x@home").add(&item("shared", "0")).await.unwrap();
    nothing_is_lost(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_pushers_and_a_puller_lose_nothing_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let source = SqliteDataSource::open(folder.path().join("server.db")).unwrap();
    let world = world_with(source, LastWriterWins, CompatLimits::default()).await;
    world.items("x@home").add(&item("shared", "0")).await.unwrap();
    nothing_is_lost(world).await;
}

/// 200,000 objects (F17): as much as a client holds, in sessions and replies of bounded size.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f17_two_hundred_thousand_objects() {
    const OBJECTS: usize = 200_000;
    const PUSH: usize = 20_000;
    let limits = CompatLimits::default().with_reply(50_000, 64 << 20);
    let world = world_with(MemoryDataSource::new(), LastWriterWins, limits).await;
    for push in 0..OBJECTS / PUSH {
        let items: Vec<_> = (0..PUSH)
            .map(|n| {
                json!({"id": format!("{push}-{n}"), "name": "x", "deleted": false, "metadata": {"version": 1000,
                    "syncZone": "home", "timestamp": 1_795_294_580.5, "syncOperation": 0}})
            })
            .collect();
        let answer = world.push("ada@home", &json!({"data": {"Item": items}})).await;
        assert_eq!(answer["data"]["processed"], PUSH);
    }
    let (mut after, mut received) = (0, 0);
    loop {
        let answer = world.pull("ada@home", &[("Item", after)]).await;
        let Some(items) = answer["data"]["data"]["Item"].as_array() else { break };
        assert!(items.len() <= 50_000);
        received += items.len();
        let next = position_of(&answer, "Item");
        assert!(next > after, "{next} after {after}");
        after = next;
    }
    assert_eq!(received, OBJECTS);
}
