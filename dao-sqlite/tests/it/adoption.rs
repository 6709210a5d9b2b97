//! Rows that were in a table before it was adopted become objects: once, whoever asks for it and however often.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::common::*;
use crate::server::{End, TABLES, device_on, server_over};
use fastsync_core::protocol::PushMode;
use fastsync_core::source::*;
use fastsync_core::*;
use fastsync_dao_sqlite::rusqlite::Connection;
use fastsync_dao_sqlite::{RowZones, SqliteDataSource};

const GLOBAL: RowZones = RowZones::In(Zone::Global);

/// A file whose table `items` has so many rows.
fn with_rows(fixture: &Fixture, count: u32) {
    let sql =
        "CREATE TABLE items (id TEXT PRIMARY KEY, name TEXT NOT NULL, quantity INTEGER NOT NULL, note TEXT)";
    fixture.sql().execute_batch(sql).unwrap();
    add_rows(&fixture.sql(), "i", count);
}

fn add_rows(sql: &Connection, prefix: &str, count: u32) {
    let insert = "WITH RECURSIVE n (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n + 1 < ?2) \
                  INSERT INTO items SELECT ?1 || n, 'name ' || n, n, NULL FROM n";
    sql.execute(insert, (prefix, count)).unwrap();
}

/// Patient: several write to one file.
async fn prepared(path: &Path) -> SqliteDataSource {
    let source = SqliteDataSource::open(path).unwrap();
    source.prepare(&[items()], Preparation::Apply).await.unwrap();
    source
}

async fn sessions(source: &SqliteDataSource, zone: &Zone) -> Vec<SessionSummary> {
    source.sessions_of(zone, Position::START, 1_000).await.unwrap()
}

/// Every row is one object of one session, at positions without gaps.
async fn assert_adopted_once(source: &SqliteDataSource, count: u64) {
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
    let fixture = Fixture::new();
    with_rows(&fixture, 25_000);
    let source = prepared(&fixture.path()).await;
    apply(&source, vec![put(item("i7", "through the library"))]).await;
    let adopted = source.adopt_rows(&name("items"), &GLOBAL).await.unwrap();
    assert_eq!((adopted.rows, adopted.sessions), (24_999, 3));

    let found = source.get(&name("items"), &Zone::Global, &[id("i3"), id("i7")]).await.unwrap();
    assert_eq!(found[0].body.as_ref().unwrap()[..2], ["name 3".into(), Value::Integer(3)]);
    assert_eq!(found[1].body.as_ref().unwrap()[0], "through the library".into());
    let names: i64 = fixture
        .sql()
        .query_row("SELECT count(*) FROM items WHERE name = 'name ' || quantity", [], |row| row.get(0))
        .unwrap();
    assert_eq!(names, 24_999, "the rows are as they were");

    // Again: only what came since.
    assert_eq!(source.adopt_rows(&name("items"), &GLOBAL).await.unwrap(), Default::default());
    add_rows(&fixture.sql(), "a", 2);
    let adopted = source.adopt_rows(&name("items"), &GLOBAL).await.unwrap();
    assert_eq!((adopted.rows, adopted.sessions), (2, 1));
    assert_eq!(sessions(&source, &Zone::Global).await.len(), 5);
}

#[tokio::test]
async fn a_client_pulls_what_was_adopted_and_edits_it() {
    let fixture = Fixture::new();
    let rows = "INSERT INTO people VALUES ('ada', 'ada@x'), ('bob', 'bob@x'); INSERT INTO orders VALUES ('1', 'ada');";
    let server = server_over(&fixture, &format!("{TABLES}{rows}")).await;
    let phone =
        device_on(std::sync::Arc::new(MemoryDataSource::new()), &server, "ada", PushMode::Atomic).await;
    phone.sync.sync().await.unwrap();
    let ids = async |end: &End<Client>| end.ids().await;
    assert_eq!(ids(&phone).await, (vec![], vec![]));

    let source = open(&fixture.path());
    for table in ["people", "orders"] {
        source.adopt_rows(&name(table), &GLOBAL).await.unwrap();
    }
    phone.sync.sync().await.unwrap();
    assert_eq!(ids(&phone).await, (vec!["ada".to_owned(), "bob".to_owned()], vec!["1".to_owned()]));
    let mut bob = phone.people.find_by_id("bob").await.unwrap().unwrap();
    bob.email = "bob@y".to_owned();
    phone.people.update(&bob).await.unwrap();
    phone.sync.sync().await.unwrap();
    assert_eq!(server.people.find_by_id("bob").await.unwrap().unwrap(), bob);
}

#[tokio::test]
async fn rows_of_a_restricted_type_are_in_the_zone_that_they_name() {
    let fixture = Fixture::new();
    let sql = "CREATE TABLE notes (zone TEXT NOT NULL, id TEXT NOT NULL, text TEXT NOT NULL, PRIMARY KEY (zone, id));
               INSERT INTO notes VALUES ('a', '1', 'x'), ('a', '2', 'y'), ('b', '1', 'z'), ('c', '1', 'w')";
    fixture.sql().execute_batch(sql).unwrap();
    let source = open(&fixture.path());
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
    fixture.sql().execute("INSERT INTO notes VALUES ('', '1', 'x')", []).unwrap();
    let error = source.adopt_rows(&name("notes"), &RowZones::Stored).await.unwrap_err();
    assert!(error.message().contains("a row of table notes cannot be adopted"), "{error}");
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_named_and_what_came_before_it_stays() {
    let fixture = Fixture::new();
    with_rows(&fixture, 10_000);
    let sql = fixture.sql();
    let source = prepared(&fixture.path()).await;
    for (row, text) in [
        ("('z', x'00', 1, NULL)", "column name holds a value of another kind"),
        ("('z', 'x', 'many', NULL)", "column quantity holds a value of another kind"),
        ("(x'61', 'x', 1, NULL)", "id"),
        ("(NULL, 'x', 1, NULL)", "id"),
    ] {
        sql.execute(&format!("INSERT INTO items VALUES {row}"), []).unwrap();
        let error = source.adopt_rows(&name("items"), &GLOBAL).await.unwrap_err();
        assert_eq!((error.kind(), error.operation()), (ErrorKind::InvalidInput, "adopt_rows"));
        assert!(error.message().contains("a row of table items cannot be adopted"), "{error}");
        assert!(error.message().contains(text), "{error}");
        sql.execute("DELETE FROM items WHERE id IS NULL OR id IN ('z', x'61')", []).unwrap();
    }
    let error = source.adopt_rows(&name("things"), &GLOBAL).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownType);
    source.adopt_rows(&name("items"), &GLOBAL).await.unwrap();
    assert_adopted_once(&source, 10_000).await;
}

/// Fails if a rule of the table lets a batch be committed in part, or the error does not say which row it is.
#[tokio::test]
async fn a_row_that_a_rule_refuses_is_named() {
    let fixture = Fixture::new();
    with_rows(&fixture, 10);
    let source = prepared(&fixture.path()).await;
    let rule = "CREATE TRIGGER kept BEFORE UPDATE ON items WHEN new.id = 'i5' BEGIN SELECT RAISE(ABORT, 'kept'); END";
    fixture.sql().execute_batch(rule).unwrap();
    let error = source.adopt_rows(&name("items"), &GLOBAL).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Constraint);
    assert!(error.to_string().contains("kept") && error.to_string().contains("id: i5"), "{error}");
    assert!(sessions(&source, &Zone::Global).await.is_empty());
    fixture.sql().execute_batch("DROP TRIGGER kept").unwrap();
    source.adopt_rows(&name("items"), &GLOBAL).await.unwrap();
    assert_adopted_once(&source, 10).await;
}

#[tokio::test]
async fn the_row_of_a_deleted_object_is_left_alone() {
    let fixture = Fixture::new();
    with_rows(&fixture, 2);
    let source = prepared(&fixture.path()).await;
    source.adopt_rows(&name("items"), &GLOBAL).await.unwrap();
    apply(&source, vec![put(record("items", &Zone::Global, "i0", None))]).await;
    fixture.sql().execute("INSERT INTO items VALUES ('i0', 'again', 1, NULL)", []).unwrap();
    assert_eq!(source.adopt_rows(&name("items"), &GLOBAL).await.unwrap().rows, 0);
    assert_eq!(source.count(&Query::all(name("items"), Zone::Global)).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_that_adopt_at_once_adopt_each_row_once() {
    let fixture = Fixture::new();
    with_rows(&fixture, 35_000);
    let mut sources = Vec::new();
    for _ in 0..3 {
        sources.push(prepared(&fixture.path()).await);
    }
    let adopting: Vec<_> = sources
        .iter()
        .cloned()
        .map(|source| tokio::spawn(async move { source.adopt_rows(&name("items"), &GLOBAL).await }))
        .collect();
    let mut rows = 0;
    for adopting in adopting {
        rows += adopting.await.unwrap().unwrap().rows;
    }
    assert_eq!(rows, 35_000);
    assert_adopted_once(&sources[0], 35_000).await;
}

const FILE: &str = "FASTSYNC_ADOPTED_FILE";

/// What the processes of the two tests below run. By itself it has nothing to do.
#[tokio::test]
async fn another_process() {
    if let Some(file) = std::env::var_os(FILE) {
        prepared(Path::new(&file)).await.adopt_rows(&name("items"), &GLOBAL).await.unwrap();
    }
}

fn adopt_in_another_process(file: &Path) -> std::process::Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "adoption::another_process"]).env(FILE, file);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

#[tokio::test]
async fn two_processes_adopt_each_row_once() {
    let fixture = Fixture::new();
    with_rows(&fixture, 35_000);
    let source = prepared(&fixture.path()).await;
    let mut processes = [0, 1].map(|_| adopt_in_another_process(&fixture.path()));
    for process in &mut processes {
        assert!(process.wait().unwrap().success());
    }
    assert_adopted_once(&source, 35_000).await;
}

#[tokio::test]
async fn what_a_killed_process_began_goes_on() {
    let fixture = Fixture::new();
    with_rows(&fixture, 100_000);
    let source = prepared(&fixture.path()).await;
    let mut process = adopt_in_another_process(&fixture.path());
    while sessions(&source, &Zone::Global).await.is_empty() {
        assert!(process.try_wait().unwrap().is_none(), "it ended too soon");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    process.kill().unwrap();
    process.wait().unwrap();
    let before = sessions(&source, &Zone::Global).await.len() as u64;
    assert!((1..10).contains(&before), "{before} of 10 sessions");
    let adopted = source.adopt_rows(&name("items"), &GLOBAL).await.unwrap();
    assert_eq!((adopted.sessions, adopted.rows), (10 - before, (10 - before) * 10_000));
    assert_adopted_once(&source, 100_000).await;
}
