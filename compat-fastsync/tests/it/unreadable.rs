//! One object that cannot be read, or does not fit, is a matter of that object alone.

use crate::support::old_client::*;
use crate::support::*;
use fastsync_core::*;
use serde_json::{Value as Json, json};

/// A push of a good item and of one object as raw text, which no JSON library here would write.
async fn push_with(world: &World, bad: &str) -> Json {
    let good = pushed("good", "good", 1_000, 0, "home");
    let body = format!(r#"{{"data":{{"Item":[{bad},{good}]}},"hasData":true}}"#);
    serde_json::from_str(&world.post_text("/push", "ada@home", body).await).unwrap()
}

/// Fails if one object stops the whole push, or is refused without a name.
#[tokio::test]
async fn one_bad_object_leaves_the_others() {
    let deep = format!(r#"{{"id":"bad","name":{}1{}}}"#, "[".repeat(500), "]".repeat(500));
    let large = format!(r#"{{"id":"bad","name":"{}"}}"#, "x".repeat(2 << 20));
    let huge = format!(r#"{{"id":"bad","name":"{}"}}"#, "x".repeat(9 << 20));
    for (bad, id) in [
        (r#"{"id":7,"name":"x"}"#, Some("7")),
        (r#"{"name":"x"}"#, None),
        (r#"{"id":null,"name":"x"}"#, Some("null")),
        (r#"{"id":"bad","name":"x","metadata":{"version":"7"}}"#, Some("bad")),
        (r#"{"id":"bad","name":"x","metadata":{"timestamp":[1]}}"#, Some("bad")),
        (r#"{"id":"bad","name":"x","metadata":{"syncZone":{"$ne":null}}}"#, Some("bad")),
        (r#"{"id":"bad","name":"x","deleted":"true"}"#, Some("bad")),
        (r#"{"id":"bad","name":1e999}"#, Some("bad")),
        (r#"{"id":"bad","name":99999999999999999999}"#, Some("bad")),
        (r#"{"id":"bad","name":"a\u0000b"}"#, Some("bad")),
        (r#"{"id":"bad","name":7}"#, Some("bad")),
        (r#"{"id":"cut \ud83c","name":"x"}"#, Some("cut \u{fffd}")),
        ("7", None),
        ("[]", None),
        ("null", None),
        (&deep, Some("bad")),
        (&large, Some("bad")),
        (&huge, None),
    ] {
        let world = world().await;
        let answer = push_with(&world, bad).await;
        assert_eq!(answer["errors"].as_array().unwrap().len(), 1, "{bad:.60}: {answer}");
        assert_eq!(answer["errors"][0]["type"], "Item");
        assert_eq!(answer["errors"][0]["id"].as_str(), id, "{bad:.60}: {answer}");
        assert!(
            answer["errors"][0]["message"].as_str().is_some_and(|message| message.len() > 10),
            "{answer}"
        );
        assert_eq!(world.name_of("ada@home", "good").await.as_deref(), Some("good"), "{bad:.60}");
        assert_eq!(world.name_of("ada@home", "bad").await, None, "{bad:.60}");
    }
}

/// Fails if a text that was cut inside a character stops anything, or is changed without a word.
#[tokio::test]
async fn half_a_character_is_replaced_and_it_is_said() {
    let world = world().await;
    let bad = r#"{"id":"1","name":"Party \ud83c","description":"\ud83c\udf89","metadata":{"version":1000}}"#;
    let answer = push_with(&world, bad).await;
    assert_eq!((&answer["success"], &answer["data"]["processed"]), (&json!(true), &json!(2)), "{answer}");
    let said = &answer["errors"][0];
    assert_eq!((&said["id"], &said["code"]), (&json!("1"), &json!("half_character")), "{answer}");
    let stored = world.items("ada@home").find_by_id(&id("1")).await.unwrap().unwrap();
    assert_eq!((stored.name.as_str(), stored.description.as_deref()), ("Party \u{fffd}", Some("\u{1f389}")));
    // In JSON, too.
    let body = r#"{"data":{"Card":[{"id":"c","title":"x","tags":["\udf89"],"metadata":{"version":1000}}]}}"#;
    let answer = world.post_text("/push", "ada@home", body.to_owned()).await;
    assert!(answer.contains("half_character"), "{answer}");
    let cards = Repository::<Card>::in_zone(&world.store, zone("ada@home"));
    assert_eq!(cards.find_by_id("c").await.unwrap().unwrap().tags, ["\u{fffd}"]);
}

/// Fails if what is wrong with one type's metadata stops the others.
#[tokio::test]
async fn metadata_of_a_type_that_cannot_be_read_leaves_the_other_types() {
    let world = world().await;
    world.items("ada@home").add(&item("1", "x")).await.unwrap();
    let request = json!({"metadata": {"Line": {"version": "7"}, "Item": {"version": 0}, "Card": 7}});
    let answer = world.post("/pull", "ada@home", &request).await;
    assert_eq!((answer["success"].as_bool(), names(&answer)), (Some(true), vec!["x".to_owned()]));
    let refused: Vec<_> =
        answer["errors"].as_array().unwrap().iter().map(|error| error["type"].as_str().unwrap()).collect();
    assert_eq!(refused, ["Card", "Line"]);
}

/// Fails if a client with a field that the type did not have before, or without one that it has, is turned away.
#[tokio::test]
async fn a_client_is_told_what_is_refused_of_it_also_by_the_hook() {
    let world = world().await;
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let log = seen.clone();
    let compat = builder(&world.server, |context, _| Some(zone(&context.user)))
        .on_notice(move |context, remark| {
            log.lock().unwrap().push((context.user.clone(), remark.code.clone(), remark.message.clone()));
        })
        .build()
        .unwrap();
    let mut hive = pushed("1", "x", 1_000, 0, "Global");
    hive["metadata"]["type"] = json!("Item");
    let push = serde_json::from_value(push_of("Global", &[hive])).unwrap();
    let reply = compat.process_push(&SyncContext::new("ada@home"), push).await.unwrap();
    assert_eq!((reply.processed, reply.undone.len()), (0, 1));
    let pull = serde_json::from_value(json!({"metadata": {"Gadget": {"version": 0}}})).unwrap();
    compat.process_pull(&SyncContext::new("ada@home"), pull).await.unwrap();
    let seen = seen.lock().unwrap().clone();
    assert_eq!(seen.len(), 2);
    assert!(
        seen[0].1 == "zone" && seen[0].2.contains("setTypeSyncZone") && seen[0].2.contains("global"),
        "{seen:?}"
    );
    assert_eq!((seen[0].0.as_str(), seen[1].1.as_str()), ("ada@home", "unknown_type"));
}

/// Fails if a client of before a field was, which has a default, cannot make objects any more.
#[tokio::test]
async fn a_field_that_the_client_does_not_have_takes_its_default() {
    #[derive(Debug, Clone, PartialEq, SyncableObject)]
    #[syncable(name = "Item")]
    struct Later {
        #[syncable(id)]
        id: String,
        name: String,
        #[syncable(default = 5)]
        stars: i64,
    }
    let store = Store::server(MemoryDataSource::new()).register::<Later>().open().await.unwrap();
    let items = Repository::<Later>::new(&store);
    let server = SyncManager::server(&store).register(items.clone(), LastWriterWins).zones(policy);
    let sample = Later { id: "any".into(), name: "x".into(), stars: 0 };
    let compat = fastsync_compat::FastSyncCompat::builder(server.build().await.unwrap(), |_, _| None);
    let compat = compat.sample(&sample).build().unwrap();
    let push = serde_json::from_value(json!({"data": {"Item": [{"id": "1", "name": "a"}]}})).unwrap();
    let reply = compat.process_push(&SyncContext::new("ada@home"), push).await.unwrap();
    assert_eq!((reply.processed, reply.undone), (1, vec![]));
    assert_eq!(items.find_by_id("1").await.unwrap().unwrap().stars, 5);
}

#[tokio::test]
async fn a_typescript_client_goes_on_after_a_cut_text() {
    for dialect in DIALECTS {
        let world = world().await;
        let mut ada = OldClient::new(&world, "ada@home", dialect);
        ada.add_item("1", "Party ?");
        // As the platforms write it; `serde_json` has no such text.
        let body = ada.push_request().unwrap().to_string().replace("Party ?", "Party \\ud83c");
        let answer: Json = serde_json::from_str(&world.post_text("/push", "ada@home", body).await).unwrap();
        assert_eq!(answer["success"], true);
        ada.pull().await;
        assert_eq!(ada.name("1").as_deref(), Some("Party \u{fffd}"));
    }
}
