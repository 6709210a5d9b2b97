//! Edits that are given up before they are sent, and those that may have been.

use crate::support::gate::{Gate, refusal};
use crate::support::*;
use fastsync_core::*;

fn key(name: &str) -> RecordKey {
    RecordKey { zone: Zone::Global, type_name: TypeName::new("tasks").unwrap(), id: id(name) }
}

async fn edited() -> (ServerSide, ClientSide) {
    let server = server().await;
    let a = client(&server, "ada").await;
    a.tasks.add_many(&[task("1", "start"), task("2", "start")]).await.unwrap();
    a.sync.sync().await.unwrap();
    a.tasks.update(&task("1", "edited")).await.unwrap();
    a.tasks.remove(&id("2")).await.unwrap();
    a.tasks.add(&task("new", "edited")).await.unwrap();
    (server, a)
}

const START: fn() -> Vec<Task> = || vec![task("1", "start"), task("2", "start")];

fn edits_sent(client: &ClientSide) -> usize {
    client.link.pushes.lock().unwrap().iter().map(|request| request.payload.len()).sum()
}

/// Fails if an edit that was given up is sent, or its object is not what the server has.
#[tokio::test]
async fn what_is_given_up_is_not_sent_and_the_rest_is() {
    let (server, a) = edited().await;
    a.tasks.add(&task("stays", "edited")).await.unwrap();
    let sent = edits_sent(&a);
    let given_up = [key("1"), key("2"), key("new"), key("new"), key("nothing")];
    assert_eq!(a.sync.discard_pending(&given_up).await.unwrap(), 3);
    assert_eq!((a.pending().await, a.task("new").await), (1, None));
    assert_eq!(a.sync.discard_pending(&given_up).await.unwrap(), 0);
    let report = a.sync.sync().await.unwrap();
    assert_eq!((report.push.applied, edits_sent(&a)), (1, sent + 1));
    let expected = [START(), vec![task("stays", "edited")]].concat();
    assert_eq!(a.tasks.get_all().await.unwrap(), expected);
    assert_eq!(server.tasks.get_all().await.unwrap(), expected);
}

/// Fails if a push whose fate is unknown is repeated, or given up although the server has it.
#[tokio::test]
async fn what_is_in_flight_is_taken_back_first() {
    for fault in [Fault::DropRequest, Fault::LoseReply] {
        for edited_again in [false, true] {
            let (server, a) = edited().await;
            a.link.fail_next(fault);
            a.sync.push().await.unwrap_err();
            let delayed = a.link.pushes.lock().unwrap().last().unwrap().clone();
            if edited_again {
                a.tasks.update(&task("1", "edited again")).await.unwrap();
            }
            let sent = edits_sent(&a);
            assert_eq!(a.sync.discard_pending(&[key("1"), key("2"), key("new")]).await.unwrap(), 0, "marked");
            // Offline the mark stays, over a restart too.
            let (offline, gate) = Gate::before(&server, &a, "ada");
            gate.refuse(|_| Some(refusal(ErrorKind::Unavailable)));
            offline.sync().await.unwrap_err();
            assert_eq!(a.source.entries("fastsync/discarded/").await.unwrap().len(), 3);
            let a = client_on(&server, "ada", a.source.clone()).await;
            let report = a.sync.sync().await.unwrap();
            assert!(!report.push.forked);
            assert_eq!((a.pending().await, edits_sent(&a)), (0, 0), "{fault:?} {sent}");
            let expected = match fault {
                Fault::LoseReply => vec![task("1", "edited"), task("new", "edited")],
                _ => START(),
            };
            assert_eq!(server.tasks.get_all().await.unwrap(), expected, "{fault:?}");
            assert_eq!(a.tasks.get_all().await.unwrap(), expected, "{fault:?} {edited_again}");
            assert!(a.source.entries("fastsync/discarded/").await.unwrap().is_empty());
            server.manager.process_push(&SyncContext::new("ada"), delayed).await.unwrap();
            assert_eq!(server.tasks.get_all().await.unwrap(), expected, "{fault:?}: it arrives too late");
        }
    }
}

/// Fails if an edit that was made after another one was given up goes with it.
#[tokio::test]
async fn what_is_edited_after_it_was_given_up_stays() {
    let (server, a) = edited().await;
    a.link.fail_next(Fault::DropRequest);
    a.sync.push().await.unwrap_err();
    a.sync.discard_pending(&[key("1"), key("new")]).await.unwrap();
    a.tasks.update(&task("1", "anew")).await.unwrap();
    a.sync.sync().await.unwrap();
    assert_eq!(server.tasks.get_all().await.unwrap(), [task("1", "anew")]);
    assert_eq!(a.tasks.get_all().await.unwrap(), [task("1", "anew")]);
    assert_eq!(a.pending().await, 0);
}

/// Fails if a reset that discards sends what it discards, or forgets that it may have arrived.
#[tokio::test]
async fn a_reset_that_discards_sends_nothing() {
    for fault in [Fault::DropRequest, Fault::LoseReply] {
        let (server, a) = edited().await;
        a.link.fail_next(fault);
        a.sync.push().await.unwrap_err();
        let sent = edits_sent(&a);
        a.link.fail_next(Fault::DropRequest);
        a.sync.hard_reset(&[], PendingEdits::Discard).await.unwrap_err();
        assert_eq!(a.task("1").await, Some(task("1", "edited")), "a failure changes nothing");
        a.sync.hard_reset(&[], PendingEdits::Discard).await.unwrap();
        assert_eq!((a.pending().await, edits_sent(&a)), (0, sent), "{fault:?}");
        assert_eq!(a.tasks.get_all().await.unwrap(), server.tasks.get_all().await.unwrap());
        assert_eq!(server.tasks.get_all().await.unwrap() == START(), fault == Fault::DropRequest);
    }
}

/// A refused edit can be given up in the same way. Fails if what the server is known to have is not taken at once.
#[tokio::test]
async fn refused_edits_are_given_up_too() {
    let server = strict_server().await;
    let a = client(&server, "ada").await;
    a.tasks.add(&task("1", "start")).await.unwrap();
    a.sync.sync().await.unwrap();
    a.tasks.update(&task("1", "bad")).await.unwrap();
    a.sync.push().await.unwrap();
    assert_eq!(a.sync.discard_pending(&[key("1")]).await.unwrap(), 1);
    assert_eq!(a.tasks.get_all().await.unwrap(), [task("1", "start")]);
    assert_eq!((a.pending().await, a.sync.rejected().await.unwrap().len()), (0, 0));
}

/// The stored form of a mark. Fails if it changes.
#[tokio::test]
async fn a_mark_is_as_it_always_was() {
    let (_server, a) = edited().await;
    a.link.fail_next(Fault::DropRequest);
    a.sync.push().await.unwrap_err();
    a.sync.discard_pending(&[key("1")]).await.unwrap();
    let marks = a.source.entries("fastsync/discarded/").await.unwrap();
    assert_eq!(
        marks,
        [("fastsync/discarded/tasks/global/1".to_owned(), b"\x01\x06global\x05tasks\x011\x02".to_vec())]
    );
}

/// Fails if an edit that is given up is sent all the same, because the device's table does not let its object go.
#[tokio::test]
async fn what_the_table_keeps_is_not_sent_either() {
    let server = server().await;
    let a = client(&server, "ada").await;
    let name = |name: &str| TypeName::new(name).unwrap();
    a.source.constrain(source::memory::MemoryConstraint::Parent {
        type_name: name("tasks"),
        field: FieldName::new("list").unwrap(),
        parent: name("lists"),
    });
    let list = List { id: task("1", "x").list, title: "t".into() };
    a.lists.add(&list).await.unwrap();
    a.tasks.add(&task("1", "x")).await.unwrap();
    let key = RecordKey { zone: Zone::Global, type_name: name("lists"), id: id(&list.id) };
    assert_eq!(a.sync.discard_pending(&[key]).await.unwrap(), 1);
    a.sync.sync().await.unwrap();
    let pushes = a.link.pushes.lock().unwrap().clone();
    let sent: Vec<_> = pushes
        .iter()
        .flat_map(|push| push.payload.groups.iter().map(|group| group.type_name.as_str()))
        .collect();
    assert_eq!(sent, ["tasks"]);
    assert_eq!(a.lists.get_all().await.unwrap(), [list], "its children keep it here");
}
