//! Clocks that are wrong by days and years: edits arrive all the same, in the order in which they were made.

use crate::support::*;
use fastsync_core::*;

const DAY: u64 = 86_400_000;
const YEAR: u64 = 365 * DAY;
/// 2026-01-01.
const NOW: u64 = 1_767_225_600_000;

async fn world() -> (ServerSide, ClientSide) {
    let server = server().await;
    server.clock.set(NOW);
    let a = client(&server, "ada").await;
    a.clock.set(NOW);
    (server, a)
}

/// When the server's record of a task was made.
async fn dated(server: &ServerSide, name: &str) -> Hlc {
    stored(&**server.store.source(), name).await.unwrap().metadata.modified_at
}

/// The names of all tasks of the server, in the order in which they were made.
async fn in_order(server: &ServerSide) -> Vec<String> {
    let mut dated_names = Vec::new();
    for task in server.tasks.get_all().await.unwrap() {
        dated_names.push((dated(server, &task.id).await, task.id));
    }
    dated_names.sort();
    dated_names.into_iter().map(|(_, name)| name).collect()
}

/// Fails if a device that was ahead for a moment can never push again, or pushes its edits in another order.
#[tokio::test]
async fn edits_from_a_clock_that_was_ahead_arrive_in_order() {
    for is_right_again in [true, false] {
        for ahead in [DAY, YEAR, 80 * YEAR, u64::MAX / 2] {
            let (server, a) = world().await;
            server.tasks.add(&task("theirs", "x")).await.unwrap();
            a.tasks.add(&task("0", "on time")).await.unwrap();
            a.clock.set(NOW.saturating_add(ahead));
            a.tasks.add(&task("1", "ahead")).await.unwrap();
            a.tasks.add_many(&[task("2", "together"), task("3", "together")]).await.unwrap();
            a.tasks.update(&task("1", "again")).await.unwrap();
            if is_right_again {
                a.clock.set(NOW);
            }
            a.tasks.add(&task("4", "last")).await.unwrap();
            let report = a.sync.sync().await.unwrap();
            assert_eq!(
                (report.push.applied, report.push.redated, report.push.rejected),
                (5, 4, 0),
                "{ahead}"
            );
            assert_eq!(a.task("theirs").await, Some(task("theirs", "x")));
            assert_eq!(a.pending().await, 0);
            let order: Vec<_> = in_order(&server).await.into_iter().filter(|name| name != "theirs").collect();
            assert_eq!(order, ["0", "2", "3", "1", "4"], "{ahead}");
            assert_eq!(dated(&server, "2").await, dated(&server, "3").await, "one local commit");
            assert!(dated(&server, "4").await.timestamp().as_millis() <= NOW + 300_000);
            assert_eq!(a.record("4").await.unwrap().metadata.modified_at, dated(&server, "4").await);

            // From then on nothing is dated anew unless the clock is still wrong.
            a.tasks.add(&task("5", "x")).await.unwrap();
            let report = a.sync.push().await.unwrap();
            assert_eq!((report.applied, report.redated), (1, u64::from(!is_right_again)), "{ahead}");
            let restarted = client_on(&server, "ada", a.source.clone()).await;
            restarted.clock.set(NOW);
            restarted.tasks.add(&task("6", "x")).await.unwrap();
            let report = restarted.sync.push().await.unwrap();
            assert_eq!((report.applied, report.redated), (1, 0), "{ahead}: the stored clock is back too");
        }
    }
}

/// Fails if a clock that shows the past stops anything.
#[tokio::test]
async fn edits_from_a_clock_that_is_behind_arrive() {
    for clock in [0, 1, NOW - YEAR, NOW - DAY] {
        let (server, a) = world().await;
        a.tasks.add(&task("0", "on time")).await.unwrap();
        a.clock.set(clock);
        a.tasks.add(&task("1", "behind")).await.unwrap();
        assert_eq!(a.sync.sync().await.unwrap().push.applied, 2, "{clock}");
        a.tasks.update(&task("0", "behind")).await.unwrap();
        a.clock.set(NOW + 1);
        a.tasks.add(&task("2", "on time")).await.unwrap();
        let report = a.sync.sync().await.unwrap().push;
        assert_eq!((report.applied, report.redated), (2, 0), "{clock}");
        assert_eq!(in_order(&server).await, ["1", "0", "2"], "{clock}");
    }
}

/// Fails if a push in flight is dated anew while it may still arrive as it was sent.
#[tokio::test]
async fn a_clock_that_jumps_while_a_push_is_in_flight_stops_nothing() {
    for fault in [Fault::DropRequest, Fault::LoseReply] {
        let (server, a) = world().await;
        a.clock.set(NOW + DAY);
        // It arrives only if the server's clock is ahead as well.
        if fault == Fault::LoseReply {
            server.clock.set(NOW + DAY);
        }
        a.tasks.add(&task("1", "x")).await.unwrap();
        a.link.fail_next(fault);
        a.sync.push().await.unwrap_err();
        let sent = a.link.pushes.lock().unwrap()[0].clone();
        a.clock.set(NOW);
        server.clock.set(NOW);
        a.tasks.add(&task("2", "x")).await.unwrap();
        let report = a.sync.sync().await.unwrap().push;
        assert_eq!((report.applied, report.rejected), (2, 0), "{fault:?}");
        if fault == Fault::DropRequest {
            assert_eq!(in_order(&server).await, ["1", "2"]);
        }
        let sessions = server.sessions(&Zone::Global).await;
        let delayed = server.manager.process_push(&SyncContext::new("ada"), sent).await.unwrap();
        assert_eq!(
            matches!(delayed, protocol::PushReply::Voided { .. }),
            fault == Fault::DropRequest,
            "{delayed:?}"
        );
        assert_eq!(server.sessions(&Zone::Global).await, sessions, "it changes nothing");
    }
}

/// Fails if the times of a server that was wrong for a while make its devices unable to push.
#[tokio::test]
async fn a_server_whose_clock_was_wrong_for_a_while_stops_nobody() {
    for wrong in [NOW + YEAR, NOW + DAY, NOW - DAY, 0] {
        let (server, a) = world().await;
        server.tasks.add(&task("shared", "start")).await.unwrap();
        a.sync.sync().await.unwrap();
        server.clock.set(wrong);
        server.tasks.update(&task("shared", "theirs")).await.unwrap();
        a.tasks.add(&task("1", "while it is wrong")).await.unwrap();
        a.sync.sync().await.unwrap();
        server.clock.set(NOW + 2);
        a.clock.set(NOW + 2);
        a.tasks.update(&task("shared", "mine")).await.unwrap();
        a.tasks.add(&task("2", "after")).await.unwrap();
        a.sync.sync().await.unwrap();
        assert_eq!((a.pending().await, a.task("shared").await), (0, Some(task("shared", "mine"))), "{wrong}");
        assert_eq!(server.tasks.get_all().await.unwrap().len(), 3);
        let later = dated(&server, "2").await.timestamp().as_millis();
        assert!(later <= NOW + 2 + 300_000, "{wrong}: {later}");
    }
}

/// Fails if an edit that was refused before comes back, or is counted as sent, because its time changed.
#[tokio::test]
async fn a_refused_edit_that_is_dated_anew_stays_refused() {
    let server = strict_server().await;
    server.clock.set(NOW);
    let a = client(&server, "ada").await;
    a.clock.set(NOW);
    a.tasks.add(&task("1", "bad")).await.unwrap();
    a.sync.push().await.unwrap();
    a.clock.set(NOW + DAY);
    a.tasks.add(&task("2", "good")).await.unwrap();
    a.tasks.update(&task("1", "good")).await.unwrap();
    a.tasks.add(&task("3", "bad")).await.unwrap();
    let report = a.sync.push().await.unwrap();
    assert_eq!((report.applied, report.rejected, report.redated), (2, 1, 3));
    let pushes = a.link.pushes.lock().unwrap().len();
    assert_eq!(a.sync.push().await.unwrap().sessions, 0, "nothing is sent again");
    assert_eq!(a.link.pushes.lock().unwrap().len(), pushes);
    assert_eq!(a.sync.rejected().await.unwrap()[0].key.id, id("3"));
}
