//! What a client decides by itself: an unsent edit meets what a pull brings.

use crate::support::*;
use fastsync_core::source::ResetReason;
use fastsync_core::*;

/// What was edited here and not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Local {
    Update,
    Remove,
    /// The object removed and its id used again.
    Recreate,
    /// The same, and that object removed too.
    RecreateAndRemove,
    /// An object that the server did not have.
    Add,
}

/// What happened to the object on the server meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Remote {
    Nothing,
    Update,
    Remove,
    /// The object removed and its id used again: another life of it.
    Recreate,
    Add,
}

/// What becomes of the edit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// There is no conflict: it goes on waiting.
    Waits,
    /// It goes on waiting, as an edit of what the server has now, and that is told.
    Wins,
    /// What the server has replaces it, and that is told with what gave way.
    GivesWay,
    /// Both ends did the same: nothing is left to send, and nothing to tell.
    Agrees,
}

use End::{Agrees, GivesWay, Waits, Wins};

/// Local edit, server's edit, and the end under `ServerWins` and under `LastWriterWins`.
const TABLE: [(Local, Remote, End, End); 14] = [
    (Local::Update, Remote::Nothing, Waits, Waits),
    (Local::Update, Remote::Update, GivesWay, Wins),
    (Local::Update, Remote::Remove, GivesWay, GivesWay),
    (Local::Update, Remote::Recreate, GivesWay, GivesWay),
    (Local::Remove, Remote::Nothing, Waits, Waits),
    (Local::Remove, Remote::Update, GivesWay, Wins),
    (Local::Remove, Remote::Remove, Agrees, Agrees),
    (Local::Remove, Remote::Recreate, GivesWay, GivesWay),
    (Local::Recreate, Remote::Update, GivesWay, Wins),
    (Local::Recreate, Remote::Remove, Waits, Waits),
    (Local::Recreate, Remote::Recreate, GivesWay, Wins),
    (Local::RecreateAndRemove, Remote::Update, GivesWay, Wins),
    (Local::RecreateAndRemove, Remote::Remove, Agrees, Agrees),
    (Local::Add, Remote::Add, GivesWay, Wins),
];

async fn edit(tasks: &Repository<Task>, local: Local) {
    match local {
        Local::Update => tasks.update(&task("1", "mine")).await.unwrap(),
        Local::Add => tasks.add(&task("1", "mine")).await.unwrap(),
        Local::Remove => assert!(tasks.remove(&id("1")).await.unwrap()),
        Local::Recreate => {
            assert!(tasks.remove(&id("1")).await.unwrap());
            tasks.add(&task("1", "mine")).await.unwrap();
        }
        Local::RecreateAndRemove => {
            assert!(tasks.remove(&id("1")).await.unwrap());
            tasks.add(&task("1", "mine")).await.unwrap();
            assert!(tasks.remove(&id("1")).await.unwrap());
        }
    }
}

async fn edit_on_the_server(tasks: &Repository<Task>, remote: Remote) {
    match remote {
        Remote::Nothing => {}
        Remote::Update => tasks.update(&task("1", "theirs")).await.unwrap(),
        Remote::Add => tasks.add(&task("1", "theirs")).await.unwrap(),
        Remote::Remove => assert!(tasks.remove(&id("1")).await.unwrap()),
        Remote::Recreate => {
            assert!(tasks.remove(&id("1")).await.unwrap());
            tasks.add(&task("1", "theirs")).await.unwrap();
        }
    }
}

async fn check<H: ConflictsHandler<Task>>(handler: H, local: Local, remote: Remote, end: End, reset: bool) {
    let what = format!("{local:?} meets {remote:?} (reset: {reset})");
    // Were a conflict that the client has settled met again, the server would decide otherwise.
    let server = server_with(ServerWins).await;
    let a = client_with(&server, "ada", MemoryDataSource::new(), handler, PullLimits::default()).await;
    let mut tasks = vec![task("other", "x")];
    if local != Local::Add {
        tasks.push(task("1", "start"));
    }
    server.tasks.add_many(&tasks).await.unwrap();
    a.sync.sync().await.unwrap();
    edit(&a.tasks, local).await;
    if reset {
        server.tasks.update(&task("other", "y")).await.unwrap();
        server.store.source().purge_tombstones(&Zone::Global, Position(2)).await.unwrap();
    }
    edit_on_the_server(&server.tasks, remote).await;

    let report = a.sync.pull().await.unwrap();
    assert_eq!(report.reset, reset.then_some(ResetReason::Horizon), "{what}");
    let removed = matches!(local, Local::Remove | Local::RecreateAndRemove);
    let mine = (!removed).then(|| task("1", "mine"));
    let theirs = server.tasks.find_by_id(&id("1")).await.unwrap();
    let (left, pending, settlement) = match end {
        Waits => (mine, 1, None),
        Wins => (mine, 1, Some(Settlement::KeptClient)),
        GivesWay => (theirs, 0, Some(Settlement::KeptServer)),
        Agrees => (None, 0, None),
    };
    assert_eq!(a.task("1").await, left, "{what}");
    assert_eq!(a.pending().await, pending, "{what}");
    let settled: Vec<_> = report.conflicts.iter().map(|conflict| conflict.settlement).collect();
    assert_eq!(settled, Vec::from_iter(settlement), "{what}");
    let dropped = report.conflicts.iter().filter_map(|conflict| conflict.dropped.as_ref());
    assert_eq!(dropped.count(), usize::from(end == GivesWay), "{what}: what gave way is told");
    if end == Wins {
        // An edit of this life and version of the object, as if it had been made after the pull.
        let (mine, theirs) = (a.record("1").await.unwrap(), server_record(&server).await);
        assert_eq!(mine.metadata.revision, theirs.metadata.revision, "{what}");
        assert_eq!(mine.metadata.incarnation, theirs.metadata.incarnation, "{what}");
    }

    // A conflict is settled once, and both ends agree on what a pull made of it.
    let report = a.sync.sync().await.unwrap();
    assert!(report.push.conflicts.is_empty() && report.pull.conflicts.is_empty(), "{what}");
    assert_eq!(a.task("1").await, left, "{what}");
    assert_eq!(server.tasks.find_by_id(&id("1")).await.unwrap(), left, "{what}");
    assert_eq!(a.pending().await, 0, "{what}");
}

async fn server_record(server: &ServerSide) -> Record {
    stored(&**server.store.source(), "1").await.unwrap()
}

/// Fails if an edit that is on this base already, or one that meets another life, is taken to the handler; if an edit that
/// stays keeps its old base; if one that meets its own object's end is kept.
#[tokio::test]
async fn an_unsent_edit_meets_what_a_pull_brings() {
    for reset in [false, true] {
        for (local, remote, under_server_wins, under_last_writer_wins) in TABLE {
            check(ServerWins, local, remote, under_server_wins, reset).await;
            check(LastWriterWins, local, remote, under_last_writer_wins, reset).await;
        }
    }
}

/// Fails if an add whose own object was deleted since is taken for another object of that id.
#[tokio::test]
async fn the_same_add_in_a_copy_of_the_store_does_not_undo_its_deletion() {
    let server = server().await;
    let a = client(&server, "ada").await;
    a.tasks.add(&task("1", "x")).await.unwrap();
    let copy = client_on(&server, "ada", a.source.snapshot()).await;
    a.sync.sync().await.unwrap();
    server.tasks.remove(&id("1")).await.unwrap();
    let report = copy.sync.pull().await.unwrap();
    assert_eq!(report.conflicts[0].settlement, Settlement::KeptServer);
    assert_eq!((copy.task("1").await, copy.pending().await), (None, 0));
    copy.sync.sync().await.unwrap();
    assert!(server.tasks.get_all().await.unwrap().is_empty());
}

/// Fails if a pull or a reset forgets the conflicts of the push that it brings to its end.
#[tokio::test]
async fn what_gave_way_in_a_push_is_told_by_whatever_learns_of_it() {
    for reset in [false, true] {
        let server = server_with(ServerWins).await;
        let a = client(&server, "ada").await;
        server.tasks.add(&task("1", "start")).await.unwrap();
        a.sync.sync().await.unwrap();
        server.tasks.update(&task("1", "theirs")).await.unwrap();
        a.tasks.update(&task("1", "mine")).await.unwrap();
        a.link.fail_next(Fault::LoseReply);
        a.sync.push().await.unwrap_err();
        let report = if reset {
            a.sync.hard_reset(&[], PendingEdits::Refuse).await.unwrap()
        } else {
            a.sync.pull().await.unwrap()
        };
        let [conflict] = &report.conflicts[..] else { panic!("{report:?}") };
        assert_eq!(conflict.settlement, Settlement::KeptServer);
        let dropped = conflict.dropped.as_ref().unwrap().body.as_ref().unwrap();
        assert!(dropped.contains(&Value::Text("mine".into())));
        assert_eq!(a.task("1").await, Some(task("1", "theirs")));
    }
}

/// Fails if the count of attempts does not begin anew with each further conflict.
#[tokio::test]
async fn a_pull_meets_many_edits_on_a_storage_that_names_one_conflict_at_a_time() {
    let server = server().await;
    let source = Hooked::default().answering(one_at_a_time);
    let a = client_behind(&server, "ada", source, LastWriterWins).await;
    let all = |text: &str| (0..100).map(|n| task(&format!("{n}"), text)).collect::<Vec<_>>();
    server.tasks.add_many(&all("start")).await.unwrap();
    a.sync.sync().await.unwrap();
    server.tasks.update_many(&all("theirs")).await.unwrap();
    for mine in all("mine").chunks(10) {
        a.tasks.update_many(mine).await.unwrap();
    }
    assert_eq!(ends(a.sync.pull()).await.unwrap().conflicts.len(), 100);
    ends(a.sync.sync()).await.unwrap();
    assert!(server.tasks.get_all().await.unwrap().iter().all(|task| task.text == "mine"));
}
