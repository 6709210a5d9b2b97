//! The server's clock and those of its devices.

use std::time::Duration;

use crate::support::by_hand::*;
use crate::support::*;
use fastsync_core::*;

/// What the server's clock shows.
const NOW: u64 = 1_000_000;

fn ada() -> SyncContext {
    SyncContext::new("ada")
}

/// Fails if the drift is off by a millisecond either way, or if edits from the past are refused.
#[tokio::test]
async fn an_edit_is_dated_as_far_ahead_as_the_drift_and_no_further() {
    for drift in [0, 1, 300_000] {
        let limits = ServerLimits::default().with_clock_drift(Duration::from_millis(drift));
        let server = serve(MemoryDataSource::new(), LastWriterWins, own_zone_policy, limits).await;
        let mut device = Device::new(1);
        let last = Hlc::new(Timestamp::from_millis(NOW + drift), u16::MAX);
        let mut rows = vec![new_row("past", 0), new_row("now", NOW), new_row("ahead", NOW + drift)];
        rows[2].3 = last;
        assert_eq!(told(&server.receipt(&ada(), device.push(tasks(rows))).await), [], "{drift}");

        let push = device.push(tasks(vec![new_row("fine", NOW), new_row("beyond", NOW + drift + 1)]));
        let error = server.manager.process_push(&ada(), push.clone()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ClockSkew, "{drift}");
        assert_eq!(server.sessions(&Zone::Global).await.len(), 1, "{drift}: nothing is changed");
        assert!(server.record("fine").await.is_none());
        // The same push is taken once its time has come.
        server.clock.advance(1);
        assert_eq!(told(&server.receipt(&ada(), push).await), [], "{drift}");
    }
}

/// Fails if the largest drift, or a clock near the end of time, overflows.
#[tokio::test]
async fn the_largest_drift_accepts_every_time() {
    for (drift, now) in
        [(Duration::MAX, NOW), (Duration::from_millis(u64::MAX), u64::MAX), (Duration::ZERO, u64::MAX)]
    {
        let limits = ServerLimits::default().with_clock_drift(drift);
        let server = serve(MemoryDataSource::new(), LastWriterWins, own_zone_policy, limits).await;
        server.clock.set(now);
        let mut row = new_row("1", NOW);
        row.3 = Hlc::MAX;
        assert_eq!(told(&server.receipt(&ada(), Device::new(1).push(tasks(vec![row]))).await), []);
    }
}

/// Fails if the clock of a push is not observed.
#[tokio::test]
async fn the_servers_own_edit_is_later_than_what_was_pushed_before() {
    let server = server().await;
    let mut device = Device::new(1);
    server.receipt(&ada(), device.push(tasks(vec![new_row("1", NOW + 200_000), new_row("2", 5)]))).await;
    server.tasks.add(&task("another", "of the server's")).await.unwrap();
    let [pushed, own] = [server.record("1").await.unwrap(), server.record("another").await.unwrap()];
    assert!(own.metadata.modified_at > pushed.metadata.modified_at);
}

/// Fails if an edit may be dated before the version that it replaces: after a restart, in another process, or
/// once the clock went back.
#[tokio::test]
async fn an_edit_is_later_than_the_version_that_it_replaces() {
    let source = MemoryDataSource::new();
    let first = server_on(source.clone(), LastWriterWins).await;
    let other = server_on(source.clone(), LastWriterWins).await;
    first.receipt(&ada(), Device::new(1).push(tasks(vec![new_row("1", NOW + 200_000)]))).await;
    let mut last = first.record("1").await.unwrap().metadata.modified_at;
    let restarted = server_on(source, LastWriterWins).await;
    for server in [&other, &restarted, &first] {
        server.clock.set(10);
        server.tasks.update(&task("1", "of the server's")).await.unwrap();
        let edited = server.record("1").await.unwrap().metadata.modified_at;
        assert!(edited > last, "{edited:?} is not after {last:?}");
        last = edited;
    }
}

/// Fails if the server's times jump back with its clock, or if it stops working then.
#[tokio::test]
async fn a_clock_that_goes_back_stops_nothing() {
    let server = server().await;
    let mut device = Device::new(1);
    server.receipt(&ada(), device.push(tasks(vec![new_row("1", NOW)]))).await;
    server.tasks.add(&task("2", "x")).await.unwrap();
    server.clock.set(10);
    server.tasks.add(&task("3", "x")).await.unwrap();
    let [before, after] = [server.record("2").await.unwrap(), server.record("3").await.unwrap()];
    assert!(after.metadata.modified_at > before.metadata.modified_at);
    // Positions are what a pull goes by.
    server.receipt(&ada(), device.push(tasks(vec![new_row("4", 10)]))).await;
    let pages = server.pages(&ada(), device.pull([Zone::Global])).await;
    assert_eq!(pages.iter().flat_map(|page| ids(&page.payload)).count(), 4);
    assert_eq!(pages[0].server_time.as_millis(), 10);
    let times: Vec<_> =
        server.sessions(&Zone::Global).await.into_iter().map(|s| s.committed_at.as_millis()).collect();
    assert_eq!(times, [NOW, NOW, 10, 10]);
}

/// Fails if a tie of two times is not broken by device, or broken the other way round, or if the counter of a
/// time does not count.
#[tokio::test]
async fn the_later_edit_wins_whatever_the_order_of_arrival_and_ties_go_by_device() {
    let at = |millis, counter| Hlc::new(Timestamp::from_millis(millis), counter);
    for (one, two, winner) in [
        (at(NOW, 3), at(NOW, 3), "2"),
        (at(NOW, 4), at(NOW, 3), "1"),
        (at(NOW, 3), at(NOW, 4), "2"),
        (at(NOW, 0), at(NOW - 1, u16::MAX), "1"),
    ] {
        for order in [[1, 2], [2, 1]] {
            let server = server_with(TimestampOrdering).await;
            for number in order {
                let text = number.to_string();
                let mut row = row(&task("shared", &text), Revision::NONE, 0);
                row.3 = if number == 1 { one } else { two };
                let receipt = server.receipt(&ada(), Device::new(number).push(tasks(vec![row]))).await;
                let has_lost = order[1] == number && winner != text;
                assert_eq!(
                    told(&receipt) == [("shared", "superseded")],
                    has_lost,
                    "{one:?} {two:?} {order:?}"
                );
            }
            let stored = server.tasks.find_by_id(&id("shared")).await.unwrap().unwrap();
            assert_eq!(stored.text, winner, "{one:?} {two:?} {order:?}");
        }
    }
}
