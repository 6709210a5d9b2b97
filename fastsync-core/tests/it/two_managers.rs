//! Two processes that synchronise one store: whatever one does between two steps of the other, nothing is lost, done twice
//! or taken back. Each test does it at the moment that one expectation of a commit is there for.

use crate::support::*;
use fastsync_core::*;

/// One store, twice: the first process lets the second one go first at moments that a test chooses.
async fn two(
    server: &ServerSide,
    handler: impl ConflictsHandler<Task> + Clone,
) -> (Hooked, ClientSide, ClientSide) {
    let source = Hooked::default();
    let first = client_behind(server, "ada", source.clone(), handler.clone()).await;
    let memory = source.inner.clone();
    let second = client_with(server, "ada", memory, handler, PullLimits::default()).await;
    assert_eq!(first.store.device(), second.store.device());
    (source, first, second)
}

/// Each session once, in the name of one device, and nothing left to send.
async fn assert_pushed_once(server: &ServerSide, clients: [&ClientSide; 2], sessions: usize) {
    let stored = server.store.source().sessions_of(&Zone::Global, Position::START, 100).await.unwrap();
    assert_eq!(stored.len(), sessions);
    for client in clients {
        assert!(stored.iter().all(|session| session.author.device == client.store.device()));
        assert_eq!(client.pending().await, 0);
        assert!(!client.sync.status().await.unwrap().push_in_flight);
    }
}

/// A push in which the other process was faster says so, and the next one goes on.
async fn push_again(client: &ClientSide, first: Result<PushReport>) {
    let error = first.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Contention);
    assert!(error.is_retryable());
    assert!(!ends(client.sync.push()).await.unwrap().forked);
}

/// Fails if the queue of pushes is stored whatever is there: a number would be used twice.
#[tokio::test]
async fn a_push_begins_while_another_process_pushes_the_same() {
    let server = server().await;
    let (source, a, b) = two(&server, LastWriterWins).await;
    a.tasks.add(&task("1", "x")).await.unwrap();
    let other = b.clone();
    source.before(Call::Commit(SessionKind::Apply), 1, async move {
        assert_eq!(other.sync.push().await.unwrap().applied, 1);
    });
    let pushed = ends(a.sync.push()).await;
    push_again(&a, pushed).await;
    assert_pushed_once(&server, [&a, &b], 1).await;
    a.tasks.add(&task("2", "y")).await.unwrap();
    a.sync.push().await.unwrap();
    assert_pushed_once(&server, [&a, &b], 2).await;
}

#[tokio::test]
async fn another_process_takes_the_answer_to_a_push_and_goes_on() {
    let server = server().await;
    let (_, a, b) = two(&server, LastWriterWins).await;
    a.tasks.add(&task("1", "x")).await.unwrap();
    let other = b.clone();
    a.link.meanwhile(async move {
        other.tasks.update(&task("1", "newer")).await.unwrap();
        other.tasks.add(&task("2", "y")).await.unwrap();
        let report = other.sync.push().await.unwrap();
        assert_eq!((report.sessions, report.applied, report.forked), (2, 3, false));
    });
    let pushed = ends(a.sync.push()).await;
    push_again(&a, pushed).await;
    assert_pushed_once(&server, [&a, &b], 2).await;
    assert_eq!(server.tasks.get_all().await.unwrap(), [task("1", "newer"), task("2", "y")]);
    assert_eq!(a.tasks.get_all().await.unwrap(), server.tasks.get_all().await.unwrap());
}

/// Fails if the cursor is stored whatever is there: the store would go back to what the slower process has received.
#[tokio::test]
async fn a_pull_that_is_overtaken_does_not_take_the_store_back() {
    let server = server().await;
    let (_, a, b) = two(&server, LastWriterWins).await;
    server.tasks.add_many(&[task("1", "old"), task("2", "old")]).await.unwrap();
    let (other, tasks) = (b.clone(), server.tasks.clone());
    a.link.meanwhile(async move {
        tasks.update(&task("1", "new")).await.unwrap();
        tasks.remove(&id("2")).await.unwrap();
        other.sync.pull().await.unwrap();
    });
    ends(a.sync.pull()).await.unwrap();
    assert_eq!(a.tasks.get_all().await.unwrap(), [task("1", "new")]);
    assert_eq!(b.sync.pull().await.unwrap().received, 0, "the cursor has not gone back");
}

/// Fails if the note of a refusal is stored whatever is there: a refusal that is settled would come back.
#[tokio::test]
async fn a_refusal_that_another_process_settles_during_a_pull_stays_settled() {
    let server = strict_server().await;
    let (source, a, b) = two(&server, LastWriterWins).await;
    server.tasks.add(&task("1", "start")).await.unwrap();
    a.sync.sync().await.unwrap();
    a.tasks.update(&task("1", "bad")).await.unwrap();
    a.sync.push().await.unwrap();
    let rejected = a.sync.rejected().await.unwrap();
    assert_eq!(rejected.len(), 1);
    server.tasks.update(&task("1", "newer")).await.unwrap();
    let other = b.clone();
    // The first commit finds out that there is an edit; the second notes what it has met.
    source.before(Call::Commit(SessionKind::Apply), 2, async move {
        other.sync.retry_rejected(&rejected).await.unwrap();
    });
    ends(a.sync.pull()).await.unwrap();
    assert!(a.sync.rejected().await.unwrap().is_empty());
    assert_eq!(a.sync.push().await.unwrap().rejected, 1, "it is sent again");
}

/// Fails if giving up an edit writes whatever is there.
#[tokio::test]
async fn an_edit_made_while_another_one_is_given_up_stays() {
    let server = strict_server().await;
    let (source, a, b) = two(&server, LastWriterWins).await;
    a.tasks.add(&task("1", "bad")).await.unwrap();
    a.sync.push().await.unwrap();
    let rejected = a.sync.rejected().await.unwrap();
    let other = b.clone();
    source.before(Call::Commit(SessionKind::Apply), 1, async move {
        other.tasks.update(&task("1", "good")).await.unwrap();
    });
    a.sync.discard_rejected(&rejected).await.unwrap();
    assert_eq!((a.task("1").await, a.pending().await), (Some(task("1", "good")), 1));
    a.sync.sync().await.unwrap();
    assert_eq!(server.tasks.get_all().await.unwrap(), [task("1", "good")]);
}

/// Fails if a reset that gives edits up overwrites one that was made since it began.
#[tokio::test]
async fn an_edit_made_while_a_reset_gives_others_up_stays() {
    let server = server().await;
    let (source, a, b) = two(&server, LastWriterWins).await;
    server.tasks.add_many(&[task("1", "start"), task("2", "start")]).await.unwrap();
    a.sync.sync().await.unwrap();
    a.tasks.update_many(&[task("1", "given up"), task("2", "given up")]).await.unwrap();
    let other = b.clone();
    // The first commit finds out that there are edits; the second expects them as they were.
    source.before(Call::Commit(SessionKind::Apply), 2, async move {
        other.tasks.update(&task("1", "newer")).await.unwrap();
    });
    ends(a.sync.hard_reset(&[], PendingEdits::Discard)).await.unwrap();
    assert_eq!(a.tasks.get_all().await.unwrap(), [task("1", "newer"), task("2", "start")]);
    assert_eq!(a.pending().await, 1);
    a.sync.sync().await.unwrap();
    assert_eq!(server.tasks.get_all().await.unwrap(), a.tasks.get_all().await.unwrap());
}

/// Fails if what was decided about an edit is stored whatever has become of the edit.
#[tokio::test]
async fn an_edit_made_while_a_conflict_is_settled_stays() {
    for attempt in 2..5 {
        let server = server_with(ServerWins).await;
        let source = Hooked::default();
        let a = client_behind(&server, "ada", source.clone(), LastWriterWins).await;
        let b = client_on(&server, "ada", source.inner.clone()).await;
        server.tasks.add(&task("1", "start")).await.unwrap();
        a.sync.sync().await.unwrap();
        server.tasks.update(&task("1", "theirs")).await.unwrap();
        a.tasks.update(&task("1", "mine")).await.unwrap();
        let other = b.clone();
        let mut left = attempt;
        source.before_each(move |call| {
            left -= usize::from(left > 0 && call == Call::Commit(SessionKind::Apply));
            let (newer, other) = (left > 0, other.clone());
            newer.then(|| -> futures_util::future::BoxFuture<'static, ()> {
                Box::pin(
                    async move { other.tasks.update(&task("1", &format!("newer {left}"))).await.unwrap() },
                )
            })
        });
        let report = ends(a.sync.pull()).await.unwrap();
        assert_eq!(report.conflicts.len(), 1, "however often it was settled");
        assert_eq!(a.task("1").await, Some(task("1", "newer 1")));
        a.sync.sync().await.unwrap();
        assert_eq!(server.tasks.get_all().await.unwrap(), [task("1", "newer 1")]);
    }
}

/// Fails if an edit is stored whatever has become of the object since it was looked at.
#[tokio::test]
async fn an_edit_is_made_of_what_is_there_when_it_is_stored() {
    let edit = Call::Commit(SessionKind::Edit);
    let server = server_with(ServerWins).await;
    let (source, a, b) = two(&server, ServerWins).await;

    let other = b.clone();
    source.before(edit, 1, async move { other.tasks.add(&task("1", "first")).await.unwrap() });
    let error = a.tasks.add(&task("1", "second")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert_eq!(a.task("1").await, Some(task("1", "first")));

    let other = b.clone();
    source.before(edit, 1, async move { assert!(other.tasks.remove(&id("1")).await.unwrap()) });
    let error = a.tasks.update(&task("1", "second")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(a.task("1").await, None);

    let other = b.clone();
    a.tasks.add(&task("2", "a")).await.unwrap();
    source.before(edit, 1, async move {
        other.tasks.modify(&id("2"), |task| task.text.push('b')).await.unwrap();
    });
    a.tasks.modify(&id("2"), |task| task.text.push('c')).await.unwrap();
    assert_eq!(a.task("2").await, Some(task("2", "abc")), "neither is lost");

    // An edit or a removal of what a pull brings at that moment has that as its base, so it conflicts with nothing.
    for text in [Some("mine"), None] {
        a.sync.sync().await.unwrap();
        server.tasks.update(&task("2", &format!("theirs before {text:?}"))).await.unwrap();
        let other = b.clone();
        source.before(edit, 1, async move { drop(other.sync.pull().await.unwrap()) });
        match text {
            Some(text) => a.tasks.update(&task("2", text)).await.unwrap(),
            None => assert!(a.tasks.remove(&id("2")).await.unwrap()),
        }
        assert!(a.sync.sync().await.unwrap().push.conflicts.is_empty());
        assert_eq!(server.tasks.find_by_id(&id("2")).await.unwrap(), text.map(|text| task("2", text)));
    }
}

/// Fails if a handle goes on under the identity that another one has given up: each then took a new one, and fetched
/// everything at each sync.
#[tokio::test]
async fn a_copy_with_two_handles_fetches_everything_once() {
    let server = server().await;
    let original = client(&server, "ada").await;
    original.tasks.add_many(&[task("1", "x"), task("2", "y")]).await.unwrap();
    original.sync.sync().await.unwrap();
    let copy = original.source.snapshot();
    let a = client_on(&server, "ada", copy.clone()).await;
    let b = client_on(&server, "ada", copy).await;
    original.tasks.add(&task("3", "of the original")).await.unwrap();
    original.sync.sync().await.unwrap();
    a.tasks.add(&task("4", "of the copy")).await.unwrap();
    let report = a.sync.sync().await.unwrap();
    assert!(report.push.forked && report.pull.received == 4, "{report:?}");
    for (n, handle) in [&b, &a, &b, &a].into_iter().enumerate() {
        handle.tasks.add(&task(&format!("more {n}"), "x")).await.unwrap();
        let report = handle.sync.sync().await.unwrap();
        assert_eq!((report.push.forked, report.push.applied, report.pull.received), (false, 1, 0));
    }
    assert_eq!(a.store.device(), b.store.device());
    assert_ne!(a.store.device(), original.store.device());
}

/// Fails if an edit is sent that another process has given up after a push was made of it and before that was stored.
#[tokio::test]
async fn another_process_gives_an_edit_up_while_a_push_is_made_of_it() {
    let server = server().await;
    let (source, a, b) = two(&server, LastWriterWins).await;
    a.tasks.add_many(&[task("1", "x"), task("2", "y")]).await.unwrap();
    let (other, type_name) = (b.clone(), TypeName::new("tasks").unwrap());
    let key = RecordKey { zone: Zone::Global, type_name, id: id("1") };
    source.before(Call::Commit(SessionKind::Apply), 1, async move {
        assert_eq!(other.sync.discard_pending(&[key]).await.unwrap(), 1);
    });
    let pushed = ends(a.sync.push()).await;
    push_again(&a, pushed).await;
    assert_pushed_once(&server, [&a, &b], 1).await;
    assert_eq!(server.tasks.get_all().await.unwrap(), [task("2", "y")]);
    assert_eq!(a.tasks.get_all().await.unwrap(), [task("2", "y")]);
}
