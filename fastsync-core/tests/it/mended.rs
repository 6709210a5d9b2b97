//! A local commit stays one, whatever keeps a part of it from being sent.

use crate::support::*;
use fastsync_core::*;

async fn texts(server: &ServerSide) -> Vec<String> {
    let tasks = server.tasks.get_all().await.unwrap().into_iter();
    tasks.map(|task| format!("{} {}", task.id, task.text)).collect()
}

/// A client with a local commit of three tasks, of which the server refuses one, and so all.
async fn refused() -> (ServerSide, ClientSide) {
    let server = strict_server().await;
    let a = client(&server, "ada").await;
    a.tasks.add_many(&[task("order", "x"), task("l1", "x"), task("l2", "bad")]).await.unwrap();
    a.tasks.add(&task("other", "x")).await.unwrap();
    let report = a.sync.push().await.unwrap();
    assert_eq!((report.applied, report.rejected), (1, 3));
    assert_eq!(texts(&server).await, ["other x"]);
    (server, a)
}

/// The records of each session of the server.
async fn sizes(server: &ServerSide) -> Vec<u64> {
    let sessions = server.store.source().sessions_of(&Zone::Global, Position::START, 100).await.unwrap();
    sessions.iter().map(|session| session.counts.iter().map(|(_, records)| records).sum()).collect()
}

/// Fails if the mended edit goes alone, and the others of its commit stay behind.
#[tokio::test]
async fn a_mended_edit_takes_its_whole_commit_along() {
    let (server, a) = refused().await;
    a.tasks.add(&task("later", "x")).await.unwrap();
    a.tasks.update(&task("l2", "good")).await.unwrap();
    let report = a.sync.sync().await.unwrap();
    assert_eq!((report.push.applied, report.push.rejected), (4, 0));
    assert_eq!(texts(&server).await, ["l1 x", "l2 good", "later x", "order x", "other x"]);
    assert!(sizes(&server).await.iter().any(|records| *records >= 3));
    assert!(a.sync.rejected().await.unwrap().is_empty());
    assert_eq!(a.pending().await, 0);
    assert!(a.source.entries("fastsync/rejected/").await.unwrap().is_empty());
}

/// Fails if the commit that mends an edit is torn to bring the refused one together.
#[tokio::test]
async fn what_was_edited_with_the_mended_one_goes_too() {
    let (server, a) = refused().await;
    let mut edit = a.store.edit();
    a.tasks.stage_update(&mut edit, &task("l2", "still bad")).unwrap();
    a.tasks.stage_add(&mut edit, &task("l3", "x")).unwrap();
    edit.commit().await.unwrap();
    let report = a.sync.push().await.unwrap();
    assert_eq!((report.applied, report.rejected), (0, 4));
    assert_eq!(texts(&server).await, ["other x"]);
    a.tasks.update(&task("l2", "good")).await.unwrap();
    assert_eq!(a.sync.push().await.unwrap().applied, 4);
    assert_eq!(texts(&server).await.len(), 5);
}

/// Fails if who removes the refused object leaves the others of its commit behind for good.
#[tokio::test]
async fn the_refused_object_may_be_removed() {
    let (server, a) = refused().await;
    assert!(a.tasks.remove(&id("l2")).await.unwrap());
    a.sync.sync().await.unwrap();
    assert_eq!(texts(&server).await, ["l1 x", "order x", "other x"]);
    assert_eq!((a.pending().await, a.sync.rejected().await.unwrap().len()), (0, 0));
}

/// Fails if one edit of a refused commit can be sent again alone.
#[tokio::test]
async fn a_commit_is_tried_again_as_a_whole() {
    let (server, a) = refused().await;
    let rejected = a.sync.rejected().await.unwrap();
    let order: Vec<_> = rejected.into_iter().filter(|edit| edit.key.id == id("order")).collect();
    a.sync.retry_rejected(&order).await.unwrap();
    let report = a.sync.push().await.unwrap();
    assert_eq!((report.applied, report.rejected), (0, 3));
    assert_eq!(texts(&server).await, ["other x"]);
}

/// Fails if a commit is torn because the server does not know one of its types yet.
#[tokio::test]
async fn a_commit_with_a_type_that_the_server_lacks_waits_whole() {
    let store = Store::server(MemoryDataSource::new()).register::<Task>().open().await.unwrap();
    let tasks = Repository::<Task>::new(&store);
    let manager = SyncManager::server(&store).register(tasks.clone(), LastWriterWins);
    let without_lists = manager.zones(own_zone_policy).build().await.unwrap();
    let without = ServerSide { manager: without_lists, tasks, store, ..server().await };
    let device = client(&without, "ada").await;
    let mut edit = device.store.edit();
    device.tasks.stage_add(&mut edit, &task("in", "x")).unwrap();
    device.lists.stage_add(&mut edit, &List { id: "l".into(), title: "t".into() }).unwrap();
    edit.commit().await.unwrap();
    device.tasks.add(&task("alone", "x")).await.unwrap();
    for _ in 0..2 {
        let report = device.sync.sync().await.unwrap();
        let waiting = report.waiting().iter().map(|edits| (edits.type_name.as_str(), edits.reason));
        let together = [("lists", WaitingReason::UnknownToServer), ("tasks", WaitingReason::Together)];
        assert_eq!(waiting.collect::<Vec<_>>(), together);
    }
    assert_eq!(texts(&without).await, ["alone x"]);
    let whole = server().await;
    let device = client_on(&whole, "ada", device.source).await;
    let accepting = device.manager().transport(device.link.clone()).when_forgotten(WhenForgotten::Accept);
    let accepting = accepting.build().unwrap();
    accepting.sync().await.unwrap();
    accepting.sync().await.unwrap();
    assert_eq!((device.pending().await, texts(&whole).await), (0, vec!["in x".to_owned()]));
}
