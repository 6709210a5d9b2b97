//! The everyday life of original clients, in both dialects.

use crate::support::old_client::*;
use crate::support::*;
use fastsync_compat::CompatLimits;
use fastsync_core::*;
use serde_json::json;

#[tokio::test]
async fn first_sync_edits_and_deletes() {
    for dialect in DIALECTS {
        let world = world().await;
        let mut ada = OldClient::new(&world, "ada@home", dialect);
        let mut bob = OldClient::new(&world, "bob@home", dialect);
        ada.add_item("1", "one");
        ada.add_item("2", "two");
        assert!(ada.sync().await);
        assert_eq!(bob.pull().await, 2);
        assert_eq!(bob.names(), ada.names());

        bob.rename("1", "eins");
        bob.rename("1", "uno"); // one count per dirty cycle
        assert!(bob.sync().await);
        ada.pull().await;
        assert_eq!(ada.name("1").as_deref(), Some("uno"), "{dialect:?}");

        // Deletions go by our own hand here: one of the dialects never pushes them.
        world.items("ada@home").remove(&id("2")).await.unwrap();
        assert_eq!(ada.pull().await, 1);
        assert_eq!(ada.names().len(), 1);
        bob.pull().await;
        assert_eq!(bob.names(), ada.names());
        assert_eq!(ada.pull().await, 0, "nothing new");
    }
}

#[tokio::test]
async fn a_deletion_arrives() {
    let world = world().await;
    let mut ada = OldClient::new(&world, "ada@home", Dialect::TypeScript);
    let mut bob = OldClient::new(&world, "bob@home", Dialect::Dart);
    ada.add_item("1", "one");
    ada.sync().await;
    bob.pull().await;
    ada.remove("1");
    assert!(ada.sync().await);
    assert_eq!(world.name_of("ada@home", "1").await, None);
    bob.pull().await;
    assert!(bob.names().is_empty());
    // A typed client reads the fields of deleted objects, too.
    assert!(bob.rows[&("Item".to_owned(), "1".to_owned())]["name"].is_string());
    assert_eq!(bob.rows[&("Item".to_owned(), "1".to_owned())]["metadata"]["syncOperation"], 2);
}

#[tokio::test]
async fn pushes_without_a_pull_between_follow_each_other() {
    // With a handler that prefers the server, an edit taken for a conflict by mistake would be lost.
    for dialect in DIALECTS {
        let world = world_of(ServerWins).await;
        let mut ada = OldClient::new(&world, "ada@home", dialect);
        ada.add_item("1", "a");
        assert!(ada.push().await);
        for name in ["b", "c", "d"] {
            ada.rename("1", name);
            assert!(ada.push().await);
            assert_eq!(world.name_of("ada@home", "1").await.as_deref(), Some(name), "{dialect:?}");
        }
        ada.pull().await;
        for name in ["e", "f"] {
            ada.rename("1", name);
            assert!(ada.push().await);
            assert_eq!(world.name_of("ada@home", "1").await.as_deref(), Some(name), "{dialect:?}");
        }
    }
}

#[tokio::test]
async fn a_push_whose_reply_is_lost_is_repeated_and_changes_nothing() {
    for dialect in DIALECTS {
        let world = world().await;
        let mut ada = OldClient::new(&world, "ada@home", dialect);
        let mut bob = OldClient::new(&world, "bob@home", dialect);
        ada.add_item("1", "ada's");
        ada.fault = Some(Fault::LoseReply);
        assert!(!ada.push().await);
        bob.pull().await;
        bob.rename("1", "bob's, later");
        assert!(bob.sync().await);
        assert!(ada.push().await, "the same push again");
        assert_eq!(world.name_of("ada@home", "1").await.as_deref(), Some("bob's, later"), "{dialect:?}");
        ada.pull().await;
        assert_eq!(ada.names(), bob.names());

        ada.rename("1", "lost request");
        ada.fault = Some(Fault::LoseRequest);
        assert!(!ada.push().await);
        assert!(ada.sync().await);
        assert_eq!(world.name_of("ada@home", "1").await.as_deref(), Some("lost request"));
    }
}

#[tokio::test]
async fn an_edit_after_a_lost_reply_is_not_taken_for_a_repetition() {
    let world = world_of(ServerWins).await;
    let mut ada = OldClient::new(&world, "ada@home", Dialect::TypeScript);
    ada.add_item("1", "first");
    ada.fault = Some(Fault::LoseReply);
    ada.push().await;
    ada.rename("1", "second"); // still dirty: the same version
    assert!(ada.push().await);
    assert_eq!(world.name_of("ada@home", "1").await.as_deref(), Some("second"));
}

#[tokio::test]
async fn a_mixed_house_agrees() {
    let world = world().await;
    let mut clients: Vec<_> = DIALECTS
        .iter()
        .cycle()
        .take(4)
        .enumerate()
        .map(|(n, dialect)| OldClient::new(&world, &format!("user{n}@home"), *dialect))
        .collect();
    for round in 0..5 {
        for (n, client) in clients.iter_mut().enumerate() {
            client.add_item(&format!("{n}-{round}"), "new");
            if round > 0 {
                client.rename(&format!("{}-{}", (n + 1) % 4, round - 1), &format!("by {n}"));
            }
            assert!(client.sync().await);
        }
        for client in &mut clients {
            client.pull().await;
        }
    }
    for client in &clients {
        assert_eq!(client.names(), clients[0].names());
        assert_eq!(client.names().len(), 20);
    }
}

#[tokio::test]
async fn types_have_cursors_of_their_own_and_zones_as_registered() {
    let world = world().await;
    let mut ada = OldClient::new(&world, "ada@home", Dialect::Dart).with_types(&["Item", "Line", "Notice"]);
    let mut eve = OldClient::new(&world, "eve@away", Dialect::TypeScript).with_types(&["Item", "Notice"]);
    ada.add_item("1", "one");
    ada.add("Notice", "n", serde_json::json!({"text": "for all"}));
    let fields = serde_json::json!({"item": "1", "count": 3.0, "price": 2, "done": 1});
    ada.add("Line", "l", fields);
    assert!(ada.sync().await, "{}", ada.last_answer);
    assert_eq!(eve.pull().await, 1, "the notice and no item");
    assert!(eve.names().is_empty());
    let line = Repository::<Line>::in_zone(&world.store, zone("ada@home"));
    let stored = line.find_by_id(&id("l")).await.unwrap().unwrap();
    assert_eq!(stored, Line { id: "l".into(), item: "1".into(), count: 3, price: 2.0, done: true });
    assert_eq!(ada.pull().await, 0);
    assert_eq!(ada.cursors["Item"]["syncZone"], "home");
    assert_eq!(ada.cursors["Notice"]["syncZone"], "Global");
}

#[tokio::test]
async fn a_large_history_comes_in_several_pulls_cut_between_sessions() {
    let limits =
        CompatLimits::default().with_session(SessionLimits::new(10, 1 << 20)).with_reply(25, 1 << 20);
    let world = world_with(MemoryDataSource::new(), LastWriterWins, limits).await;
    let mut ada = OldClient::new(&world, "ada@home", Dialect::TypeScript);
    for n in 0..95 {
        ada.add_item(&format!("{n:03}"), "x");
    }
    assert!(ada.push().await);
    let mut bob = OldClient::new(&world, "bob@home", Dialect::Dart);
    let mut sizes = Vec::new();
    for _ in 0..6 {
        sizes.push(bob.pull().await);
    }
    assert_eq!(sizes, [20, 20, 20, 20, 15, 0]);
    assert_eq!(bob.names().len(), 95);

    // A session larger than a reply comes in parts.
    let all: Vec<_> = (0..60).map(|n| item(&format!("big-{n}"), "y")).collect();
    world.items("ada@home").add_many(&all).await.unwrap();
    world.items("ada@home").add(&item("after", "z")).await.unwrap();
    let mut sizes = Vec::new();
    for _ in 0..4 {
        sizes.push(bob.pull().await);
    }
    assert_eq!(sizes, [25, 25, 11, 0]);
    assert_eq!(bob.names().len(), 156);
}

#[tokio::test]
async fn a_reply_stays_below_its_limit_of_bytes() {
    const BYTES: usize = 64 << 10;
    let limits =
        CompatLimits::default().with_session(SessionLimits::new(20, 1 << 20)).with_reply(50_000, BYTES);
    let world = world_with(MemoryDataSource::new(), LastWriterWins, limits).await;
    let mut ada = OldClient::new(&world, "ada@home", Dialect::TypeScript);
    for n in 0..500 {
        // From objects that are little more than their form to objects that are little else than what they say.
        ada.add_item(&format!("{n:03}"), &"x".repeat(1 + n * 4));
    }
    assert!(ada.push().await);
    let mut bob = OldClient::new(&world, "bob@home", Dialect::Dart);
    let mut pulls = 0;
    while bob.pull().await > 0 {
        let bytes = bob.last_answer.to_string().len();
        assert!(bytes <= BYTES, "{bytes}");
        pulls += 1;
        assert!(pulls < 40, "{pulls}");
    }
    assert_eq!(bob.names(), ada.names());
}

#[tokio::test]
async fn a_type_that_seldom_changes_is_not_missed_beside_one_that_does() {
    let limits = CompatLimits::default().with_session(SessionLimits::new(5, 1 << 20)).with_reply(7, 1 << 20);
    let world = world_with(MemoryDataSource::new(), LastWriterWins, limits).await;
    let mut clients: Vec<_> = ["ada@home", "bob@home", "eve@home"]
        .map(|user| OldClient::new(&world, user, Dialect::TypeScript).with_types(&["Item", "Line"]))
        .into();
    for round in 0..30 {
        let at = round % 3;
        clients[at].add_item(&format!("{round}"), "x");
        if round % 7 == 6 {
            let line = json!({"item": "1", "count": round, "price": 1, "done": false});
            clients[at].add("Line", &format!("{round}"), line);
        }
        assert!(clients[at].push().await);
        // Each pulls at a rhythm of its own, so that they begin at different places of what the server remembers.
        for (n, client) in clients.iter_mut().enumerate().filter(|(n, _)| round % (n + 2) == 0) {
            assert!(n < 3);
            client.pull().await;
        }
    }
    for client in &mut clients {
        let mut pulls = 0;
        while client.pull().await > 0 {
            pulls += 1;
            assert!(pulls < 40, "without end");
        }
        assert_eq!(client.rows.len(), 34);
        assert!(client.rows.values().all(|row| row["dirty"] == json!(false)));
    }
}

#[tokio::test]
async fn what_everyone_shares_takes_edits_whatever_zone_a_client_was_configured_with() {
    let world = world().await;
    let push = |zone| {
        json!({"data": {"Notice": [{"id": zone, "text": "hello", "metadata": {"version": 1_000, "syncZone": zone}}]},
            "operationMetadata": {"metadata": {"Notice": {"type": "Notice", "syncZone": zone}}}})
    };
    for zone in ["Global", "user1", "", "home"] {
        let id = if zone.is_empty() { "none" } else { zone };
        let mut push = push(zone);
        push["data"]["Notice"][0]["id"] = json!(id);
        let answer = world.push("ada@home", &push).await;
        assert_eq!(answer["success"], true, "{answer}");
    }
    let answer = world.pull("eve@away", &[("Notice", 0)]).await;
    assert_eq!(answer["data"]["data"]["Notice"].as_array().unwrap().len(), 4);
    assert_eq!(answer["data"]["data"]["Notice"][0]["metadata"]["syncZone"], "Global");
}

#[tokio::test]
async fn an_object_without_metadata_is_stored() {
    let world = world().await;
    let answer = world
        .push(
            "ada@home",
            &json!({"data": {"Item": [{"id": "1", "name": "x", "metadata": null, "deleted": null}]}}),
        )
        .await;
    assert_eq!(answer["success"], true, "{answer}");
    assert_eq!(world.name_of("ada@home", "1").await.as_deref(), Some("x"));
}

#[tokio::test]
async fn a_restored_backup_gives_everything_again() {
    let world = world().await;
    world.items("ada@home").add(&item("1", "one")).await.unwrap();
    let answer = world.pull("ada@home", &[("Item", 7_000)]).await;
    assert_eq!(answer["data"]["data"]["Item"].as_array().unwrap().len(), 1);
    assert_eq!(position_of(&answer, "Item"), 1);
}

#[tokio::test]
async fn after_a_purge_reading_goes_on_and_edits_of_what_is_gone_bring_a_tombstone() {
    let world = world().await;
    let mut ada = OldClient::new(&world, "ada@home", Dialect::TypeScript);
    ada.add_item("1", "kept");
    ada.add_item("2", "deleted");
    ada.sync().await;
    world.items("ada@home").remove(&id("2")).await.unwrap();
    world.store.source().purge_tombstones(&zone("ada@home"), Position(100)).await.unwrap();
    world.items("ada@home").add(&item("3", "new")).await.unwrap();
    assert_eq!(ada.pull().await, 1, "what came after");
    assert_eq!(ada.name("2").as_deref(), Some("deleted"), "nobody could tell");
    ada.rename("2", "edited");
    assert!(ada.sync().await);
    assert_eq!(ada.name("2"), None, "now it is told");
    assert_eq!(world.name_of("ada@home", "2").await, None);
}
