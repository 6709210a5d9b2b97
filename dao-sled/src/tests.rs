//! Tests that need what is inside.

use std::sync::Arc;

use fastsync_core::source::{Action, Commit, CommitOutcome, Expect, OnMismatch, Write, Writes};
use fastsync_core::{
    Author, DeviceId, FieldKind, Hlc, Incarnation, ObjectId, Position, Query, Record, RecordKey, Revision,
    SessionId, SessionKind, SyncMetadata, SyncableDataSource, Tag, Timestamp, TypeName, TypeSchema, Value,
    Zone,
};
use uuid::Uuid;

use crate::SledDataSource;

pub(crate) fn items() -> TypeName {
    TypeName::new("items").unwrap()
}

pub(crate) async fn open(path: &std::path::Path) -> SledDataSource {
    let source = SledDataSource::open(path).unwrap();
    let items = TypeSchema::builder("items", "id").field("name", FieldKind::Text).build().unwrap();
    source.prepare(&[items]).await.unwrap();
    source
}

pub(crate) fn commit(number: u128, records: u128) -> Commit {
    let device = DeviceId::from_uuid(Uuid::from_u128(1));
    let put = |n: u128| {
        let id = ObjectId::from(Uuid::from_u128((number << 64) + n));
        let key = RecordKey { zone: Zone::Global, type_name: items(), id };
        let metadata = SyncMetadata {
            revision: Revision::from_bits(1),
            incarnation: Incarnation::from_bits(1),
            modified_at: Hlc::default(),
            modified_by: device,
            change: 0,
        };
        let record = Record { key, body: Some(vec![Value::Text("x".repeat(200))]), metadata };
        let action = Action::Put { record, pending: false };
        Write { action, expect: Expect::Absent, on_mismatch: OnMismatch::Abort }
    };
    Commit {
        session: SessionId::from_uuid(Uuid::from_u128(number)),
        kind: SessionKind::Push,
        author: Author { user: None, device, number: 1 },
        at: Timestamp::from_millis(0),
        tag: Tag(1),
        positioned: true,
        clears: Vec::new(),
        writes: Writes::Inline((0..records).map(put).collect()),
        state: Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_commits_share_a_flush() {
    const COMMITS: u64 = 200;
    let folder = tempfile::tempdir().unwrap();
    let source = open(folder.path()).await;
    let before = source.flushes();
    // The first one keeps the writer busy while the others queue up.
    let large = tokio::spawn({
        let source = source.clone();
        async move { source.commit(commit(1, 5_000)).await }
    });
    let mut tasks = Vec::new();
    for n in 2..=COMMITS {
        let source = source.clone();
        tasks.push(tokio::spawn(async move { source.commit(commit(n.into(), 1)).await }));
    }
    let mut positions = Vec::new();
    for task in tasks.into_iter().chain([large]) {
        match task.await.unwrap().unwrap() {
            CommitOutcome::Applied(receipt) => positions.push(receipt.positions[0].1),
            other => panic!("{other:?}"),
        }
    }
    positions.sort();
    assert_eq!(positions, (1..=COMMITS).map(Position).collect::<Vec<_>>(), "each has a position of its own");
    let flushes = source.flushes() - before;
    assert!(flushes <= COMMITS / 4, "{flushes} flushes for {COMMITS} commits");

    // One after the other, each has its own.
    let before = source.flushes();
    for n in 0..10 {
        source.commit(commit(1_000 + n, 1)).await.unwrap();
    }
    assert_eq!(source.flushes() - before, 10);
    // What changes nothing needs none.
    assert!(matches!(source.commit(commit(1_000, 1)).await.unwrap(), CommitOutcome::Duplicate(_)));
    assert_eq!(source.flushes() - before, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_fails_leaves_the_others_of_its_group() {
    let folder = tempfile::tempdir().unwrap();
    let source = open(folder.path()).await;
    let tasks: Vec<_> = (1..=60_u128)
        .map(|n| {
            let source = source.clone();
            let mut commit = commit(n, 2);
            if let (0, Writes::Inline(writes)) = (n % 3, &mut commit.writes)
                && let Action::Put { record, .. } = &mut writes[1].action
            {
                record.body = Some(Vec::new());
            }
            tokio::spawn(async move { (n, source.commit(commit).await) })
        })
        .collect();
    for task in tasks {
        let (n, outcome) = task.await.unwrap();
        assert_eq!(outcome.is_ok(), n % 3 != 0, "{n}: {outcome:?}");
    }
    let all = Query::all(items(), Zone::Global);
    assert_eq!(source.count(&all).await.unwrap(), 80);
    let sessions = source.sessions(&Zone::Global, Position::START, 100).await.unwrap();
    let positions: Vec<_> = sessions.iter().map(|session| session.positions[0].1.0).collect();
    assert_eq!(positions, (1..=40).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_are_served_while_a_writer_never_rests() {
    let folder = tempfile::tempdir().unwrap();
    let source = open(folder.path()).await;
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let writers: Vec<_> = (0..4_u128)
        .map(|writer| {
            let (source, stop) = (source.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut n = 0;
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    n += 1;
                    source.commit(commit(writer * 1_000_000 + n, 3)).await.unwrap();
                }
                n
            })
        })
        .collect();
    let all = Query::all(items(), Zone::Global);
    let mut last = 0;
    for _ in 0..200 {
        let count = source.count(&all).await.unwrap();
        assert!(count >= last && count % 3 == 0, "{count} after {last}");
        last = count;
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let mut commits = 0;
    for writer in writers {
        commits += writer.await.unwrap();
    }
    assert_eq!(source.count(&all).await.unwrap(), u64::try_from(commits).unwrap() * 3);
}
