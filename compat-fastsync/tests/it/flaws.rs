//! The known flaws of the original that a server can prevent, by their numbers. Those that only a client can cause are
//! listed in the guide page "Moving from FastSync".

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::old_client::*;
use crate::support::*;
use fastsync_core::*;
use serde_json::json;

#[tokio::test]
async fn f01_concurrent_pushes_have_versions_of_their_own() {
    let world = world().await;
    let pushes = (0..8).map(|n| {
        let world = world.clone();
        tokio::spawn(async move {
            let item = pushed(&n.to_string(), "x", 1_000, 0, "home");
            world.push("ada@home", &push_of("home", &[item])).await
        })
    });
    for push in pushes.collect::<Vec<_>>() {
        assert_eq!(push.await.unwrap()["success"], true);
    }
    // Whatever a cursor stands at, what comes after it is delivered: each session has its own number.
    let mut seen = 0;
    for after in 0..8 {
        let answer = world.pull("ada@home", &[("Item", after)]).await;
        assert_eq!(names(&answer).len() as u64, 8 - after);
        seen = cursor(&answer);
    }
    assert_eq!(seen, 8);
}

#[tokio::test]
async fn f02_f14_a_push_is_visible_whole_or_not_at_all() {
    let world = world().await;
    let stored = Arc::new(AtomicBool::new(false));
    let reader = tokio::spawn({
        let (world, stored) = (world.clone(), stored.clone());
        async move {
            let (mut after, mut received) = (0, 0);
            loop {
                let is_last = stored.load(Ordering::SeqCst);
                let answer = world.pull("ada@home", &[("Item", after)]).await;
                let count = names(&answer).len();
                assert_eq!(count % 20, 0, "part of a push is visible");
                if count > 0 {
                    (after, received) = (cursor(&answer), received + count);
                } else if is_last {
                    return received;
                }
                tokio::task::yield_now().await;
            }
        }
    });
    for push in 0..10 {
        // Adds, updates and deletes of two types: one session.
        let items: Vec<_> = (0..20)
            .map(|n| pushed(&format!("{push}-{n}"), "x", 1_000, u64::from(n % 2 == 0), "home"))
            .collect();
        assert_eq!(world.push("ada@home", &push_of("home", &items)).await["success"], true);
        tokio::task::yield_now().await;
    }
    stored.store(true, Ordering::SeqCst);
    assert_eq!(reader.await.unwrap(), 200);
}

#[tokio::test]
async fn f07_after_a_hard_reset_everything_comes_again() {
    for dialect in DIALECTS {
        let world = world().await;
        let mut ada = OldClient::new(&world, "ada@home", dialect).with_types(&["Item", "Notice"]);
        ada.add_item("1", "one");
        ada.add("Notice", "n", json!({"text": "for all"}));
        ada.sync().await;
        world.items("ada@home").add(&item("2", "two")).await.unwrap();
        let before = ada.names().len();
        ada.hard_reset().await;
        assert_eq!((before, ada.names().len(), ada.rows.len()), (1, 2, 3));
    }
}

#[tokio::test]
async fn f08_an_edit_two_versions_behind_is_a_conflict() {
    let world = world_of(ServerWins).await;
    let mut ada = OldClient::new(&world, "ada@home", Dialect::TypeScript);
    ada.add_item("1", "0");
    ada.sync().await;
    for behind in 1..5 {
        ada.rename("1", "stale");
        for n in 0..behind {
            world.items("ada@home").update(&item("1", &format!("{behind}-{n}"))).await.unwrap();
        }
        assert!(ada.sync().await);
        let winner = format!("{behind}-{}", behind - 1);
        assert_eq!(world.name_of("ada@home", "1").await, Some(winner.clone()));
        assert_eq!(ada.name("1"), Some(winner));
    }
}

#[tokio::test]
async fn f09_timestamps_of_all_platforms_compare() {
    for (earlier, later) in [
        (json!(1_795_294_580.37), json!(1_795_294_581_000_000_u64)),
        (json!(1_795_294_580_370_000_u64), json!(1_795_294_581_000_u64)),
        (json!(1_795_294_580_370_u64), json!(1_795_294_581)),
    ] {
        let world = world_of(TimestampOrdering).await;
        for (name, time) in [("later", &later), ("earlier", &earlier)] {
            let mut item = pushed("1", name, 1_000, 0, "home");
            item["metadata"]["timestamp"] = time.clone();
            let user = format!("{name}@home");
            assert_eq!(world.push(&user, &push_of("home", &[item])).await["success"], true);
        }
        assert_eq!(world.name_of("x@home", "1").await.as_deref(), Some("later"));
    }
}

#[tokio::test]
async fn f10_the_loser_of_a_conflict_receives_the_winner() {
    let world = world_of(ServerWins).await;
    world.items("ada@home").add(&item("1", "server")).await.unwrap();
    let head = cursor(&world.pull("ada@home", &[("Item", 0)]).await);
    // The loser's cursor is past the winner already.
    let push = push_of("home", &[pushed("1", "loser", 77_777_777, 1, "home")]);
    assert_eq!(world.push("ada@home", &push).await["success"], true);
    let answer = world.pull("ada@home", &[("Item", head)]).await;
    assert_eq!(names(&answer), ["server"]);
}

#[tokio::test]
async fn f11_a_stale_deletion_is_a_conflict() {
    let world = world_of(ServerWins).await;
    let mut ada = OldClient::new(&world, "ada@home", Dialect::TypeScript);
    ada.add_item("1", "0");
    ada.sync().await;
    world.items("ada@home").update(&item("1", "newer")).await.unwrap();
    ada.remove("1");
    assert!(ada.sync().await);
    assert_eq!(ada.name("1").as_deref(), Some("newer"));
    ada.remove("1");
    assert!(ada.sync().await);
    assert_eq!(world.name_of("ada@home", "1").await, None, "one that knows the version is none");
}

#[tokio::test]
async fn f12_retried_adds_do_not_duplicate() {
    let world = world().await;
    let push = push_of("home", &[pushed("1", "one", 1_000, 0, "home"), pushed("2", "two", 1_000, 0, "home")]);
    let at_once = (0..8).map(|_| {
        let (world, push) = (world.clone(), push.clone());
        tokio::spawn(async move { world.push("ada@home", &push).await })
    });
    for answer in at_once.collect::<Vec<_>>() {
        assert_eq!(answer.await.unwrap()["success"], true);
    }
    assert_eq!(world.push("ada@home", &push).await["success"], true);
    assert_eq!(world.items("ada@home").count(Selection::all()).await.unwrap(), 2);
    let answer = world.pull("ada@home", &[("Item", 0)]).await;
    assert_eq!((names(&answer).len(), cursor(&answer)), (2, 1), "one session, whatever came after it");
}

#[tokio::test]
async fn f13_an_edit_of_an_object_that_was_never_pushed_is_stored() {
    let world = world().await;
    let mut ada = OldClient::new(&world, "ada@home", Dialect::Dart);
    ada.add_item("1", "made");
    ada.rename("1", "and edited before the first push");
    assert!(ada.sync().await);
    assert!(world.name_of("ada@home", "1").await.is_some());
    let gone = push_of("home", &[pushed("2", "made and deleted", 1_000, 2, "home")]);
    assert_eq!(world.push("ada@home", &gone).await["success"], true);
}

#[tokio::test]
async fn f15_the_zone_is_that_of_the_user_whatever_the_client_says() {
    let world = world().await;
    world.items("ada@home").add(&item("1", "ada's")).await.unwrap();
    // A push into another's zone is refused, in the metadata of the operation and in that of the object.
    for (operation, object) in [("home", "home"), ("home", "away"), ("away", "home")] {
        let push = push_of(operation, &[pushed("1", "eve's", 1_000, 1, object)]);
        let answer = world.push("eve@away", &push).await;
        assert_eq!((&answer["success"], &answer["status"]), (&json!(false), &json!(422)));
        assert_eq!(answer["errors"][0]["code"], "zone");
    }
    // In her own zone the same id is another object.
    let own = push_of("away", &[pushed("1", "eve's", 1_000, 1, "away")]);
    assert_eq!(world.push("eve@away", &own).await["success"], true);
    assert_eq!(world.name_of("ada@home", "1").await.as_deref(), Some("ada's"));
    // A pull that names another's zone gives her own.
    let request = json!({"metadata": {"Item": {"type": "Item", "syncZone": "home", "version": 0}}});
    assert_eq!(names(&world.post("/pull", "eve@away", &request).await), ["eve's"]);
}

#[tokio::test]
async fn f16_operators_in_place_of_strings_are_refused() {
    let world = world().await;
    world.items("ada@home").add(&item("1", "ada's")).await.unwrap();
    let operator = json!({"$ne": null});
    let pull = json!({"metadata": {"Item": {"syncZone": operator, "version": 0}}});
    let mut by_zone = push_of("home", &[pushed("1", "eve's", 1_000, 1, "home")]);
    by_zone["operationMetadata"]["metadata"]["Item"]["syncZone"] = operator.clone();
    let mut by_id = push_of("home", &[pushed("1", "eve's", 1_000, 1, "home")]);
    by_id["data"]["Item"][0]["id"] = operator.clone();
    let mut by_version = pull.clone();
    by_version["metadata"]["Item"] = json!({"syncZone": "home", "version": {"$gt": -1}});
    let mut by_field = push_of("home", &[pushed("1", "eve's", 1_000, 1, "home")]);
    by_field["data"]["Item"][0]["name"] = operator;
    for (path, body) in
        [("/pull", pull), ("/push", by_zone), ("/push", by_id), ("/pull", by_version), ("/push", by_field)]
    {
        let answer = world.post(path, "ada@home", &body).await;
        assert_eq!(answer["success"], path == "/pull", "{body}");
        assert!(answer["errors"].is_array(), "{answer}");
        assert_eq!(answer["data"]["data"].as_object().map_or(0, serde_json::Map::len), 0, "{answer}");
    }
    assert_eq!(world.name_of("ada@home", "1").await.as_deref(), Some("ada's"));
}

#[tokio::test]
async fn f18_a_pull_reads_what_is_new_and_nothing_else() {
    let world = world().await;
    let all: Vec<_> = (0..500).map(|n| item(&n.to_string(), "x")).collect();
    world.items("ada@home").add_many(&all).await.unwrap();
    let head = cursor(&world.pull("ada@home", &[("Item", 0)]).await);
    world.items("ada@home").update(&item("7", "new")).await.unwrap();
    assert_eq!(names(&world.pull("ada@home", &[("Item", head)]).await), ["new"]);
}

#[tokio::test]
async fn f19_f20_cursors_of_types_and_zones_are_apart_from_the_first_push_on() {
    let world = world().await;
    let first = ["ada@home", "bob@home", "eve@away"].map(|user| {
        let (world, zone) = (world.clone(), zone(user));
        let push = push_of(zone.key().unwrap(), &[pushed(user, user, 1_000, 0, zone.key().unwrap())]);
        tokio::spawn(async move { world.push(user, &push).await })
    });
    for answer in first {
        assert_eq!(answer.await.unwrap()["success"], true);
    }
    assert_eq!(cursor(&world.pull("ada@home", &[("Item", 0)]).await), 2);
    assert_eq!(cursor(&world.pull("eve@away", &[("Item", 0)]).await), 1);
}

#[tokio::test]
async fn f21_an_unknown_operation_is_an_edit() {
    let world = world().await;
    let mut without = pushed("3", "missing", 1_000, 0, "home");
    without["metadata"].as_object_mut().unwrap().remove("syncOperation");
    let items = [pushed("1", "none", 1_000, 999, "home"), pushed("2", "seven", 1_000, 7, "home"), without];
    assert_eq!(world.push("ada@home", &push_of("home", &items)).await["success"], true);
    assert_eq!(world.items("ada@home").count(Selection::all()).await.unwrap(), 3);
}

#[tokio::test]
async fn f22_an_unknown_type_fails_alone() {
    let world = world().await;
    let mut push = push_of("home", &[pushed("1", "one", 1_000, 0, "home")]);
    push["data"]["Gadget"] = json!([pushed("9", "x", 1_000, 0, "home")]);
    let answer = world.push("ada@home", &push).await;
    assert_eq!(answer["success"], false, "the client keeps what was not stored");
    assert_eq!(answer["errors"][0]["type"], "Gadget");
    assert_eq!(answer["errors"][0]["code"], "unknown_type");
    assert_eq!(world.name_of("ada@home", "1").await.as_deref(), Some("one"));
    let answer = world.pull("ada@home", &[("Gadget", 0), ("Item", 0)]).await;
    assert_eq!(answer["success"], true);
    assert_eq!(names(&answer), ["one"]);
    assert_eq!(answer["errors"][0]["type"], "Gadget");
}

#[tokio::test]
async fn f23_the_servers_own_edits_reach_the_clients() {
    let world = world().await;
    world.items("ada@home").add(&item("1", "by the server")).await.unwrap();
    let mut ada = OldClient::new(&world, "ada@home", Dialect::Dart);
    ada.pull().await;
    assert_eq!(ada.name("1").as_deref(), Some("by the server"));
}

#[tokio::test]
async fn f24_an_object_keeps_its_metadata_id() {
    let world = world().await;
    let mut ids = Vec::new();
    for name in ["a", "b"] {
        let items = world.items("ada@home");
        let _ = items.remove(&id("1")).await.unwrap();
        items.add(&item("1", name)).await.unwrap();
        let answer = world.pull("ada@home", &[("Item", 0)]).await;
        ids.push(answer["data"]["data"]["Item"][0]["metadataId"].clone());
    }
    assert_eq!(ids[0], ids[1]);
}

#[tokio::test]
async fn f25_after_a_change_of_user_the_old_users_data_goes_nowhere() {
    let world = world().await;
    let mut device = OldClient::new(&world, "ada@home", Dialect::TypeScript);
    device.add_item("1", "ada's");
    device.sync().await;
    device.rename("1", "ada's, unsent");
    // Eve signs in on the device; its cursors and rows stay.
    (device.user, device.sync_zone) = ("eve@away".into(), "away".into());
    world.items("eve@away").add(&item("2", "eve's")).await.unwrap();
    assert!(!device.sync().await, "ada's rows do not enter eve's zone");
    assert_eq!(world.items("eve@away").count(Selection::all()).await.unwrap(), 1);
    assert_eq!(device.name("2").as_deref(), Some("eve's"), "and the pull is of eve's zone, from the start");
    assert_eq!(device.cursors["Item"]["syncZone"], "away");
}

#[tokio::test]
async fn f26_numbers_are_whole_and_metadata_complete() {
    let world = world().await;
    world.items("ada@home").add(&item("1", "x")).await.unwrap();
    let answer = world.pull("ada@home", &[("Item", 0)]).await;
    let object = &answer["data"]["data"]["Item"][0];
    for number in [&object["metadata"]["version"], &object["metadata"]["timestamp"]] {
        assert!(number.is_u64(), "{object}");
    }
    assert!(object["metadata"]["version"].as_u64().unwrap() < 1 << 31);
    assert_eq!(object["metadataId"], object["metadata"]["id"]);
    assert_eq!(object["dirty"], false);
}

#[tokio::test]
async fn f27_a_type_may_have_the_name_of_a_minified_class() {
    let world = world().await;
    let notice = json!({"id": "1", "deleted": false, "text": "hello",
        "metadata": {"id": "m", "type": "t", "syncZone": "Global", "version": 1_000, "timestamp": 1, "syncOperation": 0}});
    let answer = world
        .push("ada@home", &json!({"data": {"t": [notice]}, "operationMetadata": {"metadata": {}}}))
        .await;
    assert_eq!(answer["success"], true, "{answer}");
    let answer = world.pull("eve@away", &[("t", 0)]).await;
    assert_eq!(answer["data"]["data"]["t"][0]["text"], "hello");
    assert_eq!(answer["data"]["operationMetadata"]["metadata"]["t"]["type"], "t");
    let unknown = builder(&world.server, |_, _| None).alias("x", "Nothing").build();
    assert_eq!(unknown.unwrap_err().kind(), ErrorKind::Config);
}

#[tokio::test]
async fn f28_tombstones_can_be_purged() {
    let world = world().await;
    let mut ada = OldClient::new(&world, "ada@home", Dialect::TypeScript);
    ada.add_item("1", "x");
    ada.sync().await;
    ada.remove("1");
    ada.sync().await;
    assert_eq!(world.store.source().purge_tombstones(&zone("ada@home"), Position(9)).await.unwrap(), 1);
    ada.add_item("2", "y");
    assert!(ada.sync().await);
    let mut bob = OldClient::new(&world, "bob@home", Dialect::TypeScript);
    assert_eq!(bob.pull().await, 1);
}

#[tokio::test]
async fn f30_parents_come_before_children() {
    let world = world().await;
    let mut ada = OldClient::new(&world, "ada@home", Dialect::TypeScript).with_types(&["Line", "Item"]);
    ada.add("Line", "l", json!({"item": "1", "count": 1, "price": 1.5, "done": false}));
    ada.add_item("1", "parent");
    assert!(ada.push().await);
    let metadata =
        json!({"Line": {"version": 0, "syncZone": "home"}, "Item": {"version": 0, "syncZone": "home"}});
    let answer = world.post_text("/pull", "ada@home", json!({ "metadata": metadata }).to_string()).await;
    assert!(answer.find("\"Item\":[").unwrap() < answer.find("\"Line\":[").unwrap(), "{answer}");
}
