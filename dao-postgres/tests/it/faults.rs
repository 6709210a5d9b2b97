//! What other transactions, a lost connection and a caller that is gone do to a commit: each is forced, none
//! left to chance. A lock is held by the test itself; a failure of the server is signalled by a trigger.

use crate::common::*;
use fastsync_core::source::*;
use fastsync_core::*;
use fastsync_dao_postgres::sqlx::{self, Connection, PgConnection, raw_sql};
use fastsync_dao_postgres::{PostgresConfig, PostgresDataSource};

/// A data source with the type of [`items`] that tries so often.
async fn tries(database: &Database, attempts: u32) -> PostgresDataSource {
    let config = PostgresConfig::new().attempts(attempts);
    let source = PostgresDataSource::with_config(database.pool(), config).await.unwrap();
    source.prepare(&[items()], Preparation::Apply).await.unwrap();
    source
}

/// From now on the first writes of `items`, so many, fail with this state. All are counted in `tries`, which
/// keeps what is rolled back.
async fn fail(database: &Database, state: &str, times: u32) {
    let sql = format!(
        "DROP SEQUENCE IF EXISTS tries;
         CREATE SEQUENCE tries;
         DROP TRIGGER IF EXISTS failing ON items;
         CREATE OR REPLACE FUNCTION failing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF nextval('tries') <= {times} THEN RAISE EXCEPTION 'failing' USING ERRCODE = '{state}'; END IF;
             RETURN NEW;
         END $$;
         CREATE TRIGGER failing BEFORE INSERT ON items FOR EACH ROW EXECUTE FUNCTION failing();"
    );
    database.sql(sql).await;
}

/// Fails if a deadlock, a serialization failure or a lock that is not available is reported at once, tried
/// without end, or has another kind in the end; or if a failure that will come again is tried again.
#[tokio::test]
async fn what_lost_to_another_transaction_is_tried_again() {
    let Some(database) = database() else { return };
    let source = tries(&database, 3).await;
    let tried = async || count(&source, "SELECT last_value FROM tries").await;
    for state in ["40P01", "40001", "55P03"] {
        fail(&database, state, 2).await;
        apply(&source, vec![put(item("a", "one"))]).await;
        assert_eq!(tried().await, 3, "{state}");
        fail(&database, state, 9).await;
        let error = source.commit_alone(commit(vec![put(item("a", "two"))])).await.unwrap_err();
        assert_eq!((error.kind(), tried().await), (ErrorKind::Contention, 3), "{state}");
    }
    fail(&database, "58030", 9).await;
    let error = source.commit_alone(commit(vec![put(item("a", "two"))])).await.unwrap_err();
    assert_eq!((error.kind(), tried().await), (ErrorKind::Backend, 1));
}

/// The commit holds the index row of `a` and waits for the object `b`; who holds that asks for `a`, and is patient,
/// so that the server ends the commit. Fails if a deadlock is reported at once.
#[tokio::test]
async fn a_deadlock_is_tried_again() {
    let Some(database) = database() else { return };
    for attempts in [1, 12] {
        let source = tries(&database, attempts).await;
        apply(&source, vec![put(item("a", "one")), put(item("b", "one"))]).await;
        let mut stranger = database.stranger().await;
        let hold = "SET deadlock_timeout = '1min'; BEGIN; UPDATE items SET name = 'x' WHERE id = 'b'";
        raw_sql(hold).execute(&mut stranger).await.unwrap();
        let writes = vec![put(item("a", "two")), put(item("b", "two"))];
        let committing = tokio::spawn(async move { source.commit_alone(commit(writes)).await });
        database.until_waits("INSERT INTO %\"items\"%").await;
        // This waits for the commit, and is answered since that one was rolled back.
        let close = "SELECT id FROM fastsync_records WHERE zone = 1 AND type = 1 AND id = 'a' FOR UPDATE";
        raw_sql(close).execute(&mut stranger).await.expect("the commit is ended, not this one");
        if attempts == 1 {
            let error = soon(committing).await.unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Contention);
            raw_sql("ROLLBACK").execute(&mut stranger).await.unwrap();
        } else {
            assert!(!committing.is_finished());
            raw_sql("ROLLBACK").execute(&mut stranger).await.unwrap();
            let outcome = soon(committing).await.unwrap().unwrap();
            assert!(matches!(outcome, CommitOutcome::Applied(_)));
        }
    }
}

/// Somebody holds an object; a commit of it waits.
async fn held(database: &Database) -> PgConnection {
    let mut stranger = database.stranger().await;
    raw_sql("BEGIN; UPDATE items SET name = 'x' WHERE id = 'a'").execute(&mut stranger).await.unwrap();
    stranger
}

/// Fails if a lost connection is an error of another kind, or what it left behind keeps its locks.
#[tokio::test]
async fn a_lost_connection_is_told_as_such_and_the_commit_can_be_repeated() {
    let Some(database) = database() else { return };
    let source = with_items(&database).await;
    apply(&source, vec![put(item("a", "one"))]).await;
    let mut stranger = held(&database).await;
    let session = commit(vec![put(item("a", "two")), put(item("b", "two"))]);
    let committing = tokio::spawn({
        let (source, session) = (source.clone(), session.clone());
        async move { source.commit_alone(session).await }
    });
    let connection = database.until_waits("INSERT INTO %\"items\"%").await;
    database.sql(format!("SELECT pg_terminate_backend({connection})")).await;
    let error = soon(committing).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(error.is_retryable());
    raw_sql("ROLLBACK").execute(&mut stranger).await.unwrap();
    assert!(source.session(session.session).await.unwrap().is_none());
    let outcome = soon(source.commit_alone(session.clone())).await.unwrap();
    assert!(matches!(outcome, CommitOutcome::Applied(_)));
    assert!(matches!(source.commit_alone(session).await.unwrap(), CommitOutcome::Duplicate(_)));
}

/// "A write that was started runs to its end, also if its future is dropped." Fails if it runs within its
/// caller's future.
#[tokio::test]
async fn a_commit_goes_on_when_its_caller_is_gone() {
    let Some(database) = database() else { return };
    let source = with_items(&database).await;
    apply(&source, vec![put(item("a", "one"))]).await;
    let mut stranger = held(&database).await;
    let session = commit(vec![put(item("a", "two"))]);
    let id = session.session;
    tokio::select! {
        outcome = source.commit_alone(session) => panic!("{outcome:?}"),
        _ = database.until_waits("INSERT INTO %\"items\"%") => {}
    }
    raw_sql("ROLLBACK").execute(&mut stranger).await.unwrap();
    let there = async {
        while source.session(id).await.unwrap().is_none() {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    soon(there).await;
}

/// Whoever commits to several zones locks them in one order. Fails if some take them in another: with the
/// second zone held, that commit never takes the first.
#[tokio::test]
async fn zones_are_locked_in_one_order() {
    let Some(database) = database() else { return };
    let source = open(&database).await;
    source.prepare(&[notes()], Preparation::Apply).await.unwrap();
    let zones = ["one", "two"].map(|zone| Zone::restricted(zone).unwrap());
    let note = |zone: &Zone| put(record("notes", zone, "n", Some(vec!["x".into()])));
    apply(&source, vec![note(&zones[0])]).await;
    apply(&source, vec![note(&zones[1])]).await;
    let lock = |zone: &str, how: &str| {
        let select =
            format!("SELECT n FROM fastsync_zones WHERE name = 'restricted:{zone}' FOR UPDATE {how}");
        raw_sql(sqlx::AssertSqlSafe(select))
    };
    let mut looking = database.stranger().await;
    for number in [1, 2] {
        let mut stranger = database.stranger().await;
        let mut transaction = stranger.begin().await.unwrap();
        lock("two", "").execute(&mut *transaction).await.unwrap();
        let mut session = commit(zones.iter().rev().map(note).collect());
        session.author.number = number;
        let committing = tokio::spawn({
            let source = source.clone();
            async move { source.commit_alone(session).await }
        });
        let is_locked = async {
            while lock("one", "NOWAIT").execute(&mut looking).await.is_ok() {
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
        };
        soon(is_locked).await;
        transaction.rollback().await.unwrap();
        let outcome = soon(committing).await.unwrap().unwrap();
        assert!(matches!(outcome, CommitOutcome::Applied(_)));
    }
}

/// A commit that takes new records for new and meets a rule of the table looks again before it tells why.
/// Fails if it does not: the record is named as refused by the rule, while it is the record that is there.
#[tokio::test]
async fn a_record_that_is_there_is_named_before_a_rule_that_refuses_it() {
    let Some(database) = database() else { return };
    let source = with_items(&database).await;
    database.sql("ALTER TABLE items ADD CONSTRAINT one_name UNIQUE (name)").await;
    apply(&source, vec![put(item("a", "one")), put(item("b", "two"))]).await;
    let absent = |write| Write { expect: Expect::Absent, on_mismatch: OnMismatch::Skip, ..write };
    let writes = vec![absent(put(item("b", "one"))), absent(put(item("c", "three")))];
    let receipt = apply(&source, writes).await;
    assert_eq!(receipt.skipped.len(), 1);
    assert_eq!(receipt.skipped[0].reason, ConflictReason::Mismatch);
    assert_eq!(names(receipt.skipped[0].current.as_slice()), ["two"]);
}

/// A commit has found a record to be new and waits for another object; somebody creates the record. Fails if
/// it is overwritten: what was not there could not be locked, and with a clear all is looked up anew.
#[tokio::test]
async fn a_record_that_somebody_creates_meanwhile_is_not_overwritten() {
    let Some(database) = database() else { return };
    let source = open(&database).await;
    source.prepare(&[items(), notes()], Preparation::Apply).await.unwrap();
    apply(&source, vec![put(item("a", "one"))]).await;
    let zone = Zone::restricted("team").unwrap();
    let cleared =
        Clear { type_name: name("notes"), zone: Zone::restricted("other").unwrap(), through_change: 0 };
    for (key, clears) in [("n1", Vec::new()), ("n2", vec![cleared])] {
        let note = |text: &str| put(record("notes", &zone, key, Some(vec![text.into()])));
        // Objects are written by the order of their types.
        let writes = vec![put(item("a", "two")), Write { expect: Expect::Absent, ..note("mine") }];
        let session = Commit { clears, ..commit(writes) };
        let mut stranger = held(&database).await;
        let committing = tokio::spawn({
            let source = source.clone();
            async move { source.commit_alone(session).await }
        });
        database.until_waits("INSERT INTO %\"items\"%").await;
        apply(&source, vec![note("theirs")]).await;
        raw_sql("ROLLBACK").execute(&mut stranger).await.unwrap();
        let outcome = soon(committing).await.unwrap().unwrap();
        let CommitOutcome::Conflicts { writes, .. } = outcome else { panic!("{key}: {outcome:?}") };
        assert_eq!(names(writes[0].current.as_slice()), ["theirs"]);
        let found = source.get(&name("notes"), &zone, &[id(key)]).await.unwrap();
        assert_eq!(names(&found), ["theirs"]);
    }
}

/// Two commit one session at once, and the second finds the record as the first has left it. Fails if it is
/// given a conflict with its own work.
#[tokio::test]
async fn a_session_that_its_twin_has_committed_is_a_duplicate_and_no_conflict() {
    let Some(database) = database() else { return };
    let source = with_items(&database).await;
    let one = item("a", "one");
    let expect = Expect::Revision(one.metadata.revision);
    apply(&source, vec![put(one)]).await;
    let session = commit(vec![Write { expect, ..put(item("a", "two")) }]);
    let mut stranger = held(&database).await;
    let spawn = || {
        let (source, session) = (source.clone(), session.clone());
        tokio::spawn(async move { source.commit_alone(session).await.unwrap() })
    };
    let first = spawn();
    database.until_waits("INSERT INTO %\"items\"%").await;
    let second = spawn();
    database.until_waits("SELECT%fastsync_records%FOR UPDATE").await;
    raw_sql("ROLLBACK").execute(&mut stranger).await.unwrap();
    let CommitOutcome::Applied(applied) = soon(first).await.unwrap() else { panic!("the first is applied") };
    let second = soon(second).await.unwrap();
    assert_eq!(second, CommitOutcome::Duplicate(applied));
}

/// Fails if a proxy with no server behind it, which takes a connection and ends it, makes callers give up: it has one again later.
#[tokio::test]
async fn a_proxy_without_a_server_is_an_absence() {
    let proxy = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("postgres://somebody@{}/app", proxy.local_addr().unwrap());
    tokio::spawn(async move { while proxy.accept().await.is_ok() {} });
    let error = soon(PostgresDataSource::connect(&url)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(error.is_retryable());
}
