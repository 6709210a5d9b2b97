//! Fetching anew: what the server has is put in place, and only what it does not have goes.

use std::sync::atomic::Ordering;

use fastsync_core::source::ResetReason;
use fastsync_core::source::memory::MemoryConstraint;
use fastsync_core::*;

use crate::support::*;

async fn purge_everything(server: &ServerSide) {
    let head = server.sessions(&Zone::Global).await.len() as u64;
    server.store.source().purge_tombstones(&Zone::Global, Position(head)).await.unwrap();
}

/// Fails if rows leave the tables that the server still has, or one stays that it does not have.
#[tokio::test]
async fn a_reset_removes_only_what_is_gone() {
    let server = server().await;
    let hooked = Hooked::default();
    let a = client_behind(&server, "ada", hooked.clone(), LastWriterWins).await;
    server.tasks.add_many(&[task("1", "x"), task("2", "y"), task("3", "z")]).await.unwrap();
    a.sync.sync().await.unwrap();
    server.tasks.remove(&id("2")).await.unwrap();
    server.tasks.update(&task("3", "newer")).await.unwrap();
    server.tasks.add(&task("4", "new")).await.unwrap();
    purge_everything(&server).await;
    let report = a.sync.sync().await.unwrap().pull;
    assert_eq!((report.reset, report.forgotten), (Some(ResetReason::Horizon), 0));
    assert_eq!(a.tasks.get_all().await.unwrap(), server.tasks.get_all().await.unwrap());
    let gone = a.record("2").await.unwrap();
    assert!(gone.is_deleted() && !gone.metadata.is_pending());
    assert!(a.sync.status().await.unwrap().in_step);
    for edits in [PendingEdits::Refuse, PendingEdits::PushFirst, PendingEdits::Discard] {
        a.sync.hard_reset(&[], edits).await.unwrap();
        assert_eq!(a.tasks.get_all().await.unwrap(), server.tasks.get_all().await.unwrap());
    }
    assert_eq!(hooked.clears.load(Ordering::SeqCst), 0);
    // What is gone can be added again.
    a.tasks.add(&task("2", "again")).await.unwrap();
    a.sync.sync().await.unwrap();
    assert_eq!(a.tasks.get_all().await.unwrap(), server.tasks.get_all().await.unwrap());
    assert_eq!(server.tasks.get_all().await.unwrap().len(), 4);
}

/// Fails if an edit is lost that is made while a reset finds out that its object is gone.
#[tokio::test]
async fn an_edit_that_is_made_meanwhile_stays() {
    for commit in 1..4 {
        let server = server().await;
        let hooked = Hooked::default();
        let a = client_behind(&server, "ada", hooked.clone(), LastWriterWins).await;
        server.tasks.add_many(&[task("1", "x"), task("2", "y")]).await.unwrap();
        a.sync.sync().await.unwrap();
        server.tasks.remove(&id("2")).await.unwrap();
        purge_everything(&server).await;
        let tasks = a.tasks.clone();
        hooked.before(Call::Commit(SessionKind::Apply), commit, async move {
            tasks.add(&task("3", "mine")).await.unwrap();
            drop(tasks.update(&task("2", "mine")).await);
        });
        ends(a.sync.pull()).await.unwrap();
        if commit == 1 {
            assert_eq!(a.task("2").await, Some(task("2", "mine")));
            assert_eq!(a.pending().await, 2);
        }
        // The server says of the edit that its object is gone.
        a.sync.sync().await.unwrap();
        assert_eq!(a.tasks.get_all().await.unwrap(), server.tasks.get_all().await.unwrap());
        assert!(a.sync.status().await.unwrap().in_step);
    }
}

/// Fails if a reset that discards edits leaves one, or takes one that is newer.
#[tokio::test]
async fn what_is_given_up_is_replaced_or_removed() {
    let server = server().await;
    let a = client(&server, "ada").await;
    server.tasks.add_many(&["1", "2", "3", "4"].map(|id| task(id, "x"))).await.unwrap();
    a.sync.sync().await.unwrap();
    server.tasks.remove(&id("3")).await.unwrap();
    server.tasks.remove(&id("4")).await.unwrap();
    purge_everything(&server).await;
    a.tasks.update(&task("1", "given up")).await.unwrap();
    a.tasks.remove(&id("2")).await.unwrap();
    a.tasks.update(&task("3", "given up")).await.unwrap();
    a.tasks.remove(&id("4")).await.unwrap();
    a.tasks.add(&task("5", "given up")).await.unwrap();
    let tasks = a.tasks.clone();
    a.link.meanwhile(async move { tasks.add(&task("6", "later")).await.unwrap() });
    a.sync.hard_reset(&[], PendingEdits::Discard).await.unwrap();
    assert_eq!(a.tasks.get_all().await.unwrap(), [task("1", "x"), task("2", "x"), task("6", "later")]);
    assert_eq!(a.pending().await, 1);
}

/// Fails if an edit is sent that was given up, where the device cannot hold what the server has instead.
#[tokio::test]
async fn what_is_given_up_is_over_also_where_nothing_can_replace_it() {
    let server = server().await;
    let a = client(&server, "ada").await;
    server.tasks.add_many(&[task("1", "slot 1"), task("2", "slot 2")]).await.unwrap();
    a.sync.sync().await.unwrap();
    a.source.constrain(MemoryConstraint::Unique {
        type_name: TypeName::new("tasks").unwrap(),
        field: FieldName::new("text").unwrap(),
    });
    server.tasks.update(&task("1", "slot 2")).await.unwrap();
    a.tasks.update(&task("1", "given up")).await.unwrap();
    a.sync.hard_reset(&[], PendingEdits::Discard).await.unwrap();
    assert_eq!(a.pending().await, 0);
    assert!(a.sync.status().await.unwrap().aside > 0);
    server.tasks.update(&task("2", "free")).await.unwrap();
    a.sync.sync().await.unwrap();
    assert_eq!(a.tasks.get_all().await.unwrap(), server.tasks.get_all().await.unwrap());
    assert!(a.sync.status().await.unwrap().in_step);
}

/// Fails if a reset with more removals than one commit holds in memory leaves some, or something staged.
#[tokio::test]
async fn any_number_of_records_can_be_gone() {
    let full = server().await;
    let tasks: Vec<_> = (0..5_000).map(|n| task(&format!("{n:04}"), "x")).collect();
    full.tasks.add_many(&tasks).await.unwrap();
    let a = client(&full, "ada").await;
    a.sync.pull().await.unwrap();
    let other = server().await;
    other.tasks.add_many(&[task("0001", "x"), task("a", "y"), task("b", "z")]).await.unwrap();
    for limits in [PullLimits::default(), PullLimits::new(2, 1 << 20)] {
        let moved = client_on(&other, "ada", a.source.snapshot()).await;
        let accepting = moved.manager().transport(moved.link.clone()).pull_limits(limits);
        accepting.when_forgotten(WhenForgotten::Accept).build().unwrap().pull().await.unwrap();
        assert_eq!(moved.tasks.get_all().await.unwrap(), other.tasks.get_all().await.unwrap());
        assert_eq!(moved.source.staged_batches(), 0);
        assert!(moved.source.entries("fastsync/pull").await.unwrap().is_empty());
    }
}

/// Fails if a reset that is cut off forgets what it has seen, and removes that.
#[tokio::test]
async fn a_reset_that_is_cut_off_knows_what_it_has_seen() {
    for commits in 0..12 {
        let server = server().await;
        let tasks: Vec<_> = (0..20).map(|n| task(&format!("{n:03}"), "x")).collect();
        server.tasks.add_many(&tasks).await.unwrap();
        let source = MemoryDataSource::new();
        let limits = PullLimits::new(3, 1 << 20);
        let a = client_with(&server, "ada", source.clone(), LastWriterWins, limits).await;
        a.sync.pull().await.unwrap();
        server.tasks.remove(&id("004")).await.unwrap();
        server.tasks.remove(&id("018")).await.unwrap();
        purge_everything(&server).await;
        let hooked = Hooked::on(source.clone());
        let cut = client_behind(&server, "ada", hooked.clone(), LastWriterWins).await;
        let cut = cut.manager().transport(cut.link.clone()).pull_limits(limits).build().unwrap();
        hooked.before(Call::Commit(SessionKind::Apply), commits + 1, std::future::pending());
        drop(futures_util::FutureExt::now_or_never(cut.pull()));
        // Gone after the walk has seen it.
        server.tasks.remove(&id("001")).await.unwrap();
        let a = client_with(&server, "ada", source.clone(), LastWriterWins, limits).await;
        a.sync.pull().await.unwrap();
        assert_eq!(a.tasks.get_all().await.unwrap(), server.tasks.get_all().await.unwrap(), "{commits}");
        assert_eq!(source.staged_batches(), 0);
        assert!(source.entries("fastsync/pull").await.unwrap().is_empty(), "{commits}");
    }
}
