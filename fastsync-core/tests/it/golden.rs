//! The wire form, pinned by files: a change of one is a change of the protocol.
//!
//! To accept an intended change, run with `FASTSYNC_ACCEPT_GOLDEN=1` and review the difference.

use std::fmt::Debug;

use fastsync_core::protocol::*;
use fastsync_core::source::ResetReason;
use fastsync_core::*;
use serde::{Serialize, de::DeserializeOwned};

/// Both forms of `value` are as in the files, and give `value` again.
fn check<T>(name: &str, value: &T)
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
    for<'a> Compact<&'a T>: Serialize,
    Compact<T>: DeserializeOwned,
{
    check_read(name, value, value);
}

/// Likewise, for what is read back otherwise than it was written.
fn check_read<T>(name: &str, value: &T, read: &T)
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
    for<'a> Compact<&'a T>: Serialize,
    Compact<T>: DeserializeOwned,
{
    let golden = check_file(&format!("{name}.json"), &(serde_json::to_string_pretty(value).unwrap() + "\n"));
    assert_eq!(&serde_json::from_str::<T>(&golden).unwrap(), read, "{name}: what was written is read back");

    let mut bytes = Vec::new();
    let mut writer = rmp_serde::Serializer::new(&mut bytes).with_struct_map();
    Compact(value).serialize(&mut writer).unwrap();
    check_file(&format!("{name}.msgpack.hex"), &hex(&bytes));
    let Compact(again) = rmp_serde::from_slice::<Compact<T>>(&bytes).unwrap();
    assert_eq!(&again, read, "{name}: what was written as MessagePack is read back");
}

fn check_file(name: &str, written: &str) -> String {
    let path = format!("{}/tests/golden/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("FASTSYNC_ACCEPT_GOLDEN").is_some() {
        std::fs::write(&path, written).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    assert_eq!(written, golden, "{name}: the wire form has changed");
    golden
}

/// 32 bytes a line; `xxd -r -p` makes the bytes of it again.
fn hex(bytes: &[u8]) -> String {
    let line = |line: &[u8]| line.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n";
    bytes.chunks(32).map(line).collect()
}

fn uuid(n: u128) -> uuid::Uuid {
    uuid::Uuid::from_u128(n)
}

fn metadata() -> SyncOperationMetadata {
    let fields = ["name", "quantity", "photo", "extra"].map(|name| FieldName::new(name).unwrap()).to_vec();
    let mut metadata = SyncOperationMetadata::new(DeviceId::from_uuid(uuid(7)), std::iter::empty());
    let mut items = TypeVersion::new(3, IdKind::Uuid, fields);
    items.min_version = 2;
    metadata.types = [(TypeName::new("items").unwrap(), items)].into();
    metadata
}

fn payload() -> SyncPayload {
    let time = Hlc::new(Timestamp::from_millis(1_795_294_580_370), 2);
    let row = |id: &str, revision, body| {
        Row::new(
            ObjectId::new(id).unwrap(),
            Revision::from_bits(revision),
            Incarnation::from_bits(0xabc),
            time,
            0,
            body,
        )
    };
    let body = vec![
        Value::Text("Caf\u{e9} \u{1f4a1}".into()),
        Value::Integer(-3),
        Value::Null,
        Value::Json(r#"{"b":[1,2.5,null],"a":"007"}"#.into()),
    ];
    let other = vec![Value::Text(String::new()), Value::Real(1.0), Value::Bool(true), Value::Null];
    let items = || TypeName::new("items").unwrap();
    let global = vec![row("new", 0, Some(body)), row("gone", u64::MAX, None)];
    let groups = vec![
        RecordGroup::new(Zone::Global, items(), global),
        RecordGroup::new(Zone::restricted("user:42").unwrap(), items(), vec![row("new", 0x1f, Some(other))]),
    ];
    SyncPayload::new(vec![DeviceId::from_uuid(uuid(7))], groups)
}

#[test]
fn push_request() {
    let session = SessionId::from_uuid(uuid(0x0195_0000));
    check("push_request", &PushRequest::new(metadata(), session, 12, payload()));
}

#[test]
fn withdrawal() {
    let session = |n| SessionId::from_uuid(uuid(n));
    let later = [session(0x0195_0001), session(0x0195_0002)];
    check("push_request_withdrawal", &PushRequest::withdrawal(metadata(), 12, session(0x0195_0000), later));
    check("push_reply_voided", &PushReply::Voided { last: 14 });
}

#[test]
fn uuids_and_bytes() {
    let request = |body| {
        let mut payload = payload();
        payload.groups.truncate(1);
        payload.groups[0].rows.truncate(1);
        payload.groups[0].rows[0].0 = ObjectId::from(uuid(0x67e5_5044_10b1_426f_9247_bb68_0e5f_e0c8));
        payload.groups[0].rows[0].5 = Some(body);
        let session = SessionId::from_uuid(uuid(0x0195_0000));
        let mut request = PushRequest::new(metadata(), session, 1, payload);
        request.mode = PushMode::PerObject;
        request
    };
    let edges = [Value::Integer(i64::MIN), Value::Integer(i64::MAX)];
    let body = |bytes| [Value::Text("a".into()), bytes].into_iter().chain(edges.clone()).collect();
    // On either way bytes arrive as JSON has them; the type's schema turns them back.
    check_read(
        "push_request_bytes",
        &request(body(Value::Bytes(vec![0, 0xff, 0x80]))),
        &request(body(Value::Text("AP+A".into()))),
    );
}

#[test]
fn push_replies() {
    let named = |id: &str, outcome| {
        let items = TypeName::new("items").unwrap();
        ObjectOutcome::new(Zone::Global, items, ObjectId::new(id).unwrap(), outcome)
    };
    let session = SessionId::from_uuid(uuid(0x0195_0000));
    let mut receipt = PushReceipt::new(session, Revision::from_bits(0xdead_beef));
    receipt.exceptions = vec![
        named("0", Outcome::Kept),
        named("a", Outcome::Merged),
        named("b", Outcome::Superseded),
        named("c", Outcome::Rejected { code: "out_of_stock".into(), message: "only 2 are left".into() }),
    ];
    receipt.current = payload();
    check("push_reply_processed", &PushReply::Processed(receipt));
    check("push_reply_client_forked", &PushReply::ClientForked);
    check("push_reply_gap", &PushReply::Gap { last: 4 });
}

#[test]
fn pull_request() {
    let zones = vec![Zone::Global, Zone::restricted("user:42").unwrap()];
    let mut request = PullRequest::new(metadata(), zones);
    (request.max_records, request.max_bytes) = (5_000, 4_194_304);
    request.count_remaining = true;
    check("pull_request_first", &request);
    (request.cursor, request.own_through) = (Some(Cursor::from("opaque".to_owned())), 12);
    check("pull_request", &request);
}

fn page(cursor: Cursor) -> PullPage {
    let mut page = PullPage::new(cursor, Timestamp::from_millis(1_795_294_580_370), payload());
    (page.caught_up, page.remaining) = (false, Some(120));
    page
}

#[test]
fn pull_replies() {
    let mut page = page(Cursor::from("opaque".to_owned()));
    page.unknown_types = vec![TypeName::new("photos").unwrap()];
    page.outdated_types = vec![TypeName::new("prices").unwrap()];
    let page = PullReply::Page(page);
    check("pull_reply_page", &page);
    check("pull_reply_reset", &PullReply::ResetRequired(ResetRequired::new(ResetReason::Horizon)));
}

#[test]
fn where_a_pull_goes_on_is_known_before_the_records_are_read() {
    let cursor = Cursor::from("opaque \" 💡".to_owned());
    let page = |caught_up| {
        let mut page = page(cursor.clone());
        page.caught_up = caught_up;
        PullReply::Page(page)
    };
    let json = |bytes: &[u8]| PullReply::next_cursor(&mut serde_json::Deserializer::from_slice(bytes));
    let binary = |bytes: &[u8]| PullReply::next_cursor(&mut rmp_serde::Deserializer::from_read_ref(bytes));
    let compact = |reply: &PullReply| {
        let mut bytes = Vec::new();
        Compact(reply).serialize(&mut rmp_serde::Serializer::new(&mut bytes).with_struct_map()).unwrap();
        bytes
    };
    let (text, bytes) = (serde_json::to_vec(&page(false)).unwrap(), compact(&page(false)));
    assert_eq!((json(&text), binary(&bytes)), (Some(cursor.clone()), Some(cursor.clone())));
    // Without what follows it, too: nothing is read that a large page has much of.
    assert_eq!((json(&text[..100]), binary(&bytes[..100])), (Some(cursor.clone()), Some(cursor.clone())));
    for length in 0..40 {
        assert_eq!((json(&text[..length]), binary(&bytes[..length])), (None, None), "{length}");
    }
    let reset = PullReply::ResetRequired(ResetRequired::new(ResetReason::Horizon));
    for last in [page(true), reset] {
        assert_eq!(json(&serde_json::to_vec(&last).unwrap()), None);
        assert_eq!(binary(&compact(&last)), None);
        assert_eq!(last.next(), None);
    }
    assert_eq!(page(false).next(), Some(&cursor));
    let later =
        r#"{"later":[{"a":null}],"result":"page","cursor":"a","latest":{},"caught_up":false,"payload":"#;
    assert_eq!(json(later.as_bytes()), Some(Cursor::from("a".to_owned())), "what is unknown is passed over");
    for other in [
        r#"{"result":"page","payload":{},"cursor":"a","caught_up":false}"#,
        r#"{"result":"reset_required","cursor":"a","caught_up":false}"#,
        r#"{"cursor":7,"caught_up":false}"#,
        r#"{"later":[{}],"cursor":"a","later":{},"caught_up":tru}"#,
        r#"["page"]"#,
        "{",
        "",
    ] {
        assert_eq!(json(other.as_bytes()), None, "{other}");
        assert_eq!(binary(other.as_bytes()), None, "{other}");
    }
}

#[test]
fn envelopes_refuse_what_is_invalid() {
    for (name, text) in [
        ("a member of another result", r#"{"result":"gap","last":4,"session":null}"#),
        ("a member twice", r#"{"result":"gap","last":4,"last":4}"#),
        ("unknown reply", r#"{"result":"perhaps"}"#),
        ("array", "[]"),
        ("null", "null"),
        ("text", "\"gap\""),
    ] {
        assert!(serde_json::from_str::<PushReply>(text).is_err(), "{name}");
    }
    let golden =
        std::fs::read_to_string(format!("{}/tests/golden/push_request.json", env!("CARGO_MANIFEST_DIR")))
            .unwrap();
    for (from, to) in [
        ("\"number\": 12", "\"number\": \"12\""),
        ("\"number\": 12", "\"number\": -1"),
        ("\"number\": 12", "\"number\": 1.5"),
        ("\"number\": 12", "\"number\": 12, \"number\": 13"),
        ("\"restricted:user:42\"", "{\"$ne\": null}"),
        ("\"restricted:user:42\"", "\"everyone\""),
        ("\"new\"", "7"),
        ("\"new\"", "\"\""),
        ("\"1f\"", "31"),
        ("\"type\": \"items\"", "\"type\": \"items; DROP TABLE items\""),
    ] {
        assert!(golden.contains(from), "{from} is in the golden file");
        let changed = golden.replacen(from, to, 1);
        assert!(serde_json::from_str::<PushRequest>(&changed).is_err(), "{to}");
    }
}
