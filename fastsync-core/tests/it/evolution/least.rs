//! Servers that ask for a later version of a type.

use fastsync_core::*;

use super::*;

fn names<'a>(types: impl IntoIterator<Item = &'a TypeName>) -> Vec<&'a str> {
    types.into_iter().map(TypeName::as_str).collect()
}

/// Fails if an old device can still read or write the type, if what it has of it is lost, or if its other types wait.
#[tokio::test]
async fn a_type_that_is_too_old_waits_for_an_upgrade_and_the_others_go_on() {
    let (source, storage) = (MemoryDataSource::new(), MemoryDataSource::new());
    let (server, _) = serve::<Task>(source.clone(), LastWriterWins).await;
    let device = Old::open(&server, &storage, LastWriterWins).await;
    device.tasks.add(&task("1", "sent")).await.unwrap();
    device.sync.sync().await.unwrap();

    let (server, stored) = serve::<strict::Task>(source, LastWriterWins).await;
    let mut theirs = stored.find_by_id(&id("1")).await.unwrap().unwrap();
    theirs.done = true;
    stored.update(&theirs).await.unwrap();
    let device = Old::open(&server, &storage, LastWriterWins).await;
    device.lists.add(&List { id: "l".into(), title: "t".into() }).await.unwrap();
    device.tasks.add(&task("2", "waits")).await.unwrap();
    for _ in 0..2 {
        let report = device.sync.sync().await.unwrap();
        assert_eq!(names(&report.pull.outdated_types), ["tasks"]);
        assert_eq!(names(&report.pull.unknown_types), [""; 0]);
        assert_eq!(device.sync.status().await.unwrap().pending, 1);
    }
    // The stored form of what waits.
    let outdated = storage.entry("fastsync/outdated-types").await.unwrap();
    assert_eq!(outdated.as_deref(), Some(&b"\x01\x01\x05tasks"[..]));
    assert_eq!((device.get("1").await, device.get("2").await), (task("1", "sent"), task("2", "waits")));
    assert_eq!(stored.find_by_id(&id("2")).await.unwrap(), None);
    let lists = Repository::<List>::new(server.store());
    assert!(lists.find_by_id(&id("l")).await.unwrap().is_some());

    let upgraded = Device::<strict::Task>::open(&server, &storage, LastWriterWins).await;
    for _ in 0..2 {
        upgraded.sync.sync().await.unwrap();
    }
    assert_eq!(upgraded.sync.status().await.unwrap().pending, 0);
    assert_eq!(stored.find_by_id(&id("2")).await.unwrap().unwrap().text, "waits");
    assert!(upgraded.get("1").await.done);
}

/// Fails if a push that was processed before the server asked for more is refused or processed again when it is repeated.
#[tokio::test]
async fn a_push_of_before_is_answered_when_it_is_repeated() {
    let (source, storage) = (MemoryDataSource::new(), MemoryDataSource::new());
    let (server, _) = serve::<Task>(source.clone(), LastWriterWins).await;
    let device = Old::open(&server, &storage, LastWriterWins).await;
    device.tasks.add(&task("1", "sent")).await.unwrap();
    device.link.fail_next(Fault::LoseReply);
    device.sync.push().await.unwrap_err();

    let (server, stored) = serve::<strict::Task>(source, LastWriterWins).await;
    let device = Old::open(&server, &storage, LastWriterWins).await;
    let report = device.sync.sync().await.unwrap();
    assert_eq!((report.push.applied, names(&report.pull.outdated_types)), (1, vec!["tasks"]));
    assert_eq!(device.sync.status().await.unwrap().pending, 0);
    assert_eq!(stored.find_by_id(&id("1")).await.unwrap().unwrap().text, "sent");
    let sessions = server.store().source().sessions_of(&Zone::Global, Position::START, 10).await.unwrap();
    assert_eq!(sessions.len(), 1);
}

/// Fails if a device that asks for a later version exchanges the type with a server that does not have it.
#[tokio::test]
async fn a_device_that_asks_for_more_than_the_server_has_keeps_the_type_to_itself() {
    let source = MemoryDataSource::new();
    let (server, stored) = serve::<Task>(source.clone(), LastWriterWins).await;
    stored.add(&task("1", "theirs")).await.unwrap();
    let storage = MemoryDataSource::new();
    let device = Device::<strict::Task>::open(&server, &storage, LastWriterWins).await;
    let mine = strict::Task { id: "2".into(), list: "home".into(), text: "mine".into(), done: false };
    device.tasks.add(&mine).await.unwrap();
    device.lists.add(&List { id: "l".into(), title: "t".into() }).await.unwrap();
    let report = device.sync.sync().await.unwrap();
    assert_eq!((names(&report.pull.unknown_types), report.pull.received), (vec!["tasks"], 0));
    assert_eq!(
        (stored.count(Selection::all()).await.unwrap(), device.sync.status().await.unwrap().pending),
        (1, 1)
    );

    let (server, stored) = serve::<strict::Task>(source, LastWriterWins).await;
    let device = Device::<strict::Task>::open(&server, &storage, LastWriterWins).await;
    for _ in 0..2 {
        device.sync.sync().await.unwrap();
    }
    assert_eq!(
        (stored.count(Selection::all()).await.unwrap(), device.tasks.count(Selection::all()).await.unwrap()),
        (2, 2)
    );
}

/// Fails if a push of before, which was not processed and never will be, stops a pull or the first synchronisation after the
/// upgrade.
#[tokio::test]
async fn a_push_of_before_that_is_refused_stops_nothing() {
    for pulls_first in [false, true] {
        let (source, storage) = (MemoryDataSource::new(), MemoryDataSource::new());
        let (server, _) = serve::<Task>(source.clone(), LastWriterWins).await;
        let device = Old::open(&server, &storage, LastWriterWins).await;
        device.sync.sync().await.unwrap();
        device.tasks.add(&task("1", "sent")).await.unwrap();
        device.link.fail_next(Fault::DropRequest);
        device.sync.push().await.unwrap_err();

        let (server, stored) = serve::<strict::Task>(source, LastWriterWins).await;
        let device = Device::<strict::Task>::open(&server, &storage, LastWriterWins).await;
        if pulls_first {
            device.sync.pull().await.unwrap();
        }
        device.sync.sync().await.unwrap();
        assert_eq!(stored.find_by_id(&id("1")).await.unwrap().unwrap().text, "sent");
        assert_eq!(device.sync.status().await.unwrap().pending, 0);
    }
}

#[test]
fn a_least_version_is_not_later_than_the_version() {
    let schema = |least| TypeSchema::builder("items", "id").version(2).min_version(least).build();
    assert_eq!(schema(2).unwrap().min_version(), 2);
    assert!(schema(3).unwrap_err().message().contains("min_version 3"));
}
