//! Objects that every fresh install adds, if there are none.

use crate::support::*;
use fastsync_core::*;

async fn server_and_devices(handler: impl ConflictsHandler<Task>) -> (ServerSide, [ClientSide; 2]) {
    let server = server_with(handler).await;
    let devices = [client(&server, "ada").await, client(&server, "ada").await];
    (server, devices)
}

/// What each handler would make of a conflict.
fn summed() -> PredefinedRules<Task> {
    PredefinedRules::new(|conflict: ObjectConflict<Task>| {
        match (conflict.server.object, conflict.client.object) {
            (Some(server), Some(client)) => {
                Ok(Resolution::Merged(Task { text: format!("{}+{}", server.text, client.text), ..server }))
            }
            _ => Ok(Resolution::Client),
        }
    })
}

async fn check_renamed(handler: impl ConflictsHandler<Task>, pulls_first: bool) {
    let (server, [first, second]) = server_and_devices(handler).await;
    assert!(first.tasks.add_if_absent(&task("inbox", "Inbox")).await.unwrap());
    first.sync.sync().await.unwrap();
    first.tasks.update(&task("inbox", "Mine")).await.unwrap();
    first.sync.sync().await.unwrap();

    // A fresh install, offline.
    assert!(second.tasks.add_if_absent(&task("inbox", "Inbox")).await.unwrap());
    assert!(!second.tasks.add_if_absent(&task("inbox", "Other")).await.unwrap());
    assert_eq!(second.task("inbox").await, Some(task("inbox", "Inbox")));
    if pulls_first {
        assert_eq!(second.sync.pull().await.unwrap().conflicts, []);
    }
    let report = second.sync.sync().await.unwrap();
    assert_eq!((report.push.conflicts, report.pull.conflicts), (vec![], vec![]), "nothing to report");
    assert_eq!(second.task("inbox").await, Some(task("inbox", "Mine")));
    assert_eq!(second.pending().await, 0);
    assert_eq!(server.tasks.get_all().await.unwrap(), [task("inbox", "Mine")]);
    // From now on it is an object like any other.
    second.tasks.update(&task("inbox", "Ours")).await.unwrap();
    second.sync.sync().await.unwrap();
    first.sync.sync().await.unwrap();
    assert_eq!(first.task("inbox").await, Some(task("inbox", "Ours")));
    assert!(!second.tasks.add_if_absent(&task("inbox", "Inbox")).await.unwrap());
}

/// Fails if a default object replaces what the user has made of it, whatever decides conflicts.
#[tokio::test]
async fn a_default_gives_way_to_what_the_server_has() {
    for pulls_first in [false, true] {
        check_renamed(LastWriterWins, pulls_first).await;
        check_renamed(ServerWins, pulls_first).await;
        check_renamed(summed(), pulls_first).await;
    }
}

/// Fails if a default object that was deleted comes back with each new device.
#[tokio::test]
async fn a_deleted_default_does_not_come_back() {
    for pulls_first in [false, true] {
        let (server, [first, second]) = server_and_devices(LastWriterWins).await;
        first.tasks.add_if_absent(&task("inbox", "Inbox")).await.unwrap();
        first.sync.sync().await.unwrap();
        first.tasks.remove(&id("inbox")).await.unwrap();
        first.sync.sync().await.unwrap();
        assert!(!first.tasks.add_if_absent(&task("inbox", "Inbox")).await.unwrap());

        second.tasks.add_if_absent(&task("inbox", "Inbox")).await.unwrap();
        if pulls_first {
            second.sync.pull().await.unwrap();
        }
        let report = second.sync.sync().await.unwrap();
        assert_eq!((report.push.conflicts, report.pull.conflicts), (vec![], vec![]));
        assert_eq!((second.task("inbox").await, second.pending().await), (None, 0));
        assert_eq!(server.tasks.get_all().await.unwrap(), []);
        // Made on purpose it lives again.
        second.tasks.add(&task("inbox", "Again")).await.unwrap();
        second.sync.sync().await.unwrap();
        assert_eq!(server.tasks.get_all().await.unwrap(), [task("inbox", "Again")]);
    }
}

/// Fails if the removal of a default that was never sent removes the object of others.
#[tokio::test]
async fn removing_an_unsent_default_removes_no_other_object() {
    let (server, [first, second]) = server_and_devices(LastWriterWins).await;
    first.tasks.add_if_absent(&task("inbox", "Mine")).await.unwrap();
    first.sync.sync().await.unwrap();
    second.tasks.add_if_absent(&task("inbox", "Inbox")).await.unwrap();
    second.tasks.remove(&id("inbox")).await.unwrap();
    second.sync.sync().await.unwrap();
    assert_eq!(server.tasks.get_all().await.unwrap(), [task("inbox", "Mine")]);
    assert_eq!(second.task("inbox").await, Some(task("inbox", "Mine")));
}

/// Fails if an edit of a default that was never sent gives way without a word: the user meant it.
#[tokio::test]
async fn an_edited_default_is_an_edit() {
    let (server, [first, second]) = server_and_devices(LastWriterWins).await;
    first.tasks.add_if_absent(&task("inbox", "Mine")).await.unwrap();
    first.sync.sync().await.unwrap();
    second.tasks.add_if_absent(&task("inbox", "Inbox")).await.unwrap();
    second.tasks.update(&task("inbox", "Edited")).await.unwrap();
    let report = second.sync.sync().await.unwrap();
    assert_eq!(report.push.conflicts.len(), 1);
    assert_eq!(server.tasks.get_all().await.unwrap(), [task("inbox", "Edited")]);

    // Also while the default is under way.
    let (server, [device, _]) = server_and_devices(LastWriterWins).await;
    device.tasks.add_if_absent(&task("inbox", "Inbox")).await.unwrap();
    device.link.fail_next(Fault::LoseReply);
    device.sync.push().await.unwrap_err();
    device.tasks.update(&task("inbox", "Edited")).await.unwrap();
    device.sync.sync().await.unwrap();
    assert_eq!(device.pending().await, 0);
    assert_eq!(device.task("inbox").await, Some(task("inbox", "Edited")));
    assert_eq!(server.tasks.get_all().await.unwrap(), [task("inbox", "Edited")]);
}

/// Fails if a server's own default replaces an object, or is none for the devices.
#[tokio::test]
async fn a_server_adds_its_defaults_too() {
    let (server, [device, _]) = server_and_devices(LastWriterWins).await;
    assert!(server.tasks.add_if_absent(&task("inbox", "Inbox")).await.unwrap());
    assert!(!server.tasks.add_if_absent(&task("inbox", "Other")).await.unwrap());
    device.tasks.add_if_absent(&task("inbox", "Device")).await.unwrap();
    device.sync.sync().await.unwrap();
    assert_eq!(device.task("inbox").await, Some(task("inbox", "Inbox")));
    server.tasks.remove(&id("inbox")).await.unwrap();
    assert!(!server.tasks.add_if_absent(&task("inbox", "Inbox")).await.unwrap());
}

/// Fails if a session with a default and other objects is torn apart, or if a default counts as a change that is not there.
#[tokio::test]
async fn a_default_is_part_of_its_session() {
    let (server, [first, second]) = server_and_devices(LastWriterWins).await;
    first.tasks.add_if_absent(&task("inbox", "Mine")).await.unwrap();
    first.sync.sync().await.unwrap();
    let mut edit = second.store.edit();
    second.tasks.stage_add_if_absent(&mut edit, &task("inbox", "Inbox")).unwrap();
    second.tasks.stage_add(&mut edit, &task("1", "x")).unwrap();
    assert_eq!(edit.commit().await.unwrap(), 2);
    second.sync.sync().await.unwrap();
    assert_eq!(server.tasks.get_all().await.unwrap(), [task("1", "x"), task("inbox", "Mine")]);
}
