//! Values that a device's version of the application cannot hold.

use super::*;

macro_rules! release {
    ($name:ident, $version:literal, $points:ty) => {
        mod $name {
            use fastsync_core::*;

            #[derive(Debug, Clone, PartialEq, SyncableObject)]
            #[syncable(name = "tasks", priority = 10, version = $version)]
            pub(super) struct Task {
                #[syncable(id)]
                pub(super) id: String,
                pub(super) points: $points,
            }

            pub(super) fn task(id: &str, points: $points) -> Task {
                Task { id: id.into(), points }
            }
        }
    };
}

release!(narrow, 1, i32);
release!(wide, 2, i64);
// The same without another version.
release!(also_wide, 1, i64);

const WIDE: i64 = 1 << 40;

async fn serve<T: SyncableObject>() -> (SyncManager<Server>, Repository<T>) {
    let store = Store::server(MemoryDataSource::new()).register::<T>().open().await.unwrap();
    let tasks = Repository::<T>::new(&store);
    let manager = SyncManager::server(&store).register(tasks.clone(), LastWriterWins).zones(own_zone_policy);
    (manager.build().await.unwrap(), tasks)
}

async fn device<T: SyncableObject>(
    server: &SyncManager<Server>,
    source: &MemoryDataSource,
    limits: PullLimits,
) -> (SyncManager<Client>, Repository<T>) {
    let store = Store::client(source.clone()).register::<T>().open().await.unwrap();
    let tasks = Repository::<T>::new(&store);
    let manager = SyncManager::client(&store)
        .register(tasks.clone(), LastWriterWins)
        .transport(LoopbackTransport::new(server.clone(), SyncContext::new("ada")))
        .pull_limits(limits);
    (manager.build().unwrap(), tasks)
}

/// Fails if a value that an old device cannot hold stops its pull, or is lost until the device is upgraded.
#[tokio::test]
async fn a_number_too_wide_for_the_device_waits_for_its_upgrade() {
    for limits in [PullLimits::default(), PullLimits::new(1, 1 << 20)] {
        let (server, stored) = serve::<wide::Task>().await;
        stored.add_many(&[wide::task("1", 1), wide::task("2", 2)]).await.unwrap();
        let source = MemoryDataSource::new();
        let (sync, tasks) = device::<narrow::Task>(&server, &source, limits).await;
        sync.sync().await.unwrap();
        stored.update(&wide::task("1", WIDE)).await.unwrap();
        stored.update(&wide::task("2", 3)).await.unwrap();
        stored.add(&wide::task("3", 3)).await.unwrap();
        for set_aside in [1, 0] {
            assert_eq!(sync.sync().await.unwrap().pull.set_aside, set_aside);
            let found = tasks.get_all().await.unwrap();
            assert_eq!(found, [narrow::task("1", 1), narrow::task("2", 3), narrow::task("3", 3)]);
            let status = sync.status().await.unwrap();
            assert_eq!((status.aside, status.in_step), (1, false));
        }
        let aside = sync.set_aside().await.unwrap().remove(0);
        assert_eq!((aside.reason, aside.version), (AsideReason::Unreadable, 1));
        assert_eq!(aside.server.body, Some(vec![Value::Integer(WIDE)]));
        assert!(aside.message.contains("points"), "{}", aside.message);

        // A release without another version takes it in, and one with another version fetches the type anew.
        let copy = source.snapshot();
        let (sync, tasks) = device::<also_wide::Task>(&server, &copy, limits).await;
        assert_eq!(sync.sync().await.unwrap().pull.from_aside, 1);
        assert_eq!(tasks.find_by_id(&id("1")).await.unwrap(), Some(also_wide::task("1", WIDE)));
        assert!(sync.status().await.unwrap().in_step);
        let (sync, tasks) = device::<wide::Task>(&server, &source, limits).await;
        sync.sync().await.unwrap();
        assert_eq!(tasks.find_by_id(&id("1")).await.unwrap(), Some(wide::task("1", WIDE)));
        assert!(sync.status().await.unwrap().in_step);
    }
}

/// Fails if a version that fits comes too late, or one that does not fit takes the place of a page's other records.
#[tokio::test]
async fn a_later_version_that_fits_is_taken() {
    let (server, stored) = serve::<wide::Task>().await;
    let source = MemoryDataSource::new();
    let (sync, tasks) = device::<narrow::Task>(&server, &source, PullLimits::default()).await;
    stored.add_many(&[wide::task("1", WIDE), wide::task("2", WIDE)]).await.unwrap();
    assert_eq!(sync.sync().await.unwrap().pull.set_aside, 2);
    assert_eq!(tasks.get_all().await.unwrap(), []);
    stored.update(&wide::task("1", 5)).await.unwrap();
    stored.remove(&id("2")).await.unwrap();
    sync.sync().await.unwrap();
    assert_eq!(tasks.get_all().await.unwrap(), [narrow::task("1", 5)]);
    assert!(sync.status().await.unwrap().in_step);
}

/// Fails if an edit of the older version is lost, or overwrites the newer one unseen.
#[tokio::test]
async fn an_edit_of_the_older_version_meets_the_newer_one_on_the_server() {
    let (server, stored) = serve::<wide::Task>().await;
    stored.add(&wide::task("1", 1)).await.unwrap();
    let source = MemoryDataSource::new();
    let (sync, tasks) = device::<narrow::Task>(&server, &source, PullLimits::default()).await;
    sync.sync().await.unwrap();
    stored.update(&wide::task("1", WIDE)).await.unwrap();
    sync.sync().await.unwrap();
    tasks.update(&narrow::task("1", 6)).await.unwrap();
    let report = sync.sync().await.unwrap();
    assert_eq!(report.push.conflicts.len(), 1);
    assert_eq!(stored.find_by_id(&id("1")).await.unwrap(), Some(wide::task("1", 6)), "the last writer wins");
    assert!(sync.status().await.unwrap().in_step);
}
