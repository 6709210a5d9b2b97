//! A large staged commit is one transaction, and readers go on beside it.

use fastsync_conformance::samples::*;
use fastsync_core::source::{Clear, Commit, CommitOutcome, Preparation, SyncableDataSourceExt as _, Writes};
use fastsync_core::{Query, SyncableDataSource, Zone};
use fastsync_dao_redb::RedbDataSource;

const OLD: usize = 50;
const NEW: usize = 20_000;

#[tokio::test(flavor = "multi_thread")]
async fn readers_see_all_of_a_staged_commit_or_nothing_and_do_not_wait() {
    let folder = tempfile::tempdir().unwrap();
    let source = RedbDataSource::open(folder.path().join("store")).unwrap();
    source.prepare(&[items()], Preparation::Apply).await.unwrap();
    apply(&source, (0..OLD).map(|n| put(item(&format!("old-{n}"), "x"))).collect()).await;
    let swap = commit(Vec::new());
    let text = "x".repeat(300);
    for (sequence, batch) in (0..NEW).collect::<Vec<_>>().chunks(1_000).enumerate() {
        let writes = batch.iter().map(|n| put(item(&format!("new-{n}"), &text))).collect();
        source.stage(swap.session, sequence as u64, writes).await.unwrap();
    }
    let clears = vec![Clear { type_name: name("items"), zone: Zone::Global, through_change: 0 }];
    let swap = Commit { writes: Writes::Staged { overrides: Vec::new() }, clears, ..swap };
    let writer = source.clone();
    let swap = tokio::spawn(async move { writer.commit_alone(swap).await.unwrap() });
    let all = Query::all(name("items"), Zone::Global);
    let mut before = 0;
    while !swap.is_finished() {
        let count = usize::try_from(source.count(&all).await.unwrap()).unwrap();
        assert!(count == OLD || count == NEW, "{count} records");
        before += usize::from(count == OLD);
    }
    assert!(before > 3, "{before} reads while the commit went on");
    assert!(matches!(swap.await.unwrap(), CommitOutcome::Applied(_)));
    assert_eq!(source.count(&all).await.unwrap(), NEW as u64);
    let changes = page(&source, &request(&Zone::Global)).await;
    assert_eq!(changes.head.position.0, 2);
}
