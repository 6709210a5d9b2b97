//! What becomes of a push on the server: conflicts that move while they are settled, numbers, events; and of
//! what a gateway submits.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicUsize, Ordering},
};

use fastsync_core::protocol::*;
use fastsync_core::source::{CommitOutcome, ConflictReason, ExpectState, StateWrite};
use fastsync_core::*;
use futures_util::{FutureExt, StreamExt};

use crate::support::by_hand::*;
use crate::support::*;

fn ada() -> SyncContext {
    SyncContext::new("ada")
}

/// The tasks of the server that a handler works on, for what happens to them while it decides.
type Tasks = Arc<OnceLock<Repository<Task>>>;

/// A handler that joins both texts; before its first decision `meanwhile` happens.
fn joining<F, Fut>(tasks: Tasks, meanwhile: F) -> PredefinedRules<Task>
where
    F: Fn(Repository<Task>) -> Fut + Copy + Send + Sync + 'static,
    Fut: Future<Output = Result<()>> + Send + 'static,
{
    let calls = Arc::new(AtomicUsize::new(0));
    PredefinedRules::new_async(move |conflict: ObjectConflict<Task>| {
        let (tasks, first) = (Arc::clone(&tasks), calls.fetch_add(1, Ordering::SeqCst) == 0);
        async move {
            if first {
                meanwhile(tasks.get().unwrap().clone()).await?;
            }
            let (server, client) = (conflict.server.object.unwrap(), conflict.client.object.unwrap());
            Ok(Resolution::Merged(Task { text: format!("{} {}", server.text, client.text), ..server }))
        }
    })
}

/// Fails if what was settled is stored whatever is there by then.
#[tokio::test]
async fn a_record_that_moves_while_its_conflict_is_settled_is_settled_again() {
    let tasks_there = Tasks::default();
    let rules = joining(Arc::clone(&tasks_there), |tasks| async move {
        tasks.update(&task("1", "moved")).await?;
        Ok(())
    });
    let server = server_with(rules).await;
    tasks_there.set(server.tasks.clone()).unwrap();
    server.tasks.add(&task("1", "first")).await.unwrap();
    let mut row = row(&task("1", "pushed"), Revision::from_bits(1), 1);
    row.2 = server.record("1").await.unwrap().metadata.incarnation;
    let receipt = server.receipt(&ada(), Device::new(1).push(tasks(vec![row]))).await;
    assert_eq!(told(&receipt), [("1", "merged")]);
    assert_eq!(server.tasks.find_by_id(&id("1")).await.unwrap().unwrap().text, "moved pushed");
}

/// Fails if the outcome of a conflict is told that was gone before anything was stored.
#[tokio::test]
async fn an_outcome_that_holds_no_longer_is_not_told() {
    let tasks_there = Tasks::default();
    let rules = joining(Arc::clone(&tasks_there), |tasks| async move {
        tasks.remove(&id("1")).await?;
        Ok(())
    });
    let server = server_with(rules).await;
    tasks_there.set(server.tasks.clone()).unwrap();
    server.tasks.add(&task("1", "theirs")).await.unwrap();
    let created = new_row("1", 1);
    let receipt = server.receipt(&ada(), Device::new(1).push(tasks(vec![created.clone()]))).await;
    assert_eq!(told(&receipt), [], "an object made anew where one was deleted is no conflict");
    let stored = server.record("1").await.unwrap();
    assert_eq!((stored.metadata.incarnation, stored.body), (created.2, created.5));
}

/// Fails if conflicts that a data source names one after the other count as one that keeps moving.
#[tokio::test]
async fn conflicts_may_be_named_one_at_a_time() {
    let source = Hooked::default().answering(one_at_a_time);
    let server = serve(source, LastWriterWins, own_zone_policy, ServerLimits::default()).await;
    let names: Vec<String> = (0..40).map(|n| format!("{n:02}")).collect();
    let theirs: Vec<Task> = names.iter().map(|name| task(name, "theirs")).collect();
    server.tasks.add_many(&theirs).await.unwrap();
    let rows = names.iter().map(|name| new_row(name, 1)).collect();
    let receipt = server.receipt(&ada(), Device::new(1).push(tasks(rows))).await;
    assert_eq!(receipt.exceptions.len(), 40);
    let stored = server.tasks.get_all().await.unwrap();
    assert!(stored.iter().all(|task| task.text == task.id), "{stored:?}");
}

/// Fails if a conflict that never ends is tried for ever, or if something is stored in the end.
#[tokio::test]
async fn a_conflict_that_never_ends_is_contention() {
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tries);
    let rules = PredefinedRules::new(move |_: ObjectConflict<Task>| {
        counted.fetch_add(1, Ordering::SeqCst);
        Ok(Resolution::Client)
    });
    // The record never is what it is said to be.
    let stale = |outcome| match outcome {
        CommitOutcome::Conflicts { mut writes, state } => {
            for conflict in &mut writes {
                let revision = &mut conflict.current.as_mut().unwrap().metadata.revision;
                *revision = Revision::from_bits(revision.to_bits() ^ 1);
            }
            CommitOutcome::Conflicts { writes, state }
        }
        other => other,
    };
    let source = Hooked::default().answering(stale);
    let server = serve(source, rules, own_zone_policy, ServerLimits::default()).await;
    server.tasks.add(&task("1", "theirs")).await.unwrap();
    let push = Device::new(1).push(tasks(vec![new_row("1", 1), new_row("2", 1)]));
    let error = server.manager.process_push(&ada(), push).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Contention);
    assert!((2..=100).contains(&tries.load(Ordering::SeqCst)), "{tries:?}");
    assert!(server.record("2").await.is_none());
}

/// Fails if the same create under another number, as of a device restored from a backup, undoes a deletion.
#[tokio::test]
async fn a_deletion_stays_whatever_number_the_same_create_comes_under() {
    let server = server().await;
    let mut device = Device::new(1);
    let created = new_row("1", 1);
    server.receipt(&ada(), device.push(tasks(vec![created.clone()]))).await;
    server.tasks.remove(&id("1")).await.unwrap();
    let again = server.receipt(&ada(), device.push(tasks(vec![created.clone()]))).await;
    assert_eq!(told(&again), [("1", "superseded")]);
    assert!(server.record("1").await.unwrap().is_deleted());
    // Made anew, it is another object. Its deletion before it was ever pushed brings nothing.
    let mut anew = created;
    anew.2 = Incarnation::from_bits(99);
    let mut ended = anew.clone();
    ended.5 = None;
    assert_eq!(told(&server.receipt(&ada(), device.push(tasks(vec![ended]))).await), [("1", "superseded")]);
    // Nor does an edit of a life that the server had once.
    let mut edit = anew.clone();
    edit.1 = Revision::from_bits(5);
    assert_eq!(told(&server.receipt(&ada(), device.push(tasks(vec![edit]))).await), [("1", "superseded")]);
    assert_eq!(told(&server.receipt(&ada(), device.push(tasks(vec![anew]))).await), []);
    assert!(server.tasks.find_by_id(&id("1")).await.unwrap().is_some());
}

/// Fails if a client whose version won is not told of the life that it has on the server, or is told so of
/// its own; or if what was made of both is dated before one of them.
#[tokio::test]
async fn what_won_is_told_and_dated() {
    let (theirs, server_time) = (task("1", "theirs"), Hlc::new(Timestamp::from_millis(500), 0));
    for (same_life, deleted, at, outcome) in [
        (true, false, 400, "kept"),
        (true, true, 400, "kept"),
        (false, false, 400, "merged"),
        (false, true, 400, "kept"),
    ] {
        let server = server().await;
        let first = row(&theirs, Revision::NONE, 500);
        server.receipt(&ada(), Device::new(1).push(tasks(vec![first.clone()]))).await;
        let mut ours = row(&task("1", "ours"), Revision::NONE, at);
        if !same_life {
            ours.2 = Incarnation::from_bits(99);
        }
        if deleted {
            ours.5 = None;
        }
        let receipt = server.receipt(&ada(), Device::new(2).push(tasks(vec![ours.clone()]))).await;
        assert_eq!(told(&receipt), [("1", outcome)], "{same_life} {deleted}");
        let stored = server.record("1").await.unwrap();
        assert_eq!((stored.body, stored.metadata.incarnation), (ours.5, first.2), "{same_life} {deleted}");
        assert_eq!(stored.metadata.modified_at, ours.3, "as the client wrote it");
        assert_eq!(stored.metadata.revision, receipt.revision);
    }
    for at in [400, 600] {
        let there = Tasks::default();
        let server = server_with(joining(Arc::clone(&there), |_| async { Ok(()) })).await;
        there.set(server.tasks.clone()).unwrap();
        server.receipt(&ada(), Device::new(1).push(tasks(vec![row(&theirs, Revision::NONE, 500)]))).await;
        let ours = row(&task("1", "ours"), Revision::NONE, at);
        let receipt = server.receipt(&ada(), Device::new(2).push(tasks(vec![ours.clone()]))).await;
        assert_eq!(told(&receipt), [("1", "merged")]);
        let stored = server.record("1").await.unwrap();
        assert_eq!(stored.metadata.modified_at, server_time.max(ours.3));
    }
}

/// Fails if a device whose history the server does not have is taken for a new one.
#[tokio::test]
async fn the_first_push_is_the_first() {
    let server = server().await;
    let rows = tasks(vec![new_row("1", 1)]);
    let mut device = Device::new(1);
    let first = device.push(rows.clone());
    let (mut follower, mut last) = (first.clone(), first.clone());
    follower.follows = Some(SessionId::from_uuid(uuid::Uuid::from_u128(9)));
    last.number = u64::MAX;
    for (name, push) in [
        ("a second one", device.push(rows.clone())),
        ("one that follows another", follower),
        ("the last possible one", last),
    ] {
        let answer = server.manager.process_push(&ada(), push).await.unwrap();
        assert_eq!(answer, PushReply::Gap { last: 0 }, "{name}");
        assert!(server.sessions(&Zone::Global).await.is_empty(), "{name}");
    }
    assert_eq!(told(&server.receipt(&ada(), first).await), []);
}

/// Fails if the application is not told what a push stored, or is told of what was not stored.
#[tokio::test]
async fn the_change_stream_tells_what_a_push_stored() {
    let server = server_with(ServerWins).await;
    server.tasks.add(&task("theirs", "x")).await.unwrap();
    let mut changes = server.store.changes();
    let mut of_tasks = server.tasks.changes().unwrap();
    let mut device = Device::new(1);
    let groups = vec![
        group(Zone::Global, "tasks", vec![new_row("1", 1), new_row("theirs", 1), new_row("2", 1)]),
        group(zone("bob"), "notes", vec![row(&Note { id: "n".into(), text: "x".into() }, Revision::NONE, 1)]),
    ];
    let push = device.push(groups);
    let receipt = server.receipt(&ada(), push.clone()).await;
    assert_eq!(told(&receipt).len(), 2);
    let change = changes.next().now_or_never().flatten().unwrap();
    let StoreChange::Records(keys) = &change else { panic!("{change:?}") };
    assert_eq!(keys.iter().map(|key| key.id.as_str()).collect::<Vec<_>>(), ["1", "2"]);
    let change = of_tasks.next().now_or_never().flatten().unwrap();
    assert_eq!(ObjectChanges::ids(&change), Some(vec![id("1"), id("2")]));
    // Nothing is stored of a repeated push, nor of one that is refused whole.
    server.receipt(&ada(), push).await;
    let mut atomic = device.push(vec![group(
        zone("bob"),
        "notes",
        vec![row(&Note { id: "n".into(), text: "x".into() }, Revision::NONE, 1)],
    )]);
    atomic.mode = PushMode::Atomic;
    server.receipt(&ada(), atomic).await;
    assert!(changes.next().now_or_never().is_none());
}

/// An edit of a gateway, with a note of what it did.
fn submitted(key: RecordKey, note: &str) -> SubmittedEdit {
    let row = new_row(key.id.as_str(), 1);
    let modified_by = DeviceId::from_uuid(uuid::Uuid::from_u128(1));
    let metadata =
        SyncMetadata { revision: row.1, incarnation: row.2, modified_at: row.3, modified_by, change: 0 };
    let body = if key.type_name.as_str() == "notes" { Some(vec![Value::Text("x".into())]) } else { row.5 };
    let note = Some(StateWrite::set(note.to_owned(), Some(b"done".to_vec())));
    SubmittedEdit::new(Record { key, body, metadata }).with_note(note)
}

fn key(zone: Zone, name: &str, object: &str) -> RecordKey {
    RecordKey { zone, type_name: type_name(name), id: id(object) }
}

/// Fails if a refused edit is noted as done, so that its repetition would be taken for done.
#[tokio::test]
async fn a_note_is_kept_of_what_was_stored_only() {
    let server = server_with(ServerWins).await;
    server.tasks.add(&task("2", "theirs")).await.unwrap();
    let mut submission = server.manager.submission(Device::new(1).id);
    submission.edits = vec![
        submitted(key(Zone::Global, "tasks", "1"), "stored"),
        submitted(key(Zone::Global, "tasks", "2"), "settled"),
        submitted(key(zone("bob"), "notes", "1"), "refused"),
    ];
    let told = server.manager.submit(&ada(), submission).await.unwrap().unwrap();
    let told: Vec<_> = told.iter().map(|(key, outcome)| (key.id.as_str(), outcome)).collect();
    assert!(
        matches!(&told[..], [("2", Outcome::Superseded), ("1", Outcome::Rejected { code, .. })] if code == "zone"),
        "{told:?}"
    );
    let notes = server.store.source().entries("").await.unwrap();
    let notes: Vec<_> =
        notes.iter().map(|(key, _)| key.as_str()).filter(|key| !key.starts_with("fastsync/")).collect();
    assert_eq!(notes, ["settled", "stored"]);
}

/// Fails if a record gets into a zone that its type does not live in, or where its type is unknown.
#[tokio::test]
async fn what_a_gateway_submits_is_in_a_zone_of_its_type() {
    let server = server().await;
    for (wrong, kind) in [
        (key(zone("ada"), "tasks", "1"), ErrorKind::UnknownZone),
        (key(Zone::Global, "notes", "1"), ErrorKind::UnknownZone),
        (key(Zone::Global, "nothing", "1"), ErrorKind::UnknownType),
    ] {
        let mut submission = server.manager.submission(Device::new(1).id);
        submission.edits =
            vec![submitted(key(Zone::Global, "tasks", "fine"), "note"), submitted(wrong.clone(), "n")];
        let error = server.manager.submit(&ada(), submission).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{wrong:?}");
        assert!(server.record("fine").await.is_none() && server.sessions(&Zone::Global).await.is_empty());
    }
}

/// Fails if a gateway's session is stored although what it noted before is not as it thinks.
#[tokio::test]
async fn a_gateway_whose_notes_moved_changes_nothing() {
    let server = server().await;
    let submit = async |expect| {
        let mut submission = server.manager.submission(Device::new(1).id);
        submission.edits = vec![submitted(key(Zone::Global, "tasks", "1"), "note")];
        submission.edits[0].note.as_mut().unwrap().expect = expect;
        server.manager.submit(&ada(), submission).await.unwrap().is_some()
    };
    assert!(!submit(ExpectState::Value(b"other".to_vec())).await);
    assert!(server.record("1").await.is_none());
    assert!(submit(ExpectState::Absent).await);
    assert!(!submit(ExpectState::Absent).await);
    assert_eq!(server.sessions(&Zone::Global).await.len(), 1);
}

/// Fails if a constraint of the server's own tables is answered by anything but a refusal of the record that
/// it names.
#[tokio::test]
async fn a_record_that_a_constraint_refuses_is_refused_alone_or_with_its_session() {
    for mode in [PushMode::PerObject, PushMode::Atomic] {
        // Whatever clashes here clashes with a constraint.
        let constrained = |outcome| match outcome {
            CommitOutcome::Conflicts { writes, state } => {
                let writes = writes
                    .into_iter()
                    .map(|mut conflict| {
                        conflict.current = None;
                        conflict.reason = ConflictReason::Constraint("UNIQUE tasks.text".to_owned());
                        conflict
                    })
                    .collect();
                CommitOutcome::Conflicts { writes, state }
            }
            other => other,
        };
        let source = Hooked::default().answering(constrained);
        let server = serve(source, LastWriterWins, own_zone_policy, ServerLimits::default()).await;
        server.tasks.add(&task("bad", "theirs")).await.unwrap();
        let mut push = Device::new(1).push(tasks(vec![new_row("bad", 1), new_row("good", 1)]));
        push.mode = mode;
        let receipt = server.receipt(&ada(), push).await;
        let aborted: &[_] = if mode == PushMode::Atomic { &[("good", "aborted")] } else { &[] };
        assert_eq!(told(&receipt), [&[("bad", "constraint")], aborted].concat(), "{mode:?}");
        let Outcome::Rejected { message, .. } = &receipt.exceptions[0].outcome else { panic!() };
        assert!(message.contains("UNIQUE"), "the database's own words");
        assert_eq!(server.record("good").await.is_some(), mode == PushMode::PerObject, "{mode:?}");
        assert_eq!(server.tasks.find_by_id(&id("bad")).await.unwrap().unwrap().text, "theirs");
    }
}
