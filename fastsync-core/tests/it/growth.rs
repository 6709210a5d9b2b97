//! What a later release may say: features that a sender requires, and retries that are written otherwise than before.

use crate::support::by_hand::*;
use crate::support::*;
use fastsync_core::protocol::*;
use fastsync_core::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

fn ada() -> SyncContext {
    SyncContext::new("ada")
}

/// A push of new objects of every type, and of deletions.
fn request() -> PushRequest {
    let list = List { id: "l".into(), title: "home".into() };
    let note = Note { id: "n".into(), text: "of ada".into() };
    let gone = |name| {
        let mut row = new_row(name, 3);
        row.5 = None;
        row
    };
    let groups = vec![
        group(Zone::Global, "tasks", vec![new_row("1", 1), new_row("2", 2), gone("3")]),
        group(Zone::Global, "lists", vec![row(&list, Revision::NONE, 1)]),
        group(zone("ada"), "notes", vec![row(&note, Revision::NONE, 1)]),
    ];
    Device::new(1).push(groups)
}

fn through_json<T: Serialize + DeserializeOwned>(message: &T, change: impl Fn(&mut serde_json::Value)) -> T {
    let mut tree = serde_json::to_value(message).unwrap();
    change(&mut tree);
    serde_json::from_value(tree).unwrap()
}

fn through_compact(request: &PushRequest) -> PushRequest {
    let mut bytes = Vec::new();
    Compact(request).serialize(&mut rmp_serde::Serializer::new(&mut bytes).with_struct_map()).unwrap();
    let Compact(read) = rmp_serde::from_slice(&bytes).unwrap();
    read
}

fn changed(request: &PushRequest, change: impl Fn(&mut PushRequest)) -> PushRequest {
    let mut request = request.clone();
    change(&mut request);
    request
}

/// Fails if a device that is updated, or speaks another form than at the first try, is taken for a copy.
#[tokio::test]
async fn a_retry_is_known_however_it_is_written() {
    let server = server().await;
    let request = request();
    let receipt = server.receipt(&ada(), request.clone()).await;
    let committed = server.sessions(&Zone::Global).await;
    let later = |tree: &mut serde_json::Value| {
        tree["later"] = json!({"a": [1]});
        tree["metadata"]["later"] = json!(null);
        tree["metadata"]["types"]["tasks"]["later"] = json!("x");
        tree["payload"]["later"] = json!([]);
        tree["payload"]["groups"][0]["later"] = json!(7);
        tree["payload"]["groups"][0]["rows"][0].as_array_mut().unwrap().push(json!({"later": true}));
    };
    let again = [
        ("as it was", request.clone()),
        ("in JSON", through_json(&request, |_| {})),
        ("in the binary form", through_compact(&request)),
        ("with what is ignored", through_json(&request, later)),
        (
            "with its fields in another order",
            changed(&request, |request| {
                for sender in request.metadata.types.values_mut() {
                    sender.fields.reverse();
                }
                for row in request.payload.groups.iter_mut().flat_map(|group| &mut group.rows) {
                    row.5.iter_mut().for_each(|values| values.reverse());
                }
            }),
        ),
        (
            "with its rows in another order",
            changed(&request, |request| {
                request.payload.groups.reverse();
                request.payload.groups[2].rows.reverse();
                let rest = request.payload.groups[2].rows.split_off(1);
                request.payload.groups.insert(0, group(Zone::Global, "tasks", rest));
            }),
        ),
        (
            "with other versions of its types",
            changed(&request, |request| request.metadata.types.values_mut().for_each(|t| t.version += 1)),
        ),
        (
            "with types that it does not use",
            changed(&request, |request| {
                let (_, like) = request.metadata.types.first_key_value().unwrap();
                let like = like.clone();
                request.metadata.types.insert(type_name("plans"), like);
            }),
        ),
    ];
    for (how, again) in again {
        assert_eq!(server.receipt(&ada(), again).await, receipt, "{how}");
    }
    assert_eq!(server.sessions(&Zone::Global).await, committed, "nothing was stored again");
}

/// Fails if another push passes for the one that was processed: its edits would be lost.
#[tokio::test]
async fn another_push_of_the_same_number_is_no_retry() {
    type Change = fn(&mut PushRequest);
    fn first(request: &mut PushRequest) -> &mut Row {
        &mut request.payload.groups[0].rows[0]
    }
    let changes: [(&str, Change); 14] = [
        ("session", |r| r.session = SessionId::from_uuid(uuid::Uuid::from_u128(3))),
        ("follows", |r| r.follows = Some(r.session)),
        ("mode", |r| r.mode = PushMode::Atomic),
        ("a row less", |r| drop(r.payload.groups[0].rows.pop())),
        ("a group less", |r| drop(r.payload.groups.pop())),
        ("zone", |r| r.payload.groups[2].zone = zone("bob")),
        ("type", |r| {
            let row = r.payload.groups[0].rows.pop().unwrap();
            r.payload.groups[1].rows.push(row);
        }),
        ("id", |r| first(r).0 = id("other")),
        ("base", |r| first(r).1 = Revision::from_bits(1)),
        ("incarnation", |r| first(r).2 = Incarnation::from_bits(1)),
        ("time", |r| first(r).3 = Hlc::new(Timestamp::from_millis(9), 0)),
        ("deletion", |r| first(r).5 = None),
        ("value", |r| first(r).5.as_mut().unwrap()[1] = "other".into()),
        ("values of two fields", |r| first(r).5.as_mut().unwrap().swap(0, 1)),
    ];
    let server = server().await;
    let request = request();
    let receipt = server.receipt(&ada(), request.clone()).await;
    let committed = server.sessions(&Zone::Global).await;
    for (what, change) in changes {
        let other = changed(&request, change);
        assert_ne!(other, request, "{what}");
        let reply = server.manager.process_push(&ada(), other).await.unwrap();
        assert_eq!(reply, PushReply::ClientForked, "{what}");
    }
    assert_eq!(server.sessions(&Zone::Global).await, committed);
    assert_eq!(server.receipt(&ada(), request).await, receipt);
}

fn features(names: &[&str]) -> std::collections::BTreeSet<FeatureName> {
    names.iter().map(|name| FeatureName::new(*name).unwrap()).collect()
}

/// Fails if a server processes a request that it does not understand.
#[tokio::test]
async fn what_is_required_and_unknown_is_named() {
    let server = server().await;
    let mut push = request();
    let mut pull = Device::new(1).pull([Zone::Global]);
    push.metadata.requires = features(&["fly", "swim"]);
    pull.metadata.requires = features(&["swim"]);
    let refused = [
        ("fly, swim", server.manager.process_push(&ada(), push.clone()).await.map(drop)),
        ("swim", server.manager.process_pull(&ada(), pull.clone()).await.map(drop)),
    ];
    for (names, refused) in refused {
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UpgradeRequired, "{error}");
        assert!(error.message().ends_with(&format!(": {names}")), "{error}");
    }
    assert!(server.sessions(&Zone::Global).await.is_empty(), "nothing is stored");
    push.metadata.requires.clear();
    server.receipt(&ada(), push).await;
}

/// Fails if the list is lost on the way, may grow without limit, or may name something twice.
#[test]
fn required_features_are_written_and_bounded() {
    let mut push = request();
    assert!(!serde_json::to_string(&push).unwrap().contains("requires"), "an empty list is not written");
    let most: Vec<String> = (0..MAX_FEATURES).map(|n| format!("f{n:02}{}", "x".repeat(61))).collect();
    push.metadata.requires = features(&most.iter().map(|name| &**name).collect::<Vec<_>>());
    assert_eq!(push.metadata.requires.len(), MAX_FEATURES);
    assert_eq!(through_json(&push, |_| {}), push);
    assert_eq!(through_compact(&push), push);
    let read = |names: serde_json::Value| {
        let mut tree = serde_json::to_value(request()).unwrap();
        tree["metadata"]["requires"] = names;
        serde_json::from_value::<PushRequest>(tree).map(|read| read.metadata.requires)
    };
    assert_eq!(read(json!(["a", "b-c_D9"])).unwrap(), features(&["a", "b-c_D9"]));
    assert!(read(json!([])).unwrap().is_empty());
    let too_many: Vec<String> = (0..=MAX_FEATURES).map(|n| format!("f{n}")).collect();
    for bad in [
        json!(null),
        json!("a"),
        json!({"a": 1}),
        json!(["a", "a"]),
        json!([1]),
        json!([""]),
        json!(["1a"]),
        json!(["a b"]),
        json!(["é"]),
        json!(["x".repeat(65)]),
        json!(too_many),
    ] {
        assert!(read(bad.clone()).is_err(), "{bad}");
    }
}

/// Fails if what a message requires cannot be told where the rest of it has a form of a later release.
#[test]
fn requirements_are_read_without_the_rest() {
    let read = |metadata: serde_json::Value| serde_json::from_value::<Requirements>(metadata).unwrap();
    read(json!({"protocol": 1, "types": "of another form"})).check().unwrap();
    for later in [json!({"protocol": 2}), json!({"protocol": 1, "device": 7, "requires": ["fly"]})] {
        assert_eq!(read(later.clone()).check().unwrap_err().kind(), ErrorKind::UpgradeRequired, "{later}");
    }
}
