//! What only a database server has: several pools, locks, deadlocks, settings.

use std::time::Duration;

use crate::common::*;
use fastsync_core::source::*;
use fastsync_core::*;
use fastsync_dao_mysql::sqlx::mysql::{MySqlConnectOptions, MySqlPoolOptions};
use fastsync_dao_mysql::sqlx::{self, Connection, raw_sql};
use fastsync_dao_mysql::{MySqlConfig, MySqlDataSource};

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
    a.prepare(&[notes()]).await.unwrap();
    let zone = Zone::restricted("team").unwrap();
    apply(&b, vec![put(record("notes", &zone, "n", Some(vec!["hi".into()])))]).await;
    assert_eq!(page(&a, &request(&zone)).await.records.len(), 1);
}

#[tokio::test]
async fn many_processes_may_prepare_at_once() {
    let Some(database) = database() else { return };
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let pool = database.pool();
            tokio::spawn(async move {
                let source = MySqlDataSource::new(pool).await.unwrap();
                source.prepare(&[items(), notes()]).await.unwrap();
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn nothing_is_read_before_prepare() {
    let Some(database) = database() else { return };
    let source = open(&database).await;
    assert_eq!(source.state("x").await.unwrap_err().kind(), ErrorKind::Config);
    let query = Query::all(name("items"), Zone::Global);
    assert_eq!(source.find(&query).await.unwrap_err().kind(), ErrorKind::UnknownType);
}

#[tokio::test]
async fn a_foreign_lock_is_waited_for_a_bounded_time_and_reads_go_on() {
    let Some(database) = database() else { return };
    let options = database.options();
    let pool = MySqlPoolOptions::new()
        .after_connect(|connection, _| {
            Box::pin(async move {
                sqlx::query("SET innodb_lock_wait_timeout = 1").execute(connection).await.map(|_| ())
            })
        })
        .connect_lazy_with(options.clone());
    let source = MySqlDataSource::with_config(pool, MySqlConfig::new().attempts(2)).await.unwrap();
    source.prepare(&[items()]).await.unwrap();
    apply(&source, vec![put(item("a", "one"))]).await;

    let mut stranger = sqlx::MySqlConnection::connect_with(&options).await.unwrap();
    raw_sql("BEGIN; UPDATE items SET name = 'changed' WHERE id = 'a'").execute(&mut stranger).await.unwrap();
    // Reads see the committed state and do not wait.
    let (kind, ids) = (name("items"), [id("a")]);
    let read = tokio::time::timeout(Duration::from_millis(900), source.get(&kind, &Zone::Global, &ids));
    assert_eq!(read.await.unwrap().unwrap()[0].body.as_ref().unwrap()[0], "one".into());
    let error = source.commit(commit(vec![put(item("a", "two"))])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Contention, "{error:?}");
    assert!(error.is_retryable());
    // Another record of the zone is not in the way.
    apply(&source, vec![put(item("b", "two"))]).await;
    raw_sql("ROLLBACK").execute(&mut stranger).await.unwrap();
    apply(&source, vec![put(item("a", "two"))]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn deadlocks_are_tried_again() {
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
                    while let Err(error) = source.commit(staged.clone()).await {
                        assert_eq!(error.kind(), ErrorKind::Contention, "{error:?}");
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let page = page(&source, &request(&Zone::Global)).await;
    assert_eq!(page.head.position, Position(81));
    let titles: std::collections::BTreeSet<_> =
        page.records.iter().map(|record| format!("{:?}", record.metadata.modified_at)).collect();
    assert_eq!((page.records.len(), titles.len()), (40, 1), "the last session wrote them all");
    let positions: Vec<u64> = sqlx::query_scalar("SELECT DISTINCT position FROM fastsync_records")
        .fetch_all(source.pool())
        .await
        .unwrap();
    assert_eq!(positions, [81], "the last session wrote them all");
}

#[tokio::test]
async fn a_session_settings_that_breaks_promises_is_refused_by_name() {
    let Some(database) = database() else { return };
    let refused = |set: &'static str, options: MySqlConnectOptions| async move {
        let pool = MySqlPoolOptions::new()
            .after_connect(move |connection, _| {
                Box::pin(async move { sqlx::query(set).execute(connection).await.map(|_| ()) })
            })
            .connect_lazy_with(options);
        let error = MySqlDataSource::new(pool).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        error.to_string()
    };
    assert!(refused("SET SESSION sql_mode = ''", database.options()).await.contains("STRICT_TRANS_TABLES"));
    assert!(refused("SET NAMES latin1", database.options()).await.contains("character_set_connection"));
    let level = "SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED";
    assert!(refused(level, database.options()).await.contains("READ UNCOMMITTED"));
    // Later sync tables are not touched.
    let source = with_items(&database).await;
    database.sql("UPDATE fastsync_meta SET value = 2 WHERE name = 'schema_version'").await;
    let error = MySqlDataSource::new(source.pool().clone()).await.unwrap_err();
    assert!(error.message().contains("version 2"), "{error}");
}

#[tokio::test]
async fn secrets_stay_out_of_texts() {
    let Some(database) = database() else { return };
    let source = open(&database).await;
    assert_eq!(format!("{source:?}"), "MySqlDataSource { .. }");
    let error = MySqlDataSource::connect("mysql://ann:tops3cret@127.0.0.1:1/x").await.unwrap_err();
    assert!(!format!("{error:?} {error}").contains("tops3cret"));
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let options = database.options();
    let pool = MySqlPoolOptions::new().connect_lazy_with(options.username("nobody").password("tops3cret"));
    let error = MySqlDataSource::new(pool).await.unwrap_err();
    assert!(!format!("{error:?} {error}").contains("tops3cret"));
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[tokio::test]
async fn own_pushes_are_passed_over_however_many_there_are() {
    let Some(database) = database() else { return };
    let source = with_items(&database).await;
    let mut through = 0;
    for round in 0..1_100 {
        let own = commit(vec![put(item(&format!("own{round}"), "x"))]);
        through = own.author.number;
        source.commit(own).await.unwrap();
        if round % 500 == 3 {
            let mut other = commit(vec![put(item(&format!("other{round}"), "x"))]);
            other.author.device = DeviceId::from_uuid(uuid::Uuid::from_u128(8));
            source.commit(other).await.unwrap();
        }
    }
    let mut all = request(&Zone::Global);
    // The first read of a client that pushed before it pulled.
    all.skip_own = Some(SkipOwn { device: device(), through });
    let found = page(&source, &all).await;
    assert_eq!(ids(&found.records), ["other3", "other503", "other1003"]);
    assert!(found.caught_up);
}

/// A push of a device that follows another one: it expects the entry that the other one sets.
fn following(id: &str) -> Commit {
    let state = StateWrite {
        key: "last".to_owned(),
        expect: ExpectState::Value(b"1".to_vec()),
        value: Some(b"2".to_vec()),
    };
    Commit { state: vec![state], ..commit(vec![put(item(id, "second"))]) }
}

/// "A data source whose commits go on beside each other may do before what nobody sees": the rows are written while the
/// commit before goes on, and only who asks for what is not committed sees them.
#[tokio::test]
async fn a_commit_in_turn_writes_its_rows_before_its_turn() {
    let Some(database) = database() else { return };
    let source = with_items(&database).await;
    let first = Turn::default();
    let (second, turn) = (source.clone(), first.next());
    let second = tokio::spawn(async move { second.commit_in_turn(following("b"), turn).await.unwrap() });
    let mut connection = sqlx::MySqlConnection::connect_with(&database.options()).await.unwrap();
    let look = async |connection: &mut _| -> i64 {
        let count = "SELECT COUNT(*) FROM items";
        sqlx::query_scalar(count).fetch_one(connection).await.unwrap()
    };
    raw_sql("SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED")
        .execute(&mut connection)
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(look(&mut connection).await, 0, "the one before has not written");
    first.written();
    while look(&mut connection).await == 0 {
        assert!(!second.is_finished());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(page(&source, &request(&Zone::Global)).await.records.is_empty());
    let state = vec![StateWrite::set("last", Some(b"1".to_vec()))];
    let mine = source.commit(Commit { state, ..commit(vec![put(item("a", "first"))]) }).await.unwrap();
    assert!(matches!(mine, CommitOutcome::Applied(_)));
    first.over();
    assert!(matches!(second.await.unwrap(), CommitOutcome::Applied(_)));
    let records = page(&source, &request(&Zone::Global)).await.records;
    assert_eq!(ids(&records), ["a", "b"]);
}

/// The commit before may have begun anew and wait for rows of the one after it, which waits for it: that one lets go.
#[tokio::test]
async fn a_commit_in_turn_does_not_keep_its_locks_for_long() {
    let Some(database) = database() else { return };
    let source = with_items(&database).await;
    let first = Turn::default();
    first.written();
    let (second, turn) = (source.clone(), first.next());
    let second = tokio::spawn(async move { second.commit_in_turn(following("a"), turn).await.unwrap() });
    tokio::time::sleep(Duration::from_millis(100)).await;
    // The same object.
    let state = vec![StateWrite::set("last", Some(b"1".to_vec()))];
    let mine = source.commit(Commit { state, ..commit(vec![put(item("a", "first"))]) });
    let mine = tokio::time::timeout(Duration::from_secs(10), mine).await.expect("the lock is gone in time");
    assert!(matches!(mine.unwrap(), CommitOutcome::Applied(_)));
    first.over();
    assert!(matches!(second.await.unwrap(), CommitOutcome::Applied(_)));
}

/// Once the commit before has locked the entry, the database says when it has ended.
#[tokio::test]
async fn a_commit_in_turn_waits_for_the_lock_of_the_one_before() {
    let Some(database) = database() else { return };
    let source = with_items(&database).await;
    let state = vec![StateWrite::set("last", Some(b"0".to_vec()))];
    source.commit(Commit { state, ..commit(vec![]) }).await.unwrap();
    let mut before = sqlx::MySqlConnection::connect_with(&database.options()).await.unwrap();
    let mut transaction = before.begin().await.unwrap();
    let set = "UPDATE fastsync_state SET value = '1' WHERE name = 'last'";
    raw_sql(set).execute(&mut *transaction).await.unwrap();
    let first = Turn::default();
    let (second, turn) = (source.clone(), first.next());
    let second = tokio::spawn(async move { second.commit_in_turn(following("b"), turn).await.unwrap() });
    first.written();
    first.locked();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!second.is_finished());
    transaction.commit().await.unwrap();
    // It has not been told that the one before is over.
    let outcome = tokio::time::timeout(Duration::from_secs(10), second).await.expect("the lock is free");
    assert!(matches!(outcome.unwrap(), CommitOutcome::Applied(_)));
}
