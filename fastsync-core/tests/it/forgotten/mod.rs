//! A server that forgot what it had acknowledged: nothing leaves a device unasked.

mod kept;
mod managers;
mod walks;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fastsync_core::source::ResetReason;
use fastsync_core::*;

use crate::support::*;

/// A server of this world, whose storage can be copied.
async fn backed_up() -> (MemoryDataSource, ServerSide) {
    let source = MemoryDataSource::new();
    let server = server_on(source.clone(), LastWriterWins).await;
    (source, server)
}

async fn restored(backup: MemoryDataSource) -> ServerSide {
    server_on(backup, LastWriterWins).await
}

/// The same device with this server at the address.
async fn moved(client: &ClientSide, server: &ServerSide) -> ClientSide {
    client_on(server, "ada", client.source.clone()).await
}

async fn forgotten(client: &ClientSide) -> Vec<String> {
    let records = client.sync.forgotten().await.unwrap();
    let mut ids: Vec<_> = records.into_iter().map(|record| record.key.id.to_string()).collect();
    ids.sort();
    assert_eq!(client.sync.status().await.unwrap().forgotten, ids.len() as u64);
    ids
}

async fn keys(client: &ClientSide) -> Vec<RecordKey> {
    client.sync.forgotten().await.unwrap().into_iter().map(|record| record.key).collect()
}

fn with(client: &ClientSide, policy: WhenForgotten) -> SyncManager<Client> {
    client.manager().transport(client.link.clone()).when_forgotten(policy).build().unwrap()
}

async fn texts(tasks: &Repository<Task>) -> Vec<(String, String)> {
    let tasks = tasks.get_all().await.unwrap();
    tasks.into_iter().map(|task| (task.id, task.text)).collect()
}

async fn assert_in_step(client: &ClientSide, server: &ServerSide) {
    assert_eq!(texts(&client.tasks).await, texts(&server.tasks).await);
    assert!(client.sync.status().await.unwrap().in_step);
}

/// Fails if objects vanish that a server had acknowledged, because an empty one is at its address.
#[tokio::test]
async fn an_empty_server_takes_nothing_away() {
    for edits_first in [false, true] {
        let first = server().await;
        let a = client(&first, "ada").await;
        a.tasks.add_many(&[task("1", "x"), task("2", "y")]).await.unwrap();
        a.notes.add(&Note { id: "n".into(), text: "z".into() }).await.unwrap();
        a.sync.sync().await.unwrap();
        let empty = server().await;
        let a = moved(&a, &empty).await;
        if edits_first {
            a.tasks.add(&task("3", "unsent")).await.unwrap();
        }
        let report = a.sync.sync().await.unwrap().pull;
        assert_eq!((report.reset, report.forgotten), (Some(ResetReason::Epoch), 3), "{edits_first}");
        assert_eq!(empty.tasks.get_all().await.unwrap().len(), usize::from(edits_first));
        // After a restart too, and however often it synchronises.
        for _ in 0..2 {
            let a = moved(&a, &empty).await;
            let report = a.sync.sync().await.unwrap();
            assert_eq!((report.pull.reset, report.pull.forgotten, report.push.sessions), (None, 0, 0));
            assert_eq!(report.waiting()[0].reason, WaitingReason::Forgotten);
            assert_eq!(forgotten(&a).await, ["1", "2", "n"]);
            assert_eq!(a.tasks.get_all().await.unwrap().len(), 2 + usize::from(edits_first));
            assert!(!a.sync.status().await.unwrap().in_step);
        }
        assert_eq!(a.sync.send_forgotten(&keys(&a).await).await.unwrap(), 3);
        assert_eq!(forgotten(&a).await, [""; 0]);
        let report = a.sync.sync().await.unwrap();
        assert_eq!((report.push.applied, report.push.conflicts.len()), (3, 0));
        assert_eq!(empty.tasks.get_all().await.unwrap().len(), 2 + usize::from(edits_first));
        assert_in_step(&a, &empty).await;
        assert!(a.source.entries("fastsync/forgotten/").await.unwrap().is_empty());
        assert!(a.source.entry("fastsync/lost").await.unwrap().is_none());
    }
}

/// Fails if what is accepted stays, or comes back.
#[tokio::test]
async fn what_is_accepted_goes() {
    let first = server().await;
    let a = client(&first, "ada").await;
    a.tasks.add_many(&[task("1", "x"), task("2", "y"), task("3", "z")]).await.unwrap();
    a.sync.sync().await.unwrap();
    let empty = server().await;
    let a = moved(&a, &empty).await;
    a.sync.sync().await.unwrap();
    a.tasks.update(&task("2", "edited")).await.unwrap();
    let chosen: Vec<_> = keys(&a).await.into_iter().filter(|key| key.id.as_str() != "3").collect();
    assert_eq!(a.sync.accept_forgotten(&chosen).await.unwrap(), 2);
    assert_eq!(forgotten(&a).await, ["3"]);
    a.sync.sync().await.unwrap();
    assert_eq!(texts(&a.tasks).await, [("3".to_owned(), "z".to_owned())]);
    assert_eq!(a.sync.accept_forgotten(&chosen).await.unwrap(), 0, "nothing of it is left");
    // Removing one is a decision, too.
    a.tasks.remove(&id("3")).await.unwrap();
    assert_eq!(forgotten(&a).await, [""; 0]);
    a.sync.sync().await.unwrap();
    assert_in_step(&a, &empty).await;
    assert!(a.source.entries("fastsync/forgotten/").await.unwrap().is_empty());
}

/// Fails if a policy does something else than it says.
#[tokio::test]
async fn policies_decide_without_asking() {
    let (source, live) = backed_up().await;
    let a = client(&live, "ada").await;
    a.tasks.add(&task("1", "before")).await.unwrap();
    a.sync.sync().await.unwrap();
    let backup = source.snapshot();
    a.tasks.add_many(&[task("2", "after"), task("3", "after")]).await.unwrap();
    a.sync.sync().await.unwrap();
    for policy in [WhenForgotten::SendAgain, WhenForgotten::Accept] {
        let server = restored(backup.snapshot()).await;
        let a = client_on(&server, "ada", a.source.snapshot()).await;
        let manager = with(&a, policy);
        let report = manager.sync().await.unwrap().pull;
        assert_eq!(report.reset, Some(ResetReason::History));
        let sent = if policy == WhenForgotten::SendAgain { 2 } else { 0 };
        assert_eq!(report.forgotten, sent);
        assert_eq!(manager.sync().await.unwrap().push.applied, sent);
        assert_in_step(&a, &server).await;
        assert_eq!(server.tasks.get_all().await.unwrap().len() as u64, 1 + sent);
    }
}

/// Fails if what was deleted on the restored server is kept, or what it has forgotten is not.
#[tokio::test]
async fn a_restored_server_takes_only_what_it_deletes() {
    let (source, live) = backed_up().await;
    let a = client(&live, "ada").await;
    a.tasks.add_many(&[task("1", "before"), task("2", "before")]).await.unwrap();
    a.sync.sync().await.unwrap();
    let backup = source.snapshot();
    a.tasks.add(&task("3", "after")).await.unwrap();
    a.tasks.update(&task("2", "after")).await.unwrap();
    a.sync.sync().await.unwrap();
    let server = restored(backup).await;
    server.tasks.remove(&id("1")).await.unwrap();
    server.tasks.add(&task("4", "another history")).await.unwrap();
    let a = moved(&a, &server).await;
    a.tasks.add(&task("5", "unsent")).await.unwrap();
    let report = a.sync.sync().await.unwrap();
    assert_eq!((report.pull.reset, report.pull.forgotten), (Some(ResetReason::History), 1));
    assert_eq!(forgotten(&a).await, ["3"]);
    let texts = texts(&a.tasks).await;
    let ids: Vec<_> = texts.iter().map(|(id, text)| (id.as_str(), text.as_str())).collect();
    assert_eq!(ids, [("2", "before"), ("3", "after"), ("4", "another history"), ("5", "unsent")]);
    a.sync.send_forgotten(&keys(&a).await).await.unwrap();
    a.sync.sync().await.unwrap();
    assert_in_step(&a, &server).await;
    assert_eq!(server.tasks.get_all().await.unwrap().len(), 4);
}

/// Fails if sending again revives what was deleted after another device had sent it again.
#[tokio::test]
async fn sending_again_revives_no_deletion() {
    for knows in [false, true] {
        let (source, live) = backed_up().await;
        let (a, b) = (client(&live, "ada").await, client(&live, "ada").await);
        let backup = source.snapshot();
        a.tasks.add(&task("1", "x")).await.unwrap();
        a.sync.sync().await.unwrap();
        b.sync.sync().await.unwrap();
        let server = restored(backup).await;
        let (a, b) = (moved(&a, &server).await, moved(&b, &server).await);
        a.sync.sync().await.unwrap();
        b.sync.sync().await.unwrap();
        assert_eq!((forgotten(&a).await, forgotten(&b).await), (vec!["1".to_owned()], vec!["1".to_owned()]));
        a.sync.send_forgotten(&keys(&a).await).await.unwrap();
        a.sync.sync().await.unwrap();
        a.tasks.remove(&id("1")).await.unwrap();
        a.sync.sync().await.unwrap();
        if knows {
            b.sync.pull().await.unwrap();
            assert_eq!(forgotten(&b).await, [""; 0], "its end has come");
        } else {
            b.sync.send_forgotten(&keys(&b).await).await.unwrap();
            assert_eq!(b.sync.sync().await.unwrap().push.conflicts.len(), 1);
        }
        b.sync.sync().await.unwrap();
        for side in [&a, &b] {
            assert_in_step(side, &server).await;
        }
        assert_eq!(server.tasks.get_all().await.unwrap(), []);
    }
}

/// Counts how often it is asked, and adds what both have.
#[derive(Debug, Clone, Default)]
struct Summing(Arc<AtomicUsize>);

#[async_trait::async_trait]
impl ConflictsHandler<Task> for Summing {
    async fn resolve(&self, conflict: ObjectConflict<Task>) -> Result<Resolution<Task>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        let (server, client) = (conflict.server.object.unwrap(), conflict.client.object.unwrap());
        Ok(Resolution::Merged(Task { text: format!("{}+{}", server.text, client.text), ..server }))
    }
}

/// Fails if an object is doubled, or settled as a conflict, because two devices send the same one again.
#[tokio::test]
async fn two_devices_send_the_same_object_again() {
    for meanwhile in [false, true] {
        let source = MemoryDataSource::new();
        let live = server_on(source.clone(), LastWriterWins).await;
        let (a, b) = (client(&live, "ada").await, client(&live, "ada").await);
        let backup = source.snapshot();
        a.tasks.add_many(&[task("1", "x"), task("2", "y")]).await.unwrap();
        a.sync.sync().await.unwrap();
        b.sync.sync().await.unwrap();
        let handler = Summing::default();
        let server = server_on(backup, handler.clone()).await;
        let asking = |source| client_with(&server, "ada", source, handler.clone(), PullLimits::default());
        let (a, b) = (asking(a.source.clone()).await, asking(b.source.clone()).await);
        for side in [&a, &b] {
            side.sync.sync().await.unwrap();
            side.sync.send_forgotten(&keys(side).await).await.unwrap();
        }
        assert_eq!(a.sync.push().await.unwrap().applied, 2);
        if meanwhile {
            let report = b.sync.pull().await.unwrap();
            assert_eq!((report.conflicts.len(), b.pending().await), (0, 0));
        } else {
            let report = b.sync.push().await.unwrap();
            assert_eq!((report.applied, report.conflicts.len()), (2, 0));
        }
        for side in [&a, &b, &a] {
            side.sync.sync().await.unwrap();
        }
        for side in [&a, &b] {
            assert_in_step(side, &server).await;
        }
        assert_eq!(server.tasks.get_all().await.unwrap(), [task("1", "x"), task("2", "y")]);
        assert_eq!(handler.0.load(Ordering::SeqCst), 0);
    }
}

/// Fails if a push that was acknowledged and is lost is not noticed where the cursor is older than it.
#[tokio::test]
async fn a_push_that_was_lost_is_noticed_though_the_cursor_is_fine() {
    for edits_first in [false, true] {
        let (source, live) = backed_up().await;
        let a = client(&live, "ada").await;
        a.tasks.add(&task("1", "before")).await.unwrap();
        a.sync.sync().await.unwrap();
        let backup = source.snapshot();
        a.tasks.add(&task("2", "after")).await.unwrap();
        a.sync.push().await.unwrap();
        let server = restored(backup).await;
        let a = moved(&a, &server).await;
        if edits_first {
            a.tasks.add(&task("3", "unsent")).await.unwrap();
            let report = a.sync.push().await.unwrap();
            assert_eq!((report.reset, report.forgotten), (Some(ResetReason::History), 1));
            assert_eq!((report.sessions, report.forked), (1, false));
        } else {
            let report = a.sync.pull().await.unwrap();
            assert_eq!((report.reset, report.forgotten), (Some(ResetReason::History), 1));
            assert_eq!(a.sync.pull().await.unwrap().reset, None, "once");
        }
        assert_eq!(forgotten(&a).await, ["2"]);
        a.sync.send_forgotten(&keys(&a).await).await.unwrap();
        let report = a.sync.sync().await.unwrap();
        assert_eq!((report.push.reset, report.pull.reset, report.push.forked), (None, None, false));
        assert_in_step(&a, &server).await;
        assert_eq!(server.tasks.get_all().await.unwrap().len(), 2 + usize::from(edits_first));
    }
}

/// Fails if an object that was acknowledged is lost because an edit of it is sent before the loss is known.
#[tokio::test]
async fn an_edit_of_what_was_forgotten_is_kept_with_it() {
    for own in [false, true] {
        let (source, live) = backed_up().await;
        let (a, b) = (client(&live, "ada").await, client(&live, "ada").await);
        b.sync.sync().await.unwrap();
        let backup = source.snapshot();
        let author = if own { &b } else { &a };
        author.tasks.add_many(&[task("1", "x"), task("2", "y")]).await.unwrap();
        author.sync.sync().await.unwrap();
        b.sync.sync().await.unwrap();
        let server = restored(backup).await;
        let b = moved(&b, &server).await;
        b.tasks.update(&task("1", "edited")).await.unwrap();
        b.tasks.add(&task("3", "unsent")).await.unwrap();
        let report = b.sync.sync().await.unwrap();
        assert_eq!((report.pull.reset, report.pull.forgotten), (Some(ResetReason::History), 2), "{own}");
        assert_eq!(report.push.conflicts, [], "{own}");
        assert_eq!(forgotten(&b).await, ["1", "2"]);
        // It can be edited, and is sent as it is then.
        b.tasks.update(&task("2", "edited too")).await.unwrap();
        b.sync.sync().await.unwrap();
        assert_eq!(forgotten(&b).await, ["1", "2"]);
        assert_eq!(server.tasks.get_all().await.unwrap(), [task("3", "unsent")]);
        assert_eq!(b.sync.send_forgotten(&keys(&b).await).await.unwrap(), 2);
        b.sync.sync().await.unwrap();
        assert_in_step(&b, &server).await;
        let expected = [task("1", "edited"), task("2", "edited too"), task("3", "unsent")];
        assert_eq!(server.tasks.get_all().await.unwrap(), expected);
    }
}

/// Fails if a local commit is cut in two because one of its objects waits for a decision.
#[tokio::test]
async fn a_local_commit_waits_as_a_whole() {
    let first = server().await;
    let a = client(&first, "ada").await;
    a.tasks.add(&task("1", "x")).await.unwrap();
    a.sync.sync().await.unwrap();
    let empty = server().await;
    let a = moved(&a, &empty).await;
    a.sync.sync().await.unwrap();
    let mut edit = a.store.edit();
    a.tasks.stage_update(&mut edit, &task("1", "together")).unwrap();
    a.tasks.stage_add(&mut edit, &task("2", "together")).unwrap();
    edit.commit().await.unwrap();
    a.tasks.add(&task("3", "alone")).await.unwrap();
    let report = a.sync.sync().await.unwrap();
    assert_eq!(report.push.applied, 1);
    let reasons: Vec<_> = report.waiting().iter().map(|waiting| waiting.reason).collect();
    assert_eq!(reasons, [WaitingReason::Forgotten, WaitingReason::Together]);
    a.sync.send_forgotten(&keys(&a).await).await.unwrap();
    let report = a.sync.sync().await.unwrap().push;
    assert_eq!((report.sessions, report.applied), (1, 2));
    assert_in_step(&a, &empty).await;
}
