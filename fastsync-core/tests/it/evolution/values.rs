//! Values that one release has and the other cannot hold, and ids that changed their kind.

use fastsync_core::*;

use super::*;

/// The second field of a type, as one release has it.
macro_rules! release {
    ($name:ident, $version:literal, $id:ty, $points:ty) => {
        mod $name {
            use fastsync_core::*;

            #[derive(Debug, Clone, PartialEq, SyncableObject)]
            #[syncable(name = "tasks", priority = 10, version = $version)]
            pub(super) struct Task {
                #[syncable(id)]
                pub(super) id: $id,
                pub(super) points: $points,
            }
        }
    };
}

release!(narrow, 1, String, i32);
release!(wide, 2, String, i64);
release!(by_uuid, 1, uuid::Uuid, i64);
release!(by_text, 2, String, i64);

const WIDE: i64 = 1 << 40;

fn wide(name: &str, points: i64) -> wide::Task {
    wide::Task { id: name.into(), points }
}

async fn points<T: SyncableObject>(source: &MemoryDataSource, name: &str) -> Option<Value> {
    let schema = T::schema().unwrap();
    let found = source.get(schema.name(), &Zone::Global, &[id(name)]).await.unwrap();
    found.into_iter().next().and_then(|record| record.body).map(|body| body[0].clone())
}

/// Fails if a value that the server cannot hold yet stops anything but its own object.
#[tokio::test]
async fn a_number_too_wide_for_the_server_is_put_aside_and_the_rest_goes_on() {
    let source = MemoryDataSource::new();
    let (server, _) = serve::<narrow::Task>(source.clone(), LastWriterWins).await;
    let storage = MemoryDataSource::new();
    let device = Device::<wide::Task>::open(&server, &storage, LastWriterWins).await;
    device.tasks.add(&wide("wide", WIDE)).await.unwrap();
    device.tasks.add(&wide("fits", 5)).await.unwrap();
    device.lists.add(&List { id: "l".into(), title: "t".into() }).await.unwrap();
    let report = device.sync.sync().await.unwrap();
    assert_eq!((report.push.applied, report.push.rejected), (2, 1));
    assert_eq!(points::<narrow::Task>(&source, "fits").await, Some(Value::Integer(5)));
    assert_eq!(points::<narrow::Task>(&source, "wide").await, None);
    let rejected = device.sync.rejected().await.unwrap();
    assert_eq!((rejected.len(), rejected[0].code.as_str()), (1, "invalid"));
    assert_eq!(device.get("wide").await, wide("wide", WIDE));
}

/// Fails if a receipt with a value that an old device cannot hold stops the device, or the edit is sent, and merged, again.
#[tokio::test]
async fn what_a_receipt_brings_that_is_too_wide_lies_aside() {
    let (server, stored) = serve::<wide::Task>(MemoryDataSource::new(), ServerWins).await;
    stored.add(&wide("1", 5)).await.unwrap();
    let storage = MemoryDataSource::new();
    let device = Device::<narrow::Task>::open(&server, &storage, ServerWins).await;
    device.sync.sync().await.unwrap();
    device.tasks.update(&narrow::Task { id: "1".into(), points: 6 }).await.unwrap();
    device.lists.add(&List { id: "l".into(), title: "t".into() }).await.unwrap();
    stored.update(&wide("1", WIDE)).await.unwrap();
    for sessions in [1, 0] {
        assert_eq!(device.sync.push().await.unwrap().sessions, sessions);
        let status = device.sync.status().await.unwrap();
        assert_eq!((status.push_in_flight, status.pending, status.aside), (false, 0, 1));
    }
    assert_eq!(device.get("1").await.points, 6);
    let upgraded = Device::<wide::Task>::open(&server, &storage, ServerWins).await;
    upgraded.sync.sync().await.unwrap();
    assert_eq!((upgraded.get("1").await.points, upgraded.sync.status().await.unwrap().pending), (WIDE, 0));
}

/// Fails if a push that was processed is refused, because the server has ids of another kind since.
#[tokio::test]
async fn a_push_of_before_other_ids_is_answered_when_it_is_repeated() {
    let (source, storage) = (MemoryDataSource::new(), MemoryDataSource::new());
    let (server, _) = serve::<by_uuid::Task>(source.clone(), LastWriterWins).await;
    let device = Device::<by_uuid::Task>::open(&server, &storage, LastWriterWins).await;
    let id = uuid::Uuid::from_u128(7);
    device.tasks.add(&by_uuid::Task { id, points: 1 }).await.unwrap();
    device.link.fail_next(Fault::LoseReply);
    device.sync.push().await.unwrap_err();

    let (server, _) = serve::<by_text::Task>(source, LastWriterWins).await;
    let device = Device::<by_uuid::Task>::open(&server, &storage, LastWriterWins).await;
    let report = device.sync.sync().await.unwrap();
    assert!(!report.push.forked);
    assert_eq!((report.push.applied, device.sync.status().await.unwrap().pending), (1, 0));
}
