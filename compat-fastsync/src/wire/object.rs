//! An object as the original clients send and receive it: the user's fields and the sync fields side by side.

use std::collections::BTreeMap;
use std::fmt;

use fastsync_core::Value;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{Number, SyncMetadata};

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

impl<'de> Deserialize<'de> for SyncObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = SyncObject;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<SyncObject, A::Error> {
                let mut id: Option<String> = None;
                let mut metadata = SyncMetadata::default();
                let mut deleted = Flag(false);
                let mut fields = BTreeMap::new();
                while let Some(name) = map.next_key::<String>()? {
                    match name.as_str() {
                        "id" => id = Some(map.next_value()?),
                        "metadata" => metadata = map.next_value::<Option<_>>()?.unwrap_or_default(),
                        "deleted" => deleted = map.next_value()?,
                        reserved if RESERVED.contains(&reserved) => drop(map.next_value::<de::IgnoredAny>()?),
                        _ => drop(fields.insert(name, map.next_value()?)),
                    }
                }
                let id = id.ok_or_else(|| de::Error::missing_field("id"))?;
                Ok(SyncObject { id, metadata, deleted: deleted.0, fields })
            }
        }
        deserializer.deserialize_map(Visitor)
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

/// True or false, as JSON or as the 1 and 0 of a database without booleans.
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

    #[test]
    fn what_the_clients_storage_adds_is_no_field() {
        let json = r#"{"_id":"x","__v":0,"id":"1","dirty":1,"metadataId":null,"deleted":0,"syncOperation":1,"a":[1]}"#;
        let object: SyncObject = serde_json::from_str(json).unwrap();
        assert_eq!(object.fields.keys().collect::<Vec<_>>(), ["a"]);
        assert!(!object.deleted);
        assert!(serde_json::from_str::<SyncObject>(r#"{"id":"1","deleted":1}"#).unwrap().deleted);
    }

    #[test]
    fn f16_an_operator_is_no_id() {
        for bad in [r#"{"id":{"$ne":null}}"#, r#"{"id":["1"]}"#, r#"{"id":1}"#, "{}", "[]"] {
            assert!(serde_json::from_str::<SyncObject>(bad).is_err(), "{bad}");
        }
    }
}
