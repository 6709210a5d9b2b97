//! The main job: edits go up, changes come down, and nothing is lost on the way.

use crate::support::*;
use fastsync_core::*;

#[tokio::test]
async fn what_one_client_adds_another_receives() {
    let server = server().await;
    let a = client(&server, "ada").await;
    let b = client(&server, "bob").await;
    a.lists.add(&List { id: "home".into(), title: "Home".into() }).await.unwrap();
    a.tasks.add_many(&[task("1", "sweep"), task("2", "cook")]).await.unwrap();
    assert_eq!(a.pending().await, 3);
    let report = a.sync.sync().await.unwrap();
    assert_eq!((report.push.applied, report.push.sessions), (3, 1));
    assert_eq!(report.pull.received, 0, "a client's own records are not sent back");
    assert_eq!(a.pending().await, 0);
    let report = b.sync.sync().await.unwrap();
    assert_eq!(report.pull.received, 3);
    assert_eq!(b.tasks.get_all().await.unwrap(), a.tasks.get_all().await.unwrap());
    assert_eq!(b.lists.get_all().await.unwrap().len(), 1);
}

#[tokio::test]
async fn updates_and_deletions_travel() {
    let server = server().await;
    let a = client(&server, "ada").await;
    let b = client(&server, "bob").await;
    a.tasks.add_many(&[task("1", "sweep"), task("2", "cook")]).await.unwrap();
    a.sync.sync().await.unwrap();
    b.sync.sync().await.unwrap();
    b.tasks.update(&task("1", "sweep well")).await.unwrap();
    assert!(b.tasks.remove(&id("2")).await.unwrap());
    assert!(!b.tasks.remove(&id("2")).await.unwrap());
    b.sync.sync().await.unwrap();
    a.sync.sync().await.unwrap();
    assert_eq!(a.tasks.get_all().await.unwrap(), vec![task("1", "sweep well")]);
    assert_eq!(a.tasks.get_all().await.unwrap(), server.tasks.get_all().await.unwrap());
}

#[tokio::test]
async fn a_sync_with_nothing_to_do_moves_and_writes_nothing() {
    let server = server().await;
    let a = client(&server, "ada").await;
    a.tasks.add(&task("1", "sweep")).await.unwrap();
    a.sync.sync().await.unwrap();
    a.sync.sync().await.unwrap();
    let report = a.sync.sync().await.unwrap();
    assert_eq!(report, SyncReport::default());
    assert_eq!(a.link.pushes.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn zones_keep_their_records_apart() {
    let server = server().await;
    let a = client(&server, "ada").await;
    let b = client(&server, "bob").await;
    a.notes.add(&Note { id: "1".into(), text: "ada's".into() }).await.unwrap();
    b.notes.add(&Note { id: "1".into(), text: "bob's".into() }).await.unwrap();
    for side in [&a, &b, &a, &b] {
        side.sync.sync().await.unwrap();
    }
    assert_eq!(a.notes.get_all().await.unwrap(), vec![Note { id: "1".into(), text: "ada's".into() }]);
    assert_eq!(b.notes.get_all().await.unwrap(), vec![Note { id: "1".into(), text: "bob's".into() }]);
}

#[tokio::test]
async fn edits_of_the_server_application_reach_clients() {
    let server = server().await;
    let a = client(&server, "ada").await;
    server.tasks.add(&task("1", "from above")).await.unwrap();
    a.sync.sync().await.unwrap();
    assert_eq!(a.task("1").await, Some(task("1", "from above")));
    server.tasks.update(&task("1", "changed above")).await.unwrap();
    a.sync.sync().await.unwrap();
    assert_eq!(a.task("1").await, Some(task("1", "changed above")));
    server.tasks.remove(&id("1")).await.unwrap();
    a.sync.sync().await.unwrap();
    assert_eq!(a.task("1").await, None);
}

#[tokio::test]
async fn a_lost_answer_is_repaired_by_the_next_sync() {
    for fault in [Fault::DropRequest, Fault::LoseReply, Fault::Duplicate] {
        let server = server().await;
        let a = client(&server, "ada").await;
        a.tasks.add(&task("1", "sweep")).await.unwrap();
        a.link.fail_next(fault);
        let first = a.sync.sync().await;
        assert_eq!(first.is_err(), fault != Fault::Duplicate);
        a.sync.sync().await.unwrap();
        assert_eq!(a.pending().await, 0, "{fault:?}");
        assert_eq!(server.tasks.get_all().await.unwrap(), vec![task("1", "sweep")]);
        let sessions = server.store.source().sessions_of(&Zone::Global, Position::START, 10).await.unwrap();
        assert_eq!(sessions.len(), 1, "{fault:?}: exactly one session is committed");
    }
}

#[tokio::test]
async fn an_edit_made_while_its_push_is_unanswered_survives() {
    let server = server().await;
    let a = client(&server, "ada").await;
    a.tasks.add(&task("1", "first")).await.unwrap();
    a.link.fail_next(Fault::LoseReply);
    a.sync.push().await.unwrap_err();
    a.tasks.update(&task("1", "second")).await.unwrap();
    let report = a.sync.push().await.unwrap();
    assert_eq!(report.sessions, 2, "the unanswered push is settled, then the newer edit is sent");
    assert!(report.conflicts.is_empty(), "an edit never conflicts with an earlier one of the same device");
    assert_eq!(server.tasks.get_all().await.unwrap(), vec![task("1", "second")]);
    assert_eq!(a.pending().await, 0);
}

#[tokio::test]
async fn sessions_are_split_between_local_commits_only() {
    let server = server().await;
    let a = client(&server, "ada").await;
    for group in 0..5 {
        let tasks: Vec<_> = (0..6).map(|n| task(&format!("{group}-{n}"), "x")).collect();
        a.tasks.add_many(&tasks).await.unwrap();
    }
    let report = a.sync.push().await.unwrap();
    assert_eq!((report.sessions, report.applied), (5, 30), "two groups of 6 exceed the limit of 10");
    for request in a.link.pushes.lock().unwrap().iter() {
        assert_eq!(request.payload.len(), 6);
    }
    let too_many: Vec<_> = (0..11).map(|n| task(&format!("big-{n}"), "x")).collect();
    let error = a.tasks.add_many(&too_many).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.to_string().contains("limit of 10 records"), "{error}");
}

#[tokio::test]
async fn a_large_pull_is_applied_at_once() {
    let server = server().await;
    for n in 0..40 {
        server.tasks.add(&task(&format!("{n:03}"), "x")).await.unwrap();
    }
    let limits = PullLimits::new(7, 1 << 20);
    let a = client_with(&server, "ada", MemoryDataSource::new(), LastWriterWins, limits).await;
    let mut changes = a.tasks.changes().unwrap();
    let report = a.sync.pull().await.unwrap();
    assert_eq!(report.received, 40);
    assert!(a.link.pulls.lock().unwrap().len() > 5);
    assert_eq!(a.tasks.get_all().await.unwrap(), server.tasks.get_all().await.unwrap());
    use futures_util::StreamExt;
    assert!(matches!(changes.next().await, Some(StoreChange::Types(_))));
}

#[tokio::test]
async fn a_pull_that_breaks_off_shows_nothing() {
    let server = server().await;
    for n in 0..40 {
        server.tasks.add(&task(&format!("{n:03}"), "x")).await.unwrap();
    }
    let limits = PullLimits::new(7, 1 << 20);
    let a = client_with(&server, "ada", MemoryDataSource::new(), LastWriterWins, limits).await;
    a.sync.pull().await.unwrap();
    for n in 0..40 {
        server.tasks.update(&task(&format!("{n:03}"), "y")).await.unwrap();
    }
    // `fail_next` takes from the end: some pages succeed, one fails.
    a.link.fail_next(Fault::DropRequest);
    for _ in 0..3 {
        a.link.fail_next(Fault::Duplicate);
    }
    a.sync.pull().await.unwrap_err();
    assert!(a.tasks.get_all().await.unwrap().iter().all(|task| task.text == "x"));
    a.sync.pull().await.unwrap();
    assert!(a.tasks.get_all().await.unwrap().iter().all(|task| task.text == "y"));
}

#[tokio::test]
async fn a_change_stream_names_what_changed() {
    use futures_util::StreamExt;
    let server = server().await;
    let a = client(&server, "ada").await;
    let b = client(&server, "bob").await;
    let mut changes = b.tasks.changes().unwrap();
    a.tasks.add(&task("1", "sweep")).await.unwrap();
    a.lists.add(&List { id: "home".into(), title: "Home".into() }).await.unwrap();
    a.sync.sync().await.unwrap();
    b.sync.sync().await.unwrap();
    b.tasks.remove(&id("1")).await.unwrap();
    for _ in 0..2 {
        let change = changes.next().await.unwrap();
        assert_eq!(ObjectChanges::ids(&change), Some(vec![id("1")]));
    }
}

#[tokio::test]
async fn only_a_device_that_has_nothing_is_given_records_by_id() {
    let server = server().await;
    let author = client(&server, "ada").await;
    for name in ["2", "3", "1"] {
        author.tasks.add(&task(name, "sweep")).await.unwrap();
        author.sync.push().await.unwrap();
    }
    let order = async |user: &str, edits: &[Task]| {
        let limits = PullLimits::new(1, 1 << 20);
        let other = client_with(&server, user, MemoryDataSource::new(), LastWriterWins, limits).await;
        other.tasks.add_many(edits).await.unwrap();
        other.sync.sync().await.unwrap();
        let pulls = other.link.pulls.lock().unwrap();
        let ids = pulls.iter().flat_map(|(_, reply)| match reply {
            protocol::PullReply::Page(page) => page.payload.groups.iter().flat_map(|group| &group.rows),
            other => panic!("{other:?}"),
        });
        ids.map(|row| row.0.as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(order("bob", &[]).await, ["1", "2", "3"]);
    assert_eq!(order("eve", &[task("4", "cook")]).await, ["2", "3", "1"]);
}

/// Prepares pushes, and counts those that were sent as they were prepared.
#[derive(Debug)]
struct Preparing {
    inner: LoopbackTransport,
    sent: std::sync::Mutex<Vec<bool>>,
}

#[async_trait::async_trait]
impl Transport for Preparing {
    async fn push(&self, request: &Outgoing) -> Result<protocol::PushReply> {
        let kept: Option<protocol::PushRequest> = request.take();
        assert!(kept.as_ref().is_none_or(|kept| kept == request.request()));
        self.sent.lock().unwrap().push(kept.is_some());
        // The next one is prepared while this one is on its way.
        tokio::task::yield_now().await;
        self.inner.push(request).await
    }
    fn prepare(&self, push: &Outgoing) {
        push.keep(push.request().clone());
    }
    async fn pull(&self, request: &protocol::PullRequest) -> Result<PullAnswer> {
        self.inner.pull(request).await
    }
}

#[tokio::test]
async fn the_next_push_is_prepared_while_one_is_under_way() {
    let server = server().await;
    let client = client(&server, "ada").await;
    let inner = LoopbackTransport::new(server.manager.clone(), SyncContext::new("ada"));
    let transport = std::sync::Arc::new(Preparing { inner, sent: std::sync::Mutex::default() });
    let sync = client.manager().transport(transport.clone()).build().unwrap();
    for n in 0..5 {
        let tasks: Vec<_> = (0..10).map(|m| task(&format!("{n}-{m}"), "sweep")).collect();
        client.tasks.add_many(&tasks).await.unwrap();
    }
    let report = sync.push().await.unwrap();
    assert_eq!((report.sessions, report.applied), (5, 50));
    assert_eq!(*transport.sent.lock().unwrap(), [false, true, true, true, true]);
    assert_eq!(client.pending().await, 0);
    assert_eq!(server.tasks.get_all().await.unwrap().len(), 50);
}
