//! Commits that go on beside each other: each expects the state that the one before it leaves.

use std::time::Duration;

use crate::common::*;
use fastsync_core::source::*;
use fastsync_core::*;
use fastsync_dao_postgres::PostgresDataSource;
use fastsync_dao_postgres::sqlx::{AssertSqlSafe, Connection, PgConnection, raw_sql};
use futures_util::FutureExt as _;

/// A push of a device that follows another one: it expects the entry that the other one sets.
fn following(id: &str) -> Commit {
    let state = StateWrite {
        key: "last".to_owned(),
        expect: ExpectState::Value(b"1".to_vec()),
        value: Some(b"2".to_vec()),
    };
    Commit { state: vec![state], ..commit(vec![put(item(id, "second"))]) }
}

/// Whether a transaction that goes on has written this row: nobody else can insert it.
async fn is_written(connection: &mut PgConnection, id: &str) -> bool {
    let insert = format!(
        "BEGIN; SET LOCAL lock_timeout = '20ms'; INSERT INTO items (id, name, quantity) VALUES ('{id}', 'x', 1)"
    );
    let inserted = raw_sql(AssertSqlSafe(insert)).execute(&mut *connection).await;
    raw_sql("ROLLBACK").execute(&mut *connection).await.unwrap();
    inserted.is_err()
}

/// "A data source whose commits go on beside each other may do before what nobody sees": the rows are written
/// while the commit before goes on, and only who asks for what is not committed sees them.
#[tokio::test]
async fn a_commit_in_turn_writes_its_rows_before_its_turn() {
    let Some(database) = database() else { return };
    let source = with_items(&database).await;
    let first = Turn::default();
    let (second, turn) = (source.clone(), first.next());
    let is_idle = |source: &PostgresDataSource| source.pool().num_idle() == source.pool().size() as usize;
    let given_back = async {
        while !is_idle(&source) {
            tokio::task::yield_now().await;
        }
    };
    soon(given_back).await;
    let second = tokio::spawn(async move { second.commit(following("b"), turn).await.unwrap() });
    // Its task runs on this thread, so it has come as far as it may.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(is_idle(&source), "it takes no connection, which the one before may wait for");
    let mut connection = database.stranger().await;
    assert!(!is_written(&mut connection, "b").await, "the one before has not written");
    first.written();
    let written = async {
        while !is_written(&mut connection, "b").await {
            assert!(!second.is_finished());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    soon(written).await;
    assert!(page(&source, &request(&Zone::Global)).await.records.is_empty());
    let state = vec![StateWrite::set("last", Some(b"1".to_vec()))];
    let mine = source.commit_alone(Commit { state, ..commit(vec![put(item("a", "first"))]) }).await.unwrap();
    assert!(matches!(mine, CommitOutcome::Applied(_)));
    first.over();
    assert!(matches!(soon(second).await.unwrap(), CommitOutcome::Applied(_)));
    let records = page(&source, &request(&Zone::Global)).await.records;
    assert_eq!(ids(&records), ["a", "b"]);
}

/// The commit before may have begun anew and wait for rows of the one after it, which waits for it: that one
/// lets go.
#[tokio::test]
async fn a_commit_in_turn_does_not_keep_its_locks_for_long() {
    let Some(database) = database() else { return };
    let source = with_items(&database).await;
    let first = Turn::default();
    first.written();
    let (second, turn) = (source.clone(), first.next());
    let second = tokio::spawn(async move { second.commit(following("a"), turn).await.unwrap() });
    let mut stranger = database.stranger().await;
    let is_held = async {
        while !is_written(&mut stranger, "a").await {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    soon(is_held).await;
    // The same object.
    let state = vec![StateWrite::set("last", Some(b"1".to_vec()))];
    let mine = source.commit_alone(Commit { state, ..commit(vec![put(item("a", "first"))]) });
    assert!(matches!(soon(mine).await.unwrap(), CommitOutcome::Applied(_)));
    first.over();
    assert!(matches!(soon(second).await.unwrap(), CommitOutcome::Applied(_)));
}

/// Once the commit before has locked the entry, the database says when it has ended.
#[tokio::test]
async fn a_commit_in_turn_waits_for_the_lock_of_the_one_before() {
    let Some(database) = database() else { return };
    let source = with_items(&database).await;
    let state = vec![StateWrite::set("last", Some(b"0".to_vec()))];
    source.commit_alone(Commit { state, ..commit(vec![]) }).await.unwrap();
    let mut before = database.stranger().await;
    let mut transaction = before.begin().await.unwrap();
    let set = "UPDATE fastsync_state SET value = '1' WHERE name = 'last'";
    raw_sql(set).execute(&mut *transaction).await.unwrap();
    let first = Turn::default();
    let (second, turn) = (source.clone(), first.next());
    let second = tokio::spawn(async move { second.commit(following("b"), turn).await.unwrap() });
    first.written();
    first.locked();
    database.until_waits("SELECT%fastsync_state%FOR UPDATE").await;
    transaction.commit().await.unwrap();
    // It has not been told that the one before is over.
    assert!(matches!(soon(second).await.unwrap(), CommitOutcome::Applied(_)));
}

/// A commit that somebody keeps from its end has written its rows, and has the entries whose value it
/// expects. Fails if it does not tell so, or tells that it has an entry that is not there: nobody has a lock
/// of that.
#[tokio::test]
async fn a_commit_in_turn_tells_what_it_has_written_and_locked() {
    let Some(database) = database() else { return };
    let source = with_items(&database).await;
    let state = vec![StateWrite::set("last", Some(b"1".to_vec()))];
    source.commit_alone(Commit { state, ..commit(vec![put(item("a", "first"))]) }).await.unwrap();
    let mut stranger = database.stranger().await;
    for (session, locks) in [(following("b"), true), (absent("c"), false)] {
        let mut transaction = stranger.begin().await.unwrap();
        raw_sql("SELECT n FROM fastsync_zones FOR UPDATE").execute(&mut *transaction).await.unwrap();
        let turn = Turn::default();
        let next = turn.next();
        let source = source.clone();
        let first = tokio::spawn(async move { source.commit(session, turn).await.unwrap() });
        database.until_waits("UPDATE %fastsync_zones%").await;
        assert!(next.may_begin().now_or_never().is_some(), "it has written");
        assert_eq!(next.may_lock().now_or_never().is_some(), locks, "it has locked");
        assert!(next.comes().now_or_never().is_none());
        transaction.rollback().await.unwrap();
        assert!(matches!(soon(first).await.unwrap(), CommitOutcome::Applied(_)));
    }
}

/// A push that sets an entry that is not there yet.
fn absent(id: &str) -> Commit {
    let state = StateWrite { key: "new".to_owned(), expect: ExpectState::Absent, value: Some(b"1".to_vec()) };
    Commit { state: vec![state], ..commit(vec![put(item(id, "third"))]) }
}
