//! Every limit of a server: what is at it is accepted, what is one over it is refused by kind, and nothing is
//! changed.

use crate::support::by_hand::*;
use crate::support::*;
use fastsync_core::protocol::Row;
use fastsync_core::*;

async fn limited(limits: ServerLimits) -> ServerSide {
    let everything = |_: &SyncContext| {
        (0..1_000).fold(ZoneAccess::none().read_write(Zone::Global), |access, n| access.read_write(team(n)))
    };
    serve(MemoryDataSource::new(), LastWriterWins, everything, limits).await
}

/// The zone of a team, with a key as long as keys may be.
fn team(number: usize) -> Zone {
    zone(&format!("{number:0>128}"))
}

fn ada() -> SyncContext {
    SyncContext::new("ada")
}

fn note(id: &str) -> Row {
    row(&Note { id: id.into(), text: "x".repeat(100) }, Revision::NONE, 1)
}

/// What the records take that a push of these tasks stores.
async fn stored_bytes(rows: &[Row]) -> usize {
    let server = server().await;
    server.receipt(&ada(), Device::new(1).push(tasks(rows.to_vec()))).await;
    let query = Query::all(type_name("tasks"), Zone::Global);
    server.store.source().find(&query).await.unwrap().records.iter().map(Record::approximate_bytes).sum()
}

/// Fails if the records or the bytes of a session are not limited, or if the limit itself is refused.
#[tokio::test]
async fn a_session_is_as_large_as_the_limits_say_and_no_larger() {
    let rows: Vec<Row> = ["a", "b", "c"].map(|name| new_row(name, 1)).into();
    let bytes = stored_bytes(&rows).await;
    for (limits, is_accepted) in [
        (SessionLimits::new(3, bytes), true),
        (SessionLimits::new(2, bytes), false),
        (SessionLimits::new(3, bytes - 1), false),
    ] {
        let server = limited(ServerLimits::default().with_session(limits)).await;
        let mut device = Device::new(1);
        let answer = server.manager.process_push(&ada(), device.push(tasks(rows.clone()))).await;
        if is_accepted {
            answer.unwrap();
            assert_eq!(server.tasks.get_all().await.unwrap().len(), 3);
            continue;
        }
        assert_eq!(answer.unwrap_err().kind(), ErrorKind::TooLarge, "{limits:?}");
        assert!(server.sessions(&Zone::Global).await.is_empty(), "{limits:?}: nothing is changed");
        // The number is not used up: the device cuts the session smaller.
        device.pushed = 0;
        let smaller = server.receipt(&ada(), device.push(tasks(rows[..2].to_vec()))).await;
        assert_eq!(told(&smaller), [], "{limits:?}");
    }
}

/// Fails if the number of zones is not limited.
#[tokio::test]
async fn a_pull_names_as_many_zones_as_the_limits_say_and_no_more() {
    let mut limits = ServerLimits::default();
    limits.zones = 2;
    let server = limited(limits).await;
    let device = Device::new(1);
    assert!(server.page(&ada(), device.pull([Zone::Global, team(0)])).await.caught_up);
    let error = server.manager.process_pull(&ada(), device.pull((0..3).map(team))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

/// Fails if the cursors that a server gives are longer than those that it takes.
#[tokio::test]
async fn a_cursor_over_all_the_zones_that_are_allowed_is_taken_back() {
    let mut limits = ServerLimits::default();
    limits.zones = 1_000;
    let server = limited(limits).await;
    let mut device = Device::new(1);
    server.receipt(&ada(), device.push(vec![group(team(0), "notes", vec![note("1")])])).await;
    let mut pull = device.pull((0..1_000).map(team));
    let page = server.page(&ada(), pull.clone()).await;
    assert_eq!(page.payload.len(), 1);
    pull.cursor = Some(page.cursor);
    assert!(server.page(&ada(), pull).await.payload.is_empty());
}

/// Fails if what a client asks for is not held to what the server allows, or the reverse.
#[tokio::test]
async fn a_page_holds_what_both_ends_allow_and_something_at_least() {
    let rows: Vec<Row> = (0..9).map(|n| new_row(&n.to_string(), 1)).collect();
    let one = stored_bytes(&rows[..1]).await;
    let any = (usize::MAX, u32::MAX);
    for (records, bytes, expected) in [
        // The server's limit and what is asked for, of records and of bytes.
        ((3, u32::MAX), any, 3),
        ((3, 4), any, 3),
        ((3, 2), any, 2),
        ((3, 0), any, 1),
        (any, (3 * one, u32::MAX), 3),
        (any, (3 * one, u32::try_from(2 * one).unwrap()), 2),
        (any, (usize::MAX, 0), 1),
        (any, (1, u32::MAX), 1),
        (any, any, 9),
    ] {
        let server = limited(ServerLimits::default().with_page(records.0, bytes.0)).await;
        let mut device = Device::new(1);
        server.receipt(&ada(), device.push(tasks(rows.clone()))).await;
        let mut pull = device.pull([Zone::Global]);
        (pull.max_records, pull.max_bytes) = (records.1, bytes.1);
        let pages = server.pages(&ada(), pull).await;
        assert_eq!(pages[0].payload.len(), expected, "{records:?} {bytes:?}");
        let all: Vec<_> = pages.iter().flat_map(|page| ids(&page.payload)).collect();
        assert_eq!(all, ["0", "1", "2", "3", "4", "5", "6", "7", "8"], "{records:?} {bytes:?}");
    }
}

/// Fails if every zone of a pull may fill a page of its own, with records or with bytes.
#[tokio::test]
async fn the_limits_of_a_page_hold_over_all_of_its_zones() {
    let rows: Vec<Row> = ["a", "b", "c"].map(note).into();
    let server = limited(ServerLimits::default()).await;
    let mut device = Device::new(1);
    let groups = (0..3).map(|n| group(team(n), "notes", rows.clone())).collect();
    server.receipt(&ada(), device.push(groups)).await;
    let query = Query::all(type_name("notes"), team(0));
    let stored = server.store.source().find(&query).await.unwrap().records;
    let bytes = u32::try_from(stored[0].approximate_bytes()).unwrap();
    for (records, bytes, sizes) in [
        (4, u32::MAX, vec![4, 4, 1]),
        (u32::MAX, 4 * bytes, vec![4, 4, 1]),
        // No room is left for the next zone.
        (3, u32::MAX, vec![3, 3, 3]),
        (u32::MAX, 3 * bytes, vec![3, 3, 3]),
        (1, u32::MAX, vec![1; 9]),
        (u32::MAX, 1, vec![1; 9]),
    ] {
        let mut pull = device.pull((0..3).map(team));
        (pull.max_records, pull.max_bytes, pull.count_remaining) = (records, bytes, true);
        let pages = server.pages(&ada(), pull).await;
        let found: Vec<_> = pages.iter().map(|page| page.payload.len()).filter(|size| *size > 0).collect();
        assert_eq!(found, sizes, "{records} {bytes}");
    }
}

/// Fails if a limit of zero is taken: nothing could be pushed, or no pull would ever end.
#[tokio::test]
async fn a_limit_of_zero_is_no_limit() {
    let some = ServerLimits::default();
    let mut no_zone = some;
    no_zone.zones = 0;
    for limits in [
        some.with_session(SessionLimits::new(0, 1)),
        some.with_session(SessionLimits::new(1, 0)),
        some.with_page(0, 1),
        some.with_page(1, 0),
        no_zone,
    ] {
        let store = Store::server(MemoryDataSource::new()).register::<Task>().open().await.unwrap();
        let builder = SyncManager::server(&store)
            .register(Repository::<Task>::new(&store), LastWriterWins)
            .zones(own_zone_policy);
        let error = builder.limits(limits).build().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{limits:?}");
    }
}

/// Fails if a server takes a repository of restricted objects in the global zone, where none of them can be.
#[tokio::test]
async fn a_repository_is_in_a_zone_of_its_types_sort() {
    let store = Store::server(MemoryDataSource::new()).register::<Note>().open().await.unwrap();
    let notes = Repository::<Note>::in_zone(&store, Zone::Global);
    let builder = SyncManager::server(&store).register(notes, LastWriterWins).zones(own_zone_policy);
    let error = builder.build().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("notes is restricted"), "{error}");
}
