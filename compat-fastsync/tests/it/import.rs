//! The guide's steps from an original server to this one and back, on data files made by hand after the description of such a
//! server's store.

use std::collections::BTreeMap;

use crate::support::old_client::*;
use crate::support::*;
use fastsync_compat::CompatLimits;
use fastsync_compat::import::{ImportReport, OriginalObject};
use fastsync_core::*;
use fastsync_dao_sqlite::SqliteDataSource;
use serde_json::{Value as Json, json};

const ITEMS: &str = include_str!("../fixtures/original/items.ndjson");
const NOTICES: &str = include_str!("../fixtures/original/notices.json");

async fn import(world: &World) -> [ImportReport; 2] {
    let items = ITEMS.lines().map(|line| OriginalObject::from_document(line).unwrap());
    let rows: Vec<Json> = serde_json::from_str(NOTICES).unwrap();
    let notices = rows.iter().map(|row| OriginalObject::from_row(&row.to_string()).unwrap());
    let name = |name: &str| TypeName::new(name).unwrap();
    [
        world.compat.import(&name("Item"), items.collect::<Vec<_>>()).await.unwrap(),
        world.compat.import(&name("Notice"), notices.collect::<Vec<_>>()).await.unwrap(),
    ]
}

/// A handler that is asked nothing where the base of an edit is known.
fn never() -> impl ConflictsHandler<Item> {
    PredefinedRules::new(|conflict: ObjectConflict<Item>| {
        Err(Error::new(ErrorKind::Backend, "test", format!("{} is no conflict", conflict.id)))
    })
}

/// A client as the original server left it: with these items at these versions, and a cursor.
fn left_over(world: &World, dialect: Dialect, cursor: u64, items: &[(&str, &str, u64)]) -> OldClient {
    let mut client = OldClient::new(world, "ada@home", dialect);
    for (id, name, version) in items {
        client.add_item(id, name);
        let row = client.rows.get_mut(&("Item".to_owned(), (*id).to_owned())).unwrap();
        row["dirty"] = json!(false);
        row["metadata"]["version"] = json!(version);
        row["metadata"]["syncOperation"] = json!(1);
    }
    client.pull_request();
    client.cursors.get_mut("Item").unwrap()["version"] = json!(cursor);
    client
}

async fn imported() -> World {
    let world = world_of(never()).await;
    let [items, notices] = import(&world).await;
    assert_eq!((items.stored, items.known, items.refused.len()), (5, 0, 1), "{items:?}");
    assert_eq!((items.refused[0].id.as_deref(), items.refused[0].code.as_str()), (Some("bad"), "invalid"));
    assert_eq!((notices.stored, notices.known, notices.refused.len()), (2, 0, 0), "{notices:?}");
    world
}

#[tokio::test]
async fn versions_zones_and_deletions_come_along() {
    let world = imported().await;
    for (user, id, name) in [
        ("ada@home", "1", Some("bread")),
        ("ada@home", "twice", Some("new")),
        ("ada@home", "gone", None),
        ("eve@away", "1", Some("somebody else's")),
    ] {
        assert_eq!(world.name_of(user, id).await.as_deref(), name);
    }
    let answer = world.pull("ada@home", &[("Item", 0), ("Notice", 0)]).await;
    let versions = |name: &str| -> BTreeMap<String, u64> {
        let objects = answer["data"]["data"][name].as_array().unwrap();
        let version = |object: &Json| {
            (object["id"].as_str().unwrap().to_owned(), object["metadata"]["version"].as_u64().unwrap())
        };
        objects.iter().map(version).collect()
    };
    let expected = [("1", 3), ("2", 57), ("gone", 50), ("twice", 20)];
    assert_eq!(versions("Item"), expected.map(|(id, version)| (id.to_owned(), version)).into());
    assert_eq!(
        versions("Notice"),
        [("n1", 4), ("n2", 9)].map(|(id, version)| (id.to_owned(), version)).into()
    );
}

/// Fails if an edit that was not sent before the swap is taken for a conflict.
#[tokio::test]
async fn the_base_of_an_unsent_edit_is_known() {
    for dialect in DIALECTS {
        let world = imported().await;
        let mut ada = left_over(&world, dialect, 57, &[("1", "bread", 3), ("2", "milk", 57)]);
        ada.rename("1", "brown bread");
        ada.add_item("mine", "made offline");
        assert!(ada.sync().await, "{}", ada.last_answer);
        assert_eq!(world.name_of("ada@home", "1").await.as_deref(), Some("brown bread"));
        assert_eq!(ada.name("mine").as_deref(), Some("made offline"));
        ada.rename("1", "and again");
        assert!(ada.sync().await, "{}", ada.last_answer);
        assert_eq!(world.name_of("ada@home", "1").await.as_deref(), Some("and again"));
    }
}

/// Fails if a client that missed a deletion at the original server keeps the object, or brings it back for everyone.
#[tokio::test]
async fn a_deletion_that_was_missed_before_the_swap_arrives() {
    for dialect in DIALECTS {
        let world = imported().await;
        let mut ada = left_over(&world, dialect, 40, &[("1", "bread", 3), ("gone", "eggs", 33)]);
        ada.pull().await;
        assert_eq!(ada.name("gone"), None);
        let mut bob = left_over(&world, dialect, 40, &[("1", "bread", 3), ("gone", "eggs", 33)]);
        bob.rename("gone", "six eggs");
        assert!(bob.sync().await, "{}", bob.last_answer);
        assert_eq!((bob.name("gone"), world.name_of("ada@home", "gone").await), (None, None));
        // Also after the tombstone was purged here.
        world.store.source().purge_tombstones(&zone("x@home"), Position(99)).await.unwrap();
        let mut eve = left_over(&world, dialect, 40, &[("gone", "eggs", 33)]);
        eve.rename("gone", "no eggs");
        eve.add_item("mine", "made offline");
        assert!(eve.sync().await, "{}", eve.last_answer);
        assert_eq!((eve.name("gone"), world.name_of("ada@home", "gone").await), (None, None));
        assert_eq!(world.name_of("ada@home", "mine").await.as_deref(), Some("made offline"));
    }
}

#[tokio::test]
async fn an_import_may_be_repeated_with_newer_data_and_leaves_what_was_edited_here() {
    let folder = tempfile::tempdir().unwrap();
    let source = SqliteDataSource::open(folder.path().join("server.db")).unwrap();
    let world = world_with(source, LastWriterWins, CompatLimits::default()).await;
    import(&world).await;
    let [items, _] = import(&world).await;
    assert_eq!((items.stored, items.known), (0, 5));
    world.items("ada@home").update(&item("2", "edited here")).await.unwrap();
    let newer = |line: &str| {
        let document = line.replace("\"version\":3,", "\"version\":70,").replace("bread", "newer bread");
        OriginalObject::from_document(&document.replace("\"version\":57,", "\"version\":71,")).unwrap()
    };
    let name = TypeName::new("Item").unwrap();
    let report = world.compat.import(&name, ITEMS.lines().map(newer).collect::<Vec<_>>()).await.unwrap();
    assert_eq!((report.stored, report.known), (1, 4));
    assert_eq!(world.name_of("ada@home", "1").await.as_deref(), Some("newer bread"));
    assert_eq!(world.name_of("ada@home", "2").await.as_deref(), Some("edited here"));
    // Whoever had read all of the original server's does not miss the edit, which was made between the imports.
    let mut ada = left_over(&world, Dialect::TypeScript, 71, &[("2", "milk", 71)]);
    ada.pull().await;
    assert_eq!(ada.name("2").as_deref(), Some("edited here"));
}

/// Fails if a client receives what it has, or not what it lacks.
#[tokio::test]
async fn a_cursor_goes_on_where_it_was() {
    let world = world_of(never()).await;
    let object = |n: u64| {
        let document = json!({"id": format!("{n:04}"), "name": "x", "description": "", "deleted": n % 10 == 3,
            "metadata": {"syncZone": "home", "version": n, "timestamp": 1_795_200_000}});
        OriginalObject::from_document(&document.to_string()).unwrap()
    };
    let name = TypeName::new("Item").unwrap();
    let all: Vec<_> = (1..=2_600).map(object).collect();
    assert_eq!(world.compat.import(&name, all).await.unwrap().stored, 2_600);
    for cursor in [0, 1, 499, 500, 501, 1_234, 2_000, 2_599, 2_600, 9_999] {
        let mut ada = left_over(&world, Dialect::Dart, cursor, &[]);
        let received = u64::try_from(ada.pull().await).unwrap();
        let lacked = 2_600_u64.saturating_sub(cursor);
        assert!((lacked..lacked + 500).contains(&received), "{cursor}: {received}");
        for n in cursor + 1..=2_600 {
            assert!(ada.rows.contains_key(&("Item".to_owned(), format!("{n:04}"))), "{cursor}: {n}");
        }
    }
    let mut ada = left_over(&world, Dialect::TypeScript, 2_600, &[]);
    world.items("ada@home").add(&item("new", "new")).await.unwrap();
    assert_eq!(ada.pull().await, 1);
}

/// An original server as it is described: one counter for each type and zone, objects with the number of the last push that
/// wrote them, pulls of what is above the cursor.
#[derive(Default)]
struct OriginalServer {
    counters: BTreeMap<String, u64>,
    objects: BTreeMap<String, Json>,
}

impl OriginalServer {
    fn push(&mut self, request: &Json) {
        let counter = self.counters.entry("home".to_owned()).or_default();
        *counter += 1;
        for object in request["data"]["Item"].as_array().unwrap() {
            let mut object = object.clone();
            object["metadata"]["version"] = json!(*counter);
            object["metadata"]["syncZone"] = json!("home");
            object.as_object_mut().unwrap().remove("dirty");
            self.objects.insert(object["id"].as_str().unwrap().to_owned(), object);
        }
    }

    /// What is above a cursor.
    fn pull(&self, cursor: &Json) -> Vec<Json> {
        let cursor = cursor["version"].as_f64().unwrap();
        let is_new = |object: &&Json| object["metadata"]["version"].as_f64().unwrap() > cursor;
        self.objects.values().filter(is_new).cloned().collect()
    }
}

fn live(objects: &[Json], rows: &BTreeMap<(String, String), Json>) -> BTreeMap<String, String> {
    let mut all: BTreeMap<String, Json> =
        rows.iter().map(|((_, id), row)| (id.clone(), row.clone())).collect();
    all.extend(objects.iter().map(|object| (object["id"].as_str().unwrap().to_owned(), object.clone())));
    let live = all.into_iter().filter(|(_, row)| row["deleted"] == json!(false));
    live.map(|(id, row)| (id, row["name"].as_str().unwrap().to_owned())).collect()
}

/// The way back. Fails if a client that has read here misses what the original server has then, or what it does next.
#[tokio::test]
async fn clients_go_on_at_the_original_server_after_the_way_back() {
    for dialect in DIALECTS {
        let world = imported().await;
        let mut ada =
            left_over(&world, dialect, 57, &[("1", "bread", 3), ("2", "milk", 57), ("gone", "eggs", 33)]);
        assert!(ada.sync().await);
        world.items("ada@home").update(&item("1", "not pulled yet")).await.unwrap();
        world.items("ada@home").remove("2").await.unwrap();
        ada.rename("1", "unsent");

        // The steps: the counters above the highest cursors, and the objects with that version.
        let name = TypeName::new("Item").unwrap();
        let mut original = OriginalServer::default();
        for highest in world.compat.highest_cursors().await.unwrap() {
            assert!(highest.cursor < (1 << 31) - 1);
            if highest.type_name == name {
                original.counters.insert(highest.zone, highest.cursor + 1);
            }
        }
        let mut exported = Vec::new();
        let take = |objects: Vec<OriginalObject>| {
            exported.extend(objects);
            Ok(())
        };
        world.compat.export(&name, take).await.unwrap();
        for object in exported.into_iter().filter(|object| object.zone == "home") {
            assert_eq!(object.version, original.counters["home"]);
            let mut document = json!({"id": object.id, "deleted": object.deleted,
                "metadata": {"version": object.version, "syncZone": object.zone}});
            for (field, value) in &object.fields {
                document[field] = serde_json::to_value(value).unwrap();
            }
            original.objects.insert(object.id, document);
        }

        // Ada's client is there again: it pushes its edit and receives everything once.
        original.push(&ada.push_request().unwrap());
        let cursor = ada.cursors["Item"].clone();
        let received = original.pull(&cursor);
        let names = live(&received, &ada.rows);
        let expected = [("1", "unsent"), ("twice", "new")];
        assert_eq!(names, expected.map(|(id, name)| (id.to_owned(), name.to_owned())).into());
        // And then only what is new.
        original
            .push(&json!({"data": {"Item": [{"id": "3", "name": "new", "deleted": false, "metadata": {}}]}}));
        let highest = received.iter().map(|object| object["metadata"]["version"].as_u64().unwrap()).max();
        assert_eq!(original.pull(&json!({ "version": highest })).len(), 1);
    }
}
