//! Deleted objects as typed clients read them: with values that the live form could have.

use crate::support::old_client::*;
use crate::support::*;
use fastsync_compat::CompatLimits;
use fastsync_core::*;
use fastsync_dao_sqlite::SqliteDataSource;
use serde_json::json;

/// Fails if a client that goes through `tags`, or reads a text, throws at a deletion.
#[tokio::test]
async fn a_typed_client_reads_a_deletion() {
    for dialect in DIALECTS {
        let world = world().await;
        let types = ["Item", "Line", "Notice", "Card"];
        let mut ada = OldClient::new(&world, "ada@home", dialect).with_types(&types);
        let cards = Repository::<Card>::in_zone(&world.store, zone("ada@home"));
        let card = Card { id: "c".into(), title: "secret".into(), tags: vec!["a".into()], rank: Some(1) };
        cards.add(&card).await.unwrap();
        world.items("ada@home").add(&item("1", "secret")).await.unwrap();
        ada.pull().await;
        cards.remove("c").await.unwrap();
        world.items("ada@home").remove("1").await.unwrap();
        assert_eq!(ada.pull().await, 2);
        let answer = ada.last_answer.to_string();
        assert!(!answer.contains("secret"), "nothing of what was deleted, unless it is asked for: {answer}");
        let item = &ada.rows[&("Item".to_owned(), "1".to_owned())];
        assert_eq!((&item["name"], &item["deleted"]), (&json!("(deleted)"), &json!(true)));
    }
}

/// The original sends the last values: whoever deleted, and on every data source.
async fn the_last_values_go_out(store: StoreBuilder) {
    let world = world_on(store.keep_deleted::<Item>(), LastWriterWins, CompatLimits::default()).await;
    let mut ada = OldClient::new(&world, "ada@home", Dialect::TypeScript);
    let new = new_client(&world, "bob@home").await;
    for id in ["by the server", "by ours", "by an old one"] {
        ada.add_item(id, &format!("deleted {id}"));
    }
    assert!(ada.sync().await);
    new.sync.sync().await.unwrap();
    world.items("ada@home").remove("by the server").await.unwrap();
    new.items.remove("by ours").await.unwrap();
    new.sync.sync().await.unwrap();
    ada.remove("by an old one");
    assert!(ada.sync().await);
    let mut eve = OldClient::new(&world, "eve@home", Dialect::Dart);
    assert_eq!(eve.pull().await, 3);
    for ((_, id), row) in &eve.rows {
        assert_eq!((&row["deleted"], &row["name"]), (&json!(true), &json!(format!("deleted {id}"))));
    }
    // Purged with the tombstones.
    world.store.source().purge_tombstones(&zone("x@home"), Position(99)).await.unwrap();
    assert_eq!(world.store.source().entries("fastsync/deleted/").await.unwrap(), []);
}

#[tokio::test]
async fn the_last_values_go_out_where_they_are_kept() {
    the_last_values_go_out(Store::server(MemoryDataSource::new())).await;
    let folder = tempfile::tempdir().unwrap();
    let source = SqliteDataSource::open(folder.path().join("server.db")).unwrap();
    the_last_values_go_out(Store::server(source)).await;
}

/// Fails if the new zone's values, or none, go out to the old one.
#[tokio::test]
async fn a_departure_sends_what_the_old_zone_last_held() {
    let store = Store::server(MemoryDataSource::new()).keep_deleted::<Item>();
    let world = world_on(store, LastWriterWins, CompatLimits::default()).await;
    let mut ada = OldClient::new(&world, "ada@home", Dialect::Dart);
    ada.add_item("1", "as home knew it");
    assert!(ada.sync().await);
    let mut moving = world.store.edit();
    world.items("ada@home").stage_remove(&mut moving, "1").unwrap();
    world.items("eve@away").stage_add(&mut moving, &item("1", "away's")).unwrap();
    moving.commit().await.unwrap();
    ada.pull().await;
    let row = &ada.rows[&("Item".to_owned(), "1".to_owned())];
    assert_eq!((&row["deleted"], &row["name"]), (&json!(true), &json!("as home knew it")));
}
