//! Bad input to a server: a typed error, and nothing changed.

use crate::support::by_hand::*;
use crate::support::*;
use fastsync_core::protocol::*;
use fastsync_core::*;

/// A valid push of one new task by a client that was never seen.
async fn valid_push(server: &ServerSide) -> PushRequest {
    let a = client(server, "ada").await;
    a.tasks.add(&task("1", "sweep")).await.unwrap();
    a.link.fail_next(Fault::DropRequest);
    a.sync.push().await.unwrap_err();
    a.link.pushes.lock().unwrap()[0].clone()
}

/// A device of a later release may hold what does not fit here. Fails if that is stored, or stops what is pushed with it.
#[tokio::test]
async fn a_value_that_does_not_fit_is_a_matter_of_its_object() {
    for (name, at, value) in [
        ("another kind", 2, Value::Integer(1)),
        ("null without leave", 0, Value::Null),
        ("NUL", 0, Value::Text("\0".into())),
    ] {
        let server = server().await;
        let mut push = Device::new(1).push(tasks(vec![new_row("bad", 1), new_row("good", 1)]));
        rows(&mut push)[0].5.as_mut().unwrap()[at] = value;
        for _ in 0..2 {
            let receipt = server.receipt(&ada(), push.clone()).await;
            assert_eq!(told(&receipt), [("bad", "invalid")], "{name}");
            let stored = server.tasks.get_all().await.unwrap();
            assert_eq!(stored.iter().map(|task| task.id.as_str()).collect::<Vec<_>>(), ["good"], "{name}");
        }
    }
}

async fn valid_pull(server: &ServerSide) -> PullRequest {
    let a = client(server, "ada").await;
    a.sync.pull().await.unwrap();
    a.link.pulls.lock().unwrap()[0].0.clone()
}

fn ada() -> SyncContext {
    SyncContext::new("ada")
}

fn rows(request: &mut PushRequest) -> &mut Vec<Row> {
    &mut request.payload.groups[0].rows
}

#[tokio::test]
async fn a_bad_push_is_refused_by_kind_and_changes_nothing() {
    let server = server().await;
    let valid = valid_push(&server).await;
    let refused = |change: &dyn Fn(&mut PushRequest)| {
        let mut request = valid.clone();
        change(&mut request);
        request
    };
    let far = Hlc::new(Timestamp::from_millis(1_000_000 + 300_001), 0);
    let huge = vec![Value::Text("home".into()), Value::Text("x".repeat(2 << 20)), Value::Bool(false)];
    let cases: Vec<(&str, ErrorKind, PushRequest)> = vec![
        (
            "unknown type",
            ErrorKind::UnknownType,
            refused(&|r| r.payload.groups[0].type_name = TypeName::new("nothing").unwrap()),
        ),
        (
            "type in other case",
            ErrorKind::UnknownType,
            refused(&|r| r.payload.groups[0].type_name = TypeName::new("Tasks").unwrap()),
        ),
        ("wrong sort of zone", ErrorKind::UnknownZone, refused(&|r| r.payload.groups[0].zone = zone("ada"))),
        ("another protocol", ErrorKind::UpgradeRequired, refused(&|r| r.metadata.protocol = 2)),
        ("protocol 0", ErrorKind::UpgradeRequired, refused(&|r| r.metadata.protocol = 0)),
        ("number 0", ErrorKind::InvalidInput, refused(&|r| r.number = 0)),
        ("no record", ErrorKind::InvalidInput, refused(&|r| r.payload.groups.clear())),
        (
            "an object twice",
            ErrorKind::InvalidInput,
            refused(&|r| {
                let row = rows(r)[0].clone();
                rows(r).push(row)
            }),
        ),
        (
            "too many records",
            ErrorKind::TooLarge,
            refused(&|r| {
                let row = rows(r)[0].clone();
                *rows(r) = vec![row; 10_001]
            }),
        ),
        ("a record too large", ErrorKind::TooLarge, refused(&|r| rows(r)[0].5 = Some(huge.clone()))),
        (
            "another device's edit",
            ErrorKind::InvalidInput,
            refused(&|r| r.payload.devices = vec![DeviceId::from_uuid(uuid::Uuid::from_u128(9))]),
        ),
        ("a device that is not named", ErrorKind::InvalidInput, refused(&|r| rows(r)[0].4 = 7)),
        (
            "too few values",
            ErrorKind::InvalidInput,
            refused(&|r| {
                rows(r)[0].5.as_mut().unwrap().pop();
            }),
        ),
        ("an edit from the future", ErrorKind::ClockSkew, refused(&|r| rows(r)[0].3 = far)),
        (
            "a row of more values than fields",
            ErrorKind::InvalidInput,
            refused(&|r| {
                let name = TypeName::new("tasks").unwrap();
                r.metadata.types.get_mut(&name).unwrap().fields.pop();
            }),
        ),
        ("undescribed type", ErrorKind::InvalidInput, refused(&|r| r.metadata.types.clear())),
    ];
    for (name, kind, request) in cases {
        let error = server.manager.process_push(&ada(), request).await.expect_err(name);
        assert_eq!(error.kind(), kind, "{name}: {error}");
        assert!(server.tasks.get_all().await.unwrap().is_empty(), "{name}");
        let sessions = server.store.source().sessions_of(&Zone::Global, Position::START, 10).await.unwrap();
        assert!(sessions.is_empty(), "{name}: nothing is committed");
    }
    let other_device = ada().with_device(DeviceId::from_uuid(uuid::Uuid::from_u128(3)));
    let error = server.manager.process_push(&other_device, valid.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    // After all of it the valid push goes through: nothing is poisoned.
    assert!(matches!(server.manager.process_push(&ada(), valid).await.unwrap(), PushReply::Processed(_)));
}

#[tokio::test]
async fn a_bad_pull_is_refused_by_kind() {
    let server = server().await;
    server.tasks.add(&task("1", "x")).await.unwrap();
    let valid = valid_pull(&server).await;
    let PullReply::Page(page) = server.manager.process_pull(&ada(), valid.clone()).await.unwrap() else {
        panic!()
    };
    let with = |change: &dyn Fn(&mut PullRequest)| {
        let mut request = valid.clone();
        change(&mut request);
        request
    };
    let forged = Cursor::from(page.cursor.as_str().replace('A', "B"));
    let cases = [
        ("foreign zone", ErrorKind::UnknownZone, with(&|r| r.zones = vec![Zone::Global, zone("bob")])),
        ("absent zone", ErrorKind::UnknownZone, with(&|r| r.zones = vec![zone("nobody")])),
        ("no zone", ErrorKind::InvalidInput, with(&|r| r.zones.clear())),
        ("a zone twice", ErrorKind::InvalidInput, with(&|r| r.zones = vec![Zone::Global; 2])),
        ("no type", ErrorKind::InvalidInput, with(&|r| r.metadata.types.clear())),
        ("a forged cursor", ErrorKind::BadCursor, with(&|r| r.cursor = Some(forged.clone()))),
        ("an empty cursor", ErrorKind::BadCursor, with(&|r| r.cursor = Some(Cursor::from(String::new())))),
        (
            "another device's cursor",
            ErrorKind::BadCursor,
            with(&|r| {
                r.cursor = Some(page.cursor.clone());
                r.metadata.device = DeviceId::from_uuid(uuid::Uuid::from_u128(3));
            }),
        ),
        ("another protocol", ErrorKind::UpgradeRequired, with(&|r| r.metadata.protocol = 99)),
    ];
    for (name, kind, request) in cases {
        let error = server.manager.process_pull(&ada(), request).await.expect_err(name);
        assert_eq!(error.kind(), kind, "{name}: {error}");
    }
    let mut stolen = valid.clone();
    stolen.cursor = Some(page.cursor.clone());
    stolen.zones = vec![Zone::Global];
    let error = server.manager.process_pull(&SyncContext::new("bob"), stolen).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadCursor, "another user's cursor");
}

#[tokio::test]
async fn absent_and_foreign_are_answered_alike() {
    let server = server().await;
    let b = client(&server, "bob").await;
    b.notes.add(&Note { id: "secret".into(), text: "canary-7f3a".into() }).await.unwrap();
    b.sync.sync().await.unwrap();
    let theirs = b.link.pushes.lock().unwrap()[0].clone();
    let mut answers = Vec::new();
    for (number, foreign) in [(1, "bob"), (2, "nobody")] {
        let mut push = theirs.clone();
        let at = Timestamp::from_millis(1_000_000 + number);
        (push.number, push.session) = (number, SessionId::new(at, &SystemRandom));
        push.payload.groups[0].zone = zone(foreign);
        let PushReply::Processed(receipt) = server.manager.process_push(&ada(), push).await.unwrap() else {
            panic!()
        };
        assert!(receipt.current.is_empty(), "nothing of a foreign zone is told");
        let outcomes: Vec<_> =
            receipt.exceptions.into_iter().map(|named| (named.id, named.outcome)).collect();
        assert!(matches!(&outcomes[..], [(_, Outcome::Rejected { code, .. })] if code == "zone"));
        let mut pull = valid_pull(&server).await;
        pull.zones = vec![zone(foreign)];
        answers.push((outcomes, server.manager.process_pull(&ada(), pull).await.unwrap_err().to_string()));
    }
    assert_eq!(answers[0], answers[1]);
    let stored = server
        .store
        .source()
        .find(&Query::all(TypeName::new("notes").unwrap(), zone("bob")))
        .await
        .unwrap()
        .records;
    assert_eq!(stored.len(), 1, "it is as bob left it");
}

#[tokio::test]
async fn an_id_of_a_foreign_zone_is_just_a_new_id() {
    let server = server().await;
    let a = client(&server, "ada").await;
    let b = client(&server, "bob").await;
    b.notes.add(&Note { id: "shared".into(), text: "bob's".into() }).await.unwrap();
    b.sync.sync().await.unwrap();
    a.notes.add(&Note { id: "shared".into(), text: "ada's".into() }).await.unwrap();
    let report = a.sync.sync().await.unwrap();
    assert!(report.push.conflicts.is_empty());
    b.sync.sync().await.unwrap();
    assert_eq!(b.notes.get_all().await.unwrap()[0].text, "bob's");
}

#[tokio::test]
async fn a_push_number_is_used_once() {
    let server = server().await;
    let valid = valid_push(&server).await;
    let first = server.manager.process_push(&ada(), valid.clone()).await.unwrap();
    let again = server.manager.process_push(&ada(), valid.clone()).await.unwrap();
    assert_eq!(first, again, "the same push gets the same receipt");

    let mut other = valid.clone();
    other.payload.groups[0].rows[0].5 =
        Some(vec![Value::Text("home".into()), Value::Text("other".into()), Value::Bool(true)]);
    assert_eq!(server.manager.process_push(&ada(), other).await.unwrap(), PushReply::ClientForked);

    let mut later = valid.clone();
    later.number = 5;
    later.session = SessionId::from_uuid(uuid::Uuid::from_u128(5));
    assert_eq!(server.manager.process_push(&ada(), later).await.unwrap(), PushReply::Gap { last: 1 });

    // The numbers of a device belong to its user: another user's device of the same id is another one.
    let mut stranger = valid.clone();
    stranger.session = SessionId::from_uuid(uuid::Uuid::from_u128(6));
    stranger.payload.groups[0].rows[0].0 = id("2");
    let reply = server.manager.process_push(&SyncContext::new("bob"), stranger).await.unwrap();
    assert!(matches!(reply, PushReply::Processed(_)));
    // A session id that was used is refused, whoever uses it.
    let mut reused = valid;
    reused.number = 2;
    let error = server.manager.process_push(&ada(), reused).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(server.tasks.get_all().await.unwrap().len(), 2);
}

#[tokio::test]
async fn the_same_push_twice_at_once_is_committed_once() {
    let server = server().await;
    let valid = valid_push(&server).await;
    let (ada_one, ada_two) = (ada(), ada());
    let (one, two) = futures_util::future::join(
        server.manager.process_push(&ada_one, valid.clone()),
        server.manager.process_push(&ada_two, valid.clone()),
    )
    .await;
    assert_eq!(one.unwrap(), two.unwrap());
    let sessions = server.store.source().sessions_of(&Zone::Global, Position::START, 10).await.unwrap();
    assert_eq!(sessions.len(), 1);
}
