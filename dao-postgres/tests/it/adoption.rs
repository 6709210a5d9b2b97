//! Rows that were in a table before it was adopted become objects: once, whoever asks for it and however often.

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::common::*;
use fastsync_core::source::*;
use fastsync_core::*;
use fastsync_dao_postgres::{PostgresDataSource, RowZones};

const GLOBAL: RowZones = RowZones::In(Zone::Global);

async fn create_items(database: &Database) {
    let create = "CREATE TABLE items (id text COLLATE \"C\" PRIMARY KEY, name text NOT NULL, quantity bigint NOT NULL, note text)";
    database.sql(create).await;
}

async fn create_notes(database: &Database) {
    let create = "CREATE TABLE notes (zone text COLLATE \"C\", id text COLLATE \"C\", text text NOT NULL, PRIMARY KEY (zone, id))";
    database.sql(create).await;
}

async fn add_rows(database: &Database, prefix: &str, count: u32) {
    let insert = format!(
        "INSERT INTO items SELECT '{prefix}' || n, 'name ' || n, n, NULL FROM generate_series(0, {count} - 1) AS n"
    );
    database.sql(insert).await;
}

const UNCHANGED: &str = "SELECT COUNT(*) FROM items WHERE name = 'name ' || quantity";

/// A rule that refuses to write one row.
const KEPT: &str = "ALTER TABLE items ADD CONSTRAINT kept CHECK (id <> 'i5') NOT VALID";

const NOT_KEPT: &str = "ALTER TABLE items DROP CONSTRAINT kept";

/// A data source over a database whose table `items` has so many rows.
async fn with_rows(database: &Database, count: u32) -> PostgresDataSource {
    create_items(database).await;
    add_rows(database, "i", count).await;
    with_items(database).await
}

async fn sessions(source: &PostgresDataSource, zone: &Zone) -> Vec<SessionSummary> {
    source.sessions_of(zone, Position::START, 1_000).await.unwrap()
}

/// Every row is one object of one session, at positions without gaps.
async fn assert_adopted_once(source: &PostgresDataSource, count: u64) {
    let sessions = sessions(source, &Zone::Global).await;
    let counted: u64 = sessions.iter().flat_map(|session| &session.counts).map(|(_, count)| count).sum();
    assert_eq!(counted, count, "no row is in two sessions");
    for (session, position) in sessions.iter().zip(1..) {
        assert_eq!(session.positions, [(Zone::Global, Position(position))]);
        assert_eq!(session.author.user.as_deref(), Some("adoption"));
        assert!(session.counts.iter().all(|(_, count)| (1..=10_000).contains(count)), "{session:?}");
    }
    let mut seen = BTreeSet::new();
    let mut request = request(&Zone::Global);
    loop {
        let page = page(source, &request).await;
        seen.extend(page.records.iter().map(|record| record.key.id.clone()));
        if page.caught_up {
            break;
        }
        request.after = page.next.into();
    }
    assert_eq!(seen.len() as u64, count);
}

#[tokio::test]
async fn rows_become_objects_in_sessions_of_ten_thousand() {
    let Some(database) = database() else { return };
    let source = with_rows(&database, 25_000).await;
    apply(&source, vec![put(item("i7", "through the library"))]).await;
    let adopted = source.adopt_rows(&name("items"), &GLOBAL).await.unwrap();
    assert_eq!((adopted.rows, adopted.sessions), (24_999, 3));

    let found = source.get(&name("items"), &Zone::Global, &[id("i3"), id("i7")]).await.unwrap();
    assert_eq!(found[0].body.as_ref().unwrap()[..2], ["name 3".into(), Value::Integer(3)]);
    assert_eq!(found[1].body.as_ref().unwrap()[0], "through the library".into());
    assert_eq!(count(&source, UNCHANGED).await, 24_999, "the rows are as they were");

    // Again: only what came since.
    assert_eq!(source.adopt_rows(&name("items"), &GLOBAL).await.unwrap(), Default::default());
    add_rows(&database, "a", 2).await;
    let adopted = source.adopt_rows(&name("items"), &GLOBAL).await.unwrap();
    assert_eq!((adopted.rows, adopted.sessions), (2, 1));
    assert_eq!(sessions(&source, &Zone::Global).await.len(), 5);
}

/// A batch has about eight megabytes. Fails if large rows are in one session, or some are left out.
#[tokio::test]
async fn large_rows_are_in_sessions_of_their_own() {
    let Some(database) = database() else { return };
    let source = with_rows(&database, 200).await;
    database.sql("UPDATE items SET name = REPEAT('x', 100000)").await;
    let adopted = source.adopt_rows(&name("items"), &GLOBAL).await.unwrap();
    assert_eq!((adopted.rows, adopted.sessions), (200, 3));
    assert_adopted_once(&source, 200).await;
}

#[tokio::test]
async fn rows_of_a_restricted_type_are_in_the_zone_that_they_name() {
    let Some(database) = database() else { return };
    create_notes(&database).await;
    database
        .sql("INSERT INTO notes VALUES ('a', '1', 'x'), ('a', '2', 'y'), ('b', '1', 'z'), ('c', '1', 'w')")
        .await;
    let source = open(&database).await;
    source.prepare(&[notes()], Preparation::Apply).await.unwrap();
    let zone = |key: &str| Zone::restricted(key).unwrap();
    let only = source.adopt_rows(&name("notes"), &RowZones::In(zone("b"))).await.unwrap();
    assert_eq!((only.rows, only.sessions), (1, 1));
    let others = source.adopt_rows(&name("notes"), &RowZones::Stored).await.unwrap();
    assert_eq!((others.rows, others.sessions), (3, 2));
    for (key, expected) in [("a", &["1", "2"][..]), ("b", &["1"]), ("c", &["1"])] {
        assert_eq!(ids(&page(&source, &request(&zone(key))).await.records), expected);
        assert_eq!(sessions(&source, &zone(key)).await.len(), 1);
    }
    let error = source.adopt_rows(&name("notes"), &GLOBAL).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    database.sql("INSERT INTO notes VALUES ('', '1', 'x')").await;
    let error = source.adopt_rows(&name("notes"), &RowZones::Stored).await.unwrap_err();
    assert!(error.message().contains("a row of table notes cannot be adopted"), "{error}");
    let error = source.adopt_rows(&name("things"), &GLOBAL).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownType);
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_named_and_what_came_before_it_stays() {
    let Some(database) = database() else { return };
    let source = with_rows(&database, 10_000).await;
    database.sql("INSERT INTO items (id, name, quantity) VALUES ('z\tz', 'x', 1)").await;
    let error = source.adopt_rows(&name("items"), &GLOBAL).await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::InvalidInput, "adopt_rows"));
    assert!(error.message().contains("a row of table items cannot be adopted"), "{error}");
    database.sql("DELETE FROM items WHERE id LIKE 'z%'").await;
    source.adopt_rows(&name("items"), &GLOBAL).await.unwrap();
    assert_adopted_once(&source, 10_000).await;
}

/// Fails if a rule of the table lets a batch be committed in part, or the error does not say which row it is.
#[tokio::test]
async fn a_row_that_a_rule_refuses_is_named() {
    let Some(database) = database() else { return };
    let source = with_rows(&database, 10).await;
    database.sql(KEPT).await;
    let error = source.adopt_rows(&name("items"), &GLOBAL).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Constraint);
    assert!(error.to_string().contains("kept") && error.to_string().contains("id: i5"), "{error}");
    assert!(sessions(&source, &Zone::Global).await.is_empty());
    database.sql(NOT_KEPT).await;
    source.adopt_rows(&name("items"), &GLOBAL).await.unwrap();
    assert_adopted_once(&source, 10).await;
}

#[tokio::test]
async fn the_row_of_a_deleted_object_is_left_alone() {
    let Some(database) = database() else { return };
    let source = with_rows(&database, 2).await;
    source.adopt_rows(&name("items"), &GLOBAL).await.unwrap();
    apply(&source, vec![put(record("items", &Zone::Global, "i0", None))]).await;
    database.sql("INSERT INTO items (id, name, quantity) VALUES ('i0', 'again', 1)").await;
    assert_eq!(source.adopt_rows(&name("items"), &GLOBAL).await.unwrap().rows, 0);
    assert_eq!(source.count(&Query::all(name("items"), Zone::Global)).await.unwrap(), 1);
}

/// Ids of the server's own types are walked in their own order, and compared as text.
#[tokio::test]
async fn rows_with_native_ids_become_objects() {
    let Some(database) = database() else { return };
    database
        .sql(
            "CREATE TABLE places (id bigint PRIMARY KEY, at timestamptz NOT NULL);
             INSERT INTO places SELECT n, '2026-01-31 12:00:00+00' FROM generate_series(-5, 300) AS n;
             CREATE TABLE visits (id uuid PRIMARY KEY, seen json, cost numeric);
             INSERT INTO visits SELECT gen_random_uuid(), '{\"b\": 1.0}', 1.50 FROM generate_series(1, 300)",
        )
        .await;
    let places = TypeSchema::builder("places", "id").id_kind(IdKind::Integer).field("at", FieldKind::Instant);
    let visits = TypeSchema::builder("visits", "id").id_kind(IdKind::Uuid);
    let visits = visits.nullable_field("seen", FieldKind::Json).nullable_field("cost", FieldKind::Decimal);
    let source = open(&database).await;
    source.prepare(&[places.build().unwrap(), visits.build().unwrap()], Preparation::Apply).await.unwrap();
    for (table, rows) in [("places", 306), ("visits", 300)] {
        let adopted = source.adopt_rows(&name(table), &GLOBAL).await.unwrap();
        assert_eq!((adopted.rows, adopted.sessions), (rows, 1));
        assert_eq!(source.adopt_rows(&name(table), &GLOBAL).await.unwrap().rows, 0);
        assert_eq!(source.count(&Query::all(name(table), Zone::Global)).await.unwrap(), rows);
    }
    let found = source.get(&name("places"), &Zone::Global, &[id("-5")]).await.unwrap();
    assert_eq!(found[0].body.as_ref().unwrap()[..], ["2026-01-31T12:00:00.000000000Z".into()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_that_adopt_at_once_adopt_each_row_once() {
    let Some(database) = database() else { return };
    let source = with_rows(&database, 25_000).await;
    let mut adopting = Vec::new();
    for _ in 0..3 {
        let source = open(&database).await;
        adopting.push(tokio::spawn(async move { source.adopt_rows(&name("items"), &GLOBAL).await }));
    }
    let mut rows = 0;
    for adopting in adopting {
        rows += adopting.await.unwrap().unwrap().rows;
    }
    assert_eq!(rows, 25_000);
    assert_adopted_once(&source, 25_000).await;
}

const NAME: &str = "FASTSYNC_ADOPTED_DATABASE";

/// What the processes of the two tests below run. By itself it has nothing to do.
#[tokio::test]
async fn another_process() {
    if let Ok(database) = std::env::var(NAME) {
        let source = PostgresDataSource::new(server::pool_of(&database)).await.unwrap();
        source.adopt_rows(&name("items"), &GLOBAL).await.unwrap();
    }
}

fn adopt_in_another_process(database: &Database) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "adoption::another_process"]).env(NAME, database.name());
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

#[tokio::test]
async fn two_processes_adopt_each_row_once() {
    let Some(database) = database() else { return };
    let source = with_rows(&database, 25_000).await;
    let mut processes = [0, 1].map(|_| adopt_in_another_process(&database));
    for process in &mut processes {
        assert!(process.wait().unwrap().success());
    }
    assert_adopted_once(&source, 25_000).await;
}

#[tokio::test]
async fn what_a_killed_process_began_goes_on() {
    let Some(database) = database() else { return };
    let source = with_rows(&database, 60_000).await;
    let mut process = adopt_in_another_process(&database);
    while sessions(&source, &Zone::Global).await.is_empty() {
        assert!(process.try_wait().unwrap().is_none(), "it ended too soon");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    process.kill().unwrap();
    process.wait().unwrap();
    // What it had sent may be committed yet.
    let adopted = source.adopt_rows(&name("items"), &GLOBAL).await.unwrap();
    assert!((1..6).contains(&adopted.sessions), "{adopted:?}");
    assert_adopted_once(&source, 60_000).await;
}
