//! A push that was sent and taken back is never processed, and one that was processed is never sent again.

use crate::support::by_hand::*;
use crate::support::gate::{Gate, refusal};
use crate::support::*;
use fastsync_core::protocol::*;
use fastsync_core::*;

fn ada() -> SyncContext {
    SyncContext::new("ada")
}

async fn reply(server: &ServerSide, request: &PushRequest) -> PushReply {
    server.manager.process_push(&ada(), request.clone()).await.unwrap()
}

/// The withdrawal of these pushes.
fn withdrawal(pushes: &[&PushRequest]) -> PushRequest {
    let (first, later) = pushes.split_first().unwrap();
    let later = later.iter().map(|request| request.session);
    PushRequest::withdrawal(first.metadata.clone(), first.number, first.session, later)
}

/// Three pushes, each after the first following the one before.
fn three(device: &mut Device) -> [PushRequest; 3] {
    let mut pushes = ["1", "2", "3"].map(|name| device.push(tasks(vec![new_row(name, 1)])));
    pushes[1].follows = Some(pushes[0].session);
    pushes[2].follows = Some(pushes[1].session);
    pushes
}

/// Fails if a delayed original is processed after its withdrawal, or is taken for a push of a copy of the store.
#[tokio::test]
async fn what_is_withdrawn_is_never_processed() {
    for before in [0, 1] {
        let server = server().await;
        let mut device = Device::new(1);
        for _ in 0..before {
            server.receipt(&ada(), device.push(tasks(vec![new_row("before", 1)]))).await;
        }
        let [one, two, three] = three(&mut device);
        let taken_back = withdrawal(&[&one, &two, &three]);
        let voided = PushReply::Voided { last: before + 3 };
        for request in [&taken_back, &taken_back, &three, &two, &one, &taken_back] {
            assert_eq!(reply(&server, request).await, voided, "{}", request.number);
        }
        let next = device.push(tasks(vec![new_row("4", 1)]));
        let receipt = server.receipt(&ada(), next.clone()).await;
        assert_eq!(server.receipt(&ada(), next).await, receipt);
        for request in [&taken_back, &three, &two, &one] {
            assert_eq!(reply(&server, request).await, PushReply::Voided { last: before + 4 });
        }
        let names: Vec<_> = server.tasks.get_all().await.unwrap().into_iter().map(|task| task.id).collect();
        assert_eq!(names, if before == 0 { vec!["4"] } else { vec!["4", "before"] });
    }
}

/// Fails if the fate of a push is told wrong once it was processed.
#[tokio::test]
async fn a_withdrawal_of_what_was_processed_is_answered_by_its_receipt() {
    let server = strict_server().await;
    let mut device = Device::new(1);
    let [one, mut two, three] = three(&mut device);
    two.payload = SyncPayload::new(vec![device.id], tasks(vec![row(&task("2", "bad"), Revision::NONE, 1)]));
    let first = reply(&server, &one).await;
    let second = reply(&server, &two).await;
    let PushReply::Processed(receipt) = &second else { panic!("{second:?}") };
    assert_eq!(told(receipt), [("2", "bad_word")]);
    assert_eq!(reply(&server, &withdrawal(&[&two, &three])).await, second, "with its exceptions");
    assert_eq!(reply(&server, &withdrawal(&[&three])).await, PushReply::Voided { last: 3 });
    assert_eq!(reply(&server, &withdrawal(&[&two, &three])).await, second, "also after what came later");
    assert_eq!(reply(&server, &two).await, second);
    assert_eq!(reply(&server, &withdrawal(&[&one])).await, first);
}

/// Fails if a number is used up that the server cannot know to be the device's next.
#[tokio::test]
async fn a_withdrawal_of_another_number_changes_nothing() {
    let server = server().await;
    let mut device = Device::new(1);
    let [one, two, three] = three(&mut device);
    assert_eq!(reply(&server, &withdrawal(&[&two])).await, PushReply::Gap { last: 0 });
    server.receipt(&ada(), one.clone()).await;
    assert_eq!(reply(&server, &withdrawal(&[&three])).await, PushReply::Gap { last: 1 });
    let mut other = one.clone();
    other.session = three.session;
    assert_eq!(reply(&server, &withdrawal(&[&other])).await, PushReply::ClientForked);
    // Another user's, or another device's, is another matter.
    let eve = SyncContext::new("eve");
    let taken_back = withdrawal(&[&two]);
    let refused = server.manager.process_push(&eve, taken_back.clone()).await.unwrap();
    assert_eq!(refused, PushReply::Gap { last: 0 });
    let context = ada().with_device(DeviceId::from_uuid(uuid::Uuid::from_u128(9)));
    let error = server.manager.process_push(&context, taken_back).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    server.receipt(&ada(), two).await;
    server.receipt(&ada(), three).await;
}

/// Fails if something is made void that no device asks for.
#[tokio::test]
async fn a_withdrawal_of_an_invalid_form_is_refused() {
    let server = server().await;
    let mut device = Device::new(1);
    let [one, two, _] = three(&mut device);
    let valid = withdrawal(&[&one, &two]);
    type Change = fn(&mut PushRequest);
    let changes: [(&str, Change); 6] = [
        ("of another session", |r| r.withdraw.remove(0).clone_into(&mut r.session)),
        ("twice", |r| r.withdraw.push(r.session)),
        ("with edits", |r| r.payload = SyncPayload::new(vec![], tasks(vec![new_row("1", 1)]))),
        ("number 0", |r| r.number = 0),
        ("the last number", |r| r.number = u64::MAX),
        ("too many", |r| {
            r.withdraw.extend((0..8).map(|n| SessionId::from_uuid(uuid::Uuid::from_u128(n))));
        }),
    ];
    for (what, change) in changes {
        let mut request = valid.clone();
        change(&mut request);
        if what == "of another session" {
            request.withdraw.reverse();
            request.withdraw.insert(0, SessionId::from_uuid(uuid::Uuid::from_u128(77)));
        }
        let error = server.manager.process_push(&ada(), request).await.expect_err(what);
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{what}");
    }
    assert!(server.store.source().entries("fastsync/pushed/").await.unwrap().is_empty());
    assert_eq!(reply(&server, &valid).await, PushReply::Voided { last: 2 });
}

/// Fails if a push and its withdrawal can both believe that they were first, in two processes of the server.
#[tokio::test]
async fn one_of_a_push_and_its_withdrawal_is_first() {
    for withdrawal_is_first in [true, false] {
        let hooked = Hooked::default();
        let slow = serve(hooked.clone(), LastWriterWins, own_zone_policy, ServerLimits::default()).await;
        let other = server_on(hooked.inner.clone(), LastWriterWins).await;
        let mut device = Device::new(1);
        let [one, two, _] = three(&mut device);
        let taken_back = withdrawal(&[&one, &two]);
        let (first, second) = if withdrawal_is_first {
            (taken_back.clone(), one.clone())
        } else {
            (one.clone(), taken_back.clone())
        };
        // The slow process has read the entry; before it commits, the other one does.
        let manager = other.manager.clone();
        hooked.before(Call::Commit(SessionKind::Push), 1, async move {
            manager.process_push(&ada(), first).await.unwrap();
        });
        let answer = ends(reply(&slow, &second)).await;
        for server in [&slow, &other] {
            assert_eq!(reply(server, &one).await, answer);
            assert_eq!(reply(server, &taken_back).await, answer);
        }
        assert_eq!(matches!(answer, PushReply::Voided { last: 2 }), withdrawal_is_first, "{answer:?}");
        let stored = usize::from(!withdrawal_is_first);
        assert_eq!(other.tasks.get_all().await.unwrap().len(), stored);
        assert_eq!(other.sessions(&Zone::Global).await.len(), stored);
    }
}

/// Two pushes under way in one process, the second committed on what was foretold of the first. Fails if either is stored
/// after the withdrawal, whichever was about to be.
#[tokio::test]
async fn what_follows_a_withdrawn_push_is_not_stored() {
    for at in 1..=2 {
        let hooked = Hooked::default();
        let server = serve(hooked.clone(), LastWriterWins, own_zone_policy, ServerLimits::default()).await;
        let other = server_on(hooked.inner.clone(), LastWriterWins).await;
        let mut device = Device::new(1);
        let [one, two, three] = three(&mut device);
        let taken_back = withdrawal(&[&one, &two, &three]);
        let manager = other.manager.clone();
        hooked.before(Call::Commit(SessionKind::Push), at, async move {
            manager.process_push(&ada(), taken_back).await.unwrap();
        });
        let both = futures_util::future::join(reply(&server, &one), reply(&server, &two));
        let (first, second) = ends(both).await;
        let sessions = server.sessions(&Zone::Global).await.len();
        match (first, second) {
            (PushReply::Voided { .. }, PushReply::Voided { .. }) => assert_eq!(sessions, 0),
            // The first one was before the withdrawal, which then was of nothing.
            (PushReply::Processed(_), PushReply::Processed(_)) => assert_eq!(sessions, 2),
            other => panic!("{other:?}"),
        }
    }
}

/// Fails if a refusal of a repeated push is believed although the first try was processed.
#[tokio::test]
async fn a_refused_retry_of_what_was_processed_is_settled_by_its_receipt() {
    for kind in [ErrorKind::TooLarge, ErrorKind::InvalidInput, ErrorKind::ClockSkew, ErrorKind::UnknownType] {
        let server = server().await;
        let a = client(&server, "ada").await;
        a.tasks.add(&task("1", "sweep")).await.unwrap();
        a.link.fail_next(Fault::LoseReply);
        a.sync.push().await.unwrap_err();
        let (sync, gate) = Gate::before(&server, &a, "ada");
        gate.refuse(move |request| request.withdraw.is_empty().then(|| refusal(kind)));
        let report = sync.push().await.unwrap();
        assert_eq!((report.sessions, report.applied, report.rejected), (1, 1, 0), "{kind}");
        assert_eq!(a.pending().await, 0, "{kind}");
        assert_eq!(server.sessions(&Zone::Global).await.len(), 1, "{kind}");
    }
}

/// Fails if a server that was given smaller limits refuses what it has processed.
#[tokio::test]
async fn what_was_processed_is_recognised_before_its_size_is_refused() {
    let source = MemoryDataSource::new();
    let before = server_on(source.clone(), LastWriterWins).await;
    let push = Device::new(1).push(tasks(vec![new_row("1", 1), new_row("2", 1)]));
    let receipt = before.receipt(&ada(), push.clone()).await;
    for limits in [SessionLimits::new(1, 1 << 20), SessionLimits::new(10, 1)] {
        let limits = ServerLimits::default().with_session(limits);
        let after = serve(source.clone(), LastWriterWins, own_zone_policy, limits).await;
        assert_eq!(after.receipt(&ada(), push.clone()).await, receipt);
    }
}

/// Fails if a number is used again before the server has said what became of it.
#[tokio::test]
async fn what_was_refused_on_the_way_stays_in_flight_until_the_server_answers() {
    let server = server().await;
    let a = client(&server, "ada").await;
    let (sync, gate) = Gate::before(&server, &a, "ada");
    a.tasks.add(&task("1", "sweep")).await.unwrap();
    a.tasks.add(&task("2", "sweep")).await.unwrap();
    for kind in [ErrorKind::InvalidInput, ErrorKind::TooLarge, ErrorKind::UpgradeRequired] {
        gate.refuse(move |_| Some(refusal(kind)));
        assert_eq!(sync.push().await.unwrap_err().kind(), kind);
        let status = sync.status().await.unwrap();
        assert_eq!((status.push_in_flight, status.pending, status.rejected), (true, 2, 0), "{kind}");
    }
    gate.open();
    assert_eq!(sync.push().await.unwrap().applied, 2);
    let pushes = gate.pushes.lock().unwrap();
    let sent: Vec<_> = pushes.iter().filter(|(request, _)| request.withdraw.is_empty()).collect();
    assert_eq!(sent.len(), 4);
    assert!(sent.iter().all(|(request, _)| *request == sent[0].0), "the same push each time");
}

/// A withdrawal whose answer is lost is made again, by whoever comes next.
#[tokio::test]
async fn a_device_that_dies_before_it_knows_of_its_withdrawal_goes_on() {
    let server = server().await;
    let a = client(&server, "ada").await;
    a.tasks.add(&task("1", "sweep")).await.unwrap();
    a.link.fail_next(Fault::DropRequest);
    a.sync.push().await.unwrap_err();
    let sent = a.link.pushes.lock().unwrap()[0].clone();
    assert_eq!(reply(&server, &withdrawal(&[&sent])).await, PushReply::Voided { last: 1 });
    a.tasks.add(&task("2", "sweep")).await.unwrap();
    let report = a.sync.push().await.unwrap();
    assert_eq!((report.applied, report.forked), (2, false));
    let sessions = server.sessions(&Zone::Global).await;
    let sent_before = a.link.pushes.lock().unwrap().clone();
    for delayed in sent_before {
        reply(&server, &delayed).await;
    }
    assert_eq!(reply(&server, &sent).await, PushReply::Voided { last: 2 });
    assert_eq!(
        server.sessions(&Zone::Global).await,
        sessions,
        "nothing that was sent before changes anything"
    );
}

/// Fails if a copy of a store that was restored goes on after numbers that the original has used since as if it had pushed
/// under them itself: it never received what was pushed so.
#[tokio::test]
async fn a_restored_copy_fetches_what_was_pushed_after_it() {
    let server = server().await;
    let a = client(&server, "ada").await;
    a.tasks.add(&task("1", "x")).await.unwrap();
    a.link.fail_next(Fault::DropRequest);
    a.sync.push().await.unwrap_err();
    let backup = a.source.snapshot();
    let key = RecordKey { zone: Zone::Global, type_name: TypeName::new("tasks").unwrap(), id: id("1") };
    a.sync.discard_pending(&[key]).await.unwrap();
    a.sync.sync().await.unwrap();
    a.tasks.add(&task("2", "x")).await.unwrap();
    a.sync.sync().await.unwrap();
    let restored = client_on(&server, "ada", backup).await;
    restored.sync.sync().await.unwrap();
    restored.sync.sync().await.unwrap();
    assert_eq!(restored.tasks.get_all().await.unwrap(), [task("1", "x"), task("2", "x")]);
    assert_eq!(server.tasks.get_all().await.unwrap().len(), 2);
}

/// Fails if a device sends nothing any more because the server gave up a type of which it has processed a push: its answer was
/// lost, and what the server has instead of an edit can be told no more.
#[tokio::test]
async fn the_answer_to_a_push_of_a_type_that_was_given_up_since() {
    let server = server_with(ServerWins).await;
    let (a, b) = (client(&server, "ada").await, client(&server, "ada").await);
    a.tasks.add(&task("1", "start")).await.unwrap();
    a.sync.sync().await.unwrap();
    b.sync.sync().await.unwrap();
    b.tasks.update(&task("1", "theirs")).await.unwrap();
    b.sync.sync().await.unwrap();
    a.tasks.update(&task("1", "mine")).await.unwrap();
    a.link.fail_next(Fault::LoseReply);
    a.sync.push().await.unwrap_err();
    a.lists.add(&List { id: "l".into(), title: "t".into() }).await.unwrap();

    let store = Store::server(server.store.source().clone()).register::<List>().open().await.unwrap();
    let lists = Repository::<List>::new(&store);
    let without_tasks = SyncManager::server(&store)
        .register(lists.clone(), ServerWins)
        .zones(own_zone_policy)
        .build()
        .await
        .unwrap();
    let manager = SyncManager::client(&a.store)
        .register(a.lists.clone(), ServerWins)
        .register(a.tasks.clone(), ServerWins)
        .register(a.notes.clone(), ServerWins)
        .transport(LoopbackTransport::new(without_tasks, SyncContext::new("ada")))
        .build()
        .unwrap();
    let report = manager.sync().await.unwrap();
    assert_eq!((report.push.rejected, lists.get_all().await.unwrap().len()), (1, 1), "{report:?}");
    let rejected = manager.rejected().await.unwrap();
    assert_eq!(rejected.iter().map(|edit| edit.code.as_str()).collect::<Vec<_>>(), ["unknown_type"]);
    assert_eq!(a.task("1").await, Some(task("1", "mine")), "the edit is listed, and stays");
    assert!(!manager.status().await.unwrap().push_in_flight);
}
