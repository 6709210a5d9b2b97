//! What was forgotten in which zones, in whatever walk it is found out, and how much of it.

use super::*;

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
        server.store.source().purge_tombstones(&zone("ada"), Position(head)).await.unwrap();
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
    assert!(a.source.entry("fastsync/lost").await.unwrap().is_none());
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
    assert!(a.source.entry("fastsync/lost").await.unwrap().is_none());
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
    let pending = a.source.pending_after(0, usize::MAX >> 1).await.unwrap();
    let parts: Vec<_> = pending.chunk_by(|a, b| a.metadata.change == b.metadata.change).collect();
    assert_eq!(pending.len(), 2_500);
    assert!(parts.len() == 3 && parts.iter().all(|part| part.len() <= 1_000), "{}", parts.len());
    a.sync.send_forgotten(&keys(&a).await).await.unwrap();
    a.sync.sync().await.unwrap();
    assert_in_step(&a, &empty).await;
    assert_eq!(empty.tasks.get_all().await.unwrap(), tasks);
}

/// Fails if only the first zone is asked about where it has something new.
#[tokio::test]
async fn a_loss_in_any_zone_is_noticed() {
    for edited in [false, true] {
        let (source, live) = backed_up().await;
        let (a, b) = (client(&live, "ada").await, client(&live, "ada").await);
        b.tasks.add(&task("1", "before")).await.unwrap();
        b.notes.add(&Note { id: "1".into(), text: "before".into() }).await.unwrap();
        b.sync.sync().await.unwrap();
        let backup = source.snapshot();
        b.notes.add(&Note { id: "n".into(), text: "after".into() }).await.unwrap();
        b.sync.sync().await.unwrap();
        a.sync.sync().await.unwrap();
        let server = restored(backup).await;
        server.tasks.add(&task("2", "new")).await.unwrap();
        let a = moved(&a, &server).await;
        if edited {
            a.notes.update(&Note { id: "n".into(), text: "edited".into() }).await.unwrap();
            a.sync.sync().await.unwrap();
        } else {
            let report = a.sync.hard_reset(&[], PendingEdits::Refuse).await.unwrap();
            assert_eq!((report.reset, report.forgotten), (Some(ResetReason::History), 1));
        }
        assert_eq!(forgotten(&a).await, ["n"], "{edited}");
        assert_eq!(a.notes.get_all().await.unwrap().len(), 2);
    }
}

/// Fails if a store is called in step that knows that the server has lost pushes.
#[tokio::test]
async fn a_loss_that_is_not_looked_into_is_not_in_step() {
    let (source, live) = backed_up().await;
    let a = client(&live, "ada").await;
    a.tasks.add(&task("1", "before")).await.unwrap();
    a.sync.sync().await.unwrap();
    let backup = source.snapshot();
    a.tasks.add(&task("2", "after")).await.unwrap();
    a.sync.push().await.unwrap();
    let server = restored(backup).await;
    let a = moved(&a, &server).await;
    a.tasks.add(&task("3", "unsent")).await.unwrap();
    let link = a.link.clone();
    a.link.meanwhile(async move { link.fail_next(Fault::DropRequest) });
    a.sync.push().await.unwrap_err();
    let key = a.record("3").await.unwrap().key;
    assert_eq!(a.sync.discard_pending(&[key]).await.unwrap(), 1);
    let status = a.sync.status().await.unwrap();
    assert_eq!((status.pending, status.push_in_flight, status.in_step), (0, false, false));
    a.sync.sync().await.unwrap();
    assert_eq!(forgotten(&a).await, ["2"]);
}

/// A type that no client asks for: the server reads the others by name.
#[derive(Debug, Clone, PartialEq, SyncableObject)]
#[syncable(name = "extras")]
struct Extra {
    #[syncable(id)]
    id: String,
}

/// A server whose first answers are those of an earlier release.
#[derive(Debug)]
struct Upgraded {
    before: LoopbackTransport,
    after: LoopbackTransport,
    left: AtomicUsize,
}

#[async_trait::async_trait]
impl Transport for Upgraded {
    async fn push(&self, request: &Outgoing) -> Result<protocol::PushReply> {
        self.after.push(request).await
    }
    async fn pull(&self, request: &protocol::PullRequest) -> Result<PullAnswer> {
        let is_before = |left: usize| left.checked_sub(1);
        match self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, is_before) {
            Ok(_) => self.before.pull(request).await,
            Err(_) => self.after.pull(request).await,
        }
    }
}

/// Fails if a type counts as fetched that the server has learned of in the middle of the pull.
#[tokio::test]
async fn a_type_that_a_server_learns_of_in_the_middle_of_a_pull_comes_whole() {
    let (source, live) = backed_up().await;
    live.tasks.add_many(&[task("1", "x"), task("2", "y")]).await.unwrap();
    let list = List { id: "l".into(), title: "t".into() };
    Repository::<List>::new(&live.store).add(&list).await.unwrap();
    let store =
        Store::server(source).register::<List>().register::<Note>().register::<Extra>().open().await.unwrap();
    let manager = SyncManager::server(&store)
        .register(Repository::<List>::new(&store), LastWriterWins)
        .register(Repository::<Note>::in_zone(&store, zone("any")), LastWriterWins)
        .register(Repository::<Extra>::new(&store), LastWriterWins);
    let manager = manager.zones(own_zone_policy).build().await.unwrap();
    let earlier = ServerSide { manager, ..server().await };
    let a = client(&earlier, "ada").await;
    a.sync.sync().await.unwrap();
    let over = |server: &ServerSide| LoopbackTransport::new(server.manager.clone(), SyncContext::new("ada"));
    let upgraded = Upgraded { before: over(&earlier), after: over(&live), left: AtomicUsize::new(1) };
    let manager = a.manager().transport(upgraded).build().unwrap();
    let types = ["tasks", "lists"].map(|name| TypeName::new(name).unwrap());
    manager.hard_reset(&types, PendingEdits::Refuse).await.unwrap();
    manager.sync().await.unwrap();
    assert_in_step(&a, &live).await;
    assert_eq!(a.tasks.get_all().await.unwrap().len(), 2);
}
