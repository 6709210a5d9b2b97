//! What only MongoDB has: documents of the user's, unique indexes and validators, adopted collections, big
//! batches, servers that are refused.

use crate::common::*;
use fastsync_core::source::*;
use fastsync_core::*;
use fastsync_dao_mongo::MongoDataSource;
use fastsync_dao_mongo::mongodb::bson::{Bson, Document, doc};
use fastsync_dao_mongo::mongodb::options::{Collation, IndexOptions};
use fastsync_dao_mongo::mongodb::{Client, IndexModel};

#[tokio::test]
async fn objects_are_documents_with_their_fields_at_the_top() {
    let Some(scratch) = Scratch::new() else { return };
    let source = scratch.items().await;
    apply(&source, vec![put(item("a", "one")), put(item("$b.c", "{\"$gt\":\"\"}"))]).await;
    let items = source.database().collection::<Document>("items");
    let found = items.find_one(doc! { "id": "a" }).await.unwrap().unwrap();
    let expected = doc! {
        "_id": { "zone": "global", "id": "a" }, "id": "a", "name": "one", "quantity": 1_i64, "note": Bson::Null,
    };
    assert_eq!(found, expected);
    let odd = items.find_one(doc! { "_id": { "zone": "global", "id": "$b.c" } }).await.unwrap().unwrap();
    assert_eq!(odd.get_str("name").unwrap(), "{\"$gt\":\"\"}");

    // The user's further fields stay when an object is written again, and go with it.
    items.update_one(doc! { "id": "a" }, doc! { "$set": { "seen_by": ["ann"] } }).await.unwrap();
    apply(&source, vec![put(item("a", "two"))]).await;
    let found = items.find_one(doc! { "id": "a" }).await.unwrap().unwrap();
    assert!(found.contains_key("seen_by") && found.get_str("name") == Ok("two"));
    apply(&source, vec![put(record("items", &Zone::Global, "a", None))]).await;
    assert_eq!(items.find_one(doc! { "id": "a" }).await.unwrap(), None);
    apply(&source, vec![put(item("a", "three"))]).await;
    assert!(!items.find_one(doc! { "id": "a" }).await.unwrap().unwrap().contains_key("seen_by"));
}

#[tokio::test]
async fn documents_of_others_are_not_tracked_and_missing_ones_passed_over() {
    let Some(scratch) = Scratch::new() else { return };
    let database = scratch.database().await;
    let own = database.collection::<Document>("items");
    own.insert_many([doc! { "name": "theirs" }, doc! { "_id": "x", "id": "x", "name": "theirs" }])
        .await
        .unwrap();
    let source = scratch.items().await;
    apply(&source, vec![put(item("a", "one")), put(item("b", "two")), put(item("x", "ours"))]).await;
    let all = Query::all(name("items"), Zone::Global);
    assert_eq!(ids(&source.find(&all).await.unwrap().records), ["a", "b", "x"]);
    assert_eq!(source.count(&all).await.unwrap(), 3);
    assert_eq!(own.count_documents(doc! { "name": "theirs" }).await.unwrap(), 2);

    own.delete_one(doc! { "_id": { "zone": "global", "id": "a" } }).await.unwrap();
    assert_eq!(ids(&page(&source, &request(&Zone::Global)).await.records), ["b", "x"]);
    assert_eq!(source.get(&name("items"), &Zone::Global, &[id("a")]).await.unwrap(), []);
    // It can be written again.
    apply(&source, vec![put(item("a", "again"))]).await;
    assert_eq!(source.count(&all).await.unwrap(), 3);
}

async fn unique(source: &MongoDataSource, field: &str) {
    let unique = IndexOptions::builder().unique(true).build();
    let index = IndexModel::builder().keys(doc! { "_id.zone": 1, field: 1 }).options(unique).build();
    source.database().collection::<Document>("items").create_index(index).await.unwrap();
}

fn staged(commit: Commit) -> Commit {
    Commit { writes: Writes::Staged { overrides: Vec::new() }, ..commit }
}

#[tokio::test]
async fn a_unique_clash_refuses_its_write_and_a_value_given_free_is_none() {
    let Some(scratch) = Scratch::new() else { return };
    let source = scratch.items().await;
    unique(&source, "name").await;
    apply(&source, vec![put(item("a", "one")), put(item("b", "two"))]).await;
    let refused = conflicts(&source, vec![put(item("c", "three")), put(item("a", "two"))]).await;
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].write.action.key().id, id("a"));
    assert_eq!(refused[0].current.as_ref().unwrap().body.as_ref().unwrap()[0], "one".into());
    assert!(matches!(&refused[0].reason, ConflictReason::Constraint(text) if text.contains("E11000")));
    assert!(source.get(&name("items"), &Zone::Global, &[id("c")]).await.unwrap().is_empty());

    // Left out, the others go on; so do several at once.
    let skip = |record| Write { on_mismatch: OnMismatch::Skip, ..put(record) };
    let clashes = vec![put(item("c", "three")), skip(item("a", "two")), skip(item("d", "two"))];
    assert_eq!(apply(&source, clashes).await.skipped.len(), 2);

    // Values move along within a commit, in whatever order, also over staged batches, and from what is
    // deleted.
    apply(&source, vec![put(item("a", "two")), put(item("b", "three")), put(item("c", "four"))]).await;
    apply(&source, vec![put(item("a", "three")), put(record("items", &Zone::Global, "b", None))]).await;
    let session = staged(commit(Vec::new()));
    source.stage(session.session, 1, vec![put(item("a", "four"))]).await.unwrap();
    source.stage(session.session, 2, vec![put(item("c", "five"))]).await.unwrap();
    assert!(matches!(source.commit_alone(session).await.unwrap(), CommitOutcome::Applied(_)));
    let found = source.find(&Query::all(name("items"), Zone::Global)).await.unwrap().records;
    let names: Vec<_> = found.iter().map(|record| record.body.as_ref().unwrap()[0].clone()).collect();
    assert_eq!((ids(&found), names), (vec!["a", "c"], vec!["four".into(), "five".into()]));
}

#[tokio::test]
async fn a_clash_of_one_commit_does_not_touch_those_beside_it() {
    let Some(scratch) = Scratch::new() else { return };
    let source = scratch.items().await;
    unique(&source, "name").await;
    let tasks = (0..12).map(|n| {
        let source = source.clone();
        // Every third wants the same name.
        let title = if n % 3 == 0 { "taken".to_owned() } else { format!("name {n}") };
        tokio::spawn(async move {
            source.commit_alone(commit(vec![put(item(&format!("i-{n}"), &title))])).await.unwrap()
        })
    });
    let mut applied = 0;
    for task in tasks.collect::<Vec<_>>() {
        match task.await.unwrap() {
            CommitOutcome::Applied(_) => applied += 1,
            CommitOutcome::Conflicts { writes, .. } => {
                assert!(matches!(writes[0].reason, ConflictReason::Constraint(_)));
            }
            CommitOutcome::Duplicate(_) => panic!("every session is new"),
        }
    }
    assert_eq!(applied, 9);
    let page = page(&source, &request(&Zone::Global)).await;
    assert_eq!((page.records.len(), page.head.position), (9, Position(9)));
}

#[tokio::test]
async fn a_validator_refuses_as_a_constraint() {
    let Some(scratch) = Scratch::new() else { return };
    let source = scratch.items().await;
    let rule = doc! { "collMod": "items", "validator": { "quantity": { "$lt": 10 } } };
    source.database().run_command(rule).await.unwrap();
    let mut large = item("a", "one");
    large.body.as_mut().unwrap()[1] = Value::Integer(10);
    let refused = conflicts(&source, vec![put(large), put(item("b", "two"))]).await;
    assert_eq!(refused[0].write.action.key().id, id("a"));
    assert!(matches!(&refused[0].reason, ConflictReason::Constraint(_)));
}

#[tokio::test]
async fn collections_that_would_not_do_are_refused_together() {
    let Some(scratch) = Scratch::new() else { return };
    let database = scratch.database().await;
    let german = Collation::builder().locale("de".to_owned()).build();
    database.create_collection("items").collation(german).await.unwrap();
    database.create_collection("notes").capped(true).size(4096).await.unwrap();
    database.run_command(doc! { "create": "things", "viewOn": "items", "pipeline": [] }).await.unwrap();
    let plain = |name: &str| TypeSchema::builder(name, "id").build().unwrap();
    let types = ["items", "notes", "things", "fresh", "system"].map(plain);
    let source = scratch.open().await;
    let error = source.prepare(&types, Preparation::Apply).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    for part in ["items has a collation", "notes is capped", "things", "system"] {
        assert!(error.message().contains(part), "{part} is missing in {error}");
    }
    let fresh = Query::all(name("fresh"), Zone::Global);
    assert_eq!(source.count(&fresh).await.unwrap_err().kind(), ErrorKind::UnknownType);
}

/// One batch of more than a document holds is kept in parts, and is the first one all the same.
#[tokio::test]
async fn a_batch_above_the_document_limit_is_kept_whole() {
    let Some(scratch) = Scratch::new() else { return };
    let source = scratch.items().await;
    let large = "x".repeat(900_000);
    let batch = |text: &str| (0..20).map(|n| put(item(&format!("i-{n:02}"), text))).collect::<Vec<_>>();
    let session = staged(commit(Vec::new()));
    source.stage(session.session, u64::MAX, batch(&large)).await.unwrap();
    source.stage(session.session, u64::MAX, batch("later")).await.unwrap();
    source.stage(session.session, 1, vec![put(item("i-00", "earlier"))]).await.unwrap();
    assert!(matches!(source.commit_alone(session).await.unwrap(), CommitOutcome::Applied(_)));
    let found = source.get(&name("items"), &Zone::Global, &[id("i-00"), id("i-19")]).await.unwrap();
    assert!(found.iter().all(|record| record.body.as_ref().unwrap()[0] == large.as_str().into()));
    assert_eq!(found.len(), 2);
}

#[tokio::test]
async fn what_no_document_holds_is_refused_before_anything_is_written() {
    let Some(scratch) = Scratch::new() else { return };
    let source = scratch.items().await;
    let state = vec![StateWrite::set("large", Some(vec![0; 16 << 20]))];
    let refused =
        source.commit_alone(Commit { state, ..commit(vec![put(item("a", "one"))]) }).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::TooLarge);
    assert_eq!(source.count(&Query::all(name("items"), Zone::Global)).await.unwrap(), 0);
}

#[tokio::test]
async fn clients_with_weak_concerns_are_made_strong() {
    let Some(scratch) = Scratch::new() else { return };
    let weak = format!("{}&w=0&readConcernLevel=local&readPreference=secondaryPreferred", url().unwrap());
    let client = Client::with_uri_str(weak).await.unwrap();
    let name = scratch.database().await.name().to_owned();
    let source = MongoDataSource::open(&client.database(&name)).await.unwrap();
    source.prepare(&[items()], Preparation::Apply).await.unwrap();
    apply(&source, vec![put(item("a", "one"))]).await;
    let shown = format!("{source:?} {:?}", source.database().write_concern());
    assert!(shown.contains("Majority") && shown.contains("journal: Some(true)"), "{shown}");
}

#[tokio::test]
async fn settings_that_do_not_hold_and_servers_that_are_not_there_have_their_kinds() {
    let error = MongoDataSource::connect("mongodb://ann:secret@", "app").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    let nobody = "mongodb://ann:secret@127.0.0.1:9/?serverSelectionTimeoutMS=200";
    let error = MongoDataSource::connect(nobody, "app").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.is_retryable());
    assert!(!format!("{error:?}").contains("secret"), "{error:?}");
}

#[tokio::test]
async fn later_versions_of_the_sync_collections_are_refused() {
    let Some(scratch) = Scratch::new() else { return };
    drop(scratch.items().await);
    let database = scratch.database().await;
    let meta = database.collection::<Document>("fastsync_meta");
    meta.update_one(doc! { "_id": "schema" }, doc! { "$set": { "version": 2 } }).await.unwrap();
    let error = MongoDataSource::open(&database).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().contains("version 2"), "{error}");
}

/// A server beside the one of the tests, a standalone: `FASTSYNC_MONGO_STANDALONE_URL`.
#[tokio::test]
async fn a_standalone_server_is_refused_with_the_way_out() {
    let Some(url) = standalone() else { return };
    let error = MongoDataSource::connect(&url, "app").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("rs.initiate()"), "{error}");
}

/// Each process prepares a type of its own. Fails if one stores its types over those of another: they get no
/// number of their own, or are forgotten.
#[tokio::test]
async fn many_processes_may_prepare_at_once() {
    let Some(scratch) = Scratch::new() else { return };
    drop(scratch.items().await);
    let own = |n: usize| TypeSchema::builder(format!("own{n}"), "id").build().unwrap();
    let tasks: Vec<_> = (0..6)
        .map(|n| {
            let source = scratch.open();
            async move { source.await.prepare(&[own(n)], Preparation::Apply).await }
        })
        .collect();
    for done in futures_util::future::join_all(tasks).await {
        done.unwrap();
    }
    let source = scratch.open().await;
    apply(
        &source,
        (0..6).map(|n| put(record(&format!("own{n}"), &Zone::Global, "a", Some(Vec::new())))).collect(),
    )
    .await;
    let records = page(&source, &request(&Zone::Global)).await.records;
    let kinds: std::collections::BTreeSet<_> = records.iter().map(|record| &record.key.type_name).collect();
    assert_eq!((records.len(), kinds.len()), (6, 6));
}

/// "No position is ever given twice, whatever happens to the lock of a zone." Fails if the index of positions
/// is not unique.
#[tokio::test]
async fn a_position_cannot_be_given_twice() {
    let Some(scratch) = Scratch::new() else { return };
    let source = scratch.items().await;
    apply(&source, vec![put(item("a", "one"))]).await;
    let sessions = source.database().collection::<Document>("fastsync_sessions");
    let again = doc! { "_id": "x", "positions": [{ "zone": "global", "position": 1_i64 }] };
    let error = sessions.insert_one(again).await.unwrap_err();
    assert!(error.to_string().contains("E11000"), "{error}");
}

/// Fails if the objects that are there do not get a field that is new: queries would not find it, though
/// reads show it.
#[tokio::test]
async fn a_field_that_is_new_can_be_queried() {
    let Some(scratch) = Scratch::new() else { return };
    let source = scratch.items().await;
    apply(&source, vec![put(item("a", "one"))]).await;
    let more = TypeSchema::builder("items", "id")
        .field("name", FieldKind::Text)
        .field("quantity", FieldKind::Integer)
        .nullable_field("note", FieldKind::Text)
        .field("price", FieldKind::Integer);
    source.prepare(&[more.build().unwrap()], Preparation::Apply).await.unwrap();
    let filter = Filter::equal("price", 0_i64).unwrap();
    let query = Query::all(name("items"), Zone::Global).with_filter(filter);
    assert_eq!(ids(&source.find(&query).await.unwrap().records), ["a"]);
}

/// "A deletion that waits to be pushed is not finished with." Fails if a purge takes its tombstone away.
#[tokio::test]
async fn a_deletion_that_waits_to_be_pushed_is_not_purged() {
    let Some(scratch) = Scratch::new() else { return };
    let source = scratch.items().await;
    apply(&source, vec![put(item("a", "one")), put(item("b", "two"))]).await;
    let tombstone = |key: &str| record("items", &Zone::Global, key, None);
    apply(&source, vec![put(tombstone("b"))]).await;
    let waits =
        Write { action: Action::Put { record: tombstone("a"), pending: true }, ..put(tombstone("a")) };
    source.commit_alone(Commit { positioned: false, ..commit(vec![waits]) }).await.unwrap();
    assert_eq!(source.purge_tombstones(&Zone::Global, Position(2)).await.unwrap(), 1);
    assert_eq!(ids(&source.pending_after(0, 10).await.unwrap()), ["a"]);
    let left = source.get(&name("items"), &Zone::Global, &[id("a"), id("b")]).await.unwrap();
    assert_eq!(ids(&left), ["a"]);
}
