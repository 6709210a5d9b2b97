//! What a pushed edit is taken for: its kind, its time, and whether it was refused.

use crate::support::old_client::*;
use crate::support::*;
use fastsync_compat::{FastSyncCompat, RefusalAnswer};
use fastsync_core::*;
use serde_json::json;

/// The seconds since 1970 at which the tests begin.
const START: u64 = START_MILLIS / 1_000;

#[tokio::test]
async fn a_refused_update_is_refused_as_often_as_it_comes() {
    for dialect in DIALECTS {
        let world = world().await;
        let mut ada = OldClient::new(&world, "ada@home", dialect);
        ada.add_item("1", "good");
        ada.add_item("2", "good");
        assert!(ada.sync().await);
        ada.rename("1", "");
        for round in 0..3 {
            // Stored with it: fails if what was refused is noted as done, and vanishes with a success.
            ada.rename("2", &format!("{round}"));
            assert!(!ada.push().await, "{dialect:?}");
            assert_eq!(ada.last_answer["errors"][0]["code"], "no_name");
        }
        assert_eq!(world.name_of("ada@home", "2").await.as_deref(), Some("2"));
        ada.rename("1", "mended");
        assert!(ada.push().await);
        assert_eq!(world.name_of("ada@home", "1").await.as_deref(), Some("mended"));
    }
}

/// Fails if only one of the two ways to say it counts.
#[tokio::test]
async fn a_deletion_is_told_by_the_flag_or_by_the_operation() {
    for (flag, operation, stays) in [(true, 2, false), (true, 1, false), (false, 2, false), (false, 1, true)]
    {
        let world = world().await;
        world.push("ada@home", &push_of("home", &[pushed("1", "x", 1_000, 0, "home")])).await;
        let mut deletion = pushed("1", "y", 1_001, operation, "home");
        deletion["deleted"] = json!(flag);
        assert_eq!(world.push("ada@home", &push_of("home", &[deletion])).await["success"], true);
        assert_eq!(world.name_of("ada@home", "1").await.is_some(), stays, "{flag} {operation}");
    }
}

/// Fails if a deletion of what is not there makes a tombstone, or the same one anew.
#[tokio::test]
async fn a_deletion_of_what_is_not_there_stores_nothing() {
    let world = world().await;
    world.items("ada@home").add(&item("1", "x")).await.unwrap();
    world.items("ada@home").remove(&id("1")).await.unwrap();
    let head = cursor(&world.pull("ada@home", &[("Item", 0)]).await);
    for (id, version) in [("1", 77), ("1", 1_000), ("never", 1_000), ("never", 7)] {
        let deletion = push_of("home", &[pushed(id, "x", version, 2, "home")]);
        let answer = world.push("ada@home", &deletion).await;
        assert_eq!(answer["data"]["processed"], 1, "{answer}");
        let news = world.pull("ada@home", &[("Item", head)]).await;
        assert_eq!(news["data"]["data"], json!({}), "{id} {version}");
    }
}

/// Fails if an edit of a tombstone counts as an edit of the object.
#[tokio::test]
async fn no_edit_that_knows_of_the_deletion_brings_an_object_back() {
    for dialect in DIALECTS {
        let world = world().await;
        let mut ada = OldClient::new(&world, "ada@home", dialect);
        ada.add_item("1", "x");
        ada.sync().await;
        world.items("ada@home").remove(&id("1")).await.unwrap();
        ada.pull().await;
        let row = ada.rows.get_mut(&("Item".to_owned(), "1".to_owned())).unwrap();
        row["deleted"] = json!(false);
        ada.rename("1", "back");
        assert!(ada.sync().await, "{}", ada.last_answer);
        assert_eq!(world.name_of("ada@home", "1").await, None);
        assert_eq!(ada.name("1"), None, "and the client learns of it");
    }
}

/// The modification time of item 1 that clients receive, in seconds.
async fn time_of(world: &World) -> u64 {
    let answer = world.pull("ada@home", &[("Item", 0)]).await;
    answer["data"]["data"]["Item"][0]["metadata"]["timestamp"].as_u64().unwrap()
}

/// Fails if a future or invalid time is believed.
#[tokio::test]
async fn an_object_has_the_time_of_its_making_unless_that_is_none() {
    for (told, stored) in [
        (START - 100, START - 100),
        (START, START),
        (START + 1, START),
        (START + 100_000_000, START),
        (999, START),
        (0, START),
    ] {
        let world = world().await;
        let mut made = pushed("1", "x", 1_000, 0, "home");
        made["metadata"]["timestamp"] = json!(told);
        let answer = world.push("ada@home", &push_of("home", &[made])).await;
        assert_eq!(answer["success"], true, "{answer}");
        assert_eq!(time_of(&world).await, stored, "{told}");
    }
}

/// Fails if the time of the making, or one of the future, passes for the time of an edit.
#[tokio::test]
async fn an_edit_has_the_time_that_it_tells_only_after_the_stored_one_and_not_after_now() {
    for (told, stored) in [
        (START - 100, START + 60),
        (START - 50, START + 60),
        (START + 30, START + 30),
        (START + 60, START + 60),
        (START + 61, START + 60),
    ] {
        let world = world().await;
        let mut made = pushed("1", "x", 1_000, 0, "home");
        made["metadata"]["timestamp"] = json!(START - 50);
        world.push("ada@home", &push_of("home", &[made])).await;
        world.clock.advance(60);
        let mut edit = pushed("1", "y", 1_001, 1, "home");
        edit["metadata"]["timestamp"] = json!(told);
        assert_eq!(world.push("ada@home", &push_of("home", &[edit])).await["success"], true);
        assert_eq!(world.name_of("ada@home", "1").await.as_deref(), Some("y"));
        assert_eq!(time_of(&world).await, stored, "{told}");
    }
}

/// Fails if the time of arrival alone counts.
#[tokio::test]
async fn an_edit_is_later_than_what_is_stored_also_where_the_servers_clock_was_set_back() {
    for dialect in DIALECTS {
        let world = world_of(TimestampOrdering).await;
        let mut ada = OldClient::new(&world, "ada@home", dialect);
        let mut bob = OldClient::new(&world, "bob@home", dialect);
        ada.add_item("1", "both");
        ada.sync().await;
        bob.pull().await;
        ada.rename("1", "ada, later");
        bob.rename("1", "bob");
        world.clock.advance(600);
        assert!(bob.sync().await);
        world.clock.set_back(300);
        assert!(ada.sync().await);
        assert_eq!(world.name_of("ada@home", "1").await.as_deref(), Some("ada, later"), "{dialect:?}");
    }
}

#[tokio::test]
async fn of_an_object_that_is_there_twice_the_later_form_counts() {
    let world = world().await;
    let twice = [pushed("1", "first", 1_000, 0, "home"), pushed("1", "second", 1_001, 1, "home")];
    assert_eq!(world.push("ada@home", &push_of("home", &twice)).await["success"], true);
    assert_eq!(world.name_of("ada@home", "1").await.as_deref(), Some("second"));
}

#[tokio::test]
async fn values_come_in_every_form_that_a_platform_has_for_them() {
    let world = world().await;
    let lines = Repository::<Line>::in_zone(&world.store, zone("ada@home"));
    for (number, (count, done, stored)) in [
        (json!(3), json!(true), Some((3, true))),
        (json!(3.0), json!(1), Some((3, true))),
        (json!(-3.0), json!(0), Some((-3, false))),
        (json!(3.5), json!(true), None),
        (json!(1e300), json!(true), None),
        (json!("3"), json!(true), None),
        (json!(3), json!(2), None),
        (json!(3), json!("true"), None),
    ]
    .into_iter()
    .enumerate()
    {
        let line = format!("{number}");
        let push = json!({"data": {"Line": [{"id": line, "item": "1", "count": count, "price": 1, "done": done,
            "metadata": {"version": 1_000, "syncOperation": 0}}]}});
        let answer = world.push("ada@home", &push).await;
        assert_eq!(answer["success"], stored.is_some(), "{answer}");
        if stored.is_none() {
            assert_eq!(answer["errors"][0]["code"], "invalid");
        }
        let found = lines.find_by_id(&id(&line)).await.unwrap();
        assert_eq!(found.map(|line| (line.count, line.done)), stored, "{push}");
    }
}

/// An object with an id of another object in it, as platforms write it.
#[derive(Debug, Clone, PartialEq, SyncableObject)]
#[syncable(name = "Link")]
struct Link {
    #[syncable(id)]
    id: String,
    to: uuid::Uuid,
}

#[derive(Debug, Clone, PartialEq, SyncableObject)]
struct Price {
    #[syncable(id)]
    id: uuid::Uuid,
    amount: Decimal,
}

/// Fails if an id of the wrong kind, or a number that JSON has rounded, is stored or stops what is pushed with it.
#[tokio::test]
async fn an_id_or_a_number_that_does_not_fit_is_a_matter_of_its_object() {
    let store = Store::server(MemoryDataSource::new()).register::<Price>().open().await.unwrap();
    let prices = Repository::<Price>::new(&store);
    let builder = SyncManager::server(&store).register(prices.clone(), LastWriterWins).zones(policy);
    let sample = Price { id: uuid::Uuid::nil(), amount: Decimal::default() };
    let compat = FastSyncCompat::builder(builder.build().await.unwrap(), |_, _| None).sample(&sample);
    let compat = compat.answer_to_others(RefusalAnswer::Failure).build().unwrap();
    let [capitals, rounded, good] = [
        "6F9619FF-8B86-D011-B42D-00C04FC964FF",
        "00000000-0000-0000-0000-000000000001",
        "00000000-0000-0000-0000-000000000002",
    ];
    let object = |id: &str, amount: serde_json::Value| json!({"id": id, "amount": amount, "metadata": {"version": 1_000}});
    let data = json!([
        object(capitals, json!(1.5)),
        object(rounded, json!(1_234_567_890.123_456_7)),
        object(good, json!(1.5)),
    ]);
    let push = serde_json::from_value(json!({"data": {"Price": data}})).unwrap();
    let reply = compat.process_push(&SyncContext::new("ada@home"), push).await.unwrap();
    let refused: Vec<_> = reply.refused.iter().filter_map(|refusal| refusal.id.as_deref()).collect();
    assert_eq!((reply.processed, refused), (1, vec![capitals, rounded]));
    let stored = prices.get_all().await.unwrap();
    assert_eq!(stored, [Price { id: good.parse().unwrap(), amount: "1.5".parse().unwrap() }]);
}

#[tokio::test]
async fn a_uuid_may_be_in_capitals() {
    let store = Store::server(MemoryDataSource::new()).register::<Link>().open().await.unwrap();
    let links = Repository::<Link>::new(&store);
    let server = SyncManager::server(&store)
        .register(links.clone(), LastWriterWins)
        .zones(policy)
        .build()
        .await
        .unwrap();
    let sample = Link { id: "any".into(), to: uuid::Uuid::nil() };
    let compat = FastSyncCompat::builder(server, |_, _| None).sample(&sample).build().unwrap();
    let to = "6F9619FF-8B86-D011-B42D-00C04FC964FF";
    let push = json!({"data": {"Link": [{"id": "1", "to": to, "metadata": {"version": 1_000}}]}});
    let push = serde_json::from_value(push).unwrap();
    let reply = compat.process_push(&SyncContext::new("ada@home"), push).await.unwrap();
    assert_eq!(reply.refused, []);
    assert_eq!(links.find_by_id(&id("1")).await.unwrap().unwrap().to, to.parse::<uuid::Uuid>().unwrap());
}
