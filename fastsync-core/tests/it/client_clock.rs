//! The time of an edit: later than everything that its device has seen, whatever its own clock says, over restarts too.

use crate::support::*;
use fastsync_core::*;

/// How far a clock is ahead of the others, which stand still at 1,000,000.
const AHEAD: u64 = 60_000;

async fn edited_at(client: &ClientSide, name: &str) -> Hlc {
    client.record(name).await.unwrap().metadata.modified_at
}

/// The store as it is on disk, opened by a process whose clock stands at 1,000,000.
async fn restarted(server: &ServerSide, client: &ClientSide) -> ClientSide {
    client_on(server, "ada", client.source.snapshot()).await
}

/// A client with pages of one record, and one whose clock is ahead; both have three tasks.
async fn two_clocks() -> (ServerSide, ClientSide, ClientSide) {
    let server = server_with(ServerWins).await;
    let limits = PullLimits::new(1, 1 << 20);
    let a = client_with(&server, "ada", MemoryDataSource::new(), LastWriterWins, limits).await;
    let ahead = client(&server, "bob").await;
    server.tasks.add_many(&[task("1", "x"), task("2", "x"), task("3", "x")]).await.unwrap();
    for side in [&a, &ahead] {
        side.sync.sync().await.unwrap();
    }
    ahead.clock.advance(AHEAD);
    (server, a, ahead)
}

/// How a device learns of an edit from the future.
#[derive(Debug, Clone, Copy)]
enum Seen {
    Update,
    Deletion,
    /// On a page before others, of earlier edits.
    OnAnEarlierPage,
    WithAReset,
    /// As what the server has instead of an edit of its own.
    InTheAnswerToAPush,
}

/// Fails if the time of a pulled record, of any page of it, or of a receipt is not observed, or not stored.
#[tokio::test]
async fn an_edit_is_later_than_everything_that_came_before_it() {
    for seen in
        [Seen::Update, Seen::Deletion, Seen::OnAnEarlierPage, Seen::WithAReset, Seen::InTheAnswerToAPush]
    {
        let (server, a, ahead) = two_clocks().await;
        match seen {
            Seen::Deletion => assert!(ahead.tasks.remove(&id("1")).await.unwrap()),
            _ => ahead.tasks.update(&task("1", "from the future")).await.unwrap(),
        }
        ahead.sync.push().await.unwrap();
        let newest = edited_at(&ahead, "1").await;
        assert!(newest.timestamp().as_millis() >= 1_000_000 + AHEAD);
        match seen {
            Seen::Update | Seen::Deletion => drop(a.sync.pull().await.unwrap()),
            Seen::OnAnEarlierPage => {
                server.tasks.update(&task("2", "now")).await.unwrap();
                let behind = client(&server, "eve").await;
                behind.tasks.add(&task("4", "now")).await.unwrap();
                behind.sync.push().await.unwrap();
                assert_eq!(a.sync.pull().await.unwrap().received, 3);
            }
            Seen::WithAReset => drop(a.sync.hard_reset(&[], PendingEdits::Refuse).await.unwrap()),
            Seen::InTheAnswerToAPush => {
                a.tasks.update(&task("1", "gives way")).await.unwrap();
                let conflicts = a.sync.push().await.unwrap().conflicts;
                assert_eq!(conflicts[0].settlement, Settlement::KeptServer);
            }
        }
        let restarted = restarted(&server, &a).await;
        for side in [&a, &restarted] {
            side.tasks.update(&task("3", "later")).await.unwrap();
            assert!(edited_at(side, "3").await > newest, "{seen:?}");
        }
    }
}

/// Fails if a local edit does not store the clock.
#[tokio::test]
async fn edits_go_forward_while_the_clock_jumps_and_the_process_restarts() {
    let server = server().await;
    let mut a = client(&server, "ada").await;
    let mut last = Hlc::default();
    for (n, millis) in
        [1_000_000, 5_000_000, 10, 0, 4_999_999, 5_000_000, 7_000_000, 1].into_iter().enumerate()
    {
        a.clock.set(millis);
        let name = n.to_string();
        a.tasks.add(&task(&name, "x")).await.unwrap();
        let at = edited_at(&a, &name).await;
        assert!(at > last, "edit {n}");
        assert!(at.timestamp().as_millis() >= millis, "edit {n}");
        last = at;
        if n % 2 == 1 {
            a = restarted(&server, &a).await;
        }
    }
}

/// Fails if an edit looks at the clock of its process only.
#[tokio::test]
async fn an_edit_is_later_than_what_it_edits_though_another_process_received_that() {
    let (server, a, ahead) = two_clocks().await;
    let other = client_on(&server, "ada", a.source.clone()).await;
    ahead.tasks.update(&task("1", "from the future")).await.unwrap();
    ahead.sync.push().await.unwrap();
    other.sync.pull().await.unwrap();
    a.tasks.update(&task("1", "later")).await.unwrap();
    assert!(edited_at(&a, "1").await > edited_at(&ahead, "1").await);
}

/// The one who knew of an edit from the future beats it, and so beats who did not and came later by his own clock.
#[tokio::test]
async fn an_edit_that_knew_of_another_one_wins_where_that_one_would() {
    for a_is_first in [true, false] {
        let server = server_with(TimestampOrdering).await;
        let mut sides = Vec::new();
        for user in ["ada", "bob", "eve"] {
            let source = MemoryDataSource::new();
            sides.push(client_with(&server, user, source, TimestampOrdering, PullLimits::default()).await);
        }
        let [a, ahead, between] = &sides[..] else { panic!("three") };
        server.tasks.add(&task("1", "start")).await.unwrap();
        for side in &sides {
            side.sync.sync().await.unwrap();
        }
        ahead.clock.advance(AHEAD);
        between.clock.advance(AHEAD / 2);
        ahead.tasks.update(&task("1", "from the future")).await.unwrap();
        ahead.sync.sync().await.unwrap();
        between.tasks.update(&task("1", "knew of nothing")).await.unwrap();
        a.sync.sync().await.unwrap();
        a.tasks.update(&task("1", "knew of it")).await.unwrap();
        let order = if a_is_first { [a, between] } else { [between, a] };
        for side in order.into_iter().chain(&sides) {
            side.sync.sync().await.unwrap();
        }
        for tasks in sides.iter().map(|side| &side.tasks).chain([&server.tasks]) {
            assert_eq!(tasks.get_all().await.unwrap(), [task("1", "knew of it")]);
        }
    }
}

/// Fails if what was merged keeps the time of the local edit: it would lose against what it contains.
#[tokio::test]
async fn what_a_pull_merged_is_an_edit_of_this_device_and_later_than_both() {
    let server = server().await;
    let both = PredefinedRules::<Task>::new(|_| Ok(Resolution::Merged(task("1", "both"))));
    let a = client_with(&server, "ada", MemoryDataSource::new(), both, PullLimits::default()).await;
    let ahead = client(&server, "bob").await;
    server.tasks.add(&task("1", "start")).await.unwrap();
    a.sync.sync().await.unwrap();
    ahead.sync.sync().await.unwrap();
    ahead.clock.advance(AHEAD);
    ahead.tasks.update(&task("1", "theirs")).await.unwrap();
    ahead.sync.sync().await.unwrap();
    a.tasks.update(&task("1", "mine")).await.unwrap();
    let mine = edited_at(&a, "1").await;
    assert_eq!(a.sync.pull().await.unwrap().conflicts[0].settlement, Settlement::Merged);
    assert_eq!(a.task("1").await, Some(task("1", "both")));
    let merged = a.record("1").await.unwrap().metadata;
    assert!(merged.modified_at > mine.max(edited_at(&ahead, "1").await));
    assert_eq!(merged.modified_by, a.store.device());
}

fn side(at: u64, by: u128) -> Version<Task> {
    let by = DeviceId::from_uuid(uuid::Uuid::from_u128(by));
    Version::new(None, Hlc::new(Timestamp::from_millis(at), 0), by)
}

/// Both ends decide alike, and so do this version and any other: the greater time, then the greater device. Fails if the
/// device is ignored, or compared the other way round.
#[tokio::test]
async fn timestamp_ordering_takes_the_greater_time_and_then_the_greater_device() {
    let table = [
        ((2, 1), (1, 2), Resolution::Client),
        ((1, 2), (2, 1), Resolution::Server),
        ((1, 2), (1, 1), Resolution::Client),
        ((1, 1), (1, 2), Resolution::Server),
        ((1, 1 << 120), (1, u64::MAX.into()), Resolution::Client),
        // The same edit: nothing to take.
        ((1, 1), (1, 1), Resolution::Server),
    ];
    for (client, server, expected) in table {
        let versions = (side(server.0, server.1), side(client.0, client.1));
        let conflict = ObjectConflict::new(Zone::Global, id("1"), versions.0, versions.1);
        assert_eq!(TimestampOrdering.resolve(conflict).await.unwrap(), expected, "{client:?} {server:?}");
    }
}

#[tokio::test]
async fn edits_of_one_moment_end_alike_whoever_comes_first() {
    for greater_is_first in [true, false] {
        for pull_before_push in [true, false] {
            let server = server_with(TimestampOrdering).await;
            let mut sides = Vec::new();
            for user in ["ada", "bob"] {
                let source = MemoryDataSource::new();
                sides
                    .push(client_with(&server, user, source, TimestampOrdering, PullLimits::default()).await);
            }
            server.tasks.add(&task("1", "start")).await.unwrap();
            sides.sort_by_key(|side| side.store.device());
            let [lesser, greater] = &sides[..] else { panic!("two") };
            for (side, text) in [(lesser, "lesser"), (greater, "greater")] {
                side.sync.sync().await.unwrap();
                side.clock.set(2_000_000);
                side.tasks.update(&task("1", text)).await.unwrap();
            }
            assert_eq!(edited_at(lesser, "1").await, edited_at(greater, "1").await);
            server.clock.set(2_000_000);
            let [first, second] = if greater_is_first { [greater, lesser] } else { [lesser, greater] };
            first.sync.sync().await.unwrap();
            if pull_before_push {
                second.sync.pull().await.unwrap();
            }
            second.sync.sync().await.unwrap();
            first.sync.sync().await.unwrap();
            for tasks in [&server.tasks, &first.tasks, &second.tasks] {
                assert_eq!(tasks.get_all().await.unwrap(), [task("1", "greater")]);
            }
        }
    }
}
