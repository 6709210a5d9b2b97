//! Edits that the server refuses: kept aside, never in the way of others, never lost.

use crate::support::*;
use fastsync_core::*;

async fn per_object_client(server: &ServerSide) -> ClientSide {
    let base = client(server, "ada").await;
    let sync =
        base.manager().transport(base.link.clone()).push_mode(protocol::PushMode::PerObject).build().unwrap();
    ClientSide { sync, ..base }
}

#[tokio::test]
async fn one_bad_object_does_not_block_the_others() {
    let server = strict_server().await;
    let a = client(&server, "ada").await;
    a.tasks.add(&task("1", "fine")).await.unwrap();
    a.tasks.add(&task("2", "bad")).await.unwrap();
    a.tasks.add(&task("3", "fine too")).await.unwrap();
    let report = a.sync.push().await.unwrap();
    assert_eq!((report.applied, report.rejected), (2, 1));
    let status = a.sync.status().await.unwrap();
    assert_eq!((status.pending, status.rejected), (1, 1));
    let rejected = a.sync.rejected().await.unwrap();
    assert_eq!((rejected[0].code.as_str(), rejected[0].key.id.as_str()), ("bad_word", "2"));
    assert_eq!(a.task("2").await, Some(task("2", "bad")), "the edit stays visible");
    // It is not sent again by itself.
    let pushes = a.link.pushes.lock().unwrap().len();
    a.sync.sync().await.unwrap();
    assert_eq!(a.link.pushes.lock().unwrap().len(), pushes);
    // A new edit of it is.
    a.tasks.update(&task("2", "good")).await.unwrap();
    assert!(a.sync.rejected().await.unwrap().is_empty());
    a.sync.push().await.unwrap();
    assert_eq!(server.tasks.get_all().await.unwrap().len(), 3);
    assert_eq!(a.pending().await, 0);
    assert!(a.source.entries("fastsync/rejected/").await.unwrap().is_empty(), "the refusal is forgotten");
}

#[tokio::test]
async fn a_local_commit_with_a_bad_object_stays_together() {
    let server = strict_server().await;
    let a = client(&server, "ada").await;
    a.tasks.add_many(&[task("1", "fine"), task("2", "bad")]).await.unwrap();
    a.tasks.add(&task("3", "unrelated")).await.unwrap();
    a.sync.push().await.unwrap();
    assert_eq!(server.tasks.get_all().await.unwrap(), vec![task("3", "unrelated")]);
    let rejected = a.sync.rejected().await.unwrap();
    let codes: Vec<_> = rejected.iter().map(|edit| edit.code.as_str()).collect();
    assert_eq!(codes, ["aborted", "bad_word"]);
}

#[tokio::test]
async fn per_object_mode_stores_the_good_part_of_a_session() {
    let server = strict_server().await;
    let a = per_object_client(&server).await;
    a.tasks.add_many(&[task("1", "fine"), task("2", "bad")]).await.unwrap();
    let report = a.sync.push().await.unwrap();
    assert_eq!((report.applied, report.rejected), (1, 1));
    assert_eq!(server.tasks.get_all().await.unwrap(), vec![task("1", "fine")]);
}

#[tokio::test]
async fn a_refused_edit_can_be_retried_or_given_up() {
    let server = strict_server().await;
    let a = client(&server, "ada").await;
    a.tasks.add(&task("1", "start")).await.unwrap();
    a.sync.sync().await.unwrap();
    a.tasks.update(&task("1", "bad")).await.unwrap();
    a.tasks.add(&task("2", "bad from the start")).await.unwrap();
    a.sync.push().await.unwrap();
    let rejected = a.sync.rejected().await.unwrap();
    assert_eq!(rejected.len(), 2);
    a.sync.retry_rejected(&rejected).await.unwrap();
    assert_eq!(a.sync.push().await.unwrap().rejected, 2, "it was sent again");
    a.sync.discard_rejected(&a.sync.rejected().await.unwrap()).await.unwrap();
    assert_eq!(a.tasks.get_all().await.unwrap(), vec![task("1", "start")], "what the server has");
    assert_eq!(a.pending().await, 0);
    // The discarded id can be used again.
    a.tasks.add(&task("2", "good")).await.unwrap();
    a.sync.sync().await.unwrap();
    assert_eq!(server.tasks.get_all().await.unwrap().len(), 2);
}

#[tokio::test]
async fn giving_up_an_edit_that_a_pull_has_moved_fetches_what_the_server_has() {
    let server = strict_server().await;
    let a = client(&server, "ada").await;
    a.tasks.add(&task("1", "bad")).await.unwrap();
    a.sync.push().await.unwrap();
    server.tasks.add(&task("1", "made on the server")).await.unwrap();
    a.sync.pull().await.unwrap();
    a.sync.discard_rejected(&a.sync.rejected().await.unwrap()).await.unwrap();
    a.sync.sync().await.unwrap();
    assert_eq!(a.task("1").await, Some(task("1", "made on the server")));
    assert_eq!(a.pending().await, 0);
}

#[tokio::test]
async fn a_refusal_survives_a_lost_answer_and_a_restart() {
    let server = strict_server().await;
    let a = client(&server, "ada").await;
    a.tasks.add(&task("1", "bad")).await.unwrap();
    a.link.fail_next(Fault::LoseReply);
    a.sync.push().await.unwrap_err();
    let restarted = client_on(&server, "ada", a.source.clone()).await;
    assert_eq!(restarted.sync.push().await.unwrap().rejected, 1);
    let again = client_on(&server, "ada", a.source.clone()).await;
    assert_eq!(again.sync.rejected().await.unwrap().len(), 1);
}

// FastSync's F22: one unknown type failed everything.
#[tokio::test]
async fn a_type_that_the_server_does_not_know_yet_waits_and_does_not_block() {
    let source = MemoryDataSource::new();
    let store = Store::server(source.clone()).register::<Task>().open().await.unwrap();
    let tasks = Repository::<Task>::new(&store);
    let manager = SyncManager::server(&store)
        .register(tasks.clone(), LastWriterWins)
        .zones(own_zone_policy)
        .build()
        .await
        .unwrap();
    let old_server = ServerSide { clock: TestClock::default(), store, manager, tasks };
    let a = client(&old_server, "ada").await;
    a.tasks.add(&task("1", "known")).await.unwrap();
    a.lists.add(&List { id: "home".into(), title: "not known yet".into() }).await.unwrap();
    a.sync.sync().await.unwrap();
    assert_eq!(old_server.tasks.get_all().await.unwrap().len(), 1);
    assert_eq!(a.pending().await, 1, "the unknown type waits");
    assert!(a.sync.rejected().await.unwrap().is_empty());
    // The server is upgraded.
    let new_server = server_on(source, LastWriterWins).await;
    let a = client_on(&new_server, "ada", a.source.clone()).await;
    a.sync.sync().await.unwrap();
    a.sync.sync().await.unwrap();
    assert_eq!(a.pending().await, 0);
    let lists = Repository::<List>::new(&new_server.store);
    assert_eq!(lists.get_all().await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_edit_in_a_zone_that_may_not_be_written_does_not_block_the_queue() {
    let server = server().await;
    let a = client(&server, "ada").await;
    let elsewhere = Repository::<Note>::in_zone(&a.store, zone("bob"));
    elsewhere.add(&Note { id: "n".into(), text: "for bob".into() }).await.unwrap();
    a.tasks.add(&task("1", "fine")).await.unwrap();
    let report = a.sync.push().await.unwrap();
    assert_eq!((report.applied, report.rejected), (1, 1));
    let rejected = a.sync.rejected().await.unwrap();
    assert_eq!((rejected[0].code.as_str(), rejected[0].key.zone.clone()), ("zone", zone("bob")));
    assert!(rejected[0].server.is_none());
    assert_eq!(server.tasks.get_all().await.unwrap(), [task("1", "fine")]);
    a.sync.discard_rejected(&rejected).await.unwrap();
    assert!(elsewhere.get_all().await.unwrap().is_empty());
}

/// An edit that was refused, as the application has listed it, of an object that the server had as "start".
async fn refused_update(server: &ServerSide) -> (ClientSide, Vec<RejectedEdit>) {
    let a = client(server, "ada").await;
    server.tasks.add(&task("1", "start")).await.unwrap();
    a.sync.sync().await.unwrap();
    a.tasks.update(&task("1", "bad")).await.unwrap();
    a.sync.push().await.unwrap();
    let rejected = a.sync.rejected().await.unwrap();
    assert_eq!(rejected.len(), 1);
    (a, rejected)
}

/// Fails if giving up goes by what the application has listed, or by what the server had when it refused.
#[tokio::test]
async fn giving_up_an_edit_takes_what_the_server_has_by_now() {
    enum Meanwhile {
        Updated,
        Deleted,
        Purged,
    }
    for meanwhile in [Meanwhile::Updated, Meanwhile::Deleted, Meanwhile::Purged] {
        for fresh_list in [false, true] {
            let server = strict_server().await;
            let (a, mut rejected) = refused_update(&server).await;
            match meanwhile {
                Meanwhile::Updated => server.tasks.update(&task("1", "newer")).await.unwrap(),
                Meanwhile::Deleted => assert!(server.tasks.remove(&id("1")).await.unwrap()),
                Meanwhile::Purged => {
                    server.tasks.remove(&id("1")).await.unwrap();
                    server.store.source().purge_tombstones(&Zone::Global, Position(2)).await.unwrap();
                }
            }
            let report = a.sync.pull().await.unwrap();
            assert_eq!(report.reset.is_some(), matches!(meanwhile, Meanwhile::Purged));
            if fresh_list {
                rejected = a.sync.rejected().await.unwrap();
            }
            a.sync.discard_rejected(&rejected).await.unwrap();
            // At once, before any further pull.
            assert_eq!(a.tasks.get_all().await.unwrap(), server.tasks.get_all().await.unwrap());
            assert_eq!(a.pending().await, 0);
            a.sync.sync().await.unwrap();
            assert_eq!(a.tasks.get_all().await.unwrap(), server.tasks.get_all().await.unwrap());
        }
    }
}

/// Fails if an edit that is tried again, and may be stored by now, is given up as if it were refused still.
#[tokio::test]
async fn an_edit_that_is_tried_again_is_not_refused_any_more() {
    let base = server().await;
    let server = strict_server().await;
    let a = client(&server, "ada").await;
    a.tasks.add(&task("1", "bad")).await.unwrap();
    a.sync.push().await.unwrap();
    let rejected = a.sync.rejected().await.unwrap();
    a.sync.retry_rejected(&rejected).await.unwrap();
    // By a server that takes it.
    let a = client_on(&base, "ada", a.source).await;
    a.link.fail_next(Fault::LoseReply);
    a.sync.push().await.unwrap_err();
    a.sync.discard_rejected(&rejected).await.unwrap();
    assert_eq!((a.pending().await, a.task("1").await), (1, Some(task("1", "bad"))));
}
