//! Unique values of the user's own tables: rows may exchange them, and what clashes stops nothing else.

use std::sync::Arc;

use crate::common::*;
use fastsync_core::protocol::PushMode;
use fastsync_core::source::*;
use fastsync_core::*;
use fastsync_dao_postgres::{PostgresDataSource, sqlx};

/// Items with unique names and notes and with a column that is not synchronised; and a table that follows them.
async fn adopted(database: &Database) -> PostgresDataSource {
    database
        .sql(
            "CREATE TABLE items (id varchar(60) COLLATE \"C\" PRIMARY KEY, name varchar(60) NOT NULL UNIQUE,
                quantity bigint NOT NULL, note varchar(60) UNIQUE, extra text NOT NULL DEFAULT 'none',
                CONSTRAINT pairs UNIQUE (quantity, note));
             CREATE TABLE follows (item varchar(60) COLLATE \"C\" REFERENCES items (id) ON DELETE SET NULL)",
        )
        .await;
    let source = open(database).await;
    source.prepare(&[items()], Preparation::Apply).await.unwrap();
    source
}

fn full(key: &str, name: &str, note: &str) -> Record {
    record("items", &Zone::Global, key, Some(vec![name.into(), Value::Integer(1), note.into()]))
}

async fn rows(source: &PostgresDataSource) -> Vec<(String, String, String, String)> {
    let select = "SELECT id, name, note, extra FROM items ORDER BY id";
    sqlx::query_as(select).fetch_all(source.pool()).await.unwrap()
}

fn row(id: &str, name: &str, note: &str) -> (String, String, String, String) {
    (id.into(), name.into(), note.into(), format!("of {id}"))
}

/// Four rows, of which two are followed.
async fn four(database: &Database, source: &PostgresDataSource) {
    let before = ["a", "b", "c", "d"].map(|id| put(full(id, id, &format!("note {id}"))));
    apply(source, before.to_vec()).await;
    let sql = "UPDATE items SET extra = 'of ' || id; INSERT INTO follows VALUES ('a'), ('b')";
    database.sql(sql).await;
}

/// Fails if rows cannot exchange unique values in one commit, or lose what is not synchronised by that.
#[tokio::test]
async fn rows_exchange_unique_values_in_one_commit() {
    for staged in [false, true] {
        let Some(database) = database() else { return };
        let source = adopted(&database).await;
        four(&database, &source).await;
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
        assert_eq!(rows(&source).await, expected);
        assert_eq!(count(&source, "SELECT COUNT(*) FROM follows WHERE item IS NOT NULL").await, 2);
    }
}

/// Fails if a clash is taken for an exchange, or spoils one beside it.
#[tokio::test]
async fn a_clash_beside_an_exchange_is_named_alone() {
    let Some(database) = database() else { return };
    let source = adopted(&database).await;
    four(&database, &source).await;
    let writes = vec![put(full("a", "b", "note b")), put(full("b", "a", "note a")), put(full("c", "d", "x"))];
    let refused = conflicts(&source, writes.clone()).await;
    let [Conflict { write, current, reason: ConflictReason::Constraint(_) }] = &*refused else {
        panic!("{refused:?}");
    };
    assert_eq!(write.action.key().id, id("c"));
    assert_eq!(current.as_ref().unwrap().body.as_ref().unwrap()[0], "c".into(), "as it was");
    let untouched = ["a", "b", "c", "d"].map(|id| row(id, id, &format!("note {id}")));
    assert_eq!(rows(&source).await, untouched);

    let skipping = writes.into_iter().map(|write| Write { on_mismatch: OnMismatch::Skip, ..write });
    assert_eq!(apply(&source, skipping.collect()).await.skipped.len(), 1);
    let exchanged =
        [row("a", "b", "note b"), row("b", "a", "note a"), row("c", "c", "note c"), row("d", "d", "note d")];
    assert_eq!(rows(&source).await, exchanged);
}

/// Each column has a unique key, is narrow, and has a rule of the user's.
#[tokio::test]
async fn columns_of_every_kind_exchange_their_values() {
    let Some(database) = database() else { return };
    let source = open(&database).await;
    database
        .sql(
            "CREATE TABLE slots (id varchar(60) COLLATE \"C\" PRIMARY KEY,
                tiny smallint NOT NULL UNIQUE CHECK (tiny > 0), whole integer NOT NULL UNIQUE CHECK (whole >= 0),
                code varchar(4) NOT NULL UNIQUE, mail varchar(20) NOT NULL UNIQUE CHECK (mail LIKE '%@%'),
                price numeric(6,2) NOT NULL UNIQUE, share double precision NOT NULL UNIQUE,
                raw bytea NOT NULL UNIQUE, day date NOT NULL UNIQUE, owner uuid NOT NULL UNIQUE,
                place integer UNIQUE NULLS NOT DISTINCT)",
        )
        .await;
    let slots = TypeSchema::builder("slots", "id")
        .field("tiny", FieldKind::I8)
        .field("whole", FieldKind::Integer)
        .field("code", FieldKind::Text)
        .field("mail", FieldKind::Text)
        .field("price", FieldKind::Decimal)
        .field("share", FieldKind::Real)
        .field("raw", FieldKind::Bytes)
        .field("day", FieldKind::Date)
        .field("owner", FieldKind::Uuid)
        .nullable_field("place", FieldKind::I32)
        .build()
        .unwrap();
    source.prepare(&[slots], Preparation::Apply).await.unwrap();
    let slot = |id: &str, n: u8| {
        let body = vec![
            Value::Integer(n.into()),
            Value::Integer(n.into()),
            format!("c{n}").into(),
            format!("{n}@x").into(),
            Value::Decimal(i64::from(n).into()),
            Value::Real(n.into()),
            Value::Bytes(vec![n]),
            format!("2026-01-0{n}").into(),
            format!("018f3a52-7f00-7000-8000-00000000000{n}").into(),
            Value::Integer(n.into()),
        ];
        record("slots", &Zone::Global, id, Some(body))
    };
    apply(&source, vec![put(slot("a", 1)), put(slot("b", 2)), put(slot("c", 3))]).await;
    apply(&source, vec![put(slot("a", 2)), put(slot("b", 3)), put(slot("c", 1))]).await;
    let found = source.find(&Query::all(name("slots"), Zone::Global)).await.unwrap().records;
    let bodies: Vec<_> = found.into_iter().map(|record| record.body).collect();
    assert_eq!(bodies, [slot("a", 2).body, slot("b", 3).body, slot("c", 1).body]);
}

/// Lines of orders, numbered within their order, and a seat for each person.
async fn seats_and_lines(database: &Database) -> PostgresDataSource {
    let source = open(database).await;
    let parents = TypeSchema::builder("parents", "id").priority(1).build().unwrap();
    let lines = TypeSchema::builder("line", "id")
        .field("parent", FieldKind::Text)
        .field("place", FieldKind::Integer)
        .priority(2)
        .build()
        .unwrap();
    let seats = TypeSchema::builder("seats", "id").field("person", FieldKind::Text).priority(2);
    source.prepare(&[parents, lines, seats.build().unwrap()], Preparation::Apply).await.unwrap();
    database
        .sql(
            "ALTER TABLE line ADD FOREIGN KEY (parent) REFERENCES parents (id), ADD UNIQUE (parent, place);
             ALTER TABLE seats ADD FOREIGN KEY (person) REFERENCES parents (id), ADD UNIQUE (person);",
        )
        .await;
    source
}

/// Fails if what is unique cannot change hands beside a column that refers to other rows; or if a column that refers
/// itself, and cannot be null, comes to refer to none.
#[tokio::test]
async fn unique_columns_beside_references_exchange_their_values() {
    let Some(database) = database() else { return };
    let source = seats_and_lines(&database).await;
    let parent = |key: &str| put(record("parents", &Zone::Global, key, Some(Vec::new())));
    let line =
        |key: &str, place: i64| put(record("line", &Zone::Global, key, Some(vec!["p".into(), place.into()])));
    let seat = |key: &str, of: &str| put(record("seats", &Zone::Global, key, Some(vec![of.into()])));
    let first =
        vec![parent("p"), parent("q"), line("1", 1), line("2", 2), seat("left", "p"), seat("right", "q")];
    apply(&source, first).await;
    apply(&source, vec![line("1", 2), line("2", 1)]).await;
    assert_eq!(count(&source, "SELECT COUNT(*) FROM line WHERE place = 3 - id::int").await, 2);
    // No value can stand in: the server checks references of every value.
    let refused = conflicts(&source, vec![seat("left", "q"), seat("right", "p")]).await;
    assert_eq!(refused.len(), 2);
    let refused = conflicts(&source, vec![seat("third", "nobody")]).await;
    assert!(
        matches!(&refused[0].reason, ConflictReason::Constraint(text) if text.contains("seats_person_fkey"))
    );
    let as_it_was = "SELECT COUNT(*) FROM seats WHERE (id, person) IN (('left', 'p'), ('right', 'q'))";
    assert_eq!(count(&source, as_it_was).await, 2);
}

/// A unique key over an expression, or over a column that is computed, shows no field.
#[tokio::test]
async fn a_unique_expression_is_given_free_too() {
    for key in [
        "ALTER TABLE items ADD COLUMN folded text GENERATED ALWAYS AS (lower(name)) STORED, ADD UNIQUE (folded)",
        "CREATE UNIQUE INDEX one_name ON items (lower(name))",
    ] {
        let Some(database) = database() else { return };
        let source = with_items(&database).await;
        database.sql(key).await;
        apply(&source, vec![put(item("a", "One")), put(item("b", "Two"))]).await;
        apply(&source, vec![put(item("a", "TWO")), put(item("b", "ONE"))]).await;
        assert_eq!(conflicts(&source, vec![put(item("c", "one"))]).await.len(), 1);
    }
}

/// A constraint that is checked at the end of the transaction. Fails if what breaks it there is no conflict, or one of all
/// rows, or if an exchange that it allows is refused.
#[tokio::test]
async fn a_deferred_constraint_names_the_row_that_breaks_it() {
    let Some(database) = database() else { return };
    let source = with_items(&database).await;
    database.sql("ALTER TABLE items ADD CONSTRAINT late UNIQUE (name) DEFERRABLE INITIALLY DEFERRED").await;
    apply(&source, vec![put(item("a", "one")), put(item("b", "two"))]).await;
    apply(&source, vec![put(item("a", "two")), put(item("b", "one"))]).await;
    let refused = conflicts(&source, vec![put(item("c", "three")), put(item("d", "one"))]).await;
    assert_eq!(refused.iter().map(|c| c.write.action.key().id.as_str()).collect::<Vec<_>>(), ["d"]);
    assert!(matches!(&refused[0].reason, ConflictReason::Constraint(text) if text.contains("late")));
}

/// Fails if rows that wait for each other in a long row take a round each.
#[tokio::test]
async fn a_thousand_rows_move_up_by_one() {
    let Some(database) = database() else { return };
    let source = with_items(&database).await;
    database.sql("ALTER TABLE items ADD CONSTRAINT place UNIQUE (quantity)").await;
    let all = |by: i64| {
        let item = |n: i64| {
            let body = vec!["any".into(), Value::Integer(n + by), Value::Null];
            // In no order of their ids.
            put(record("items", &Zone::Global, &format!("i{}", n * 7_919 % 1_009), Some(body)))
        };
        (0..1_000).map(item).collect::<Vec<_>>()
    };
    apply(&source, all(0)).await;
    soon(apply(&source, all(1))).await;
    assert_eq!(count(&source, "SELECT MIN(quantity) FROM items").await, 1);
}

#[derive(Debug, Clone, PartialEq)]
struct Person {
    id: String,
    email: String,
}

impl SyncableObject for Person {
    fn schema() -> Result<TypeSchema> {
        TypeSchema::builder("people", "id").field("email", FieldKind::Text).build()
    }
    fn id(&self) -> Result<ObjectId> {
        ObjectId::new(&self.id)
    }
    fn to_body(&self) -> Result<Vec<Value>> {
        Ok(vec![self.email.as_str().into()])
    }
    fn from_body(id: &ObjectId, body: Vec<Value>) -> Result<Self> {
        let [Value::Text(email)] = <[Value; 1]>::try_from(body).unwrap() else { panic!("not text") };
        Ok(Self { id: id.as_str().to_owned(), email })
    }
}

fn person(id: &str, email: &str) -> Person {
    Person { id: id.into(), email: email.into() }
}

/// A source over a table that a user made: no email twice.
async fn people(database: &Database) -> Arc<PostgresDataSource> {
    database
        .sql("CREATE TABLE people (id text COLLATE \"C\" PRIMARY KEY, email varchar(60) NOT NULL UNIQUE)")
        .await;
    Arc::new(open(database).await)
}

async fn device(
    database: &Database,
    server: &SyncManager<Server>,
    user: &str,
) -> (SyncManager<Client>, Repository<Person>) {
    let store = Store::client(people(database).await).register::<Person>().open().await.unwrap();
    let repository = Repository::new(&store);
    let sync = SyncManager::client(&store)
        .register(repository.clone(), LastWriterWins)
        .transport(LoopbackTransport::new(server.clone(), SyncContext::new(user)))
        .push_mode(PushMode::Atomic)
        .build()
        .unwrap();
    (sync, repository)
}

/// Fails if a valid exchange is refused by the server, or stops another device, in one synchronisation or in three.
#[tokio::test]
async fn an_exchange_reaches_every_device() {
    for steps in [1, 3] {
        let (Some(on_server), Some(on_ada), Some(on_bob)) = (database(), database(), database()) else {
            return;
        };
        let store = Store::server(people(&on_server).await).register::<Person>().open().await.unwrap();
        let there = Repository::<Person>::new(&store);
        let server = SyncManager::server(&store)
            .register(there.clone(), LastWriterWins)
            .zones(|_: &SyncContext| ZoneAccess::none().read_write(Zone::Global))
            .build()
            .await
            .unwrap();
        let (ada, of_ada) = device(&on_ada, &server, "ada").await;
        let (bob, of_bob) = device(&on_bob, &server, "bob").await;
        of_ada.add_many(&[person("1", "x"), person("2", "y")]).await.unwrap();
        ada.sync().await.unwrap();
        bob.sync().await.unwrap();
        if steps == 1 {
            of_ada.update_many(&[person("1", "y"), person("2", "x")]).await.unwrap();
        } else {
            for step in [person("1", "z"), person("2", "x"), person("1", "y")] {
                of_ada.update(&step).await.unwrap();
                ada.sync().await.unwrap();
            }
        }
        assert_eq!(ada.sync().await.unwrap().push.rejected, 0);
        assert_eq!(bob.sync().await.unwrap().pull.set_aside, 0);
        for people in [&there, &of_ada, &of_bob] {
            assert_eq!(people.get_all().await.unwrap(), [person("1", "y"), person("2", "x")]);
        }
        assert!(bob.status().await.unwrap().in_step);
    }
}
