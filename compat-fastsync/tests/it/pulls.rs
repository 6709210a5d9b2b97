//! What a pull gives, and to whom.

use crate::support::old_client::*;
use crate::support::restorable::Restorable;
use crate::support::*;
use fastsync_compat::CompatLimits;
use fastsync_core::*;
use serde_json::{Value as Json, json};

async fn add_line(world: &World, line: &str) {
    let lines = Repository::<Line>::in_zone(&world.store, zone("x@home"));
    let line = Line { id: line.into(), item: "1".into(), count: 1, price: 1.0, done: false };
    lines.add(&line).await.unwrap();
}

async fn add_items(world: &World, names: &[&str]) {
    for name in names {
        world.items("x@home").add(&item(name, name)).await.unwrap();
    }
}

/// Fails if what was found out about a history is believed of another one that is as long.
#[tokio::test]
async fn where_nothing_of_a_type_was_is_forgotten_after_a_backup_was_restored() {
    let source = Restorable::new(MemoryDataSource::new());
    let world = world_with(source.clone(), LastWriterWins, CompatLimits::default()).await;
    add_line(&world, "before").await;
    add_items(&world, &["1", "2", "3", "4"]).await;
    let both = [("Item", 1), ("Line", 1)];
    let answer = world.pull("ada@home", &both).await;
    assert_eq!(answer["data"]["data"]["Line"], Json::Null, "nothing from the second session to the fifth");

    let backup = MemoryDataSource::new();
    let restored = world_with(backup.clone(), LastWriterWins, CompatLimits::default()).await;
    add_line(&restored, "before").await;
    add_items(&restored, &["1"]).await;
    add_line(&restored, "in the gap").await;
    add_items(&restored, &["2", "3"]).await;
    source.restore(backup);
    let answer = world.pull("ada@home", &both).await;
    assert_eq!(answer["data"]["data"]["Line"][0]["id"], "in the gap");
}

/// The same without a backup: what is known of the gap is used, and what comes after it is found.
#[tokio::test]
async fn a_type_is_found_behind_a_long_time_without_it() {
    let world = world().await;
    add_line(&world, "before").await;
    add_items(&world, &["1", "2", "3", "4"]).await;
    for _ in 0..3 {
        let answer = world.pull("ada@home", &[("Line", 1)]).await;
        assert_eq!(answer["data"]["data"], json!({}));
    }
    add_line(&world, "after").await;
    for read in [1, 3, 5] {
        let answer = world.pull("ada@home", &[("Line", read)]).await;
        assert_eq!(answer["data"]["data"]["Line"].as_array().unwrap().len(), 1, "{read}");
    }
    let answer = world.pull("ada@home", &[("Line", 0)]).await;
    assert_eq!(answer["data"]["data"]["Line"].as_array().unwrap().len(), 2);
}

fn two_types() -> Json {
    json!({"data": {
        "Item": [pushed("1", "x", 1_000, 0, "home")],
        "Notice": [{"id": "n", "text": "hello", "metadata": {"version": 1_000, "syncOperation": 0}}]}})
}

/// Fails if the zone of everyone passes for a restricted one: the whole push would be in error.
#[tokio::test]
async fn a_restricted_type_without_a_zone_of_its_own_is_left_out_alone() {
    for none in [None, Some(Zone::Global)] {
        let store = Store::server(MemoryDataSource::new());
        let handlers = (LastWriterWins, LastWriterWins);
        let world =
            world_by(store, handlers, policy, move |_, _| none.clone(), CompatLimits::default()).await;
        let answer = world.push("ada@home", &two_types()).await;
        assert_eq!(answer["errors"].as_array().unwrap().len(), 1, "{answer}");
        assert_eq!(
            (&answer["errors"][0]["type"], &answer["errors"][0]["code"]),
            (&json!("Item"), &json!("zone"))
        );
        let answer = world.pull("ada@home", &[("Item", 0), ("Notice", 0)]).await;
        assert_eq!(
            (&answer["errors"][0]["type"], &answer["errors"][0]["code"]),
            (&json!("Item"), &json!("zone"))
        );
        assert_eq!(answer["data"]["data"]["Notice"][0]["text"], "hello");
    }
}

/// Fails if only `zone_of` is asked.
#[tokio::test]
async fn the_servers_zone_policy_is_asked_as_well() {
    let home = || zone("x@home");
    for (access, may_read, may_write) in [
        (ZoneAccess::none().read_write(Zone::Global), false, false),
        (ZoneAccess::none().read_write(Zone::Global).read(home()), true, false),
        (ZoneAccess::none().read_write(Zone::Global).read_write(home()), true, true),
    ] {
        let store = Store::server(MemoryDataSource::new());
        let handlers = (LastWriterWins, LastWriterWins);
        let zone_of = move |_: &SyncContext, _: &TypeName| Some(home());
        let policy = move |_: &SyncContext| access.clone();
        let world = world_by(store, handlers, policy, zone_of, CompatLimits::default()).await;
        add_items(&world, &["servers"]).await;
        let answer = world.push("ada@home", &two_types()).await;
        assert_eq!(answer["success"], may_write, "{answer}");
        assert_eq!(world.name_of("ada@home", "1").await.is_some(), may_write);
        if !may_write {
            assert_eq!(answer["errors"][0]["code"], "zone");
        }
        let answer = world.pull("ada@home", &[("Item", 0), ("Notice", 0)]).await;
        assert_eq!(answer["data"]["data"]["Item"].is_array(), may_read, "{answer}");
        assert_eq!(answer["data"]["data"]["Notice"][0]["text"], "hello");
        if !may_read {
            assert_eq!(answer["errors"][0]["code"], "zone");
        }
    }
}

/// The clients keep the metadata of all objects of all types in one place: fails if two share theirs.
#[tokio::test]
async fn every_object_has_a_metadata_id_of_its_own() {
    let world = world().await;
    add_items(&world, &["1", "2"]).await;
    add_line(&world, "1").await;
    let answer = world.pull("ada@home", &[("Item", 0), ("Line", 0)]).await;
    let data = answer["data"]["data"].as_object().unwrap();
    let objects = data.values().flat_map(|objects| objects.as_array().unwrap());
    let ids: std::collections::BTreeSet<_> =
        objects.map(|object| object["metadataId"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 3, "{answer}");
}

#[tokio::test]
async fn a_type_is_given_by_one_of_its_names() {
    let world = world().await;
    world.push("ada@home", &two_types()).await;
    let answer = world.pull("ada@home", &[("Notice", 0), ("t", 0)]).await;
    assert_eq!(answer["data"]["data"].as_object().unwrap().len(), 1, "{answer}");
    assert_eq!(
        (&answer["errors"][0]["type"], &answer["errors"][0]["code"]),
        (&json!("t"), &json!("invalid"))
    );
}

/// Fails if deletions go in the order of writes: a child would be without its parent.
#[tokio::test]
async fn parents_are_stored_before_their_children_and_deleted_after_them() {
    let limits = CompatLimits::default().with_session(SessionLimits::new(1, 1 << 20)).with_reply(1, 1 << 20);
    let world = world_with(MemoryDataSource::new(), LastWriterWins, limits).await;
    let mut bob = OldClient::new(&world, "bob@home", Dialect::TypeScript).with_types(&["Item", "Line"]);
    bob.may_lack_description = true;
    let mut order = Vec::new();
    for (version, operation) in [(1_000, 0), (1_001, 2)] {
        let metadata = json!({"version": version, "syncOperation": operation});
        let push = json!({"data": {
            "Line": [{"id": "l", "item": "1", "count": 1, "price": 1, "done": false, "metadata": metadata}],
            "Item": [{"id": "1", "name": "x", "metadata": metadata}]}});
        let answer = world.push("ada@home", &push).await;
        assert_eq!(answer["data"]["processed"], 2, "{answer}");
        for _ in 0..2 {
            assert_eq!(bob.pull().await, 1, "a session for each");
            let data = bob.last_answer["data"]["data"].as_object().unwrap();
            order.extend(data.keys().cloned());
        }
    }
    assert_eq!(order, ["Item", "Line", "Line", "Item"]);
}
