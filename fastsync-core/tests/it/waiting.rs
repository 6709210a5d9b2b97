//! Edits that no push sends are named, with the reason, and nobody else waits for them.

use crate::support::*;
use fastsync_core::*;

fn list(id: &str) -> List {
    List { id: id.into(), title: "t".into() }
}

/// A release of the application that has lists only.
struct Lists {
    sync: SyncManager<Client>,
    lists: Repository<List>,
    link: Link,
}

async fn lists_only(server: &ServerSide, source: &MemoryDataSource) -> Lists {
    let store = Store::client(source.clone())
        .register::<List>()
        .clock(TestClock::new(1_000_000))
        .open()
        .await
        .unwrap();
    let lists = Repository::<List>::new(&store);
    let link = Link::new(LoopbackTransport::new(server.manager.clone(), SyncContext::new("ada")));
    let manager = SyncManager::client(&store).register(lists.clone(), LastWriterWins);
    Lists { sync: manager.transport(link.clone()).build().unwrap(), lists, link }
}

fn told(waiting: &[WaitingEdits]) -> Vec<(&str, u64, WaitingReason)> {
    waiting.iter().map(|edits| (edits.type_name.as_str(), edits.edits, edits.reason)).collect()
}

/// Fails if edits of a type that is no longer registered stop the others, or are not named, or are lost.
#[tokio::test]
async fn a_type_that_is_gone_waits_until_it_is_registered_again() {
    let (server, source) = (server().await, MemoryDataSource::new());
    let device = client_on(&server, "ada", source.clone()).await;
    device.sync.sync().await.unwrap();
    device.tasks.add_many(&[task("1", "x"), task("2", "y")]).await.unwrap();
    // Of a commit over several types the others are sent.
    let mut edit = device.store.edit();
    device.tasks.stage_add(&mut edit, &task("3", "z")).unwrap();
    device.lists.stage_add(&mut edit, &list("with")).unwrap();
    edit.commit().await.unwrap();

    let without = lists_only(&server, &source).await;
    without.lists.add(&list("later")).await.unwrap();
    let gone = [("tasks", 3, WaitingReason::Unregistered)];
    assert_eq!(told(&without.sync.status().await.unwrap().waiting), gone);
    for applied in [2, 0] {
        let report = without.sync.sync().await.unwrap();
        assert_eq!((report.push.applied, told(report.waiting())), (applied, gone.to_vec()));
    }
    assert_eq!(without.sync.status().await.unwrap().pending, 3);
    let line = without.sync.status().await.unwrap().waiting[0].to_string();
    assert_eq!(line, "3 edits of type tasks wait: this application does not register the type");

    let device = client_on(&server, "ada", source).await;
    assert_eq!(told(&device.sync.status().await.unwrap().waiting), []);
    device.sync.sync().await.unwrap();
    assert_eq!(device.pending().await, 0);
    assert_eq!(server.tasks.get_all().await.unwrap().len(), 3);
}

/// Fails if a push that was under way is lost with its type, or blocks for it.
#[tokio::test]
async fn a_push_in_flight_of_a_type_that_is_gone_is_settled() {
    for fault in [Fault::LoseReply, Fault::DropRequest] {
        let (server, source) = (server().await, MemoryDataSource::new());
        let device = client_on(&server, "ada", source.clone()).await;
        device.tasks.add(&task("1", "x")).await.unwrap();
        device.link.fail_next(fault);
        device.sync.push().await.unwrap_err();
        let without = lists_only(&server, &source).await;
        without.lists.add(&list("l")).await.unwrap();
        let report = without.sync.sync().await.unwrap();
        assert_eq!((report.push.applied, report.waiting().len()), (2, 0));
        assert_eq!(server.tasks.get_all().await.unwrap(), [task("1", "x")]);
        assert_eq!(without.link.pushes.lock().unwrap().len(), 2);
    }
}

/// Fails if edits of a type that is gone cannot be dropped, or are dropped unasked.
#[tokio::test]
async fn edits_of_a_type_that_is_gone_can_be_discarded() {
    let tasks = TypeName::new("tasks").unwrap();
    for named in [vec![], vec![tasks.clone()]] {
        let (server, source) = (server().await, MemoryDataSource::new());
        server.tasks.add(&task("theirs", "x")).await.unwrap();
        let device = client_on(&server, "ada", source.clone()).await;
        device.sync.sync().await.unwrap();
        device.tasks.add(&task("mine", "x")).await.unwrap();
        device.tasks.update(&task("theirs", "y")).await.unwrap();
        let without = lists_only(&server, &source).await;
        without.lists.add(&list("l")).await.unwrap();

        let error = without.sync.hard_reset(std::slice::from_ref(&tasks), PendingEdits::Refuse).await;
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PendingEdits);
        assert!(error.message().contains("tasks"), "{error}");
        without.sync.hard_reset(&[], PendingEdits::PushFirst).await.unwrap();
        assert_eq!(without.sync.status().await.unwrap().pending, 2);
        let unknown = TypeName::new("nothing").unwrap();
        let error = without.sync.hard_reset(&[unknown], PendingEdits::Discard).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnknownType);

        without.sync.hard_reset(&named, PendingEdits::Discard).await.unwrap();
        let status = without.sync.status().await.unwrap();
        assert_eq!((status.pending, status.waiting), (0, vec![]));
        assert_eq!(without.lists.get_all().await.unwrap(), [list("l")]);
        let device = client_on(&server, "ada", source).await;
        device.sync.sync().await.unwrap();
        assert_eq!(device.tasks.get_all().await.unwrap(), [task("theirs", "x")]);
    }
}

/// Fails if a type that the server forgot is passed over in silence.
#[tokio::test]
async fn a_type_that_the_server_lacks_is_named() {
    let store = Store::server(MemoryDataSource::new()).register::<List>().open().await.unwrap();
    let manager = SyncManager::server(&store).register(Repository::<List>::new(&store), LastWriterWins);
    let forgetful = manager.zones(own_zone_policy).build().await.unwrap();
    let whole = server().await;
    let device = client(&ServerSide { manager: forgetful, ..server().await }, "ada").await;
    device.tasks.add(&task("1", "x")).await.unwrap();
    device.lists.add(&list("l")).await.unwrap();
    let named = [("tasks", 1, WaitingReason::UnknownToServer)];
    for _ in 0..2 {
        let report = device.sync.sync().await.unwrap();
        assert_eq!(told(&report.push.waiting), named);
        assert_eq!(told(report.waiting()), named);
        assert_eq!(told(&device.sync.status().await.unwrap().waiting), named);
    }
    // Another server, which has it.
    let device = client_on(&whole, "ada", device.source).await;
    let accepting = device.manager().transport(device.link.clone()).when_forgotten(WhenForgotten::Accept);
    let accepting = accepting.build().unwrap();
    accepting.sync().await.unwrap();
    accepting.sync().await.unwrap();
    assert_eq!(device.sync.status().await.unwrap().waiting, []);
    assert_eq!(whole.tasks.get_all().await.unwrap().len(), 1);
}

/// Fails if edits that were refused are not counted, or are taken for those of another reason.
#[tokio::test]
async fn refused_edits_are_named_as_refused() {
    let server = strict_server().await;
    let device = client(&server, "ada").await;
    device.tasks.add(&task("1", "bad")).await.unwrap();
    device.tasks.add(&task("2", "fine")).await.unwrap();
    let report = device.sync.sync().await.unwrap();
    assert_eq!(told(report.waiting()), [("tasks", 1, WaitingReason::Refused)]);
    device.tasks.update(&task("1", "good")).await.unwrap();
    assert_eq!(device.sync.status().await.unwrap().waiting, []);
    assert_eq!(device.sync.sync().await.unwrap().waiting(), []);
}

/// Fails if what was done before the server turned out not to know a type is left out of the report: values that gave way
/// were told nowhere.
#[tokio::test]
async fn what_was_done_before_a_type_was_refused_is_told() {
    let store = Store::server(MemoryDataSource::new()).register::<Task>().open().await.unwrap();
    let tasks = Repository::<Task>::new(&store);
    let manager = SyncManager::server(&store).register(tasks.clone(), ServerWins);
    let forgetful = manager.zones(own_zone_policy).build().await.unwrap();
    let device = client(&ServerSide { manager: forgetful, ..server().await }, "ada").await;
    device.tasks.add(&task("0", "x")).await.unwrap();
    device.sync.push().await.unwrap();
    tasks.update(&task("0", "theirs")).await.unwrap();
    // A session is full with these.
    let mut edit = device.store.edit();
    device.tasks.stage_update(&mut edit, &task("0", "mine")).unwrap();
    for n in 1..10 {
        device.tasks.stage_add(&mut edit, &task(&n.to_string(), "x")).unwrap();
    }
    edit.commit().await.unwrap();
    device.lists.add(&list("l")).await.unwrap();
    let report = device.sync.push().await.unwrap();
    assert_eq!((report.applied, report.conflicts.len()), (9, 1));
    assert_eq!(told(&report.waiting), [("lists", 1, WaitingReason::UnknownToServer)]);
}
