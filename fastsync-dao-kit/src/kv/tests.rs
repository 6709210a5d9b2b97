//! Tests that need what is inside.

use std::sync::atomic::Ordering;

use fastsync_core::source::{
    Action, Commit, CommitOutcome, Expect, OnMismatch, Preparation, SyncableDataSourceExt as _, Write, Writes,
};
use fastsync_core::{
    Author, DeviceId, FieldKind, Hlc, Incarnation, ObjectId, Position, Query, Record, RecordKey, Revision,
    SessionId, SessionKind, SyncMetadata, SyncableDataSource, Tag, Timestamp, TypeName, TypeSchema, Value,
    Zone,
};
use uuid::Uuid;

use crate::kv::KvDataSource;
use crate::kv::toy::{Disk, Toy};

pub(crate) fn items() -> TypeName {
    TypeName::new("items").unwrap()
}

pub(crate) async fn open(disk: &Disk) -> KvDataSource<Toy> {
    let source = KvDataSource::open(2, || Ok(Toy::open(disk))).unwrap();
    let items = TypeSchema::builder("items", "id").field("name", FieldKind::Text).build().unwrap();
    source.prepare(&[items], Preparation::Apply).await.unwrap();
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
    let source = open(&Disk::default()).await;
    let flushes = || source.engine().writes.load(Ordering::Relaxed) as u64;
    let before = flushes();
    // The first one keeps the writer busy while the others queue up.
    let large = tokio::spawn({
        let source = source.clone();
        async move { source.commit_alone(commit(1, 5_000)).await }
    });
    let mut tasks = Vec::new();
    for n in 2..=COMMITS {
        let source = source.clone();
        tasks.push(tokio::spawn(async move { source.commit_alone(commit(n.into(), 1)).await }));
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
    let shared = flushes() - before;
    assert!(shared <= COMMITS / 4, "{shared} flushes for {COMMITS} commits");

    // One after the other, each has its own.
    let before = flushes();
    for n in 0..10 {
        source.commit_alone(commit(1_000 + n, 1)).await.unwrap();
    }
    assert_eq!(flushes() - before, 10);
    // What changes nothing needs none.
    assert!(matches!(source.commit_alone(commit(1_000, 1)).await.unwrap(), CommitOutcome::Duplicate(_)));
    assert_eq!(flushes() - before, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_fails_leaves_the_others_of_its_group() {
    let source = open(&Disk::default()).await;
    let tasks: Vec<_> = (1..=60_u128)
        .map(|n| {
            let source = source.clone();
            let mut commit = commit(n, 2);
            if let (0, Writes::Inline(writes)) = (n % 3, &mut commit.writes)
                && let Action::Put { record, .. } = &mut writes[1].action
            {
                record.body = Some(Vec::new());
            }
            tokio::spawn(async move { (n, source.commit_alone(commit).await) })
        })
        .collect();
    for task in tasks {
        let (n, outcome) = task.await.unwrap();
        assert_eq!(outcome.is_ok(), n % 3 != 0, "{n}: {outcome:?}");
    }
    let all = Query::all(items(), Zone::Global);
    assert_eq!(source.count(&all).await.unwrap(), 80);
    let sessions = source.sessions_of(&Zone::Global, Position::START, 100).await.unwrap();
    let positions: Vec<_> = sessions.iter().map(|session| session.positions[0].1.0).collect();
    assert_eq!(positions, (1..=40).collect::<Vec<_>>());
}
