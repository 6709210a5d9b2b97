//! Foreign keys of the user's own tables: what broke one is named, and nothing else.

use crate::common::*;
use fastsync_core::source::*;
use fastsync_core::*;

/// A type with a text `key`, and children whose text `parent` refers to it, as a user made the tables.
async fn prepared(fixture: &Fixture, tables: &str) -> fastsync_dao_sqlite::SqliteDataSource {
    fixture.sql().execute_batch(tables).unwrap();
    let source = open(&fixture.path());
    let parents = TypeSchema::builder("parents", "id").field("key", FieldKind::Text).priority(1);
    let children = TypeSchema::builder("children", "id").field("parent", FieldKind::Text).priority(2);
    source.prepare(&[parents.build().unwrap(), children.build().unwrap()], Preparation::Apply).await.unwrap();
    source
}

fn parent(id: &str, key: &str) -> Write {
    put(record("parents", &Zone::Global, id, Some(vec![key.into()])))
}

fn gone(id: &str) -> Write {
    put(record("parents", &Zone::Global, id, None))
}

fn child(id: &str, of: &str) -> Write {
    put(record("children", &Zone::Global, id, Some(vec![of.into()])))
}

async fn refused(source: &impl SyncableDataSource, writes: Vec<Write>) -> Vec<String> {
    let named = conflicts(source, writes).await;
    let is_foreign = |reason: &ConflictReason| matches!(reason, ConflictReason::Constraint(text) if text.contains("FOREIGN"));
    assert!(named.iter().all(|conflict| is_foreign(&conflict.reason)), "{named:?}");
    named.into_iter().map(|conflict| conflict.write.action.key().id.as_str().to_owned()).collect()
}

/// Fails if every deletion from a table is named where a row refers to one of them.
#[tokio::test]
async fn only_the_parents_that_are_referred_to_are_named() {
    for tables in [
        "CREATE TABLE parents (id TEXT PRIMARY KEY, key TEXT NOT NULL);
         CREATE TABLE children (id TEXT PRIMARY KEY, parent TEXT REFERENCES Parents);",
        "CREATE TABLE parents (id TEXT PRIMARY KEY, key TEXT NOT NULL);
         CREATE TABLE children (id TEXT PRIMARY KEY, parent TEXT);
         CREATE TABLE \"own \"\"rows\" (n INTEGER, parent TEXT REFERENCES parents (id));
         CREATE TRIGGER follow AFTER INSERT ON children BEGIN
            INSERT INTO \"own \"\"rows\" VALUES (1, new.parent); END;",
    ] {
        let fixture = Fixture::new();
        let source = prepared(&fixture, tables).await;
        let keys = ["o", "p", "q", "r"];
        apply(&source, keys.map(|key| parent(key, "any")).to_vec()).await;
        apply(&source, vec![child("1", "p"), child("2", "r")]).await;
        assert_eq!(refused(&source, keys.map(gone).to_vec()).await, ["p", "r"]);
        let writes = keys.map(gone).to_vec();
        let mut staged = commit(Vec::new());
        source.stage(staged.session, 0, writes.clone()).await.unwrap();
        staged.writes = Writes::Staged { overrides: Vec::new() };
        let CommitOutcome::Conflicts { writes: named, .. } = source.commit_alone(staged).await.unwrap()
        else {
            panic!("rows refer to them");
        };
        assert_eq!(named.len(), 2);
        let skipping = writes.into_iter().map(|write| Write { on_mismatch: OnMismatch::Skip, ..write });
        assert_eq!(apply(&source, skipping.collect()).await.skipped.len(), 2);
        let left = source.find(&Query::all(name("parents"), Zone::Global)).await.unwrap().records;
        assert_eq!(ids(&left), ["p", "r"]);
    }
}

/// Fails if a parent is known by its id only, or stays unnamed where its key changes.
#[tokio::test]
async fn a_parent_is_known_by_whatever_rows_refer_to() {
    let fixture = Fixture::new();
    let tables = "CREATE TABLE parents (id TEXT PRIMARY KEY, key TEXT NOT NULL UNIQUE COLLATE NOCASE);
         CREATE TABLE children (id TEXT PRIMARY KEY, parent TEXT REFERENCES parents (key));";
    let source = prepared(&fixture, tables).await;
    apply(&source, vec![parent("1", "One"), parent("2", "Two"), parent("3", "Three")]).await;
    apply(&source, vec![child("c", "two")]).await;
    assert_eq!(refused(&source, vec![gone("1"), gone("2"), gone("3")]).await, ["2"]);
    assert_eq!(refused(&source, vec![parent("1", "Four"), parent("2", "Five")]).await, ["2"]);
    // Another one has the key then.
    apply(&source, vec![parent("1", "Two"), parent("2", "One")]).await;
    apply(&source, vec![gone("2"), gone("3")]).await;
    // Where the child is written too, it is the one that is named.
    assert_eq!(refused(&source, vec![gone("1"), child("c", "nobody")]).await, ["c"]);
}

/// Fails if a row of another zone is taken for the parent or the child.
#[tokio::test]
async fn zones_are_told_apart() {
    let fixture = Fixture::new();
    fixture
        .sql()
        .execute_batch(
            "CREATE TABLE parents (zone TEXT, id TEXT, PRIMARY KEY (zone, id));
             CREATE TABLE children (zone TEXT, id TEXT, parent TEXT NOT NULL, PRIMARY KEY (zone, id),
                FOREIGN KEY (zone, parent) REFERENCES parents (zone, id));",
        )
        .unwrap();
    let source = open(&fixture.path());
    let parents = TypeSchema::builder("parents", "id").restricted().priority(1);
    let children =
        TypeSchema::builder("children", "id").restricted().field("parent", FieldKind::Text).priority(2);
    source.prepare(&[parents.build().unwrap(), children.build().unwrap()], Preparation::Apply).await.unwrap();
    let [here, there] = ["here", "there"].map(|zone| Zone::restricted(zone).unwrap());
    let parent = |zone: &Zone, live: bool| put(record("parents", zone, "p", live.then(Vec::new)));
    let child = |zone: &Zone, of: &str| put(record("children", zone, "c", Some(vec![of.into()])));
    apply(&source, vec![parent(&here, true), parent(&there, true), child(&here, "p")]).await;
    for (writes, zone) in [
        (vec![parent(&here, false), parent(&there, false)], &here),
        (vec![child(&here, "p"), child(&there, "nobody")], &there),
    ] {
        let named = conflicts(&source, writes).await;
        assert_eq!(named.iter().map(|c| &c.write.action.key().zone).collect::<Vec<_>>(), [zone]);
    }
}

/// A row without a number cannot be read, so every deletion from its parent's table may be the one.
#[tokio::test]
async fn a_child_without_a_row_number_still_has_a_parent() {
    let fixture = Fixture::new();
    let tables = "CREATE TABLE parents (id TEXT PRIMARY KEY, key TEXT NOT NULL);
         CREATE TABLE children (id TEXT PRIMARY KEY, parent TEXT);
         CREATE TABLE own (parent TEXT PRIMARY KEY REFERENCES parents (id)) WITHOUT ROWID;";
    let source = prepared(&fixture, tables).await;
    apply(&source, vec![parent("p", "any"), parent("q", "any")]).await;
    fixture.sql().execute_batch("INSERT INTO own VALUES ('p')").unwrap();
    assert_eq!(refused(&source, vec![gone("p"), gone("q")]).await, ["p", "q"]);
}
