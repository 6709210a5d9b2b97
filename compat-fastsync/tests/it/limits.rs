//! What a server of original clients is built with.

use crate::support::old_client::*;
use crate::support::*;
use fastsync_compat::{CompatLimits, FastSyncCompat};
use fastsync_core::*;

#[test]
fn limits_are_as_documented() {
    let documented = CompatLimits::default()
        .with_session(SessionLimits::new(10_000, 2 << 20))
        .with_reply(usize::MAX, 32 << 20)
        .with_reply_time(std::time::Duration::from_secs(15))
        .with_memory(std::time::Duration::from_secs(30 * 24 * 3_600));
    assert_eq!(CompatLimits::default(), documented);
}

/// Fails if a session is bounded by one of the two only, or by one more or less.
#[tokio::test]
async fn a_push_is_split_by_records_and_by_bytes() {
    for (session, sessions) in [
        (SessionLimits::new(5, 1 << 20), 1),
        (SessionLimits::new(4, 1 << 20), 2),
        (SessionLimits::new(2, 1 << 20), 3),
        (SessionLimits::new(10, 1_000), 5),
        (SessionLimits::new(10, 2_000), 3),
        (SessionLimits::new(10, 10), 5),
    ] {
        let limits = CompatLimits::default().with_session(session);
        let world = world_with(MemoryDataSource::new(), LastWriterWins, limits).await;
        let name = "x".repeat(800);
        let items: Vec<_> = (0..5).map(|n| pushed(&n.to_string(), &name, 1_000, 0, "home")).collect();
        assert_eq!(world.push("ada@home", &push_of("home", &items)).await["data"]["processed"], 5);
        assert_eq!(cursor(&world.pull("ada@home", &[("Item", 0)]).await), sessions, "{session:?}");
    }
}

#[derive(Debug, Clone, PartialEq, SyncableObject)]
#[syncable(name = "Odd")]
struct Odd {
    #[syncable(id)]
    key: String,
    deleted: bool,
    dirty: bool,
    metadata: String,
    #[syncable(rename = "syncOperation")]
    operation: i64,
    #[syncable(rename = "metadataId")]
    metadata_id: i64,
}

/// Fails if a problem is not noticed, or ends the search for others.
#[tokio::test]
async fn every_problem_of_a_configuration_is_named() {
    let store = Store::server(MemoryDataSource::new()).register::<Odd>().open().await.unwrap();
    let server = SyncManager::server(&store)
        .register(Repository::<Odd>::new(&store), LastWriterWins)
        .zones(policy)
        .build()
        .await
        .unwrap();
    let zero = CompatLimits::default().with_reply(0, 1);
    let error = FastSyncCompat::builder(server, |_, _| None)
        .alias("a", "Nothing")
        .alias("b", "no name\0")
        .limits(zero)
        .sample(&item("1", "x"))
        .build()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    for part in [
        "Odd.deleted",
        "Odd.dirty",
        "Odd.metadata",
        "Odd.syncOperation",
        "Odd.metadataId",
        "\"Nothing\"",
        "\"b\"",
        "limit is zero",
        "Odd has no sample",
        "Item of a sample is not registered",
    ] {
        assert!(error.message().contains(part), "{part}: {error}");
    }
}

#[tokio::test]
async fn no_limit_may_be_zero() {
    let world = world().await;
    let session = |records, bytes| CompatLimits::default().with_session(SessionLimits::new(records, bytes));
    for (limits, is_good) in [
        (session(0, 1), false),
        (session(1, 0), false),
        (CompatLimits::default().with_reply(0, 1), false),
        (CompatLimits::default().with_reply(1, 0), false),
        (CompatLimits::default().with_reply_time(std::time::Duration::ZERO), false),
        (CompatLimits::default().with_memory(std::time::Duration::ZERO), false),
        (session(1, 1).with_reply(1, 1), true),
    ] {
        let built = builder(&world.server, |_, _| None).limits(limits).build();
        assert_eq!(built.is_ok(), is_good, "{limits:?}");
    }
}

/// Fails if each zone of a reply may be as large as the whole.
#[tokio::test]
async fn a_reply_is_bounded_over_all_its_zones() {
    let limits = CompatLimits::default().with_reply(10, 1 << 20);
    let world = world_with(MemoryDataSource::new(), LastWriterWins, limits).await;
    let notices = Repository::<Notice>::new(&world.store);
    for n in 0..15 {
        world.items("ada@home").add(&item(&n.to_string(), "x")).await.unwrap();
        notices.add(&Notice { id: n.to_string(), text: "x".into() }).await.unwrap();
    }
    let mut ada = OldClient::new(&world, "ada@home", Dialect::TypeScript).with_types(&["Item", "Notice"]);
    let mut pulls = Vec::new();
    for _ in 0..5 {
        pulls.push(ada.pull().await);
    }
    assert!(pulls.iter().all(|records| *records <= 10), "{pulls:?}");
    assert_eq!((ada.rows.len(), pulls[4]), (30, 0), "{pulls:?}");
}
