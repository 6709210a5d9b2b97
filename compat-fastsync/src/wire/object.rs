//! An object as the original clients send and receive it: the user's fields and the sync fields side by side.

use std::collections::BTreeMap;

use fastsync_core::Value;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::member::Members;
use super::{Number, PullRequest, SyncMetadata, whole};

/// An object of the original protocol.
#[derive(Debug, Clone, PartialEq)]
pub struct SyncObject {
    /// Its identity.
    pub id: String,
    /// What synchronisation knows of it.
    pub metadata: SyncMetadata,
    /// Whether it is deleted.
    pub deleted: bool,
    /// The user's fields.
    pub fields: BTreeMap<String, Value>,
}

/// Names beside the user's fields. They are no fields of the user's, whatever the client's storage adds.
pub(crate) const RESERVED: &[&str] =
    &["id", "metadata", "metadataId", "deleted", "dirty", "syncOperation", "_id", "__v"];

/// The longest text of an object that is looked at. What is larger does not fit a record, however it is escaped.
const MAX_BYTES: usize = 8 << 20;

/// Why an object cannot be read.
#[derive(Debug)]
pub(crate) struct Unreadable {
    /// What it has in place of an id, for a message.
    pub(crate) said: Option<String>,
    /// Its id, if that is one.
    pub(crate) id: Option<String>,
    /// Those of its fields that can be read.
    pub(crate) fields: BTreeMap<String, Value>,
    pub(crate) message: String,
}

impl Unreadable {
    fn without_id(said: Option<&str>, message: &str) -> Self {
        let fields = BTreeMap::new();
        Self { said: said.map(str::to_owned), id: None, fields, message: message.to_owned() }
    }

    /// An object with an id, and these members.
    fn of(id: &str, members: &Members<'_>, message: String) -> Self {
        let fields = members.0.iter().filter(|(name, _)| !RESERVED.contains(&name.as_str()));
        let fields =
            fields.filter_map(|(name, value)| Some((name.clone(), serde_json::from_str(value.get()).ok()?)));
        Self { said: Some(id.to_owned()), id: Some(id.to_owned()), fields: fields.collect(), message }
    }
}

impl SyncObject {
    /// Reads an object, and says whether halves of characters were replaced in it.
    pub(crate) fn read(raw: &RawValue) -> Result<(Self, bool), Unreadable> {
        if raw.get().len() > MAX_BYTES {
            return Err(Unreadable::without_id(None, "the object is too large"));
        }
        let text = whole::characters(raw.get());
        let is_mended = matches!(text, std::borrow::Cow::Owned(_));
        let Ok(members) = serde_json::from_str::<Members<'_>>(&text) else {
            let message = "this is not an object, or it has too many fields";
            return Err(Unreadable::without_id(None, message));
        };
        let (mut id, mut metadata, mut deleted) = (None, SyncMetadata::default(), false);
        // The id first: whatever else is wrong is told with it.
        for (_, value) in members.0.iter().filter(|(name, _)| name == "id") {
            let text = serde_json::from_str::<String>(value.get());
            let refused = |_| Unreadable::without_id(Some(value.get()), "the id is not a text");
            id = Some(text.map_err(refused)?);
        }
        let id = id.ok_or_else(|| Unreadable::without_id(None, "the object has no id"))?;
        if is_mended && id.contains(char::REPLACEMENT_CHARACTER) {
            return Err(Unreadable::without_id(Some(&id), "the id ends inside a character"));
        }
        let unreadable = |message: &str| Unreadable::of(&id, &members, message.to_owned());
        let mut fields = BTreeMap::new();
        for (name, value) in &members.0 {
            match name.as_str() {
                "id" => {}
                "metadata" => {
                    let read = PullRequest::read(value);
                    metadata = read.ok_or_else(|| unreadable("its metadata cannot be read"))?;
                }
                "deleted" => {
                    let read = serde_json::from_str(value.get());
                    let Flag(flag) = read.map_err(|_| unreadable("`deleted` is neither true nor false"))?;
                    deleted = flag;
                }
                reserved if RESERVED.contains(&reserved) => {}
                _ => {
                    let read = serde_json::from_str(value.get()).map_err(|error| {
                        let name: String = name.chars().take(128).collect();
                        unreadable(&format!("field {name} cannot be stored: {error}"))
                    })?;
                    fields.insert(name.clone(), read);
                }
            }
        }
        Ok((Self { id, metadata, deleted, fields }, is_mended))
    }
}

/// With `metadataId` and `dirty`, which some clients cannot do without.
impl Serialize for SyncObject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.fields.len().saturating_add(5)))?;
        map.serialize_entry("id", &self.id)?;
        for (name, value) in &self.fields {
            map.serialize_entry(name, value)?;
        }
        map.serialize_entry("deleted", &self.deleted)?;
        map.serialize_entry("dirty", &false)?;
        map.serialize_entry("metadataId", &self.metadata.id)?;
        map.serialize_entry("metadata", &self.metadata)?;
        map.end()
    }
}

/// True or false, as JSON or as the 1 and 0 of a database without booleans; nothing is false.
struct Flag(bool);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Bool(bool),
            Number(Number),
        }
        Ok(Self(match Form::deserialize(deserializer)? {
            Form::Bool(flag) => flag,
            Form::Number(Number(number)) => number != 0.0,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<(SyncObject, bool), Unreadable> {
        SyncObject::read(&RawValue::from_string(json.to_owned()).unwrap())
    }

    #[test]
    fn what_the_clients_storage_adds_is_no_field() {
        let json = r#"{"_id":"x","__v":0,"id":"1","dirty":1,"metadataId":null,"deleted":0,"syncOperation":1,"a":[1]}"#;
        let (object, _) = read(json).unwrap();
        assert_eq!(object.fields.keys().collect::<Vec<_>>(), ["a"]);
        assert!(!object.deleted);
        assert!(read(r#"{"id":"1","deleted":1}"#).unwrap().0.deleted);
    }

    /// F16: an operator is no id. Fails if what is wrong is not told, or not of which object.
    #[test]
    fn what_cannot_be_read_says_so_with_its_id() {
        let deep = format!(r#"{{"id":"1","a":{}{}}}"#, "[".repeat(200), "]".repeat(200));
        let many: Vec<_> = (0..1_025).map(|n| format!("\"{n}\":0")).collect();
        let many = format!("{{{}}}", many.join(","));
        for (json, id, message) in [
            (r#"{"id":{"$ne":null}}"#, Some(r#"{"$ne":null}"#), "not a text"),
            (r#"{"id":["1"]}"#, Some(r#"["1"]"#), "not a text"),
            (r#"{"id":7}"#, Some("7"), "not a text"),
            ("{}", None, "no id"),
            ("[]", None, "not an object"),
            ("0", None, "not an object"),
            (r#"{"a":1e999,"id":"1"}"#, Some("1"), "field a"),
            (r#"{"id":"1","a":9223372036854775808}"#, Some("1"), "2^63"),
            (r#"{"id":"1","metadata":{"version":"7"}}"#, Some("1"), "metadata"),
            (r#"{"id":"1","metadata":7}"#, Some("1"), "metadata"),
            (r#"{"id":"1","deleted":"no"}"#, Some("1"), "deleted"),
            (r#"{"id":"cut \ud83c"}"#, Some("cut \u{fffd}"), "inside a character"),
            (&deep, Some("1"), "field a"),
            (&many, None, "too many"),
        ] {
            let unreadable = read(json).unwrap_err();
            assert_eq!(unreadable.said.as_deref(), id, "{json:.40}");
            assert!(unreadable.message.contains(message), "{json:.40}: {}", unreadable.message);
        }
    }

    /// Fails if an object without an id of its own gets one, or one that can be read in part has nothing.
    #[test]
    fn what_can_be_read_is() {
        let unreadable = read(r#"{"id":"1","a":"x","b":1e999,"metadata":7,"deleted":false}"#).unwrap_err();
        assert_eq!(unreadable.id.as_deref(), Some("1"));
        assert_eq!(
            unreadable.fields.into_iter().collect::<Vec<_>>(),
            [("a".to_owned(), Value::Text("x".into()))]
        );
        for no_id in [r#"{"id":7}"#, "{}", "7", r#"{"id":"cut \ud83c"}"#] {
            assert_eq!(read(no_id).unwrap_err().id, None, "{no_id}");
        }
    }

    #[test]
    fn half_a_character_is_replaced_wherever_it_is() {
        let json = r#"{"id":"1","a":"Party \ud83c","b":{"c":["\ud83c\udf89\udf89"]}}"#;
        let (object, is_mended) = read(json).unwrap();
        assert!(is_mended);
        assert_eq!(object.fields["a"], Value::Text("Party \u{fffd}".into()));
        assert_eq!(object.fields["b"], Value::Json("{\"c\":[\"\u{1f389}\u{fffd}\"]}".into()));
        assert!(!read(r#"{"id":"\u00e9"}"#).unwrap().1);
    }
}
