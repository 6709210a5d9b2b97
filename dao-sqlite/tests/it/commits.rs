//! Commits of several handles at once, and writes that the database refuses in its own way.

use crate::common::*;
use fastsync_core::source::*;
use fastsync_core::*;
use fastsync_dao_sqlite::SqliteDataSource;

/// Fails if a commit takes the write lock only when it first writes: what it has read is stale then, and SQLite gives
/// up instead of waiting.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn commits_of_several_handles_wait_for_each_other() {
    const HANDLES: usize = 4;
    const COMMITS: usize = 25;
    let fixture = Fixture::new();
    let handles = (0..HANDLES).map(|_| SqliteDataSource::open(fixture.path()).unwrap()).collect::<Vec<_>>();
    handles[0].prepare(&[items()], Preparation::Apply).await.unwrap();
    let tasks: Vec<_> = handles
        .into_iter()
        .map(|source| {
            tokio::spawn(async move {
                for number in 0..COMMITS {
                    let record = item("contended", &number.to_string());
                    let outcome = source.commit_alone(commit(vec![put(record)])).await;
                    assert!(matches!(outcome, Ok(CommitOutcome::Applied(_))), "{outcome:?}");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let head = page(&open(&fixture.path()), &request(&Zone::Global)).await.head.position;
    assert_eq!(head, Position((HANDLES * COMMITS) as u64));
}

/// Fails if what was refused before a rollback is taken for refused: the write that gives its unique value free was
/// undone with it.
#[tokio::test]
async fn what_was_refused_before_a_rollback_is_tried_again() {
    let fixture = Fixture::new();
    let source = fixture.items().await;
    apply(&source, vec![put(item("b", "taken"))]).await;
    fixture
        .sql()
        .execute_batch(
            "CREATE UNIQUE INDEX one_name ON items (name);
             CREATE TRIGGER stop BEFORE INSERT ON items WHEN new.id = 'c'
             BEGIN SELECT RAISE(ROLLBACK, 'no more'); END",
        )
        .unwrap();
    let writes = [item("a", "taken"), item("b", "given free"), item("c", "stopped")];
    let skip = |record: &Record| Write { on_mismatch: OnMismatch::Skip, ..put(record.clone()) };
    let skipped = apply(&source, writes.iter().map(skip).collect()).await.skipped;
    let named: Vec<_> = skipped.iter().map(|conflict| conflict.write.action.key().id.as_str()).collect();
    assert_eq!(named, ["c"]);
    let found = source.find(&Query::all(name("items"), Zone::Global)).await.unwrap().records;
    let names: Vec<_> = found.iter().map(|record| record.body.as_ref().unwrap()[0].clone()).collect();
    assert_eq!(names, ["taken", "given free"].map(Value::from));
}
