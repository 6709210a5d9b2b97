//! Messages that no writer of this crate makes. A member named twice or a row with less is refused in both forms, wherever
//! in the message it is; what a later release may add is ignored.

mod tree;

use std::fmt::Debug;

use fastsync_core::protocol::*;
use fastsync_core::source::ResetReason;
use fastsync_core::*;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::json;
use tree::Tree;

use crate::support::by_hand::*;
use crate::support::zone;

/// A push of a record with every sort of value; `nested` is its JSON.
fn request(nested: &serde_json::Value) -> PushRequest {
    let extra = Value::json(nested).unwrap();
    let mut live = new_row("1", 1);
    live.5 = Some(vec![extra, Value::Bytes(vec![1, 2]), Value::Text("x".into()), Value::Null]);
    let mut deleted = new_row("2", 1);
    deleted.5 = None;
    let mut request = Device::new(1).push(tasks(vec![live, deleted]));
    request.follows = Some(SessionId::from_uuid(uuid::Uuid::from_u128(9)));
    request
}

fn replies(nested: &serde_json::Value) -> (Vec<PushReply>, Vec<PullReply>) {
    let request = request(nested);
    let outcome = |outcome| ObjectOutcome::new(zone("ada"), type_name("notes"), ObjectId::from(7), outcome);
    let refused = Outcome::Rejected { code: "zone".into(), message: "no".into() };
    let mut receipt = PushReceipt::new(request.session, Revision::from_bits(3));
    receipt.exceptions = vec![outcome(Outcome::Kept), outcome(refused)];
    receipt.current = request.payload.clone();
    let (cursor, server_time) = (Cursor::from("sealed".to_owned()), Timestamp::from_millis(7));
    let mut page = PullPage::new(cursor, server_time, request.payload);
    (page.caught_up, page.remaining) = (false, Some(3));
    page.unknown_types = vec![type_name("plans")];
    (
        vec![PushReply::Processed(receipt), PushReply::ClientForked, PushReply::Gap { last: 4 }],
        vec![PullReply::Page(page), PullReply::ResetRequired(ResetRequired::new(ResetReason::Horizon))],
    )
}

/// What both forms of a message read of changed ones.
trait Reader {
    fn json(&self) -> Tree;
    fn compact(&self) -> Tree;
    fn reads_json(&self, changed: &Tree) -> bool;
    fn reads_compact(&self, changed: &Tree) -> bool;
    /// Whether the changed message says the same.
    fn is_same_json(&self, changed: &Tree) -> bool;
    fn is_same_compact(&self, changed: &Tree) -> bool;
}

fn from_json<T: DeserializeOwned>(tree: &Tree) -> serde_json::Result<T> {
    serde_json::from_slice(&serde_json::to_vec(tree).unwrap())
}

fn from_compact<T: DeserializeOwned>(tree: &Tree) -> Result<T, rmp_serde::decode::Error> {
    rmp_serde::from_slice(&rmp_serde::to_vec(tree).unwrap())
}

impl<T> Reader for T
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
    for<'a> Compact<&'a T>: Serialize,
    Compact<T>: DeserializeOwned,
{
    fn json(&self) -> Tree {
        serde_json::from_slice(&serde_json::to_vec(self).unwrap()).unwrap()
    }

    fn compact(&self) -> Tree {
        let mut bytes = Vec::new();
        let mut writer = rmp_serde::Serializer::new(&mut bytes).with_struct_map();
        Compact(self).serialize(&mut writer).unwrap();
        rmp_serde::from_slice(&bytes).unwrap()
    }

    fn reads_json(&self, changed: &Tree) -> bool {
        from_json::<T>(changed).is_ok()
    }

    fn reads_compact(&self, changed: &Tree) -> bool {
        from_compact::<Compact<T>>(changed).is_ok()
    }

    fn is_same_json(&self, changed: &Tree) -> bool {
        from_json::<T>(changed).is_ok_and(|read| read == from_json::<T>(&self.json()).unwrap())
    }

    fn is_same_compact(&self, changed: &Tree) -> bool {
        let own: Compact<T> = from_compact(&self.compact()).unwrap();
        from_compact::<Compact<T>>(changed).is_ok_and(|read| read == own)
    }
}

fn messages() -> Vec<Box<dyn Reader>> {
    messages_with(&json!({"a": {"b": 1, "c": [{"d": null}]}}))
}

fn messages_with(nested: &serde_json::Value) -> Vec<Box<dyn Reader>> {
    let (pushed, pulled) = replies(nested);
    let mut pull = Device::new(1).pull([Zone::Global, zone("ada")]);
    pull.cursor = Some(Cursor::from("sealed".to_owned()));
    let mut messages: Vec<Box<dyn Reader>> = vec![Box::new(request(nested)), Box::new(pull)];
    messages.extend(pushed.into_iter().map(|reply| Box::new(reply) as Box<dyn Reader>));
    messages.extend(pulled.into_iter().map(|reply| Box::new(reply) as Box<dyn Reader>));
    messages
}

/// Fails if some map of some message takes a name twice: then two readers may see two messages in one.
#[test]
fn nothing_is_named_twice() {
    let mut tried = 0;
    for message in messages() {
        let (json, compact) = (message.json(), message.compact());
        assert!(message.reads_json(&json) && message.reads_compact(&compact), "as it was written");
        for changed in json.with_each_member_twice() {
            assert!(!message.reads_json(&changed), "{changed:?}");
            tried += 1;
        }
        for changed in compact.with_each_member_twice() {
            assert!(!message.reads_compact(&changed), "{changed:?}");
            tried += 1;
        }
    }
    // All of metadata, types and their fields, payload, groups, outcomes, and the members of an object in a
    // value.
    assert!(tried > 100, "{tried}");
}

/// Fails if a member that a later release adds, anywhere in any message, is an error or changes what is read.
#[test]
fn unknown_members_are_ignored() {
    let mut tried = 0;
    for message in messages() {
        for changed in message.json().with_unknown_members() {
            assert!(message.is_same_json(&changed), "{changed:?}");
            tried += 1;
        }
        for changed in message.compact().with_unknown_members() {
            assert!(message.is_same_compact(&changed), "{changed:?}");
            tried += 1;
        }
    }
    // Requests, replies, metadata, types, payloads, groups, outcomes and what they hold.
    assert!(tried > 90, "{tried}");
}

/// Fails if a row of one form holds less than a row of the other may, or if what is more in it is not ignored.
#[test]
fn a_row_has_six_elements_or_more_in_both_forms() {
    let mut longer = 0;
    for message in messages() {
        let (json, compact) = (message.json(), message.compact());
        for (what, changed) in json.with_rows_spoiled() {
            assert!(!message.reads_json(&changed), "{what}: {changed:?}");
        }
        for (what, changed) in compact.with_rows_spoiled() {
            assert!(!message.reads_compact(&changed), "{what}: {changed:?}");
        }
        for (what, changed) in json.with_longer_rows() {
            assert!(message.is_same_json(&changed), "{what}: {changed:?}");
            longer += 1;
        }
        for (what, changed) in compact.with_longer_rows() {
            assert!(message.is_same_compact(&changed), "{what}: {changed:?}");
            longer += 1;
        }
    }
    assert!(longer > 10, "{longer}");
}

/// Fails if a variant that a later release adds is read as another, or is no error: it needs a feature or a version.
#[test]
fn unknown_variants_are_errors() {
    for message in messages() {
        for known in
            ["atomic", "per_object", "processed", "client_forked", "gap", "page", "reset_required", "horizon"]
                .into_iter()
                .chain(["kept", "rejected"])
        {
            for changed in message.json().with_text_changed(known, "later") {
                assert!(!message.reads_json(&changed), "{known}: {changed:?}");
            }
            for changed in message.compact().with_text_changed(known, "later") {
                assert!(!message.reads_compact(&changed), "{known}: {changed:?}");
            }
        }
    }
}

/// Fails if the values of a map's members pass without their names, with one that has no name.
#[test]
fn no_list_in_place_of_a_map_is_longer_than_it() {
    for message in messages_with(&json!([1])) {
        for changed in message.json().with_maps_as_longer_lists() {
            assert!(!message.reads_json(&changed), "{changed:?}");
        }
        for changed in message.compact().with_maps_as_longer_lists() {
            assert!(!message.reads_compact(&changed), "{changed:?}");
        }
    }
}

/// Fails if a value that is an array of one in the binary form may hold more.
#[test]
fn a_wrapped_value_is_alone_in_its_array() {
    #[derive(Serialize)]
    struct Bytes(#[serde(with = "tree::bytes")] Vec<u8>);
    let read = |value: &[u8]| rmp_serde::from_slice::<Compact<Value>>(value);
    let one = rmp_serde::to_vec(&("[1]",)).unwrap();
    assert_eq!(read(&one).unwrap().0, Value::Json("[1]".into()));
    for more in [
        rmp_serde::to_vec(&("[1]", "[1]")).unwrap(),
        rmp_serde::to_vec(&("[1]", ())).unwrap(),
        rmp_serde::to_vec(&(Bytes(vec![1]), Bytes(vec![1]))).unwrap(),
        rmp_serde::to_vec(&[(); 0]).unwrap(),
    ] {
        assert!(read(&more).is_err(), "{more:02x?}");
    }
}

/// Fails if a JSON value keeps two members of one name: some databases keep the last of them only, and
/// replicas differ.
#[test]
fn an_object_in_a_value_names_each_member_once() {
    for text in [
        r#"{"a":1,"a":1}"#,
        r#"{"a":1,"b":2,"a":3}"#,
        r#"[{"a":{"b":1,"c":2,"b":3}}]"#,
        r#"{"":1,"":2}"#,
        // The same name, written in two ways.
        r#"{"a":1,"\u0061":2}"#,
        r#"{"\"":1,"\u0022":2}"#,
        r#"{"é":1,"\u00e9":2}"#,
    ] {
        assert!(serde_json::from_str::<Value>(text).is_err(), "{text}");
        assert!(read_text::<Compact<Value>>(text).is_err(), "{text}");
        let raw = serde_json::value::RawValue::from_string(text.to_owned()).unwrap();
        assert_eq!(Value::json(&raw).unwrap_err().kind(), ErrorKind::InvalidInput, "{text}");
    }
    for text in [r#"{"a":1,"b":{"a":1}}"#, r#"[{"a":1},{"a":1}]"#, r#"{"a":1,"A":1,"a ":1,"aa":1}"#, "{}"] {
        assert_eq!(serde_json::from_str::<Value>(text).unwrap(), Value::Json(text.into()));
        assert_eq!(read_text::<Compact<Value>>(text).unwrap().0, Value::Json(text.into()));
    }
}

/// Reads the binary form of a JSON value with this text.
fn read_text<T: DeserializeOwned>(text: &str) -> Result<T, rmp_serde::decode::Error> {
    rmp_serde::from_slice(&rmp_serde::to_vec(&(text,)).unwrap())
}

/// Fails if the cursor is taken from a reply that names it twice: another page would be asked for than the
/// reply names.
#[test]
fn the_beginning_of_a_reply_names_its_cursor_once() {
    let next = |text: &str| PullReply::next_cursor(&mut serde_json::Deserializer::from_str(text));
    let one = r#"{"result":"page","cursor":"a","caught_up":false,"#;
    assert_eq!(next(one), Some(Cursor::from("a".to_owned())));
    for text in [
        r#"{"result":"page","cursor":"a","cursor":"b","caught_up":false,"#,
        r#"{"result":"page","result":"page","cursor":"a","caught_up":false,"#,
        r#"{"caught_up":true,"caught_up":false,"cursor":"a","result":"page","#,
    ] {
        assert_eq!(next(text), None, "{text}");
    }
}

/// Fails if a stored schema may have a field twice, which no builder makes.
#[test]
fn a_schema_has_each_field_once() {
    let schema = TypeSchema::builder("items", "id").field("a", FieldKind::Text).field("b", FieldKind::Text);
    let text = serde_json::to_string(&schema.build().unwrap()).unwrap();
    let read = |text: &str| serde_json::from_str::<TypeSchema>(text);
    assert!(read(&text).is_ok());
    for (from, to) in [
        (r#""name":"b""#, r#""name":"a""#),
        (r#""name":"b""#, r#""name":"A""#),
        (r#""name":"b""#, r#""name":"id""#),
        (r#""name":"b""#, r#""name":"b","name":"b""#),
        (r#""name":"items""#, r#""name":"items","name":"items""#),
    ] {
        assert!(text.contains(from));
        assert!(read(&text.replace(from, to)).is_err(), "{to}");
    }
}

/// Fails if a zone, an id or a name is read from anything but its text.
#[test]
fn a_name_is_a_text() {
    fn refused<T: for<'de> Deserialize<'de> + Debug>() {
        for text in [r#"["global"]"#, r#"{"global":null}"#, r#"{"Global":null}"#, "null", "1", r#"["a","b"]"#]
        {
            serde_json::from_str::<T>(text).expect_err(text);
        }
    }
    refused::<Zone>();
    refused::<TypeName>();
    refused::<FieldName>();
    refused::<ObjectId>();
    refused::<Revision>();
    refused::<DeviceId>();
    refused::<SessionId>();
    refused::<Cursor>();
}
