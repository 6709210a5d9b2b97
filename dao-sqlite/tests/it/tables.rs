//! The user's own tables: adoption, contradictions, unique columns, foreign keys, rows changed past the library.

use crate::common::*;
use fastsync_core::source::*;
use fastsync_core::*;

#[tokio::test]
async fn tables_are_plain_and_deleted_objects_leave_them() {
    let fixture = Fixture::new();
    let source = fixture.items().await;
    apply(&source, vec![put(item("007", "seven")), put(item("b", "two"))]).await;
    apply(&source, vec![put(record("items", &Zone::Global, "b", None))]).await;
    let sql = fixture.sql();
    let rows: Vec<(String, String, i64)> = sql
        .prepare("SELECT id, name, quantity FROM items")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(rows, [("007".to_owned(), "seven".to_owned(), 1)]);
    let found = source.get(&name("items"), &Zone::Global, &[id("b"), id("007")]).await.unwrap();
    assert_eq!(ids(&found), ["b", "007"]);
    assert!(found[0].is_deleted());
}

#[tokio::test]
async fn an_existing_table_is_adopted_with_all_that_is_on_it() {
    let fixture = Fixture::new();
    fixture
        .sql()
        .execute_batch(
            "CREATE TABLE items (id TEXT PRIMARY KEY, name VARCHAR(20) COLLATE NOCASE UNIQUE, extra TEXT DEFAULT 'x');
             INSERT INTO items (id, name) VALUES ('old', 'old one');
             CREATE TABLE log (id TEXT);
             CREATE TRIGGER noted AFTER INSERT ON items BEGIN INSERT INTO log VALUES (new.id); END;",
        )
        .unwrap();
    let source = open(&fixture.path());
    let planned: Vec<_> = source.plan(&[items()]).await.unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(
        planned,
        [
            "add type items",
            "adopt table items, which is there already",
            "add field items.quantity",
            "add field items.note"
        ]
    );
    let source = fixture.items().await;
    assert_eq!(source.plan(&[items()]).await.unwrap(), []);
    apply(&source, vec![put(item("new", "New one"))]).await;
    fixture.sql().execute("UPDATE items SET extra = 'mine' WHERE id = 'new'", []).unwrap();
    apply(&source, vec![put(item("new", "newer"))]).await;

    let extra: String =
        fixture.sql().query_row("SELECT extra FROM items WHERE id = 'new'", [], |row| row.get(0)).unwrap();
    assert_eq!(extra, "mine");
    let logged: i64 = fixture.sql().query_row("SELECT count(*) FROM log", [], |row| row.get(0)).unwrap();
    assert_eq!(logged, 1);
    // Rows from before are not tracked.
    let query = Query::all(name("items"), Zone::Global);
    assert_eq!(ids(&source.find(&query).await.unwrap().records), ["new"]);
    assert_eq!(source.count(&query).await.unwrap(), 1);
    // The column's collation does not reach filters.
    let folded = query.with_filter(Filter::equal("name", "NEWER").unwrap());
    assert_eq!(source.count(&folded).await.unwrap(), 0);
    // Its unique index does what it says.
    let conflicts = conflicts(&source, vec![put(item("third", "NEWER"))]).await;
    assert!(matches!(&conflicts[0].reason, ConflictReason::Constraint(text) if text.contains("UNIQUE")));
}

#[tokio::test]
async fn contradictions_are_named_together_and_nothing_is_changed() {
    let fixture = Fixture::new();
    fixture
        .sql()
        .execute_batch(
            "CREATE TABLE items (id TEXT PRIMARY KEY COLLATE NOCASE, name INTEGER, note TEXT NOT NULL DEFAULT '',
                quantity INTEGER AS (name + 1), must TEXT NOT NULL);
             CREATE TABLE notes (zone TEXT, id TEXT, text TEXT);
             CREATE VIEW things AS SELECT 1;",
        )
        .unwrap();
    let source = open(&fixture.path());
    let things = TypeSchema::builder("things", "id").build().unwrap();
    let fresh = TypeSchema::builder("fresh", "id").build().unwrap();
    let reserved = TypeSchema::builder("sqlite_x", "id").build().unwrap();
    let error = source
        .prepare(&[items(), notes(), things, fresh.clone(), reserved], Preparation::Apply)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    for part in [
        "BINARY",
        "items.name is INTEGER (affinity INTEGER)",
        "items.quantity is generated",
        "items.note is NOT NULL",
        "items.must is no field",
        "notes: the primary key is not",
        "things",
        "sqlite_x",
    ] {
        assert!(error.message().contains(part), "{part} is missing in {error}");
    }
    let tables: i64 = fixture
        .sql()
        .query_row("SELECT count(*) FROM sqlite_schema WHERE name = 'fresh'", [], |row| row.get(0))
        .unwrap();
    assert_eq!(tables, 0);
    assert_eq!(
        source.count(&Query::all(name("fresh"), Zone::Global)).await.unwrap_err().kind(),
        ErrorKind::UnknownType
    );
}

#[tokio::test]
async fn a_unique_clash_never_overwrites_another_row() {
    let fixture = Fixture::new();
    fixture
        .sql()
        .execute_batch(
            "CREATE TABLE items (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE ON CONFLICT REPLACE)",
        )
        .unwrap();
    let source = fixture.items().await;
    apply(&source, vec![put(item("a", "one")), put(item("b", "two"))]).await;
    let refused = conflicts(&source, vec![put(item("c", "three")), put(item("a", "two"))]).await;
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].write.action.key().id, id("a"));
    assert_eq!(refused[0].current.as_ref().unwrap().body.as_ref().unwrap()[0], "one".into());
    assert!(source.get(&name("items"), &Zone::Global, &[id("c")]).await.unwrap().is_empty());

    // Left out, the others go on.
    let skip = Write { on_mismatch: OnMismatch::Skip, ..put(item("a", "two")) };
    let receipt = apply(&source, vec![put(item("c", "three")), skip]).await;
    assert_eq!(receipt.skipped.len(), 1);
    let found = source.find(&Query::all(name("items"), Zone::Global)).await.unwrap().records;
    assert_eq!(ids(&found), ["a", "b", "c"]);
    assert_eq!(found[0].body.as_ref().unwrap()[0], "one".into());

    // A value that is given free within the commit is no clash, in whatever order.
    apply(&source, vec![put(item("a", "two")), put(item("b", "four"))]).await;
    apply(&source, vec![put(item("a", "three")), put(record("items", &Zone::Global, "c", None))]).await;
    assert_eq!(source.count(&Query::all(name("items"), Zone::Global)).await.unwrap(), 2);
}

fn parent(key: &str, live: bool) -> Write {
    put(record("parents", &Zone::Global, key, live.then(Vec::new)))
}

fn child(key: &str, of: &str) -> Write {
    put(record("children", &Zone::Global, key, Some(vec![of.into()])))
}

#[tokio::test]
async fn foreign_keys_hold_at_the_end_of_a_commit() {
    let fixture = Fixture::new();
    fixture
        .sql()
        .execute_batch(
            "CREATE TABLE parents (id TEXT PRIMARY KEY);
             CREATE TABLE children (id TEXT PRIMARY KEY, parent TEXT NOT NULL REFERENCES parents(id));",
        )
        .unwrap();
    let source = open(&fixture.path());
    source.prepare(&family(), Preparation::Apply).await.unwrap();
    // In a staged commit the child comes in an earlier batch than its parent.
    let mut staged = commit(Vec::new());
    source.stage(staged.session, 1, vec![child("c", "p")]).await.unwrap();
    source.stage(staged.session, 2, vec![parent("p", true), parent("q", true)]).await.unwrap();
    staged.writes = Writes::Staged { overrides: Vec::new() };
    assert!(matches!(source.commit_alone(staged).await.unwrap(), CommitOutcome::Applied(_)));

    // The child is named whose parent is missing, and only it.
    let refused = conflicts(&source, vec![child("d", "nobody"), child("e", "p")]).await;
    assert_eq!(refused.iter().map(|c| c.write.action.key().id.as_str()).collect::<Vec<_>>(), ["d"]);
    assert!(matches!(&refused[0].reason, ConflictReason::Constraint(text) if text.contains("FOREIGN KEY")));
    let skip = Write { on_mismatch: OnMismatch::Skip, ..child("d", "nobody") };
    let receipt = apply(&source, vec![skip, child("e", "p")]).await;
    assert_eq!(receipt.skipped.len(), 1);
    // So is the deletion of a parent that has children.
    let refused = conflicts(&source, vec![parent("p", false)]).await;
    assert_eq!(refused[0].write.action.key().id, id("p"));
    // Moving the children and deleting the parent is one commit.
    apply(&source, vec![parent("p", false), child("c", "q"), child("e", "q")]).await;
    assert_eq!(source.count(&Query::all(name("parents"), Zone::Global)).await.unwrap(), 1);
}

#[tokio::test]
async fn a_row_deleted_past_the_library_is_passed_over() {
    let fixture = Fixture::new();
    let source = fixture.items().await;
    apply(&source, vec![put(item("a", "one")), put(item("b", "two"))]).await;
    fixture.sql().execute("DELETE FROM items WHERE id = 'a'", []).unwrap();
    assert_eq!(ids(&page(&source, &request(&Zone::Global)).await.records), ["b"]);
    assert_eq!(source.get(&name("items"), &Zone::Global, &[id("a")]).await.unwrap(), []);
    assert_eq!(source.count(&Query::all(name("items"), Zone::Global)).await.unwrap(), 1);
}

fn grown() -> TypeSchemaBuilder {
    TypeSchema::builder("items", "id")
        .nullable_field("name", FieldKind::Text)
        .field("quantity", FieldKind::Integer)
        .nullable_field("note", FieldKind::Text)
        .version(2)
}

/// "A field that becomes nullable keeps its values." Fails if an index of the user is lost.
#[tokio::test]
async fn a_column_that_becomes_nullable_keeps_its_indexes() {
    let fixture = Fixture::new();
    let source = fixture.items().await;
    apply(&source, vec![put(item("a", "one"))]).await;
    fixture
        .sql()
        .execute_batch("CREATE INDEX by_name ON items (name, quantity); CREATE UNIQUE INDEX once ON items (quantity, name)")
        .unwrap();
    let rules = || {
        let select = "SELECT group_concat(sql) FROM sqlite_schema ORDER BY name";
        fixture.sql().query_row(select, [], |row| row.get::<_, String>(0)).unwrap()
    };
    let before = rules();
    assert_eq!(source.plan(&[grown().build().unwrap()]).await.unwrap().len(), 2);
    assert_eq!(rules(), before, "a plan that tries takes it back");
    for _ in 0..2 {
        source.prepare(&[grown().build().unwrap()], Preparation::Apply).await.unwrap();
    }
    let count = "SELECT count(*) FROM sqlite_schema WHERE type = 'index' AND name IN ('by_name', 'once')";
    let indexes: i64 = fixture.sql().query_row(count, [], |row| row.get(0)).unwrap();
    assert_eq!(indexes, 2);
    let filter = Filter::equal("name", "one").unwrap();
    let query = Query::all(name("items"), Zone::Global).with_filter(filter);
    assert_eq!(ids(&source.find(&query).await.unwrap().records), ["a"]);
}

/// "Nothing is changed." Fails if a column that cannot be replaced is lost, or the schema is noted all the same.
#[tokio::test]
async fn a_column_with_a_constraint_cannot_become_nullable() {
    let fixture = Fixture::new();
    let create = "CREATE TABLE items (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE)";
    fixture.sql().execute_batch(create).unwrap();
    let source = fixture.items().await;
    apply(&source, vec![put(item("a", "one"))]).await;
    for _ in 0..2 {
        let error = source.prepare(&[grown().build().unwrap()], Preparation::Apply).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains("items.name is NOT NULL"), "{error}");
        // Only trying shows it, and what was tried is taken back.
        let planned = source.plan(&[grown().build().unwrap()]).await.unwrap_err();
        assert_eq!((planned.kind(), planned.message()), (error.kind(), error.message()));
    }
    let found = source.get(&name("items"), &Zone::Global, &[id("a")]).await.unwrap();
    assert_eq!(ids(&found), ["a"]);
}

/// Fails if a field that has no zero is added to rows that are there, or is refused where there are none.
#[tokio::test]
async fn an_adopted_table_with_rows_needs_defaults() {
    let fixture = Fixture::new();
    fixture.sql().execute_batch("CREATE TABLE items (id TEXT PRIMARY KEY)").unwrap();
    let owned = || TypeSchema::builder("items", "id").field("owner", FieldKind::Uuid);
    let source = open(&fixture.path());
    fixture.sql().execute_batch("INSERT INTO items VALUES ('a')").unwrap();
    let error = source.prepare(&[owned().build().unwrap()], Preparation::Apply).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("items.owner needs a default"), "{error}");
    fixture.sql().execute_batch("DELETE FROM items").unwrap();
    source.prepare(&[owned().build().unwrap()], Preparation::Apply).await.unwrap();
}
