//! Commits of many rows, which are written many at a time: what is said of them is as exact as of one.

use std::collections::BTreeMap;

use crate::common::*;
use fastsync_core::source::*;
use fastsync_core::*;

/// More than one statement writes at once, and no multiple of it.
const MANY: usize = 301;

fn many(on_mismatch: OnMismatch, expect: Expect) -> Vec<Write> {
    let write =
        |n: usize| Write { expect, on_mismatch, ..put(item(&format!("{n:04}"), &format!("name {n}"))) };
    (0..MANY).map(write).collect()
}

fn keys<'a>(conflicts: impl IntoIterator<Item = &'a Conflict>) -> Vec<&'a str> {
    let mut keys: Vec<_> =
        conflicts.into_iter().map(|conflict| conflict.write.action.key().id.as_str()).collect();
    keys.sort_unstable();
    keys
}

async fn count(source: &fastsync_dao_sqlite::SqliteDataSource) -> u64 {
    source.count(&Query::all(name("items"), Zone::Global)).await.unwrap()
}

/// The names of two rows are taken by others.
async fn with_two_names_taken(fixture: &Fixture) -> fastsync_dao_sqlite::SqliteDataSource {
    let source = fixture.items().await;
    apply(&source, vec![put(item("x", "name 40")), put(item("y", "name 200"))]).await;
    fixture.sql().execute_batch("CREATE UNIQUE INDEX one_name ON items (name)").unwrap();
    source
}

#[tokio::test]
async fn of_many_rows_those_that_a_constraint_refuses_stop_the_commit() {
    let fixture = Fixture::new();
    let source = with_two_names_taken(&fixture).await;
    let outcome = source.commit_alone(commit(many(OnMismatch::Abort, Expect::Anything))).await.unwrap();
    let CommitOutcome::Conflicts { writes, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(keys(&writes), ["0040", "0200"]);
    assert!(writes.iter().all(|conflict| matches!(conflict.reason, ConflictReason::Constraint(_))));
    assert_eq!(count(&source).await, 2);
}

#[tokio::test]
async fn of_many_rows_those_that_a_constraint_refuses_are_skipped() {
    let fixture = Fixture::new();
    let source = with_two_names_taken(&fixture).await;
    let outcome = source.commit_alone(commit(many(OnMismatch::Skip, Expect::Anything))).await.unwrap();
    let CommitOutcome::Applied(receipt) = outcome else { panic!("{outcome:?}") };
    assert_eq!(keys(&receipt.skipped), ["0040", "0200"]);
    assert_eq!(count(&source).await, 2 + MANY as u64 - 2);
}

#[tokio::test]
async fn of_many_rows_those_that_are_not_as_expected_are_named() {
    for on_mismatch in [OnMismatch::Abort, OnMismatch::Skip] {
        let fixture = Fixture::new();
        let source = fixture.items().await;
        apply(&source, vec![put(item("0007", "there")), put(item("0300", "there"))]).await;
        let outcome = source.commit_alone(commit(many(on_mismatch, Expect::Absent))).await.unwrap();
        let (named, expected) = match (&outcome, on_mismatch) {
            (CommitOutcome::Conflicts { writes, .. }, OnMismatch::Abort) => (writes, 2),
            (CommitOutcome::Applied(receipt), OnMismatch::Skip) => (&receipt.skipped, MANY as u64),
            _ => panic!("{outcome:?}"),
        };
        assert_eq!(keys(named), ["0007", "0300"]);
        assert_eq!(count(&source).await, expected);
        let kept = source.get(&name("items"), &Zone::Global, &[id("0007"), id("0300")]).await.unwrap();
        assert!(kept.iter().all(|record| record.body.as_ref().unwrap()[0] == "there".into()));
    }
}

#[tokio::test]
async fn of_many_rows_one_whose_trigger_rolls_back_is_named_alone() {
    let fixture = Fixture::new();
    let source = fixture.items().await;
    fixture
        .sql()
        .execute_batch(
            "CREATE TRIGGER stop BEFORE INSERT ON items WHEN new.id = '0123'
             BEGIN SELECT RAISE(ROLLBACK, 'no more'); END",
        )
        .unwrap();
    let outcome = source.commit_alone(commit(many(OnMismatch::Skip, Expect::Anything))).await.unwrap();
    let CommitOutcome::Applied(receipt) = outcome else { panic!("{outcome:?}") };
    assert_eq!(keys(&receipt.skipped), ["0123"]);
    assert_eq!(count(&source).await, MANY as u64 - 1);
}

/// Batches overlap at random, and each is out of order: the last write of each key is what is stored.
#[tokio::test]
async fn of_many_staged_batches_the_last_write_of_each_key_counts() {
    // Once so many that they are not merged at once.
    for (batches, with_deletions) in [(3_u64, false), (20, true), (300, false)] {
        let fixture = Fixture::new();
        let source = fixture.items().await;
        let mut expected = BTreeMap::new();
        let mut random = 7_u64;
        let mut staged = Vec::new();
        for batch in 0..batches {
            let mut writes = Vec::new();
            for place in 0..200 {
                random =
                    random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let key = format!("{:04}", (random >> 33) % 3_000);
                let text = format!("{batch} {place}");
                let is_deletion = with_deletions && random >> 62 == 0;
                writes.push(if is_deletion {
                    put(record("items", &Zone::Global, &key, None))
                } else {
                    put(item(&key, &text))
                });
                expected.insert(key, (!is_deletion).then_some(text));
            }
            staged.push(writes);
        }
        commit_staged(&source, staged).await;
        let ids: Vec<_> = expected.keys().map(|key| id(key)).collect();
        let found: BTreeMap<_, _> = source
            .get(&name("items"), &Zone::Global, &ids)
            .await
            .unwrap()
            .into_iter()
            .map(|record| (record.key.id.to_string(), record.body.map(|body| body[0].clone())))
            .collect();
        let expected: BTreeMap<_, _> =
            expected.into_iter().map(|(key, text)| (key, text.map(Value::from))).collect();
        assert_eq!(found, expected, "{batches} batches");
    }
}

/// A session of these batches, staged and committed.
async fn commit_staged(
    source: &fastsync_dao_sqlite::SqliteDataSource,
    batches: Vec<Vec<Write>>,
) -> SessionSummary {
    let session = SessionId::from_uuid(uuid::Uuid::from_u128(6));
    for (sequence, writes) in (0..).zip(batches) {
        source.stage(session, sequence, writes).await.unwrap();
    }
    let staged = Writes::Staged { overrides: Vec::new() };
    let outcome =
        source.commit_alone(Commit { session, writes: staged, ..commit(Vec::new()) }).await.unwrap();
    assert!(matches!(outcome, CommitOutcome::Applied(_)), "{outcome:?}");
    source.session(session).await.unwrap().unwrap()
}

/// Puts and deletions are written in rounds of their own, where the two writes of the key do not meet.
#[tokio::test]
async fn a_key_that_is_staged_as_deleted_and_then_put_is_there() {
    let fixture = Fixture::new();
    let source = fixture.items().await;
    let deleted = put(record("items", &Zone::Global, "a", None));
    let summary =
        commit_staged(&source, vec![vec![deleted], vec![put(item("a", "anew")), put(item("b", "b"))]]).await;
    assert_eq!(summary.counts, [(name("items"), 2)]);
    let found = source.get(&name("items"), &Zone::Global, &[id("a")]).await.unwrap();
    assert_eq!(found[0].body.as_ref().unwrap()[0], "anew".into());
}

/// So many batches that the first and the last are not merged together.
#[tokio::test]
async fn a_key_that_is_staged_first_and_last_of_many_batches_counts_once() {
    let fixture = Fixture::new();
    let source = fixture.items().await;
    let between = (0..300).map(|n| vec![put(item(&format!("{n:04}"), "once"))]);
    let batches: Vec<_> = std::iter::once(vec![put(item("x", "first"))])
        .chain(between)
        .chain(std::iter::once(vec![put(item("x", "last"))]))
        .collect();
    let summary = commit_staged(&source, batches).await;
    assert_eq!(summary.counts, [(name("items"), 301)]);
    let found = source.get(&name("items"), &Zone::Global, &[id("x")]).await.unwrap();
    assert_eq!(found[0].body.as_ref().unwrap()[0], "last".into());
}
