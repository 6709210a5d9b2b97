//! What a client hears of what was refused, and what becomes of it.

use crate::support::old_client::*;
use crate::support::*;
use fastsync_compat::{KeptRefusal, RefusalAnswer};
use fastsync_core::*;
use serde_json::json;

/// As the Dart client: it never pulls after a push that failed.
async fn dart_sync(client: &mut OldClient) -> bool {
    client.push().await && {
        client.pull().await;
        true
    }
}

/// Fails if a refusal stops a client for ever, or its edit stays on the device as if it were stored.
#[tokio::test]
async fn a_refused_edit_is_undone_by_the_next_pull() {
    let world = forgiving(&world().await);
    let mut ada = OldClient::new(&world, "ada@home", Dialect::Dart);
    ada.add_item("1", "good");
    ada.add_item("2", "good too");
    assert!(dart_sync(&mut ada).await);
    ada.rename("1", "");
    ada.rename("2", "stored");
    assert!(dart_sync(&mut ada).await, "{}", ada.last_answer);
    assert_eq!((ada.name("1").as_deref(), ada.name("2").as_deref()), (Some("good"), Some("stored")));
    assert!(!ada.is_dirty("1"));
    world.items("ada@home").add(&item("3", "later")).await.unwrap();
    assert!(dart_sync(&mut ada).await);
    assert_eq!(ada.name("3").as_deref(), Some("later"), "and it goes on");
}

/// Fails if a typed client throws at the object that it made itself.
#[tokio::test]
async fn a_refused_new_object_comes_back_deleted_with_what_the_client_sent() {
    for dialect in DIALECTS {
        let world = forgiving(&world().await);
        let mut ada = OldClient::new(&world, "ada@home", dialect);
        let mut bob = OldClient::new(&world, "bob@home", dialect);
        ada.add("Item", "1", json!({"name": "", "description": "mine"}));
        ada.add("Line", "l", json!({"item": "1", "count": 1.5, "price": 2, "done": false}));
        ada.types = vec!["Item", "Line"];
        assert!(dart_sync(&mut ada).await, "{}", ada.last_answer);
        let row = &ada.rows[&("Item".to_owned(), "1".to_owned())];
        assert_eq!((&row["deleted"], &row["description"]), (&json!(true), &json!("mine")));
        let line = &ada.rows[&("Line".to_owned(), "l".to_owned())];
        assert_eq!((&line["deleted"], &line["item"]), (&json!(true), &json!("1")));
        assert_eq!(line["count"], 1, "what did not fit is the sample's");
        assert_eq!(bob.pull().await, 1);
        assert!(bob.names().is_empty());
        // The same id again, this time a good object.
        ada.rows.clear();
        ada.add_item("1", "good");
        assert!(dart_sync(&mut ada).await);
        assert_eq!(world.name_of("ada@home", "1").await.as_deref(), Some("good"));
    }
}

/// An object of which not everything can be read: fails if it comes back without what can, or under an id that it has not.
#[tokio::test]
async fn an_unreadable_object_comes_back_deleted_under_its_id() {
    let world = forgiving(&world().await);
    let mut bad = pushed("1", "mine", 1_000, 0, "home");
    bad["metadata"]["version"] = json!("1000");
    let mut numeric = pushed("2", "x", 1_000, 0, "home");
    numeric["id"] = json!(2);
    let answer = world.push("ada@home", &push_of("home", &[bad, numeric])).await;
    assert_eq!((&answer["success"], answer["errors"].as_array().unwrap().len()), (&json!(true), 2));
    let mut ada = OldClient::new(&world, "ada@home", Dialect::TypeScript);
    assert_eq!(ada.pull().await, 1, "nobody has an object `2` that is a text");
    let row = &ada.rows[&("Item".to_owned(), "1".to_owned())];
    assert_eq!((&row["deleted"], &row["name"]), (&json!(true), &json!("mine")));
    assert_eq!(world.compat.refusals().await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_refused_deletion_brings_the_object_back() {
    let handler = PredefinedRules::new(|conflict: ObjectConflict<Item>| {
        Err(Error::new(ErrorKind::Backend, "test", format!("{} cannot be settled", conflict.id)))
    });
    let world = forgiving(&world_of(handler).await);
    let mut ada = OldClient::new(&world, "ada@home", Dialect::TypeScript);
    ada.add_item("1", "a");
    assert!(ada.sync().await);
    world.items("ada@home").update(&item("1", "edited meanwhile")).await.unwrap();
    ada.remove("1");
    assert!(ada.sync().await, "{}", ada.last_answer);
    assert_eq!(ada.name("1").as_deref(), Some("edited meanwhile"));
    let kept = world.compat.refusals().await.unwrap();
    assert_eq!((kept.len(), kept[0].refusal.code.as_str()), (1, "handler_failed"));
}

/// Who, when, what and why, until it is dealt with or old.
#[tokio::test]
async fn what_was_refused_is_kept_and_listed() {
    let world = forgiving(&world().await);
    let unknown = json!({"data": {"Gadget": [{"id": "g"}, 7], "Item": [pushed("1", "", 1_000, 0, "home")]}});
    assert_eq!(world.push("ada@home", &unknown).await["success"], true);
    world.clock.advance(60);
    let zone = push_of("home", &[pushed("2", "bob's old one", 1_000, 0, "away")]);
    assert_eq!(world.push("bob@home", &zone).await["success"], true);
    let kept = world.compat.refusals().await.unwrap();
    let what = |kept: &KeptRefusal| {
        (
            kept.user.clone(),
            kept.refusal.code.clone(),
            kept.refusal.id.clone(),
            kept.at.as_millis() - START_MILLIS,
        )
    };
    let mut all: Vec<_> = kept.iter().map(what).collect();
    assert_eq!(
        all[0],
        ("bob@home".to_owned(), "zone".to_owned(), Some("2".to_owned()), 60_000),
        "newest first"
    );
    all.sort();
    let ada =
        |code: &str, id: Option<&str>| ("ada@home".to_owned(), code.to_owned(), id.map(str::to_owned), 0);
    assert_eq!(
        all[..3],
        [ada("no_name", Some("1")), ada("unknown_type", None), ada("unknown_type", Some("g"))]
    );
    let zone = kept.iter().find(|kept| kept.refusal.code == "zone").unwrap();
    assert!(zone.object.as_ref().unwrap().contains("bob's old one"));
    // The same again is the same.
    world.push("ada@home", &unknown).await;
    assert_eq!(world.compat.refusals().await.unwrap().len(), 4);
    world.compat.forget_refusals(&kept[..1]).await.unwrap();
    assert_eq!(world.compat.refusals().await.unwrap().len(), 3);
    world.clock.advance(61 * 24 * 3_600);
    assert_eq!(world.compat.refusals().await.unwrap().len(), 0);
}

/// Fails if the zone of another user learns of an object that was refused there.
#[tokio::test]
async fn what_may_not_be_in_a_zone_leaves_nothing_there() {
    let world = forgiving(&world().await);
    world.items("ada@home").add(&item("1", "ada's")).await.unwrap();
    let mut device = OldClient::new(&world, "ada@home", Dialect::Dart);
    device.pull().await;
    device.rename("1", "ada's, unsent");
    (device.user, device.sync_zone) = ("eve@away".into(), "away".into());
    assert!(dart_sync(&mut device).await, "and the device of another user is not stuck");
    assert_eq!(world.name_of("ada@home", "1").await.as_deref(), Some("ada's"));
    let name = TypeName::new("Item").unwrap();
    assert_eq!(world.store.source().get(&name, &zone("eve@away"), &[id("1")]).await.unwrap(), []);
}

#[tokio::test]
async fn the_application_chooses_by_code() {
    let world = world().await;
    let zone_of = |context: &SyncContext, _: &TypeName| Some(zone(&context.user));
    let compat =
        builder(&world.server, zone_of).answer_to("unknown_type", RefusalAnswer::Failure).build().unwrap();
    let push = |data: serde_json::Value| {
        let compat = compat.clone();
        async move {
            let request = serde_json::from_value(json!({ "data": data })).unwrap();
            compat.process_push(&SyncContext::new("ada@home"), request).await.unwrap()
        }
    };
    let reply = push(json!({"Item": [pushed("1", "", 1_000, 0, "home")]})).await;
    assert_eq!((reply.refused.len(), reply.undone.len()), (0, 1));
    let reply = push(json!({"Gadget": [{"id": "g"}], "Item": [pushed("2", "", 1_000, 0, "home")]})).await;
    assert_eq!((reply.refused.len(), reply.undone.len()), (2, 0), "the client keeps both");
    assert_eq!(compat.refusals().await.unwrap().len(), 1, "and repeats both");
}
