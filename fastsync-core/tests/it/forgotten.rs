//! A server that forgot what it had acknowledged: nothing leaves a device unasked.

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
        assert!(a.source.states("fastsync/forgotten/").await.unwrap().is_empty());
        assert!(a.source.state("fastsync/lost").await.unwrap().is_none());
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
    assert!(a.source.states("fastsync/forgotten/").await.unwrap().is_empty());
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

/// Fails if a zone whose history is whole is taken for forgotten, or one that was lost is not.
#[tokio::test]
async fn only_the_zones_that_were_lost_are_forgotten() {
    for pulled in [true, false] {
        let (source, live) = backed_up().await;
        let a = client(&live, "ada").await;
        let note = |id: &str| Note { id: id.into(), text: "x".into() };
        a.notes.add_many(&[note("1"), note("2")]).await.unwrap();
        a.tasks.add(&task("1", "before")).await.unwrap();
        a.sync.sync().await.unwrap();
        let backup = source.snapshot();
        a.tasks.add(&task("2", "after")).await.unwrap();
        a.sync.sync().await.unwrap();
        if !pulled {
            // Its place in that zone is older than this.
            a.notes.add(&note("3")).await.unwrap();
            a.sync.push().await.unwrap();
        }
        let server = restored(backup).await;
        let theirs = Repository::<Note>::in_zone(&server.store, zone("ada"));
        theirs.remove(&id("1")).await.unwrap();
        let head = server.sessions(&zone("ada")).await.len() as u64;
        server.store.source().purge(&zone("ada"), Position(head)).await.unwrap();
        let a = moved(&a, &server).await;
        let report = a.sync.sync().await.unwrap().pull;
        assert_eq!(report.reset, Some(ResetReason::History));
        let mut notes: Vec<_> = a.notes.get_all().await.unwrap().into_iter().map(|note| note.id).collect();
        notes.sort();
        if pulled {
            assert_eq!(forgotten(&a).await, ["2"], "the task");
            assert_eq!(notes, ["2"]);
        } else {
            // What was deleted and purged since cannot be told from what was lost.
            assert_eq!(forgotten(&a).await, ["1", "2", "3"]);
            assert_eq!(notes, ["1", "2", "3"]);
        }
    }
}

/// Fails if a zone that another manager pulls loses what was forgotten in it.
#[tokio::test]
async fn a_zone_of_another_manager_is_asked_about_too() {
    let (source, live) = backed_up().await;
    let a = client(&live, "ada").await;
    a.tasks.add(&task("1", "before")).await.unwrap();
    a.sync.sync().await.unwrap();
    let backup = source.snapshot();
    a.tasks.add(&task("2", "after")).await.unwrap();
    a.notes.add(&Note { id: "n".into(), text: "after".into() }).await.unwrap();
    a.sync.sync().await.unwrap();
    let server = restored(backup).await;
    let a = moved(&a, &server).await;
    let global = a.manager().zones([Zone::Global]).transport(a.link.clone()).build().unwrap();
    assert_eq!(global.sync().await.unwrap().pull.forgotten, 1);
    let report = a.sync.sync().await.unwrap().pull;
    assert_eq!((report.reset, report.forgotten), (Some(ResetReason::History), 1));
    assert_eq!(forgotten(&a).await, ["2", "n"]);
    assert!(a.source.state("fastsync/lost").await.unwrap().is_none());
    assert_eq!(a.sync.sync().await.unwrap().pull.reset, None);
}

/// Fails if a reset by order of the user takes forgotten objects for deleted ones, or for edits.
#[tokio::test]
async fn a_hard_reset_keeps_what_was_forgotten() {
    for before in [true, false] {
        let (source, live) = backed_up().await;
        let a = client(&live, "ada").await;
        let backup = source.snapshot();
        a.tasks.add(&task("1", "x")).await.unwrap();
        a.sync.sync().await.unwrap();
        let server = restored(backup).await;
        server.tasks.add(&task("2", "y")).await.unwrap();
        let a = moved(&a, &server).await;
        if before {
            let report = a.sync.hard_reset(&[], PendingEdits::Refuse).await.unwrap();
            assert_eq!((report.reset, report.forgotten), (Some(ResetReason::History), 1));
        } else {
            a.sync.sync().await.unwrap();
        }
        a.tasks.add(&task("3", "an edit")).await.unwrap();
        a.sync.hard_reset(&[], PendingEdits::Discard).await.unwrap();
        assert_eq!(forgotten(&a).await, ["1"]);
        assert_eq!(texts(&a.tasks).await.len(), 2);
        for edits in [PendingEdits::Refuse, PendingEdits::PushFirst] {
            a.sync.hard_reset(&[], edits).await.unwrap();
        }
        assert_eq!(forgotten(&a).await, ["1"]);
        assert_eq!(texts(&a.tasks).await.len(), 2);
    }
}

/// Fails if a pull that finds out what was forgotten, and is cut off, goes on without that.
#[tokio::test]
async fn a_walk_that_is_cut_off_knows_what_was_lost() {
    for commits in 0..14 {
        let (source, live) = backed_up().await;
        let tasks: Vec<_> = (0..16).map(|n| task(&format!("{n:03}"), "before")).collect();
        live.tasks.add_many(&tasks).await.unwrap();
        let device = MemoryDataSource::new();
        let a = client_on(&live, "ada", device.clone()).await;
        a.sync.sync().await.unwrap();
        let backup = source.snapshot();
        a.tasks.add_many(&[task("lost-1", "after"), task("lost-2", "after")]).await.unwrap();
        a.sync.sync().await.unwrap();
        let server = restored(backup).await;
        server.tasks.remove(&id("003")).await.unwrap();
        let limits = PullLimits::new(3, 1 << 20);
        let hooked = Hooked::on(device.clone());
        let cut = client_behind(&server, "ada", hooked.clone(), LastWriterWins).await;
        let cut = cut.manager().transport(cut.link.clone()).pull_limits(limits).build().unwrap();
        hooked.before(Call::Commit(SessionKind::Apply), commits + 1, std::future::pending());
        drop(futures_util::FutureExt::now_or_never(cut.pull()));
        let a = client_with(&server, "ada", device, LastWriterWins, limits).await;
        a.sync.pull().await.unwrap();
        assert_eq!(forgotten(&a).await, ["lost-1", "lost-2"], "{commits}");
        assert_eq!(a.tasks.get_all().await.unwrap().len(), 17, "{commits}");
        assert_eq!(a.source.staged_batches(), 0);
        a.sync.send_forgotten(&keys(&a).await).await.unwrap();
        a.sync.sync().await.unwrap();
        assert_in_step(&a, &server).await;
    }
}

/// Fails if the device dies between learning that pushes were lost and what that means.
#[tokio::test]
async fn a_crash_at_any_commit_forgets_nothing() {
    for commits in 0..8 {
        let (source, live) = backed_up().await;
        let device = MemoryDataSource::new();
        let a = client_on(&live, "ada", device.clone()).await;
        a.tasks.add(&task("1", "before")).await.unwrap();
        a.sync.sync().await.unwrap();
        let backup = source.snapshot();
        a.tasks.add(&task("2", "after")).await.unwrap();
        a.sync.sync().await.unwrap();
        a.tasks.update(&task("2", "edited")).await.unwrap();
        let server = restored(backup).await;
        let hooked = Hooked::on(device.clone());
        let cut = client_behind(&server, "ada", hooked.clone(), LastWriterWins).await;
        hooked.before(Call::Commit(SessionKind::Apply), commits + 1, std::future::pending());
        drop(futures_util::FutureExt::now_or_never(cut.sync.sync()));
        let a = client_on(&server, "ada", device).await;
        a.sync.sync().await.unwrap();
        assert_eq!(forgotten(&a).await, ["2"], "{commits}");
        assert_eq!(a.task("2").await, Some(task("2", "edited")));
        a.sync.send_forgotten(&keys(&a).await).await.unwrap();
        a.sync.sync().await.unwrap();
        assert_in_step(&a, &server).await;
        assert_eq!(server.tasks.get_all().await.unwrap().len(), 2);
    }
}

/// Fails if more objects than a session holds can never be sent again.
#[tokio::test]
async fn any_number_of_objects_can_be_sent_again() {
    let first = server().await;
    let a = client(&first, "ada").await;
    let tasks: Vec<_> = (0..35).map(|n| task(&format!("{n:03}"), "x")).collect();
    for ten in tasks.chunks(10) {
        a.tasks.add_many(ten).await.unwrap();
    }
    a.sync.sync().await.unwrap();
    let empty = server().await;
    let a = moved(&a, &empty).await;
    a.sync.sync().await.unwrap();
    assert_eq!(forgotten(&a).await.len(), 35);
    let manager = with(&a, WhenForgotten::SendAgain);
    assert_eq!(manager.sync().await.unwrap().push.applied, 35, "also what had waited");
    assert_in_step(&a, &empty).await;
    assert_eq!(empty.tasks.get_all().await.unwrap(), tasks);
}

/// Fails if the life of an object that has ended before the backup hides that the next one was lost.
#[tokio::test]
async fn the_end_of_an_earlier_life_is_not_the_end_of_this_one() {
    for edited in [false, true] {
        let (source, live) = backed_up().await;
        let a = client(&live, "ada").await;
        a.tasks.add(&task("1", "first life")).await.unwrap();
        a.sync.sync().await.unwrap();
        a.tasks.remove(&id("1")).await.unwrap();
        a.sync.sync().await.unwrap();
        let backup = source.snapshot();
        a.tasks.add(&task("1", "second life")).await.unwrap();
        a.sync.sync().await.unwrap();
        let server = restored(backup).await;
        let a = moved(&a, &server).await;
        let text = if edited { "edited" } else { "second life" };
        if edited {
            a.tasks.update(&task("1", text)).await.unwrap();
        }
        a.sync.sync().await.unwrap();
        assert_eq!(forgotten(&a).await, ["1"]);
        assert_eq!(a.task("1").await, Some(task("1", text)));
        a.sync.send_forgotten(&keys(&a).await).await.unwrap();
        a.sync.sync().await.unwrap();
        assert_in_step(&a, &server).await;
        assert_eq!(server.tasks.get_all().await.unwrap(), [task("1", text)]);
    }
}

/// Fails if what was forgotten of a type goes because the restored server learns of the type later.
#[tokio::test]
async fn a_type_that_the_restored_server_lacks_is_asked_about_later() {
    let (source, live) = backed_up().await;
    let a = client(&live, "ada").await;
    a.tasks.add(&task("1", "before")).await.unwrap();
    a.sync.sync().await.unwrap();
    let backup = source.snapshot();
    a.tasks.add(&task("2", "after")).await.unwrap();
    a.sync.sync().await.unwrap();
    let store = Store::server(backup.clone()).register::<List>().open().await.unwrap();
    let manager = SyncManager::server(&store).register(Repository::<List>::new(&store), LastWriterWins);
    let manager = manager.zones(own_zone_policy).build().await.unwrap();
    let a = moved(&a, &ServerSide { manager, ..server().await }).await;
    assert_eq!(a.sync.sync().await.unwrap().pull.forgotten, 0);
    assert_eq!(a.tasks.get_all().await.unwrap().len(), 2);
    let a = moved(&a, &restored(backup).await).await;
    assert_eq!(a.sync.sync().await.unwrap().pull.forgotten, 1);
    assert_eq!(forgotten(&a).await, ["2"]);
    assert!(a.source.state("fastsync/lost").await.unwrap().is_none());
}

/// Fails if everything that was forgotten at once has one number: each push would read all of it at once.
#[tokio::test]
async fn what_was_forgotten_at_once_is_read_in_parts() {
    let first = server().await;
    let tasks: Vec<_> = (0..2_500).map(|n| task(&format!("{n:04}"), "x")).collect();
    first.tasks.add_many(&tasks).await.unwrap();
    let a = client(&first, "ada").await;
    a.sync.sync().await.unwrap();
    let empty = server().await;
    let a = moved(&a, &empty).await;
    assert_eq!(a.sync.sync().await.unwrap().pull.forgotten, 2_500);
    let pending = a.source.pending(0, usize::MAX >> 1).await.unwrap();
    let parts: Vec<_> = pending.chunk_by(|a, b| a.metadata.change == b.metadata.change).collect();
    assert_eq!(pending.len(), 2_500);
    assert!(parts.len() == 3 && parts.iter().all(|part| part.len() <= 1_000), "{}", parts.len());
    a.sync.send_forgotten(&keys(&a).await).await.unwrap();
    a.sync.sync().await.unwrap();
    assert_in_step(&a, &empty).await;
    assert_eq!(empty.tasks.get_all().await.unwrap(), tasks);
}
