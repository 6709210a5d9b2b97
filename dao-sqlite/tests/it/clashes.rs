//! Unique values of the user's own tables: rows may exchange them, and what clashes stops nothing else.

use std::sync::Arc;

use fastsync_core::protocol::PushMode;
use fastsync_core::source::*;
use fastsync_core::*;

use crate::common::*;
use crate::server::{End, TABLES, device_on, order, person, server_over};

/// Items with unique names and notes and with a column that is not synchronised; and a table that follows them.
async fn adopted(fixture: &Fixture) -> fastsync_dao_sqlite::SqliteDataSource {
    fixture
        .sql()
        .execute_batch(
            "CREATE TABLE items (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, quantity INTEGER NOT NULL,
                note TEXT UNIQUE, extra TEXT NOT NULL DEFAULT 'none');
             CREATE UNIQUE INDEX pairs ON items (quantity, note);",
        )
        .unwrap();
    fixture.items().await
}

fn full(key: &str, name: &str, note: &str) -> Record {
    record("items", &Zone::Global, key, Some(vec![name.into(), Value::Integer(1), note.into()]))
}

fn rows(fixture: &Fixture) -> Vec<(String, String, String, String)> {
    let sql = fixture.sql();
    let mut statement = sql.prepare("SELECT id, name, note, extra FROM items ORDER BY id").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)));
    rows.unwrap().map(Result::unwrap).collect()
}

fn row(id: &str, name: &str, note: &str) -> (String, String, String, String) {
    (id.into(), name.into(), note.into(), format!("of {id}"))
}

/// Fails if rows cannot exchange unique values in one commit, or lose what is not synchronised by that.
#[tokio::test]
async fn rows_exchange_unique_values_in_one_commit() {
    for staged in [false, true] {
        let fixture = Fixture::new();
        let source = adopted(&fixture).await;
        let before = ["a", "b", "c", "d"].map(|id| put(full(id, id, &format!("note {id}"))));
        apply(&source, before.to_vec()).await;
        fixture
            .sql()
            .execute_batch(
                "UPDATE items SET extra = 'of ' || id;
                 CREATE TABLE follows (item TEXT REFERENCES items (id) ON DELETE CASCADE);
                 INSERT INTO follows VALUES ('a'), ('b');",
            )
            .unwrap();
        // Three in a circle, with the notes the other way round.
        let writes =
            vec![put(full("a", "b", "note c")), put(full("b", "c", "note a")), put(full("c", "a", "note b"))];
        let mut exchange = commit(writes.clone());
        if staged {
            source.stage(exchange.session, 0, writes).await.unwrap();
            exchange.writes = Writes::Staged { overrides: Vec::new() };
        }
        let outcome = source.commit_alone(exchange).await.unwrap();
        assert!(matches!(outcome, CommitOutcome::Applied(_)), "{outcome:?}");
        let expected = [
            row("a", "b", "note c"),
            row("b", "c", "note a"),
            row("c", "a", "note b"),
            row("d", "d", "note d"),
        ];
        assert_eq!(rows(&fixture), expected);
        let follows: i64 =
            fixture.sql().query_row("SELECT count(*) FROM follows", [], |row| row.get(0)).unwrap();
        assert_eq!(follows, 2);
    }
}

/// Fails if a clash is taken for an exchange, or spoils one beside it.
#[tokio::test]
async fn a_clash_beside_an_exchange_is_named_alone() {
    let fixture = Fixture::new();
    let source = adopted(&fixture).await;
    let before = ["a", "b", "c", "d"].map(|id| put(full(id, id, &format!("note {id}"))));
    apply(&source, before.to_vec()).await;
    fixture.sql().execute_batch("UPDATE items SET extra = 'of ' || id").unwrap();
    let writes = vec![put(full("a", "b", "note b")), put(full("b", "a", "note a")), put(full("c", "d", "x"))];
    let outcome = source.commit_alone(commit(writes.clone())).await.unwrap();
    let CommitOutcome::Conflicts { writes: conflicts, .. } = outcome else { panic!("{outcome:?}") };
    let [Conflict { write, current, reason: ConflictReason::Constraint(text) }] = &*conflicts else {
        panic!("{conflicts:?}");
    };
    assert_eq!((write.action.key().id.as_str(), text.contains("UNIQUE")), ("c", true));
    assert_eq!(current.as_ref().unwrap().body.as_ref().unwrap()[0], "c".into(), "as it was");
    let untouched = ["a", "b", "c", "d"].map(|id| row(id, id, &format!("note {id}")));
    assert_eq!(rows(&fixture), untouched);

    let skipping = writes.into_iter().map(|write| Write { on_mismatch: OnMismatch::Skip, ..write });
    let receipt = apply(&source, skipping.collect()).await;
    assert_eq!(receipt.skipped.len(), 1);
    let exchanged =
        [row("a", "b", "note b"), row("b", "a", "note a"), row("c", "c", "note c"), row("d", "d", "note d")];
    assert_eq!(rows(&fixture), exchanged);
}

/// Unique keys over expressions and over some rows only, checks, and a table that follows a unique column.
#[tokio::test]
async fn rows_exchange_values_that_rules_of_the_user_are_about() {
    let fixture = Fixture::new();
    fixture
        .sql()
        .execute_batch(
            "CREATE TABLE items (id TEXT PRIMARY KEY, name TEXT NOT NULL CHECK (name LIKE '%@%'),
                quantity INTEGER NOT NULL CHECK (quantity > 0), note TEXT UNIQUE);
             CREATE UNIQUE INDEX folded ON items (lower(name));
             CREATE UNIQUE INDEX some ON items (quantity) WHERE note IS NOT NULL;",
        )
        .unwrap();
    let source = fixture.items().await;
    let item = |id: &str, name: &str, quantity: i64, note: &str| {
        let body = vec![name.into(), Value::Integer(quantity), note.into()];
        put(record("items", &Zone::Global, id, Some(body)))
    };
    apply(&source, vec![item("a", "A@x", 1, "one"), item("b", "B@x", 2, "two")]).await;
    fixture
        .sql()
        .execute_batch(
            "CREATE TABLE follows (note TEXT REFERENCES items (note) ON UPDATE CASCADE);
             INSERT INTO follows VALUES ('one'), ('two');",
        )
        .unwrap();
    apply(&source, vec![item("a", "b@x", 2, "two"), item("b", "a@x", 1, "one")]).await;
    let sql = fixture.sql();
    let mut statement = sql.prepare("SELECT note FROM follows ORDER BY note").unwrap();
    let follows: Vec<String> =
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(follows, ["one", "two"], "nothing is lost of what follows");
    let refused = conflicts(&source, vec![item("c", "A@X", 3, "three")]).await;
    assert_eq!(refused.len(), 1);
}

/// Fails if a column that cannot be given free is taken where another of the same key can.
#[tokio::test]
async fn one_column_of_a_key_is_enough() {
    let fixture = Fixture::new();
    fixture
        .sql()
        .execute_batch(
            "CREATE TABLE items (id TEXT PRIMARY KEY, name TEXT NOT NULL,
                quantity INTEGER NOT NULL CHECK (quantity BETWEEN 1 AND 9), note TEXT, UNIQUE (name, quantity));",
        )
        .unwrap();
    let source = fixture.items().await;
    let line = |id: &str, place: i64| {
        let body = vec!["order".into(), Value::Integer(place), Value::Null];
        put(record("items", &Zone::Global, id, Some(body)))
    };
    apply(&source, vec![line("a", 1), line("b", 2), line("c", 3)]).await;
    apply(&source, vec![line("a", 2), line("b", 3), line("c", 1)]).await;
}

/// Fails if rows that wait for each other in a long row take a round each.
#[tokio::test]
async fn thousands_of_rows_move_up_by_one() {
    let fixture = Fixture::new();
    let source = fixture.items().await;
    fixture.sql().execute_batch("CREATE UNIQUE INDEX place ON items (quantity)").unwrap();
    let all = |by: i64| {
        let item = |n: i64| {
            let body = vec!["any".into(), Value::Integer(n + by), Value::Null];
            // In no order of their ids.
            put(record("items", &Zone::Global, &format!("i{}", n * 7_919 % 10_007), Some(body)))
        };
        (0..10_000).map(item).collect::<Vec<_>>()
    };
    apply(&source, all(0)).await;
    let patience = std::time::Duration::from_secs(30);
    tokio::time::timeout(patience, apply(&source, all(1))).await.expect("it takes two rounds");
}

async fn device(fixture: &Fixture, server: &End<Server>, user: &str) -> End<Client> {
    fixture.sql().execute_batch(TABLES).unwrap();
    device_on(Arc::new(open(&fixture.path())), server, user, PushMode::Atomic).await
}

/// Fails if a valid exchange is refused by the server, or stops another device, in one synchronisation or in three.
#[tokio::test]
async fn an_exchange_reaches_every_device() {
    for steps in [1, 3] {
        let (on_server, on_ada, on_bob) = (Fixture::new(), Fixture::new(), Fixture::new());
        let server = server_over(&on_server, TABLES).await;
        let (ada, bob) = (device(&on_ada, &server, "ada").await, device(&on_bob, &server, "bob").await);
        ada.people.add_many(&[person("1", "x"), person("2", "y")]).await.unwrap();
        ada.sync.sync().await.unwrap();
        bob.sync.sync().await.unwrap();
        if steps == 1 {
            ada.people.update_many(&[person("1", "y"), person("2", "x")]).await.unwrap();
        } else {
            for step in [person("1", "z"), person("2", "x"), person("1", "y")] {
                ada.people.update(&step).await.unwrap();
                ada.sync.sync().await.unwrap();
            }
        }
        assert_eq!(ada.sync.sync().await.unwrap().push.rejected, 0);
        assert_eq!(bob.sync.sync().await.unwrap().pull.set_aside, 0);
        for people in [&server.people, &ada.people, &bob.people] {
            assert_eq!(people.get_all().await.unwrap(), [person("1", "y"), person("2", "x")]);
        }
    }
}

/// Fails if a clash on real tables stops a device, or a child of what is aside does.
#[tokio::test]
async fn what_the_tables_of_a_device_refuse_is_set_aside() {
    let (on_server, on_ada, on_bob) = (Fixture::new(), Fixture::new(), Fixture::new());
    let server = server_over(&on_server, "").await;
    let (ada, bob) = (device(&on_ada, &server, "ada").await, device(&on_bob, &server, "bob").await);
    ada.people.add(&person("a", "x")).await.unwrap();
    ada.orders.add(&order("of a", "a")).await.unwrap();
    bob.people.add_many(&[person("b", "x"), person("fine", "f")]).await.unwrap();
    bob.orders.add(&order("of b", "b")).await.unwrap();
    ada.sync.sync().await.unwrap();
    for set_aside in [2, 0] {
        let report = bob.sync.sync().await.unwrap().pull;
        assert_eq!((report.set_aside, report.from_aside), (set_aside, 0));
    }
    assert_eq!(bob.ids().await, (vec!["b".into(), "fine".into()], vec!["of b".into()]));
    let aside = bob.sync.set_aside().await.unwrap();
    assert!(aside.iter().all(|aside| aside.reason == AsideReason::Constraint));
    assert!(aside.iter().any(|aside| aside.message.contains("FOREIGN KEY")), "{aside:?}");
    // The same on the other device, where the other one was first.
    assert_eq!(ada.sync.sync().await.unwrap().pull.set_aside, 2);
    assert_eq!(ada.people.get_all().await.unwrap(), [person("a", "x"), person("fine", "f")]);

    bob.people.update(&person("b", "y")).await.unwrap();
    bob.sync.sync().await.unwrap();
    ada.sync.sync().await.unwrap();
    for device in [&ada, &bob] {
        assert_eq!(device.ids().await, server.ids().await);
        assert!(device.sync.status().await.unwrap().in_step);
    }
    assert_eq!(server.ids().await.0.len(), 3);
}
