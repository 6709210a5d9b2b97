//! Tests that need what is inside: the plans of the queries, and transactions that somebody left open.
#![allow(clippy::print_stderr)]

use std::time::Duration;

use fastsync_conformance::samples::{self, named, put, record};
use fastsync_core::source::{Commit, CommitOutcome, Preparation};
use fastsync_core::*;
use mongodb::Client;
use mongodb::bson::{Bson, Document, doc, oid::ObjectId as Unique};
use uuid::Uuid;

use crate::command::{RECORDS, SESSIONS, STAGED, STATE, WRITERS, ZONES};
use crate::store::Store;
use crate::{MongoDataSource, audit, feed, load, query, read, staging, walk};

pub(crate) fn url() -> Option<String> {
    let url = std::env::var("FASTSYNC_MONGO_URL").ok();
    let required = std::env::var("FASTSYNC_REQUIRE").unwrap_or_default();
    let is_required = required.split(',').any(|name| name.trim() == "mongo");
    assert!(url.is_some() || !is_required, "FASTSYNC_REQUIRE names mongo, but FASTSYNC_MONGO_URL is not set");
    if url.is_none() {
        eprintln!("SKIPPED: FASTSYNC_MONGO_URL is not set; `cargo xtask test` starts a server");
    }
    url
}

fn name() -> TypeName {
    TypeName::new("items").unwrap()
}

pub(crate) async fn open(url: &str) -> (Store, MongoDataSource) {
    let client = Client::with_uri_str(url).await.unwrap();
    let database = client.database(&format!("fastsync_test_{}", Unique::new()));
    let source = MongoDataSource::open(&database).await.unwrap();
    source.prepare(&[named()], Preparation::Apply).await.unwrap();
    (Store::new(&database, crate::upgrade::UPGRADES), source)
}

/// A session of one record.
pub(crate) fn commit(number: u128, id: &str) -> Commit {
    let record = record("items", &Zone::Global, id, Some(vec!["x".into()]));
    Commit { session: SessionId::from_uuid(Uuid::from_u128(number)), ..samples::commit(vec![put(record)]) }
}

/// The names of the stages of a plan; a scan of a whole index is named as such.
fn stages(plan: &Document, found: &mut Vec<String>) {
    for (name, value) in plan {
        match value {
            Bson::String(stage) if name == "stage" => found.push(stage.clone()),
            Bson::Document(bounds) if name == "indexBounds" => {
                let first = bounds.values().next().and_then(Bson::as_array);
                if first.is_none_or(|first| first.contains(&Bson::from("[MinKey, MaxKey]"))) {
                    found.push("WHOLE INDEX".to_owned());
                }
            }
            Bson::Document(inner) => stages(inner, found),
            Bson::Array(list) => {
                list.iter().filter_map(Bson::as_document).for_each(|inner| stages(inner, found))
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn every_query_of_push_and_pull_uses_an_index_and_sorts_nothing() {
    let Some(url) = url() else { return };
    let (store, source) = open(&url).await;
    for number in 1..50 {
        source.commit_alone(commit(number, &format!("i-{number}"))).await.unwrap();
    }
    let zone = Zone::Global;
    let key = doc! { "zone": "global", "type": 0, "id": "i-1" };
    let object = doc! { "zone": "global", "id": "i-1" };
    let some = |ids: Vec<Document>| doc! { "_id": { "$in": ids } };
    let session =
        mongodb::bson::Binary { subtype: mongodb::bson::spec::BinarySubtype::Uuid, bytes: vec![0; 16] };
    let kind = store.kind_at(0).await.unwrap();
    let all = Query::all(name(), zone.clone());
    let by_id = query::command(&kind, &all, query::filter_of(&kind, &all).unwrap().unwrap());
    let queries = [
        walk::feed_start(&zone),
        load::load_middle(&zone),
        audit::sessions_at(&zone, &[3, 7]),
        audit::sessions_query(&zone, 2, 9),
        read::pending_query(3, 10),
        by_id,
        doc! { "find": RECORDS, "filter": some(vec![key.clone(), key]) },
        doc! { "find": "items", "filter": some(vec![object.clone(), object]) },
        doc! { "find": SESSIONS, "filter": { "_id": { "$in": [session.clone(), session] } } },
        doc! { "find": STATE, "filter": { "_id": { "$in": ["a", "b"] } } },
        doc! { "find": ZONES, "filter": { "_id": "global" } },
        doc! { "find": WRITERS, "filter": { "_id": { "$in": ["a", "b"] } } },
        doc! {
            "find": STAGED, "filter": staging::of_session(SessionId::from_uuid(Uuid::nil())), "sort": { "_id": 1 },
        },
        doc! { "delete": RECORDS, "deletes": [{ "q": feed::purged(&zone, 9), "limit": 0, "hint": "tombstones" }] },
    ];
    for query in queries {
        let explained = doc! { "explain": query.clone(), "verbosity": "queryPlanner" };
        let explained = store.database.run_command(explained).await.unwrap();
        let mut found = Vec::new();
        stages(
            explained.get_document("queryPlanner").unwrap().get_document("winningPlan").unwrap(),
            &mut found,
        );
        let is_indexed = found.iter().any(|stage| stage == "IXSCAN" || stage == "IDHACK");
        // A command with `min` and `max` has its bounds in them.
        let is_whole = |stage: &str| stage == "WHOLE INDEX" && !query.contains_key("min");
        let is_bad = found.iter().any(|stage| stage == "COLLSCAN" || stage == "SORT" || is_whole(stage));
        assert!(is_indexed && !is_bad, "{query}: {found:?}");
    }
    store.database.drop().await.unwrap();
}

/// A process that dies between the first write of its transaction and the commit: here its session is kept
/// from ending the transaction, as a dead process's is.
#[tokio::test]
async fn a_transaction_left_open_is_ended_by_who_is_held_up() {
    let Some(url) = url() else { return };
    let (store, source) = open(&url).await;
    source.commit_alone(commit(1, "first")).await.unwrap();

    let mut dead = store.writers.session(&store.database).await.unwrap();
    dead.start_transaction().await.unwrap();
    let zones = store.database.collection::<Document>(ZONES);
    let touch = doc! { "$inc": { "turn": 1_i64, "head": 1_i64 } };
    zones.update_one(doc! { "_id": "global" }, touch).session(&mut dead).await.unwrap();
    let items = store.database.collection::<Document>("items");
    items.insert_one(doc! { "_id": { "zone": "global", "id": "half" } }).session(&mut dead).await.unwrap();

    let began = tokio::time::Instant::now();
    let outcome = source.commit_alone(commit(2, "second")).await.unwrap();
    let CommitOutcome::Applied(receipt) = outcome else { panic!("{outcome:?}") };
    assert_eq!(receipt.positions, [(Zone::Global, Position(2))], "the dead one's position was never given");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert_eq!(source.count(&Query::all(name(), Zone::Global)).await.unwrap(), 2, "nothing of it is there");
    // Had it only been slow, its commit would fail now.
    assert!(dead.commit_transaction().await.is_err());
    store.database.drop().await.unwrap();
}

/// Foreign transactions are left alone, however long they are idle; so are our own active ones.
/// Fails if the writers that are noted, or the time, are not looked at.
#[tokio::test]
async fn transactions_of_others_and_those_that_go_on_are_not_ended() {
    let Some(url) = url() else { return };
    let (store, source) = open(&url).await;
    source.commit_alone(commit(1, "first")).await.unwrap();
    let writers = store.database.collection::<Document>(WRITERS);
    let own = store.database.collection::<Document>("items");
    let mut theirs = store.database.client().start_session().await.unwrap();
    // The pool may have given a session that has written for this library before.
    let writer = doc! { "_id": theirs.id().get("id") };
    writers.delete_one(writer.clone()).await.unwrap();
    theirs.start_transaction().await.unwrap();
    own.insert_one(doc! { "note": "mine" }).session(&mut theirs).await.unwrap();
    assert_eq!(crate::orphans::end_abandoned(&store.database, Duration::ZERO).await.unwrap(), 0);
    theirs.commit_transaction().await.unwrap();

    writers.insert_one(writer).await.unwrap();
    theirs.start_transaction().await.unwrap();
    own.insert_one(doc! { "note": "more" }).session(&mut theirs).await.unwrap();
    assert_eq!(crate::orphans::end_abandoned(&store.database, Duration::from_secs(3_600)).await.unwrap(), 0);
    assert_eq!(crate::orphans::end_abandoned(&store.database, Duration::ZERO).await.unwrap(), 1);
    assert!(theirs.commit_transaction().await.is_err());
    store.database.drop().await.unwrap();
}
