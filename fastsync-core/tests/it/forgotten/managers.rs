//! What was forgotten, where several managers or processes share one store.

use super::*;

/// A restored server, and a device that has received a note which it has forgotten.
async fn received_and_lost() -> (ServerSide, ClientSide) {
    let (source, live) = backed_up().await;
    let (a, b) = (client(&live, "ada").await, client(&live, "ada").await);
    b.tasks.add(&task("1", "before")).await.unwrap();
    b.sync.sync().await.unwrap();
    let backup = source.snapshot();
    b.notes.add(&Note { id: "n".into(), text: "after".into() }).await.unwrap();
    b.sync.sync().await.unwrap();
    a.sync.sync().await.unwrap();
    let server = restored(backup).await;
    (server, a)
}

/// Fails if a loss that is noted for a zone is used up by a pull of some of its types: the others would be taken for deleted.
#[tokio::test]
async fn a_zone_that_was_lost_is_asked_about_with_all_its_types() {
    let (source, live) = backed_up().await;
    let a = client(&live, "ada").await;
    a.tasks.add(&task("1", "before")).await.unwrap();
    a.sync.sync().await.unwrap();
    let backup = source.snapshot();
    a.tasks.add(&task("2", "after")).await.unwrap();
    a.lists.add(&List { id: "l".into(), title: "after".into() }).await.unwrap();
    a.notes.add(&Note { id: "n".into(), text: "after".into() }).await.unwrap();
    a.sync.sync().await.unwrap();
    let server = restored(backup).await;
    let a = moved(&a, &server).await;
    let own = a.manager().zones([zone("ada")]).transport(a.link.clone()).build().unwrap();
    let global = a.manager().zones([Zone::Global]).transport(a.link.clone()).build().unwrap();
    assert_eq!(own.sync().await.unwrap().pull.forgotten, 1);
    let lists = TypeName::new("lists").unwrap();
    let report = global.hard_reset(&[lists], PendingEdits::Refuse).await.unwrap();
    assert_eq!((report.reset, report.forgotten), (Some(ResetReason::History), 2));
    global.sync().await.unwrap();
    assert_eq!(forgotten(&a).await, ["2", "l", "n"]);
    assert_eq!(a.tasks.get_all().await.unwrap().len(), 2);
    assert!(a.source.entry("fastsync/lost").await.unwrap().is_none());
}

/// Fails if the policy of a manager decides about objects of zones that it does not pull.
#[tokio::test]
async fn a_policy_decides_for_the_zones_of_its_manager() {
    let first = server().await;
    let a = client(&first, "ada").await;
    a.tasks.add(&task("1", "x")).await.unwrap();
    a.notes.add(&Note { id: "n".into(), text: "x".into() }).await.unwrap();
    a.sync.sync().await.unwrap();
    let empty = server().await;
    let a = moved(&a, &empty).await;
    a.sync.sync().await.unwrap();
    assert_eq!(forgotten(&a).await, ["1", "n"]);
    let manager = a.manager().zones([zone("ada")]).transport(a.link.clone());
    let own = manager.when_forgotten(WhenForgotten::SendAgain).build().unwrap();
    assert_eq!(own.sync().await.unwrap().push.applied, 1);
    assert_eq!(forgotten(&a).await, ["1"]);
    assert_eq!(empty.tasks.get_all().await.unwrap(), []);
}

/// Fails if a process that finds out late from where pushes go on sets their number back: one that another process has used
/// since would be used again, and the device would be taken for a copy.
#[tokio::test]
async fn a_number_that_another_process_has_used_since_is_not_used_again() {
    let (source, live) = backed_up().await;
    let hooked = Hooked::default();
    let a = client_behind(&live, "ada", hooked.clone(), LastWriterWins).await;
    a.tasks.add(&task("1", "before")).await.unwrap();
    a.sync.sync().await.unwrap();
    let backup = source.snapshot();
    for name in ["2", "3", "4"] {
        a.tasks.add(&task(name, "after")).await.unwrap();
        a.sync.sync().await.unwrap();
    }
    let server = restored(backup).await;
    let a = client_behind(&server, "ada", hooked.clone(), LastWriterWins).await;
    let other = client_on(&server, "ada", hooked.inner.clone()).await;
    hooked.before(Call::Commit(SessionKind::Apply), 1, async move {
        assert_eq!(other.sync.pull().await.unwrap().forgotten, 3);
        other.tasks.add(&task("5", "of the other process")).await.unwrap();
        assert_eq!(other.sync.push().await.unwrap().applied, 1);
    });
    ends(a.sync.pull()).await.unwrap();
    a.tasks.add(&task("6", "x")).await.unwrap();
    let report = ends(a.sync.push()).await.unwrap();
    assert_eq!((report.applied, report.forked, report.reset), (1, false, None));
    assert_eq!(forgotten(&a).await, ["2", "3", "4"]);
}

/// Fails if an edit that a reset gives up reaches the server, and never comes back, because another process sends it at the
/// same time.
#[tokio::test]
async fn a_reset_gives_nothing_up_that_another_process_sends_meanwhile() {
    for (pulled, is_new) in [(false, true), (true, true), (true, false)] {
        let server = server().await;
        let a = client(&server, "ada").await;
        let b = client_on(&server, "ada", a.source.clone()).await;
        if pulled {
            a.tasks.add(&task("1", "start")).await.unwrap();
            a.sync.sync().await.unwrap();
        }
        if is_new {
            a.tasks.add(&task("2", "given up")).await.unwrap();
        } else {
            a.tasks.update(&task("1", "given up")).await.unwrap();
        }
        a.link.meanwhile(async move {
            b.link.fail_next(Fault::DropRequest);
            b.sync.push().await.unwrap_err();
        });
        let error = ends(a.sync.hard_reset(&[], PendingEdits::Discard)).await.unwrap_err();
        assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Contention, true));
        assert_eq!(a.pending().await, 1, "nothing is given up yet");
        ends(a.sync.hard_reset(&[], PendingEdits::Discard)).await.unwrap();
        ends(a.sync.sync()).await.unwrap();
        assert_in_step(&a, &server).await;
        assert!(server.tasks.get_all().await.unwrap().iter().all(|task| task.text == "start"));
    }
}

/// Fails if a session that was made of edits which a reset has given up since is stored after it.
#[tokio::test]
async fn what_a_reset_has_given_up_is_not_sent() {
    let server = server().await;
    let source = Hooked::default();
    let b = client_behind(&server, "ada", source.clone(), LastWriterWins).await;
    let a = client_on(&server, "ada", source.inner.clone()).await;
    a.sync.sync().await.unwrap();
    a.tasks.add(&task("1", "given up")).await.unwrap();
    let other = a.clone();
    // The session is made, and not stored yet.
    source.before(Call::Commit(SessionKind::Apply), 1, async move {
        other.sync.hard_reset(&[], PendingEdits::Discard).await.unwrap();
    });
    assert_eq!(ends(b.sync.push()).await.unwrap_err().kind(), ErrorKind::Contention);
    ends(b.sync.sync()).await.unwrap();
    assert_in_step(&a, &server).await;
    assert_eq!(server.tasks.get_all().await.unwrap(), []);
}

/// Fails if only the zones of the manager that pushes are asked about: its push carries edits of all of them.
#[tokio::test]
async fn an_edit_that_another_manager_sends_is_kept_with_what_was_forgotten() {
    let (server, a) = received_and_lost().await;
    let a = moved(&a, &server).await;
    a.notes.update(&Note { id: "n".into(), text: "edited".into() }).await.unwrap();
    let global = a.manager().zones([Zone::Global]).transport(a.link.clone()).build().unwrap();
    assert_eq!(global.sync().await.unwrap().push.conflicts, []);
    assert_eq!(forgotten(&a).await, ["n"]);
    a.sync.sync().await.unwrap();
    let notes = a.notes.get_all().await.unwrap();
    assert_eq!(notes.iter().map(|note| note.text.as_str()).collect::<Vec<_>>(), ["edited"]);
}

/// Fails if a reset by one manager drops the place of a zone that another one pulls, by which its loss would be noticed.
#[tokio::test]
async fn a_reset_asks_about_the_zones_of_other_managers() {
    let (server, a) = received_and_lost().await;
    server.tasks.add(&task("2", "new")).await.unwrap();
    let a = moved(&a, &server).await;
    let global = a.manager().zones([Zone::Global]).transport(a.link.clone()).build().unwrap();
    let report = global.hard_reset(&[], PendingEdits::Refuse).await.unwrap();
    assert_eq!((report.reset, report.forgotten), (None, 0), "its own zone is whole");
    assert_eq!(a.sync.sync().await.unwrap().pull.forgotten, 1);
    assert_eq!(forgotten(&a).await, ["n"]);
    assert!(a.source.entry("fastsync/lost").await.unwrap().is_none());
}
