//! Replies that end inside a session.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::old_client::*;
use crate::support::*;
use fastsync_compat::CompatLimits;
use fastsync_core::source::{Changes, ChangesRequest, Layer, StateWrite};
use fastsync_core::*;
use fastsync_dao_sqlite::SqliteDataSource;

/// A session of so many items, and one item before and after it.
async fn with_a_large_session(world: &World, items: usize) {
    let repository = world.items("ada@home");
    repository.add(&item("before", "x")).await.unwrap();
    let all: Vec<_> = (0..items).map(|n| item(&format!("{n:06}"), "x")).collect();
    repository.add_many(&all).await.unwrap();
    repository.add(&item("last", "x")).await.unwrap();
}

/// Pulls until nothing comes; gives the sizes.
async fn pull_all(client: &mut OldClient) -> Vec<usize> {
    let mut sizes = Vec::new();
    loop {
        match client.pull().await {
            0 => return sizes,
            size => sizes.push(size),
        }
        let cursor = client.cursors["Item"]["version"].as_f64().unwrap();
        assert!(cursor < 2_147_483_648.0 && cursor.fract() == 0.0 && sizes.len() < 1_000);
    }
}

fn limits(records: usize) -> CompatLimits {
    CompatLimits::default().with_reply(records, 32 << 20)
}

/// Fails if a session is one reply whatever its size, or its client reads it for ever, or misses some of it.
#[tokio::test]
async fn a_session_larger_than_a_reply_comes_in_parts() {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = SqliteDataSource::open(folder.path().join("server.db")).unwrap();
    let worlds = [
        world_with(MemoryDataSource::new(), LastWriterWins, limits(100)).await,
        world_with(sqlite, LastWriterWins, limits(100)).await,
    ];
    for world in worlds {
        with_a_large_session(&world, 1_000).await;
        for dialect in DIALECTS {
            let mut bob = OldClient::new(&world, "bob@home", dialect);
            let sizes = pull_all(&mut bob).await;
            assert!(sizes.iter().all(|size| *size <= 100) && sizes.len() <= 12, "{sizes:?}");
            assert_eq!(bob.names().len(), 1_002);
        }
        let cuts = world.store.source().entries("fastsync-compat/cut/").await.unwrap();
        assert!((9..=11).contains(&cuts.len()), "clients that are cut at one place share it: {}", cuts.len());
    }
}

/// Fails if the place is counted, and not named: records that move away would shift it.
#[tokio::test]
async fn what_moves_while_a_client_is_inside_a_session_is_not_missed() {
    let world = world_with(MemoryDataSource::new(), LastWriterWins, limits(100)).await;
    with_a_large_session(&world, 500).await;
    let mut bob = OldClient::new(&world, "bob@home", Dialect::Dart);
    for round in 0..30 {
        let received = bob.pull().await;
        if received == 0 {
            break;
        }
        // One that was given, one that was not, and a deletion of each.
        for (n, name) in [(round, "edited"), (499 - round, "edited")] {
            world.items("ada@home").update(&item(&format!("{n:06}"), name)).await.unwrap();
        }
        for n in [100 + round, 400 - round] {
            world.items("ada@home").remove(&format!("{n:06}")).await.unwrap();
        }
    }
    while bob.pull().await > 0 {}
    let stored = world.items("ada@home").get_all().await.unwrap();
    let stored: std::collections::BTreeMap<_, _> =
        stored.into_iter().map(|item| (item.id, item.name)).collect();
    assert_eq!(bob.names(), stored);
}

/// Fails if a client inside a session is stuck, or sent back to the beginning for ever, where tombstones are purged or the place is
/// forgotten.
#[tokio::test]
async fn a_client_inside_a_session_goes_on_after_a_purge_and_comes_back_after_months() {
    let world = world_with(MemoryDataSource::new(), LastWriterWins, limits(100)).await;
    with_a_large_session(&world, 500).await;
    let mut bob = OldClient::new(&world, "bob@home", Dialect::TypeScript);
    for _ in 0..3 {
        bob.pull().await;
    }
    world.items("ada@home").remove("before").await.unwrap();
    world.store.source().purge_tombstones(&zone("x@home"), Position(99)).await.unwrap();
    let sizes = pull_all(&mut bob).await;
    assert_eq!(sizes.iter().sum::<usize>(), 202, "it went on where it was: {sizes:?}");
    assert_eq!(bob.names().len(), 502);

    let mut eve = OldClient::new(&world, "eve@home", Dialect::TypeScript);
    eve.pull().await;
    let places = world.store.source().entries("fastsync-compat/cut/").await.unwrap();
    let forgotten = places.into_iter().map(|(key, _)| StateWrite::set(key, None)).collect();
    world.store.write_state(forgotten).await.unwrap();
    pull_all(&mut eve).await;
    assert_eq!(eve.names().len(), 501);
}

/// Several types at once, which are cut at one place.
#[tokio::test]
async fn types_of_one_session_are_cut_together_and_go_on_together() {
    let world = world_with(MemoryDataSource::new(), LastWriterWins, limits(50)).await;
    let lines = Repository::<Line>::in_zone(&world.store, zone("ada@home"));
    let mut session = world.store.edit();
    for n in 0..150 {
        world.items("ada@home").stage_add(&mut session, &item(&format!("{n:03}"), "x")).unwrap();
        let line = Line { id: format!("{n:03}"), item: "1".into(), count: 1, price: 1.0, done: true };
        lines.stage_add(&mut session, &line).unwrap();
    }
    session.commit().await.unwrap();
    for types in [["Item", "Line"], ["Line", "Item"]] {
        let mut bob = OldClient::new(&world, "bob@home", Dialect::Dart).with_types(&types);
        let mut pulls = 0;
        while bob.pull().await > 0 {
            pulls += 1;
            assert!(pulls < 30, "without end");
        }
        assert_eq!(bob.rows.len(), 300);
    }
}

/// A data source that takes a second for each page.
#[derive(Debug)]
struct Slow {
    inner: MemoryDataSource,
    clock: TestClock,
    pages: Arc<AtomicUsize>,
}

impl Layer for Slow {
    type Inner = MemoryDataSource;
    fn inner(&self) -> &MemoryDataSource {
        &self.inner
    }
    async fn changes(&self, request: &ChangesRequest) -> Result<Changes> {
        self.clock.advance(1);
        self.pages.fetch_add(1, Ordering::SeqCst);
        SyncableDataSource::changes(&self.inner, request).await
    }
}

/// More than fifty thousand at once where there is the time; less where there is not, and the operator is told.
#[tokio::test]
async fn a_reply_is_cut_by_time_and_bytes_and_not_by_a_number() {
    let (clock, pages) = (TestClock::new(), Arc::new(AtomicUsize::new(0)));
    let source = Slow { inner: MemoryDataSource::new(), clock: clock.clone(), pages: pages.clone() };
    let store = Store::server(source).register::<Notice>().clock(clock).open().await.unwrap();
    let notices = Repository::<Notice>::new(&store);
    let all: Vec<_> = (0..60_000).map(|n| Notice { id: n.to_string(), text: "x".into() }).collect();
    notices.add_many(&all).await.unwrap();
    let server = SyncManager::server(&store).register(notices, LastWriterWins).zones(policy);
    let server = server.build().await.unwrap();
    let seen = Arc::new(AtomicUsize::new(0));
    for (seconds, whole) in [(60, true), (5, false)] {
        let log = seen.clone();
        let compat = fastsync_compat::FastSyncCompat::builder(server.clone(), |_, _| None)
            .sample(&Notice { id: "any".into(), text: String::new() })
            .limits(
                CompatLimits::default()
                    .with_reply(usize::MAX, 128 << 20)
                    .with_reply_time(Duration::from_secs(seconds)),
            )
            .on_notice(move |_, notice| {
                assert_eq!(notice.code, "reply_cut");
                log.fetch_add(1, Ordering::SeqCst);
            })
            .build()
            .unwrap();
        let request = serde_json::from_str(r#"{"metadata":{"Notice":{"version":0}}}"#).unwrap();
        let reply = compat.process_pull(&SyncContext::new("ada@home"), request).await.unwrap();
        let count = reply.payload.data["Notice"].len();
        assert_eq!(count == 60_000, whole, "{count}");
        assert!(count >= 20_000, "{count}");
        assert_eq!(seen.load(Ordering::SeqCst), usize::from(!whole));
    }
}
