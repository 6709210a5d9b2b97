//! How a client cuts and numbers what it pushes, and what it keeps and tells of it.

use std::collections::BTreeSet;
use std::sync::Mutex;

use crate::support::*;
use async_trait::async_trait;
use fastsync_core::protocol::{PullRequest, PushReply};
use fastsync_core::*;
use futures_util::{FutureExt as _, StreamExt as _};

/// The sessions of a client's limits have 10 records and 10,000 bytes.
fn long(name: &str, bytes: usize) -> Task {
    task(name, &"x".repeat(bytes))
}

fn pushed(client: &ClientSide) -> Vec<usize> {
    client.link.pushes.lock().unwrap().iter().map(|request| request.payload.len()).collect()
}

/// Fails if the bytes of a local session are not limited: it could never be pushed.
#[tokio::test]
async fn a_session_of_too_many_bytes_is_told_at_the_edit_and_any_other_can_be_pushed() {
    let server = server().await;
    let a = client(&server, "ada").await;
    let error = a.tasks.add(&long("1", 10_000)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.to_string().contains("limit of 10000 bytes"), "{error}");
    let error = a.tasks.add_many(&[long("1", 5_000), long("2", 5_000)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!((a.tasks.get_all().await.unwrap().len(), a.pending().await), (0, 0));
    // The longest one that is taken.
    let (mut taken, mut refused) = (0, 10_000);
    while refused - taken > 1 {
        let middle = usize::midpoint(taken, refused);
        match a.tasks.add(&long(&format!("{middle:05}"), middle)).await {
            Ok(()) => taken = middle,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::TooLarge);
                refused = middle;
            }
        }
    }
    assert!(taken > 9_000);
    a.sync.push().await.unwrap();
    assert_eq!(a.pending().await, 0);
}

/// Fails if the bytes of a pushed session are not limited, or its records.
#[tokio::test]
async fn a_push_is_cut_by_bytes_and_by_records_between_local_commits() {
    let server = server().await;
    let a = client(&server, "ada").await;
    for n in 0..5 {
        a.tasks.add(&long(&format!("long {n}"), 4_000)).await.unwrap();
    }
    for n in 0..21 {
        a.tasks.add(&task(&format!("short {n}"), "x")).await.unwrap();
    }
    a.sync.push().await.unwrap();
    // The third begins with the fifth long one and takes short ones up to the limit of records.
    assert_eq!(pushed(&a), [2, 2, 10, 10, 2]);
    assert_eq!(server.tasks.get_all().await.unwrap().len(), 26);
}

/// Fails if an object that is edited between the pages of what waits is pushed twice in one session.
#[tokio::test]
async fn an_object_edited_while_a_push_is_collected_is_in_it_once() {
    let server = strict_server().await;
    let source = Hooked::default();
    let a = client_behind(&server, "ada", source.clone(), LastWriterWins).await;
    let many = |name: &str, count: usize, text: &str| {
        (0..count).map(|n| task(&format!("{name} {n}"), text)).collect::<Vec<_>>()
    };
    // Refused edits wait and are not sent: they fill the first page, so that there is a second.
    a.tasks.add_many(&many("refused", 5, "bad")).await.unwrap();
    a.sync.push().await.unwrap();
    a.tasks.add_many(&many("first", 4, "x")).await.unwrap();
    a.tasks.add_many(&many("second", 3, "x")).await.unwrap();
    let editor = a.tasks.clone();
    source.before(Call::Pending, 2, async move { editor.update(&task("first 0", "newer")).await.unwrap() });
    let before = pushed(&a).len();
    a.sync.push().await.unwrap();
    assert_eq!(pushed(&a)[before..], [7, 1]);
    assert_eq!(server.tasks.find_by_id(&id("first 0")).await.unwrap(), Some(task("first 0", "newer")));
    assert_eq!((a.pending().await, a.sync.rejected().await.unwrap().len()), (5, 5));
}

/// A server that has forgotten the last push of a device whenever a new one comes, beside an application that edits one
/// object as soon as it is pushed: there is never more than one session to push.
#[derive(Debug)]
struct Forgetful {
    inner: LoopbackTransport,
    seen: Mutex<BTreeSet<u64>>,
    tasks: Repository<Task>,
    rounds: u64,
}

#[async_trait]
impl Transport for Forgetful {
    async fn push(&self, request: &Outgoing) -> Result<PushReply> {
        if self.seen.lock().unwrap().insert(request.number) {
            return Ok(PushReply::Gap { last: request.number - 1 });
        }
        if request.number < self.rounds {
            self.tasks.update(&task("1", &format!("round {}", request.number))).await?;
        }
        self.inner.push(request).await
    }
    async fn pull(&self, request: &PullRequest) -> Result<PullAnswer> {
        self.inner.pull(request).await
    }
}

/// Fails if renumberings are counted on after one has led to an answer.
#[tokio::test]
async fn a_push_is_renumbered_as_often_as_it_gets_on_by_it() {
    let server = server().await;
    let a = client(&server, "ada").await;
    a.tasks.add(&task("1", "x")).await.unwrap();
    let inner = LoopbackTransport::new(server.manager.clone(), SyncContext::new("ada"));
    let transport = Forgetful { inner, seen: Mutex::default(), tasks: a.tasks.clone(), rounds: 8 };
    let sync = a.manager().transport(transport).build().unwrap();
    let report = ends(sync.push()).await.unwrap();
    assert_eq!((report.sessions, report.forked), (8, false));
    assert_eq!(server.tasks.get_all().await.unwrap(), [task("1", "round 7")]);
    assert_eq!(a.pending().await, 0);
}

/// The cursor is as good on the backup, for the pushes that it lacks were not pulled past. Fails if a gap is renumbered and
/// nothing more.
#[tokio::test]
async fn what_a_restored_server_has_lost_is_as_the_server_has_it() {
    let source = MemoryDataSource::new();
    let live = server_on(source.clone(), LastWriterWins).await;
    let a = client(&live, "ada").await;
    a.tasks.add(&task("1", "start")).await.unwrap();
    a.sync.sync().await.unwrap();
    let backup = source.snapshot();
    a.tasks.update(&task("1", "lost")).await.unwrap();
    a.tasks.add(&task("2", "lost")).await.unwrap();
    a.sync.push().await.unwrap();

    let restored = server_on(backup, LastWriterWins).await;
    let a = client_on(&restored, "ada", a.source.clone()).await;
    a.tasks.add(&task("3", "after it")).await.unwrap();
    let accepting = a.manager().transport(a.link.clone()).when_forgotten(WhenForgotten::Accept);
    let report = accepting.build().unwrap().sync().await.unwrap();
    assert_eq!((report.push.applied, report.push.forked), (1, false));
    let left = [task("1", "start"), task("3", "after it")];
    assert_eq!(restored.tasks.get_all().await.unwrap(), left);
    assert_eq!(a.tasks.get_all().await.unwrap(), left);
    assert_eq!(a.sync.pull().await.unwrap().received, 0, "once");
}

/// Fails if a session stays stored after its answer.
#[tokio::test]
async fn what_a_client_keeps_does_not_grow_with_its_pushes() {
    let server = server().await;
    let a = client(&server, "ada").await;
    let mut kept = Vec::new();
    for round in 0..3 {
        for n in 0..6 {
            let tasks: Vec<_> = (0..10).map(|m| task(&format!("{round}-{n}-{m}"), "x")).collect();
            a.tasks.add_many(&tasks).await.unwrap();
        }
        if round == 2 {
            a.link.fail_next(Fault::LoseReply);
            a.sync.sync().await.unwrap_err();
        }
        a.sync.sync().await.unwrap();
        kept.push(a.source.entries("").await.unwrap().into_iter().map(|(key, _)| key).collect::<Vec<_>>());
    }
    assert_eq!(kept[0], kept[1]);
    assert_eq!(kept[0], kept[2]);
}

fn named(changes: &mut ObjectChanges) -> Vec<ObjectId> {
    let mut ids = Vec::new();
    while let Some(Some(change)) = changes.next().now_or_never() {
        ids.extend(ObjectChanges::ids(&change).unwrap());
    }
    ids
}

/// Fails if what a receipt, or giving an edit up, replaced is not told.
#[tokio::test]
async fn a_change_stream_tells_what_became_of_edits() {
    let server = server_with(ServerWins).await;
    let a = client(&server, "ada").await;
    server.tasks.add_many(&[task("1", "start"), task("2", "start")]).await.unwrap();
    a.sync.sync().await.unwrap();
    server.tasks.update(&task("1", "theirs")).await.unwrap();
    a.tasks.update_many(&[task("1", "mine"), task("2", "mine")]).await.unwrap();
    let mut changes = a.tasks.changes().unwrap();
    assert_eq!(a.sync.push().await.unwrap().conflicts.len(), 1);
    assert_eq!(named(&mut changes), [id("1")], "what was stored as it was sent is no change here");

    let server = strict_server().await;
    let a = client(&server, "ada").await;
    a.tasks.add_many(&[task("1", "bad"), task("2", "bad")]).await.unwrap();
    a.sync.push().await.unwrap();
    let mut changes = a.tasks.changes().unwrap();
    let rejected = a.sync.rejected().await.unwrap();
    a.sync.discard_rejected(&rejected[..1]).await.unwrap();
    assert_eq!(named(&mut changes), [rejected[0].key.id.clone()]);
    a.sync.retry_rejected(&rejected[1..]).await.unwrap();
    assert_eq!(named(&mut changes), [], "it is as it was");
}
