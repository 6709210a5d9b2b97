//! Starting over: by order of the user, by order of the server, and after a copy of the store.

use crate::support::*;
use fastsync_core::source::ResetReason;
use fastsync_core::*;

#[tokio::test]
async fn a_hard_reset_fetches_everything_and_keeps_other_types() {
    let server = server().await;
    let a = client(&server, "ada").await;
    a.tasks.add_many(&[task("1", "x"), task("2", "y")]).await.unwrap();
    a.lists.add(&List { id: "home".into(), title: "Home".into() }).await.unwrap();
    a.sync.sync().await.unwrap();
    // Something that only a reset would repair.
    a.tasks.hard_delete().await.unwrap();
    assert!(a.tasks.get_all().await.unwrap().is_empty());
    assert_eq!(a.lists.get_all().await.unwrap().len(), 1);
    a.sync.pull().await.unwrap();
    assert_eq!(a.tasks.get_all().await.unwrap().len(), 2, "the next pull fetches what was dropped");

    let name = TypeName::new("tasks").unwrap();
    let report = a.sync.hard_reset(&[name], PendingEdits::Refuse).await.unwrap();
    assert_eq!(report.received, 2, "of the named type only");
    a.sync.hard_reset(&[], PendingEdits::Refuse).await.unwrap();
    assert_eq!(a.tasks.get_all().await.unwrap().len(), 2);
    assert_eq!(a.lists.get_all().await.unwrap().len(), 1);
    let unknown = TypeName::new("unknown").unwrap();
    let error = a.sync.hard_reset(&[unknown], PendingEdits::Refuse).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownType);
}

// FastSync's F7: a reset dropped unsent edits, and left nothing if the fetch failed.
#[tokio::test]
async fn a_hard_reset_never_loses_edits_by_itself() {
    let server = server().await;
    let a = client(&server, "ada").await;
    a.tasks.add(&task("1", "x")).await.unwrap();
    a.sync.sync().await.unwrap();
    a.tasks.add(&task("2", "unsent")).await.unwrap();
    let error = a.sync.hard_reset(&[], PendingEdits::Refuse).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PendingEdits);
    assert_eq!(a.tasks.hard_delete().await.unwrap_err().kind(), ErrorKind::PendingEdits);
    assert_eq!(a.tasks.get_all().await.unwrap().len(), 2);

    a.link.fail_next(Fault::DropRequest);
    a.sync.hard_reset(&[], PendingEdits::Discard).await.unwrap_err();
    assert_eq!(a.tasks.get_all().await.unwrap().len(), 2, "a failed reset changes nothing");

    a.sync.hard_reset(&[], PendingEdits::PushFirst).await.unwrap();
    assert_eq!(server.tasks.get_all().await.unwrap().len(), 2);

    a.tasks.add(&task("3", "given up")).await.unwrap();
    a.tasks.update(&task("1", "given up too")).await.unwrap();
    a.sync.hard_reset(&[], PendingEdits::Discard).await.unwrap();
    assert_eq!(a.tasks.get_all().await.unwrap(), server.tasks.get_all().await.unwrap());
    assert_eq!(a.task("1").await, Some(task("1", "x")), "also where the server has the object");
    assert_eq!(a.pending().await, 0);
}

// SyncSession's S18: a device that was away longer than the retention silently missed deletions.
#[tokio::test]
async fn a_client_behind_the_horizon_starts_over_and_keeps_its_edits() {
    let server = server().await;
    let a = client(&server, "ada").await;
    let b = client(&server, "bob").await;
    a.tasks.add_many(&[task("1", "x"), task("2", "y")]).await.unwrap();
    a.sync.sync().await.unwrap();
    b.sync.sync().await.unwrap();
    b.tasks.add(&task("3", "made offline")).await.unwrap();
    a.tasks.remove(&id("1")).await.unwrap();
    a.sync.sync().await.unwrap();
    assert_eq!(server.store.source().purge_tombstones(&Zone::Global, Position(2)).await.unwrap(), 1);
    let report = b.sync.pull().await.unwrap();
    assert_eq!(report.reset, Some(ResetReason::Horizon));
    let left = vec![task("2", "y"), task("3", "made offline")];
    assert_eq!(b.tasks.get_all().await.unwrap(), left);
    b.sync.sync().await.unwrap();
    assert_eq!(server.tasks.get_all().await.unwrap(), left);
}

#[tokio::test]
async fn a_new_server_store_is_noticed() {
    let old = server().await;
    let a = client(&old, "ada").await;
    a.tasks.add(&task("1", "x")).await.unwrap();
    a.sync.sync().await.unwrap();
    // The same client meets a server that was set up anew: its cursor means nothing there.
    let new = server().await;
    new.tasks.add(&task("9", "other data")).await.unwrap();
    let moved = client_on(&new, "ada", a.source.clone()).await;
    let accepting = moved.manager().transport(moved.link.clone()).when_forgotten(WhenForgotten::Accept);
    let report = accepting.build().unwrap().pull().await.unwrap();
    assert_eq!(report.reset, Some(ResetReason::Epoch));
    assert_eq!(moved.tasks.get_all().await.unwrap(), vec![task("9", "other data")]);
    moved.tasks.add(&task("2", "after the move")).await.unwrap();
    moved.sync.sync().await.unwrap();
    assert_eq!(new.tasks.get_all().await.unwrap().len(), 2, "push numbers go on from where the server is");
}

#[tokio::test]
async fn a_restored_backup_of_the_server_is_noticed() {
    let source = MemoryDataSource::new();
    let live = server_on(source.clone(), LastWriterWins).await;
    let a = client(&live, "ada").await;
    a.tasks.add(&task("1", "x")).await.unwrap();
    a.sync.sync().await.unwrap();
    let backup = source.snapshot();
    a.tasks.add(&task("2", "after the backup")).await.unwrap();
    a.sync.sync().await.unwrap();

    let restored = server_on(backup, LastWriterWins).await;
    let b = client_on(&restored, "ada", a.source.clone()).await;
    restored.tasks.add(&task("3", "another history")).await.unwrap();
    let accepting = b.manager().transport(b.link.clone()).when_forgotten(WhenForgotten::Accept);
    let report = accepting.build().unwrap().sync().await.unwrap();
    assert_eq!((report.pull.reset, report.pull.forgotten), (Some(ResetReason::History), 0));
    assert_eq!(b.tasks.get_all().await.unwrap(), restored.tasks.get_all().await.unwrap());
}

#[tokio::test]
async fn a_copied_store_becomes_a_device_of_its_own() {
    let server = server().await;
    let a = client(&server, "ada").await;
    a.tasks.add(&task("1", "x")).await.unwrap();
    a.sync.sync().await.unwrap();
    let copy = client_on(&server, "ada", a.source.snapshot()).await;
    assert_eq!(copy.store.device(), a.store.device());
    a.tasks.add(&task("2", "from the original")).await.unwrap();
    a.sync.sync().await.unwrap();
    copy.tasks.add(&task("3", "from the copy")).await.unwrap();
    let report = copy.sync.sync().await.unwrap();
    assert!(report.push.forked);
    assert_ne!(copy.store.device(), a.store.device());
    a.sync.sync().await.unwrap();
    for side in [&a, &copy] {
        assert_eq!(side.tasks.get_all().await.unwrap().len(), 3);
    }
    // The new identity is kept.
    let reopened = client_on(&server, "ada", copy.source.clone()).await;
    assert_eq!(reopened.store.device(), copy.store.device());
}

#[tokio::test]
async fn a_restored_client_that_only_pulls_gets_its_own_later_records_back() {
    let server = server().await;
    let a = client(&server, "ada").await;
    a.tasks.add(&task("1", "x")).await.unwrap();
    a.sync.sync().await.unwrap();
    let backup = a.source.snapshot();
    a.tasks.add(&task("2", "after the backup")).await.unwrap();
    a.sync.sync().await.unwrap();
    let restored = client_on(&server, "ada", backup).await;
    restored.sync.pull().await.unwrap();
    assert_eq!(restored.tasks.get_all().await.unwrap().len(), 2);
}
