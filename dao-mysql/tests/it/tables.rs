//! The user's own tables: adoption, contradictions, unique columns, foreign keys, rows changed past the
//! library.

use crate::common::*;
use fastsync_core::source::*;
use fastsync_core::*;
use fastsync_dao_mysql::sqlx;

fn constraint(conflict: &Conflict) -> &str {
    match &conflict.reason {
        ConflictReason::Constraint(text) => text,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn tables_are_plain_and_deleted_objects_leave_them() {
    let Some(database) = database() else { return };
    let source = with_items(&database).await;
    apply(&source, vec![put(item("007", "seven")), put(item("b", "two"))]).await;
    apply(&source, vec![put(record("items", &Zone::Global, "b", None))]).await;
    let rows: Vec<(String, String, i64)> =
        sqlx::query_as("SELECT id, name, quantity FROM items").fetch_all(source.pool()).await.unwrap();
    assert_eq!(rows, [("007".to_owned(), "seven".to_owned(), 1)]);
    let found = source.get(&name("items"), &Zone::Global, &[id("b"), id("007")]).await.unwrap();
    assert_eq!(ids(&found), ["b", "007"]);
    assert!(found[0].is_deleted());
}

#[tokio::test]
async fn an_existing_table_is_adopted_with_all_that_is_on_it() {
    let Some(database) = database() else { return };
    let exact = exact(&database).await;
    database
        .sql(format!(
            "CREATE TABLE owners (id INT PRIMARY KEY) ENGINE = InnoDB;
             INSERT INTO owners VALUES (1);
             CREATE TABLE items (
                 id VARCHAR(60) CHARACTER SET utf8mb4 COLLATE {exact} NOT NULL PRIMARY KEY,
                 name VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NOT NULL,
                 extra VARCHAR(20) DEFAULT 'x', owner INT NULL DEFAULT 1,
                 UNIQUE KEY one_name (name), KEY by_extra (extra), FOREIGN KEY (owner) REFERENCES owners (id)
             ) ENGINE = InnoDB;
             INSERT INTO items (id, name) VALUES ('old', 'old one');"
        ))
        .await;
    let source = open(&database).await;
    let planned: Vec<_> = source.plan(&[items()]).await.unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(
        planned,
        [
            "make the sync tables",
            "add type items",
            "adopt table items, which is there already",
            "add field items.quantity",
            "add field items.note"
        ]
    );
    source.prepare(&[items()], Preparation::Apply).await.unwrap();
    assert_eq!(source.plan(&[items()]).await.unwrap(), []);
    source.prepare(&[items()], Preparation::Apply).await.unwrap();
    apply(&source, vec![put(item("new", "New one"))]).await;
    database.sql("UPDATE items SET extra = 'mine' WHERE id = 'new'").await;
    apply(&source, vec![put(item("new", "newer"))]).await;
    let kept: (String, i32) = sqlx::query_as("SELECT extra, owner FROM items WHERE id = 'new'")
        .fetch_one(source.pool())
        .await
        .unwrap();
    assert_eq!(kept, ("mine".to_owned(), 1));
    // Rows from before are not tracked.
    let query = Query::all(name("items"), Zone::Global);
    assert_eq!(ids(&source.find(&query).await.unwrap().records), ["new"]);
    assert_eq!(source.count(&query).await.unwrap(), 1);
    // The column's collation does not reach filters.
    let folded = query.with_filter(Filter::equal("name", "NEWER").unwrap());
    assert_eq!(source.count(&folded).await.unwrap(), 0);
    // Its unique index does what it says, and so does its length.
    let refused = conflicts(&source, vec![put(item("third", "NEWER"))]).await;
    assert!(constraint(&refused[0]).contains("unique"));
    let refused = conflicts(&source, vec![put(item("third", &"x".repeat(21)))]).await;
    assert!(constraint(&refused[0]).contains("name"));
    // A row from before that is written through the library is tracked from then on.
    apply(&source, vec![put(item("old", "taken over"))]).await;
    assert_eq!(page(&source, &request(&Zone::Global)).await.records.len(), 2);
}

#[tokio::test]
async fn contradictions_are_named_together_and_nothing_is_changed() {
    let Some(database) = database() else { return };
    database
        .sql(
            "CREATE TABLE items (id VARCHAR(60) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PRIMARY KEY, name FLOAT,
                 note TEXT NOT NULL, quantity BIGINT AS (3) VIRTUAL, must INT NOT NULL) ENGINE = InnoDB;
             CREATE TABLE notes (zone VARCHAR(10), id CHAR(36), text TEXT CHARACTER SET latin1) ENGINE = InnoDB;
             CREATE TABLE heap (id VARCHAR(60) PRIMARY KEY) ENGINE = MEMORY;
             CREATE VIEW things AS SELECT 1 AS id;
             CREATE TABLE loud (id VARCHAR(60) PRIMARY KEY) ENGINE = InnoDB;",
        )
        .await;
    let source = open(&database).await;
    let plain = |name: &str| TypeSchema::builder(name, "id").build().unwrap();
    let types = [items(), notes(), plain("heap"), plain("things"), plain("Loud"), plain("fresh")];
    let error = source.prepare(&types, Preparation::Apply).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    for part in [
        "items.id has collation utf8mb4_bin",
        "items.name is float",
        "items.note is NOT NULL",
        "items.quantity is generated",
        "items.must is no field",
        "table notes: the primary key is not (zone, id)",
        "notes.id is char(36), not VARCHAR",
        "notes.text has character set latin1",
        "table heap: the engine is MEMORY",
        "VIEW things",
        "the table is called loud",
    ] {
        assert!(error.message().contains(part), "{part} is missing in {error}");
    }
    let select = "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'fresh'";
    assert_eq!(sqlx::query_scalar::<_, i64>(select).fetch_one(source.pool()).await.unwrap(), 0);
    let query = Query::all(name("fresh"), Zone::Global);
    assert_eq!(source.count(&query).await.unwrap_err().kind(), ErrorKind::UnknownType);
}

#[tokio::test]
async fn a_unique_clash_never_overwrites_another_row() {
    let Some(database) = database() else { return };
    let source = with_items(&database).await;
    database.sql("ALTER TABLE items ADD UNIQUE KEY one_name (name(100))").await;
    apply(&source, vec![put(item("a", "one")), put(item("b", "two"))]).await;
    // Both an insert and an update run into the row of another id.
    for key in ["c", "a"] {
        let refused = conflicts(&source, vec![put(item("d", "four")), put(item(key, "two"))]).await;
        assert_eq!(refused.len(), 1);
        assert_eq!(refused[0].write.action.key().id, id(key));
        assert!(!constraint(&refused[0]).is_empty());
        assert_eq!(refused[0].current.is_some(), key == "a");
    }
    assert!(source.get(&name("items"), &Zone::Global, &[id("d")]).await.unwrap().is_empty());

    // Left out, the others go on, however many there are.
    let mut many: Vec<_> = (0..700).map(|n| put(item(&format!("m{n}"), &format!("name {n}")))).collect();
    many.push(Write { on_mismatch: OnMismatch::Skip, ..put(item("a", "two")) });
    many.push(Write { on_mismatch: OnMismatch::Skip, ..put(item("m7000", "two")) });
    let receipt = apply(&source, many).await;
    assert_eq!(receipt.skipped.len(), 2);
    let found = source.find(&Query::all(name("items"), Zone::Global)).await.unwrap().records;
    assert_eq!(found.len(), 702);
    let body =
        |key: &str| found.iter().find(|record| record.key.id == id(key)).unwrap().body.clone().unwrap();
    assert_eq!((body("a")[0].clone(), body("b")[0].clone()), ("one".into(), "two".into()));

    // A value that is given free within the commit is no clash, in whatever order.
    apply(&source, vec![put(item("a", "two")), put(item("b", "three"))]).await;
    apply(&source, vec![put(item("a", "three")), put(record("items", &Zone::Global, "b", None))]).await;
}

/// Fails if the server rounds a number to the digits of a column, of which it only makes a note.
#[tokio::test]
async fn a_decimal_column_of_fewer_digits_rounds_nothing() {
    let Some(database) = database() else { return };
    let exact = exact(&database).await;
    database
        .sql(format!(
            "CREATE TABLE prices (id VARCHAR(60) CHARACTER SET utf8mb4 COLLATE {exact} NOT NULL PRIMARY KEY,
                 price DECIMAL(6,2) NOT NULL) ENGINE = InnoDB;"
        ))
        .await;
    let source = with_items(&database).await;
    let prices = TypeSchema::builder("prices", "id").field("price", FieldKind::Decimal);
    let error = source
        .prepare(&[prices.clone().default_value("price", "0.125").build().unwrap()], Preparation::Apply)
        .await;
    assert!(error.unwrap_err().to_string().contains("would change the default"));
    source.prepare(&[prices.build().unwrap()], Preparation::Apply).await.unwrap();
    let price = |id: &str, price: &str| record("prices", &Zone::Global, id, Some(vec![price.into()]));
    for refused in ["1.005", "10000", "-0.001"] {
        let writes = vec![put(price("a", "1")), put(price("b", refused)), put(price("c", "2"))];
        let found = conflicts(&source, writes).await;
        assert_eq!(found.len(), 1, "{refused}");
        assert_eq!(found[0].write.action.key().id, id("b"));
        assert!(constraint(&found[0]).contains("prices.price is decimal(6,2)"), "{found:?}");
    }
    let fitting = vec![put(price("a", "9999.99")), put(price("b", "-0.50")), put(price("c", "10"))];
    apply(&source, fitting).await;
    let mut query = Query::all(name("prices"), Zone::Global);
    query.order = vec![Order::new(FieldName::new("price").unwrap(), false)];
    query.filter = Filter::compare("price", Comparison::LessOrEqual, "10.0").unwrap();
    let found = source.find(&query).await.unwrap().records;
    assert_eq!(ids(&found), ["b", "c"]);
    assert!(found[0].body == Some(vec![Value::Decimal("-0.5".parse().unwrap())]));
}

#[tokio::test]
async fn foreign_keys_refuse_the_write_that_breaks_them() {
    let Some(database) = database() else { return };
    let source = open(&database).await;
    let parents = TypeSchema::builder("parents", "id").priority(1).build().unwrap();
    let children =
        TypeSchema::builder("children", "id").field("parent", FieldKind::Text).priority(2).build().unwrap();
    source.prepare(&[children, parents], Preparation::Apply).await.unwrap();
    database
        .sql(
            "ALTER TABLE children MODIFY parent VARCHAR(255) NOT NULL, ADD FOREIGN KEY (parent) REFERENCES parents (id)",
        )
        .await;
    let parent = |key: &str, live: bool| put(record("parents", &Zone::Global, key, live.then(Vec::new)));
    let child = |key: &str, of: &str| put(record("children", &Zone::Global, key, Some(vec![of.into()])));
    apply(&source, vec![child("c", "p"), parent("p", true), parent("q", true)]).await;
    let refused = conflicts(&source, vec![child("d", "nobody"), child("e", "p")]).await;
    assert_eq!(refused.iter().map(|c| c.write.action.key().id.as_str()).collect::<Vec<_>>(), ["d"]);
    assert!(constraint(&refused[0]).contains("foreign key"));
    let refused = conflicts(&source, vec![parent("p", false)]).await;
    assert_eq!(refused[0].write.action.key().id, id("p"));
    // Of several, only the one that a row refers to.
    apply(&source, vec![parent("o", true), parent("r", true)]).await;
    let refused = conflicts(&source, ["o", "p", "r"].map(|key| parent(key, false)).to_vec()).await;
    assert_eq!(refused.iter().map(|c| c.write.action.key().id.as_str()).collect::<Vec<_>>(), ["p"]);
    let skipping = ["o", "p", "r"].map(|key| Write { on_mismatch: OnMismatch::Skip, ..parent(key, false) });
    assert_eq!(apply(&source, skipping.to_vec()).await.skipped.len(), 1);
    // Moving the children and deleting the parent is one commit.
    apply(&source, vec![parent("p", false), child("c", "q")]).await;
    assert_eq!(source.count(&Query::all(name("parents"), Zone::Global)).await.unwrap(), 1);
    // So is clearing both, in whatever order they are named. Fails if they are cleared in that order.
    let clear = |kind| Clear { type_name: name(kind), zone: Zone::Global, through_change: 0 };
    let clears = vec![clear("parents"), clear("children")];
    let outcome = source.commit_alone(Commit { clears, ..commit(Vec::new()) }).await.unwrap();
    assert!(matches!(outcome, CommitOutcome::Applied(_)));
    assert_eq!(source.count(&Query::all(name("children"), Zone::Global)).await.unwrap(), 0);
}

#[tokio::test]
async fn a_row_deleted_past_the_library_is_passed_over() {
    let Some(database) = database() else { return };
    let source = with_items(&database).await;
    apply(&source, vec![put(item("a", "one")), put(item("b", "two"))]).await;
    database.sql("DELETE FROM items WHERE id = 'a'").await;
    assert_eq!(ids(&page(&source, &request(&Zone::Global)).await.records), ["b"]);
    assert_eq!(source.get(&name("items"), &Zone::Global, &[id("a")]).await.unwrap(), []);
    assert_eq!(source.count(&Query::all(name("items"), Zone::Global)).await.unwrap(), 1);
}

#[tokio::test]
async fn ids_are_bytes_and_come_in_their_order() {
    let Some(database) = database() else { return };
    let source = with_items(&database).await;
    let mut keys = vec![
        "abc",
        "ABC",
        "abc ",
        "é",
        "e\u{301}",
        "0",
        "007",
        "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
        "3F2504E0-4F89-41D3-9A0C-0305E82C3301",
        " ",
        "💡",
        "\u{ffff}",
        "ß",
        "ss",
    ];
    apply(&source, keys.iter().map(|key| put(item(key, key))).collect()).await;
    keys.sort_unstable();
    assert_eq!(ids(&page(&source, &request(&Zone::Global)).await.records), keys);
    assert_eq!(ids(&source.find(&Query::all(name("items"), Zone::Global)).await.unwrap().records), keys);
    for key in &keys {
        let found = source.get(&name("items"), &Zone::Global, &[id(key)]).await.unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].body.as_ref().unwrap()[0], (*key).into(), "each has a row of its own");
    }
}

/// A statement fits a packet of the server's (16 MiB here), however large its rows are. Fails if rows are
/// counted only.
#[tokio::test]
async fn more_than_a_packet_is_written_in_several_statements() {
    let Some(database) = database() else { return };
    let source = with_items(&database).await;
    apply(&source, (0..32).map(|n| put(item(&format!("i{n}"), &"x".repeat(600_000)))).collect()).await;
    assert_eq!(source.count(&Query::all(name("items"), Zone::Global)).await.unwrap(), 32);
}

/// Fails if the server cuts spaces at the end, which it does without an error, or a text that is too long stops the others.
#[tokio::test]
async fn a_text_column_of_a_length_cuts_nothing() {
    let Some(database) = database() else { return };
    let create = format!(
        "CREATE TABLE items (id VARCHAR(60) PRIMARY KEY, name VARCHAR(3) NOT NULL, quantity BIGINT NOT NULL, note LONGTEXT)
             ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE {}",
        exact(&database).await
    );
    database.sql(create).await;
    let source = with_items(&database).await;
    for refused in ["abcd", "abc ", "   "] {
        let found =
            conflicts(&source, vec![put(item("a", "x")), put(item("b", &format!("{refused} ")))]).await;
        assert_eq!(found.iter().map(|c| c.write.action.key().id.as_str()).collect::<Vec<_>>(), ["b"]);
        assert!(constraint(&found[0]).contains("items.name is varchar(3)"));
    }
    apply(&source, vec![put(item("a", "äöü")), put(item("b", "   "))]).await;
}
