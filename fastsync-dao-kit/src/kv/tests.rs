//! Tests that need what is inside.

use std::sync::atomic::Ordering;

use fastsync_conformance::samples::{named, session};
use fastsync_core::SyncableDataSource as _;
use fastsync_core::source::{Action, Commit, CommitOutcome, Preparation, SyncableDataSourceExt as _, Writes};
use fastsync_core::{Position, Query, TypeName, Zone};

use crate::kv::KvDataSource;
use crate::kv::toy::{Disk, Toy};

pub(crate) fn items() -> TypeName {
    TypeName::new("items").unwrap()
}

pub(crate) async fn open(disk: &Disk) -> KvDataSource<Toy> {
    let source = KvDataSource::open(2, || Ok(Toy::open(disk))).unwrap();
    source.prepare(&[named()], Preparation::Apply).await.unwrap();
    source
}

/// A session of new records.
pub(crate) fn commit(number: u128, records: u128) -> Commit {
    session(number, (0..records).map(|_| Some("x".repeat(200))))
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
