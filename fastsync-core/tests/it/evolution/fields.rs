//! Fields that one release has and the other has not.

use fastsync_core::*;

use super::*;

/// Fails if an old device does not receive its own fields, or if its edits touch the others.
#[tokio::test]
async fn an_old_device_leaves_what_it_does_not_have_as_it_is() {
    let (server, stored) = serve::<v2::Task>(MemoryDataSource::new(), LastWriterWins).await;
    let (old, new) = (old(&server).await, new(&server).await);
    new.tasks.add(&new_task("1", "by new", 5)).await.unwrap();
    new.sync.sync().await.unwrap();
    old.sync.sync().await.unwrap();
    assert_eq!(old.get("1").await, task("1", "by new"));

    old.tasks.update(&task("1", "by old")).await.unwrap();
    old.tasks.add(&task("2", "by old")).await.unwrap();
    assert_eq!(old.sync.sync().await.unwrap().push.applied, 2);
    let kept = v2::Task { text: "by old".into(), ..new_task("1", "", 5) };
    assert_eq!(stored.find_by_id(&id("1")).await.unwrap(), Some(kept.clone()));
    new.sync.sync().await.unwrap();
    assert_eq!(new.get("1").await, kept);
    // An object of its own has what a record has that is older than the fields.
    assert_eq!(new.get("2").await, v2::Task { points: 0, note: None, ..new_task("2", "by old", 0) });
    // And in the other direction, again.
    new.tasks.update(&v2::Task { points: 6, ..kept }).await.unwrap();
    new.sync.sync().await.unwrap();
    assert_eq!(old.sync.sync().await.unwrap().pull.received, 1);
    old.tasks.remove(&id("1")).await.unwrap();
    old.sync.sync().await.unwrap();
    new.sync.sync().await.unwrap();
    assert_eq!(new.tasks.find_by_id(&id("1")).await.unwrap(), None);
}

/// Fails if what an old device does not have comes from its base, or from nowhere, and not from the current record.
#[tokio::test]
async fn a_conflict_with_an_old_device_is_about_its_fields() {
    let (server, stored) = serve::<v2::Task>(MemoryDataSource::new(), LastWriterWins).await;
    let (old, new) = both(&server).await;
    new.tasks.update(&new_task("1", "by new", 7)).await.unwrap();
    new.sync.sync().await.unwrap();
    old.tasks.update(&task("1", "by old")).await.unwrap();
    let report = old.sync.push().await.unwrap();
    assert_eq!(report.conflicts[0].settlement, Settlement::KeptClient);
    let kept = stored.find_by_id(&id("1")).await.unwrap().unwrap();
    assert_eq!((kept.text.as_str(), kept.points), ("by old", 7));
}

/// Fails if the record that an edit is completed from need not be the one that it replaces.
#[tokio::test]
async fn a_record_that_moves_while_an_edit_is_completed_gives_its_latest_fields() {
    let hooked = Hooked::default();
    let (server, stored) = serve::<v2::Task>(hooked.clone(), LastWriterWins).await;
    let (old, _) = both(&server).await;
    old.tasks.update(&task("1", "by old")).await.unwrap();
    let meanwhile = stored.clone();
    hooked.before(Call::Commit(SessionKind::Push), 1, async move {
        meanwhile.update(&new_task("1", "by the server", 8)).await.unwrap();
    });
    old.sync.push().await.unwrap();
    let kept = stored.find_by_id(&id("1")).await.unwrap().unwrap();
    assert_eq!((kept.text.as_str(), kept.points), ("by old", 8));
}

/// Fails if a receipt has other fields than the device that asked for it.
#[tokio::test]
async fn a_receipt_has_the_fields_of_the_device() {
    let (server, _) = serve::<v2::Task>(MemoryDataSource::new(), ServerWins).await;
    let (old, new) = both(&server).await;
    new.tasks.update(&new_task("1", "by new", 7)).await.unwrap();
    new.sync.sync().await.unwrap();
    old.tasks.update(&task("1", "by old")).await.unwrap();
    let report = old.sync.push().await.unwrap();
    assert_eq!(report.conflicts[0].settlement, Settlement::KeptServer);
    assert_eq!(old.get("1").await, task("1", "by new"));
}

/// Fails if one type that the server cannot hold keeps the others from going on, or if its edits are lost or sent in part.
#[tokio::test]
async fn at_an_old_server_a_new_type_waits_and_the_others_go_on() {
    let source = MemoryDataSource::new();
    let (server, _) = serve::<Task>(source.clone(), LastWriterWins).await;
    let storage = MemoryDataSource::new();
    let device = New::open(&server, &storage, LastWriterWins).await;
    for round in 0..2 {
        device.lists.add(&List { id: format!("{round}"), title: "t".into() }).await.unwrap();
        device.tasks.add(&new_task(&format!("{round}"), "by new", 5)).await.unwrap();
        let report = device.sync.sync().await.unwrap();
        assert_eq!(report.pull.unknown_types.iter().map(TypeName::as_str).collect::<Vec<_>>(), ["tasks"]);
        assert_eq!(device.sync.status().await.unwrap().pending, round + 1);
    }
    assert_eq!(source.count(&Query::all(TypeName::new("lists").unwrap(), Zone::Global)).await.unwrap(), 2);
    assert_eq!(source.count(&Query::all(TypeName::new("tasks").unwrap(), Zone::Global)).await.unwrap(), 0);

    let (server, stored) = serve::<v2::Task>(source, LastWriterWins).await;
    let device = New::open(&server, &storage, LastWriterWins).await;
    for _ in 0..2 {
        device.sync.sync().await.unwrap();
    }
    assert_eq!(device.sync.status().await.unwrap().pending, 0);
    assert_eq!(stored.find_by_id(&id("1")).await.unwrap(), Some(new_task("1", "by new", 5)));
}

/// A push is made, and then a pull says that its type waits. Fails if the next call ends with an error.
#[tokio::test]
async fn a_push_that_was_made_before_its_type_was_known_to_wait_is_taken_back() {
    let (server, _) = serve::<Task>(MemoryDataSource::new(), LastWriterWins).await;
    let device = New::open(&server, &MemoryDataSource::new(), LastWriterWins).await;
    device.tasks.add(&new_task("1", "by new", 5)).await.unwrap();
    device.link.fail_next(Fault::DropRequest);
    let error = device.sync.sync().await.unwrap_err();
    assert_eq!(error.pull().unwrap().unknown_types.len(), 1);
    let report = device.sync.sync().await.unwrap();
    assert_eq!((report.push.applied, device.sync.status().await.unwrap().pending), (0, 1));
    assert!(!device.sync.status().await.unwrap().push_in_flight);
}

/// The world before a device is upgraded: it has pulled a task of which the server knows more, and a list.
async fn before_upgrade() -> (SyncManager<Server>, Repository<v2::Task>, MemoryDataSource, Old) {
    let (server, stored) = serve::<v2::Task>(MemoryDataSource::new(), LastWriterWins).await;
    for n in 0..3 {
        stored.add(&new_task(&format!("{n}"), "x", 5)).await.unwrap();
    }
    let storage = MemoryDataSource::new();
    let device = Old::open(&server, &storage, LastWriterWins).await;
    device.lists.add(&List { id: "l".into(), title: "t".into() }).await.unwrap();
    device.sync.sync().await.unwrap();
    assert_eq!(device.get("0").await, task("0", "x"));
    (server, stored, storage, device)
}

/// Fails if anything but the type with the new fields is fetched again, or if it is not.
#[tokio::test]
async fn after_an_upgrade_only_what_is_new_is_fetched_again() {
    let (server, _, storage, _) = before_upgrade().await;
    let device = New::open(&server, &storage, LastWriterWins).await;
    let report = device.sync.pull().await.unwrap();
    assert_eq!((report.received, report.reset), (3, None));
    assert_eq!(device.get("0").await, new_task("0", "x", 5));
    let asked: Vec<_> =
        device.link.pulls.lock().unwrap().iter().map(|(request, _)| request.clone()).collect();
    let from_the_beginning: Vec<_> = asked.iter().filter(|pull| pull.cursor.is_none()).collect();
    assert_eq!(from_the_beginning.len(), 1);
    assert_eq!(from_the_beginning[0].metadata.types.len(), 1);
    // Once.
    let report = device.sync.sync().await.unwrap();
    assert_eq!((report.pull.received, report.pull.reset), (0, None));
}

/// Fails if an edit that waited during the upgrade, or was made before the next pull, overwrites what the server has in the
/// new fields; or if one that sets them does not.
#[tokio::test]
async fn an_edit_across_an_upgrade_keeps_what_it_did_not_know() {
    for moved in [false, true] {
        let (server, stored, storage, device) = before_upgrade().await;
        device.tasks.update(&task("0", "before")).await.unwrap();
        if moved {
            for n in 0..3 {
                stored.update(&new_task(&format!("{n}"), "moved", 6)).await.unwrap();
            }
        }
        let device = New::open(&server, &storage, LastWriterWins).await;
        let seen = device.get("1").await;
        device.tasks.update(&v2::Task { text: "after".into(), ..seen.clone() }).await.unwrap();
        device.tasks.update(&v2::Task { id: "2".into(), points: 9, ..seen }).await.unwrap();
        device.sync.sync().await.unwrap();
        let points = if moved { 6 } else { 5 };
        let read = async |name: &str| stored.find_by_id(&id(name)).await.unwrap().unwrap();
        let (first, second, third) = (read("0").await, read("1").await, read("2").await);
        assert_eq!((first.text.as_str(), first.points), ("before", points), "moved: {moved}");
        assert_eq!((second.text.as_str(), second.points), ("after", points), "moved: {moved}");
        assert_eq!((third.points, third.note), (9, Some(format!("{points} of them"))), "moved: {moved}");
        for name in ["0", "1", "2"] {
            assert_eq!(device.get(name).await, read(name).await, "moved: {moved}");
        }
        assert_eq!(device.sync.status().await.unwrap().pending, 0);
    }
}

/// Fails if an edit that sets a new field before the first pull after an upgrade overwrites unseen what the server has there.
#[tokio::test]
async fn a_new_field_that_was_set_unseen_is_a_conflict() {
    let sum = PredefinedRules::new(|conflict: ObjectConflict<v2::Task>| {
        let (server, client) = (conflict.server.object.unwrap(), conflict.client.object.unwrap());
        Ok(Resolution::Merged(v2::Task { points: server.points + client.points, ..client }))
    });
    let (server, stored, storage, _) = before_upgrade().await;
    let device = New::open(&server, &storage, sum).await;
    let seen = device.get("0").await;
    device.tasks.update(&v2::Task { points: 9, ..seen }).await.unwrap();
    let report = device.sync.sync().await.unwrap();
    assert_eq!(report.push.conflicts[0].settlement, Settlement::Merged);
    assert_eq!(stored.find_by_id(&id("0")).await.unwrap().unwrap().points, 14);
    assert_eq!(device.get("0").await.points, 14);
}

/// Fails if a push whose answer was lost before the upgrade is another one after it, or if its answer, which has the fields
/// of before, takes the place of what the server has.
#[tokio::test]
async fn a_push_under_way_during_an_upgrade_is_settled() {
    for conflict in [false, true] {
        let (server, stored, storage, device) = before_upgrade().await;
        device.tasks.update(&task("0", "before")).await.unwrap();
        if conflict {
            stored.update(&new_task("0", "moved", 6)).await.unwrap();
        }
        device.link.fail_next(Fault::DropRequest);
        device.sync.push().await.unwrap_err();
        let device = New::open(&server, &storage, LastWriterWins).await;
        let report = device.sync.sync().await.unwrap();
        assert!(!report.push.forked);
        let kept = stored.find_by_id(&id("0")).await.unwrap().unwrap();
        assert_eq!((kept.text.as_str(), kept.points), ("before", if conflict { 6 } else { 5 }));
        assert_eq!(device.get("0").await, kept);
        assert_eq!(device.sync.status().await.unwrap().pending, 0);
    }
}

/// As above, with a server that keeps its version: the receipt names the edit, and what it has instead is of no use.
#[tokio::test]
async fn an_edit_that_gives_way_across_an_upgrade_gives_way() {
    let (server, stored) = serve::<v2::Task>(MemoryDataSource::new(), ServerWins).await;
    stored.add(&new_task("0", "x", 5)).await.unwrap();
    let storage = MemoryDataSource::new();
    let device = Old::open(&server, &storage, ServerWins).await;
    device.sync.sync().await.unwrap();
    device.tasks.update(&task("0", "before")).await.unwrap();
    stored.update(&new_task("0", "moved", 6)).await.unwrap();
    device.link.fail_next(Fault::LoseReply);
    device.sync.push().await.unwrap_err();
    let device = New::open(&server, &storage, ServerWins).await;
    for _ in 0..2 {
        device.sync.sync().await.unwrap();
    }
    assert_eq!(device.get("0").await, new_task("0", "moved", 6));
    assert_eq!(device.sync.status().await.unwrap().pending, 0);
}

/// Fails if a receipt with a field that the device has given up since cannot be read, which would stop it for good.
#[tokio::test]
async fn an_edit_that_gives_way_while_a_field_is_given_up_gives_way() {
    let (server, stored) = serve::<v2::Task>(MemoryDataSource::new(), ServerWins).await;
    stored.add(&new_task("0", "x", 5)).await.unwrap();
    let storage = MemoryDataSource::new();
    let device = New::open(&server, &storage, ServerWins).await;
    device.sync.sync().await.unwrap();
    device.tasks.update(&new_task("0", "before", 1)).await.unwrap();
    stored.update(&new_task("0", "moved", 6)).await.unwrap();
    device.link.fail_next(Fault::LoseReply);
    device.sync.push().await.unwrap_err();
    let device = Old::open(&server, &storage, ServerWins).await;
    device.sync.sync().await.unwrap();
    assert_eq!(device.get("0").await, task("0", "moved"));
    assert_eq!(device.sync.status().await.unwrap().pending, 0);
}

/// Fails if a device that does not know a field any more takes it from the others.
#[tokio::test]
async fn a_field_that_is_given_up_stays_at_the_server() {
    let (server, stored) = serve::<v2::Task>(MemoryDataSource::new(), LastWriterWins).await;
    let storage = MemoryDataSource::new();
    let device = New::open(&server, &storage, LastWriterWins).await;
    device.tasks.add(&new_task("1", "x", 5)).await.unwrap();
    device.sync.sync().await.unwrap();
    let device = Old::open(&server, &storage, LastWriterWins).await;
    device.tasks.update(&task("1", "y")).await.unwrap();
    device.sync.sync().await.unwrap();
    let kept = stored.find_by_id(&id("1")).await.unwrap().unwrap();
    assert_eq!((kept.text.as_str(), kept.points), ("y", 5));
}

/// Fails if an unsent text is lost under its new name, or if a device that knows the old name only is shut out.
#[tokio::test]
async fn a_field_with_another_name_is_the_same_field() {
    let source = MemoryDataSource::new();
    let (server, _) = serve::<Task>(source.clone(), LastWriterWins).await;
    let storage = MemoryDataSource::new();
    let upgraded = Old::open(&server, &storage, LastWriterWins).await;
    upgraded.tasks.add(&task("1", "sent")).await.unwrap();
    upgraded.sync.sync().await.unwrap();
    upgraded.tasks.update(&task("1", "unsent")).await.unwrap();

    let (server, stored) = serve::<renamed::Task>(source, LastWriterWins).await;
    let renamed = Device::<renamed::Task>::open(&server, &storage, LastWriterWins).await;
    let old = old(&server).await;
    for _ in 0..2 {
        renamed.sync.sync().await.unwrap();
        old.sync.sync().await.unwrap();
    }
    assert_eq!(stored.find_by_id(&id("1")).await.unwrap().unwrap().words, "unsent");
    assert_eq!((renamed.get("1").await.words, old.get("1").await.text), ("unsent".into(), "unsent".into()));
    old.tasks.update(&task("1", "by old")).await.unwrap();
    old.sync.sync().await.unwrap();
    renamed.sync.sync().await.unwrap();
    assert_eq!(renamed.get("1").await.words, "by old");
}
