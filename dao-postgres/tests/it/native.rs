//! What only a database server has: several pools, locks, deadlocks, settings.

use crate::common::*;
use fastsync_core::source::*;
use fastsync_core::*;
use fastsync_dao_postgres::sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use fastsync_dao_postgres::sqlx::{self, Connection, PgConnection, raw_sql};
use fastsync_dao_postgres::{PostgresConfig, PostgresDataSource};

#[tokio::test]
async fn two_data_sources_on_one_database_see_each_other() {
    let Some(database) = database() else { return };
    let (a, b) = (with_items(&database).await, open(&database).await);
    for round in 0..20 {
        apply(&a, vec![put(item(&format!("a{round}"), "x"))]).await;
        apply(&b, vec![put(item(&format!("b{round}"), "x"))]).await;
    }
    assert_eq!(page(&a, &request(&Zone::Global)).await.records.len(), 40);
    // A type that the other one prepares later is known, with its fields as they were prepared.
    a.prepare(&[notes()], Preparation::Apply).await.unwrap();
    let zone = Zone::restricted("team").unwrap();
    apply(&b, vec![put(record("notes", &zone, "n", Some(vec!["hi".into()])))]).await;
    assert_eq!(page(&a, &request(&zone)).await.records.len(), 1);
}

/// Each prepares two types of its own and one that all have; all are there afterwards, once, for everyone.
#[tokio::test]
async fn many_processes_may_prepare_at_once() {
    let Some(database) = database() else { return };
    let own = |n: usize| {
        ["x", "y"].map(|letter| {
            let kind = TypeSchema::builder(format!("own_{letter}{n}"), "id").field("name", FieldKind::Text);
            kind.build().unwrap()
        })
    };
    let tasks: Vec<_> = (0..4)
        .map(|n| {
            let pool = database.pool();
            tokio::spawn(async move {
                let source = PostgresDataSource::new(pool).await.unwrap();
                source
                    .prepare(&[own(n).as_slice(), &[items(), notes()]].concat(), Preparation::Apply)
                    .await
                    .unwrap();
                source
            })
        })
        .collect();
    let mut sources = Vec::new();
    for task in tasks {
        sources.push(task.await.unwrap());
    }
    let types: Vec<_> = (0..4).flat_map(own).chain([items(), notes()]).collect();
    assert_eq!(count(&sources[0], "SELECT COUNT(*) FROM fastsync_types").await, 10);
    let put_one = |schema: &TypeSchema| {
        let zone = match schema.restriction() {
            ZoneRestriction::Restricted => Zone::restricted("team").unwrap(),
            _ => Zone::Global,
        };
        let body = schema.fields().iter().map(|field| match field.kind {
            FieldKind::Integer => Value::Integer(1),
            _ => "x".into(),
        });
        put(record(schema.name().as_str(), &zone, "a", Some(body.collect())))
    };
    apply(&sources[3], types.iter().map(put_one).collect()).await;
    for source in &sources {
        assert_eq!(page(source, &request(&Zone::Global)).await.records.len(), 9);
    }
}

/// One `prepare` is in its middle. Fails if another one goes on beside it.
#[tokio::test]
async fn a_prepare_waits_for_the_one_before_it() {
    let Some(database) = database() else { return };
    let source = with_items(&database).await;
    let mut stranger = database.stranger().await;
    raw_sql("BEGIN; LOCK TABLE fastsync_types IN ACCESS EXCLUSIVE MODE")
        .execute(&mut stranger)
        .await
        .unwrap();
    let first = tokio::spawn(async move { source.prepare(&[items(), notes()], Preparation::Apply).await });
    database.until_waits("%fastsync_types%").await;
    let source = open(&database).await;
    let second = tokio::spawn(async move { source.prepare(&[notes()], Preparation::Apply).await });
    database.until_waits("%pg_advisory_xact_lock%").await;
    raw_sql("COMMIT").execute(&mut stranger).await.unwrap();
    soon(first).await.unwrap().unwrap();
    soon(second).await.unwrap().unwrap();
}

#[tokio::test]
async fn nothing_is_read_before_prepare() {
    let Some(database) = database() else { return };
    let source = open(&database).await;
    assert_eq!(source.entry("x").await.unwrap_err().kind(), ErrorKind::Config);
    let query = Query::all(name("items"), Zone::Global);
    assert_eq!(source.find(&query).await.unwrap_err().kind(), ErrorKind::UnknownType);
}

#[tokio::test]
async fn a_foreign_lock_is_waited_for_a_bounded_time_and_reads_go_on() {
    let Some(database) = database() else { return };
    let options = database.options();
    let pool = PgPoolOptions::new()
        .after_connect(|connection, _| {
            Box::pin(async move {
                sqlx::query("SET lock_timeout = '300ms'").execute(connection).await.map(|_| ())
            })
        })
        .connect_lazy_with(options.clone());
    let source = PostgresDataSource::with_config(pool, PostgresConfig::new().attempts(2)).await.unwrap();
    source.prepare(&[items()], Preparation::Apply).await.unwrap();
    apply(&source, vec![put(item("a", "one"))]).await;

    let mut stranger = PgConnection::connect_with(&options).await.unwrap();
    raw_sql("BEGIN; UPDATE items SET name = 'changed' WHERE id = 'a'").execute(&mut stranger).await.unwrap();
    // Reads see the committed state and do not wait: that would end with a failure.
    let found = source.get(&name("items"), &Zone::Global, &[id("a")]).await.unwrap();
    assert_eq!(names(&found), ["one"]);
    let error = source.commit_alone(commit(vec![put(item("a", "two"))])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Contention, "{error:?}");
    assert!(error.is_retryable());
    // Another record of the zone is not in the way.
    apply(&source, vec![put(item("b", "two"))]).await;
    raw_sql("ROLLBACK").execute(&mut stranger).await.unwrap();
    apply(&source, vec![put(item("a", "two"))]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn commits_that_cross_are_applied_one_after_the_other() {
    let Some(database) = database() else { return };
    let source = with_items(&database).await;
    // Two types written in phases, keys in opposite orders by staged parts: locks cross.
    let keys: Vec<_> = (0..40).map(|n| format!("k{n:02}")).collect();
    apply(&source, keys.iter().map(|key| put(item(key, "start"))).collect()).await;
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let (source, mut keys) = (source.clone(), keys.clone());
            if task % 2 == 1 {
                keys.reverse();
            }
            tokio::spawn(async move {
                for round in 0..10 {
                    let mut staged = commit(Vec::new());
                    for (sequence, chunk) in (0..).zip(keys.chunks(4)) {
                        let title = format!("{task}-{round}");
                        let writes = chunk.iter().map(|key| put(item(key, &title))).collect();
                        source.stage(staged.session, sequence, writes).await.unwrap();
                    }
                    staged.writes = Writes::Staged { overrides: Vec::new() };
                    let mut outcome = source.commit_alone(staged.clone()).await;
                    for _ in 0..20 {
                        let Err(error) = &outcome else { break };
                        assert_eq!(error.kind(), ErrorKind::Contention, "{error:?}");
                        outcome = source.commit_alone(staged.clone()).await;
                    }
                    outcome.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let page = page(&source, &request(&Zone::Global)).await;
    assert_eq!(page.head.position, Position(81));
    let titles: std::collections::BTreeSet<_> = names(&page.records).into_iter().collect();
    assert_eq!((page.records.len(), titles.len()), (40, 1), "the last session wrote them all");
    let positions: Vec<i64> = sqlx::query_scalar("SELECT DISTINCT position FROM fastsync_records")
        .fetch_all(source.pool())
        .await
        .unwrap();
    assert_eq!(positions, [81], "the last session wrote them all");
}

#[tokio::test]
async fn a_session_settings_that_breaks_promises_is_refused_by_name() {
    let Some(database) = database() else { return };
    let refused = |set: &'static str, options: PgConnectOptions| async move {
        let pool = PgPoolOptions::new()
            .after_connect(move |connection, _| {
                Box::pin(async move { sqlx::query(set).execute(connection).await.map(|_| ()) })
            })
            .connect_lazy_with(options);
        let error = PostgresDataSource::new(pool).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        error.to_string()
    };
    for (set, part) in [
        ("SET synchronous_commit = off", "synchronous_commit"),
        ("SET default_transaction_read_only = on", "default_transaction_read_only"),
        ("SET standard_conforming_strings = off", "standard_conforming_strings"),
    ] {
        assert!(refused(set, database.options()).await.contains(part), "{set}");
    }
    // Later sync tables are not touched, also by who was there before.
    let source = with_items(&database).await;
    database.sql("UPDATE fastsync_meta SET value = 2 WHERE name = 'schema_version'").await;
    for error in [
        source.prepare(&[notes()], Preparation::Apply).await.unwrap_err(),
        source.plan(&[notes()]).await.unwrap_err(),
        PostgresDataSource::new(source.pool().clone()).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.message().contains("version 2"), "{error}");
    }
}

#[tokio::test]
async fn secrets_stay_out_of_texts() {
    let Some(database) = database() else { return };
    let source = open(&database).await;
    assert_eq!(format!("{source:?}"), "PostgresDataSource { .. }");
    let options = database.options();
    let pool =
        PgPoolOptions::new().connect_lazy_with(options.username("nobody_at_all").password("tops3cret"));
    let error = PostgresDataSource::new(pool).await.unwrap_err();
    assert!(!format!("{error:?} {error}").contains("tops3cret"));
    assert_eq!(error.kind(), ErrorKind::Config);
}

/// On a clock that runs ahead: the driver tries for half a minute.
#[tokio::test(start_paused = true)]
async fn secrets_stay_out_of_the_text_when_nobody_listens() {
    let error = PostgresDataSource::connect("postgres://ann:tops3cret@127.0.0.1:1/x").await.unwrap_err();
    assert!(!format!("{error:?} {error}").contains("tops3cret"));
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn own_pushes_are_passed_over_however_many_there_are() {
    let Some(database) = database() else { return };
    let source = with_items(&database).await;
    let mut through = 0;
    for round in 0..1_100 {
        let own = commit(vec![put(item(&format!("own{round}"), "x"))]);
        through = own.author.number;
        source.commit_alone(own).await.unwrap();
        if round % 500 == 3 {
            let mut other = commit(vec![put(item(&format!("other{round}"), "x"))]);
            other.author.device = DeviceId::from_uuid(uuid::Uuid::from_u128(8));
            source.commit_alone(other).await.unwrap();
        }
    }
    let mut all = request(&Zone::Global);
    // The first read of a client that pushed before it pulled.
    all.skip_own = Some(SkipOwn { device: device(), through });
    let found = page(&source, &all).await;
    assert_eq!(ids(&found.records), ["other3", "other503", "other1003"]);
    assert!(found.caught_up);
}

/// Names of types and fields are quoted wherever they stand, so words of SQL are names too.
#[tokio::test]
async fn words_of_sql_are_names() {
    let Some(database) = database() else { return };
    let source = open(&database).await;
    let select = |fields: &[&str]| {
        let begin = TypeSchema::builder("select", "key");
        let fields = fields.iter().fold(begin, |schema, field| schema.field(*field, FieldKind::Text));
        fields.build().unwrap()
    };
    source.prepare(&[select(&["order"])], Preparation::Apply).await.unwrap();
    // A table that is there is changed and looked into.
    source.prepare(&[select(&["order", "group"])], Preparation::Apply).await.unwrap();
    let row = |key: &str| put(record("select", &Zone::Global, key, Some(vec!["x".into(), "y".into()])));
    apply(&source, vec![row("a"), row("b")]).await;
    apply(&source, vec![row("a"), put(record("select", &Zone::Global, "b", None))]).await;
    let filter = Filter::equal("order", "x").unwrap();
    let order = vec![Order::new(FieldName::new("group").unwrap(), true)];
    let query = Query::all(name("select"), Zone::Global).with_filter(filter).with_order(order);
    assert_eq!(ids(&source.find(&query).await.unwrap().records), ["a"]);
    assert_eq!(page(&source, &request(&Zone::Global)).await.records.len(), 2);
    let clear = Clear { type_name: name("select"), zone: Zone::Global, through_change: u64::MAX };
    source.commit_alone(Commit { clears: vec![clear], ..commit(Vec::new()) }).await.unwrap();
    assert_eq!(source.count(&query).await.unwrap(), 0);
}

/// "A deletion that waits to be pushed is not finished with." Fails if a purge takes its tombstone away.
#[tokio::test]
async fn a_deletion_that_waits_to_be_pushed_is_not_purged() {
    let Some(database) = database() else { return };
    let source = with_items(&database).await;
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

/// Fails if a name is left to `search_path`: the types and sync tables of one schema would be those of another.
#[tokio::test]
async fn schemas_of_one_database_know_nothing_of_each_other() {
    let Some(database) = database() else { return };
    let open = |schema: &'static str| {
        let pool = PgPoolOptions::new()
            .after_connect(|connection, _| {
                Box::pin(
                    async move { sqlx::query("SET search_path = ''").execute(connection).await.map(|_| ()) },
                )
            })
            .connect_lazy_with(database.options());
        PostgresDataSource::with_config(pool, PostgresConfig::new().schema(schema))
    };
    let (one, two) = (open("one").await.unwrap(), open("Two-2").await.unwrap());
    for (source, text) in [(&one, "of one"), (&two, "of two")] {
        source.prepare(&[items(), notes()], Preparation::Apply).await.unwrap();
        apply(source, vec![put(item("a", text))]).await;
    }
    for (source, text) in [(&one, "of one"), (&two, "of two")] {
        let found = source.find(&Query::all(name("items"), Zone::Global)).await.unwrap().records;
        assert_eq!(names(&found), [text]);
    }
    assert_eq!(count(&one, "SELECT COUNT(*) FROM pg_catalog.pg_tables WHERE schemaname = 'public'").await, 0);
    assert_eq!(open("a\"b").await.unwrap_err().kind(), ErrorKind::Config);
}

/// A column gets another type while statements over it are prepared. Fails if they fail from then on.
#[tokio::test]
async fn statements_outlive_a_table_that_is_changed() {
    let Some(database) = database() else { return };
    let source = with_items(&database).await;
    apply(&source, vec![put(item("a", "one"))]).await;
    let query = Query::all(name("items"), Zone::Global);
    for _ in 0..3 {
        assert_eq!(source.find(&query).await.unwrap().records.len(), 1);
    }
    database.sql("ALTER TABLE items ALTER COLUMN name TYPE varchar(90)").await;
    assert_eq!(names(&source.find(&query).await.unwrap().records), ["one"]);
    apply(&source, vec![put(item("a", "two"))]).await;
    assert_eq!(names(&page(&source, &request(&Zone::Global)).await.records), ["two"]);
}
