//! Maps and lists of a request, of bounded length: a body of a few megabytes must not become gigabytes.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use indexmap::IndexMap;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The most types of a request.
const MAX_TYPES: usize = 10_000;

/// The most objects of a request. The smallest that says anything has some 150 bytes.
const MAX_OBJECTS: usize = 2_000_000;

/// The objects of a push by type.
pub(super) fn objects<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<IndexMap<String, Vec<Box<RawValue>>>, D::Error> {
    struct Data;
    impl<'de> Visitor<'de> for Data {
        type Value = IndexMap<String, Vec<Box<RawValue>>>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("objects by type")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut data = IndexMap::new();
            let mut room = MAX_OBJECTS;
            while let Some(name) = map.next_key::<String>()? {
                let list = map.next_value_seed(List { room: &mut room, of: PhantomData })?;
                data.insert(name, list);
                if data.len() > MAX_TYPES {
                    return Err(A::Error::custom("too many types"));
                }
            }
            Ok(data)
        }
    }
    deserializer.deserialize_map(Data)
}

/// A list whose elements are counted.
struct List<'a, T> {
    room: &'a mut usize,
    of: PhantomData<T>,
}

impl<'de, T: serde::Deserialize<'de>> DeserializeSeed<'de> for List<'_, T> {
    type Value = Vec<T>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<T>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, T: serde::Deserialize<'de>> Visitor<'de> for List<'_, T> {
    type Value = Vec<T>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = seq.next_element()? {
            *self.room = self.room.checked_sub(1).ok_or_else(|| A::Error::custom("too many objects"))?;
            list.push(element);
        }
        Ok(list)
    }
}

/// The metadata of a request by type.
pub(super) fn metadata<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, Box<RawValue>>, D::Error> {
    struct Metadata;
    impl<'de> Visitor<'de> for Metadata {
        type Value = BTreeMap<String, Box<RawValue>>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("metadata by type")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut metadata = BTreeMap::new();
            while let Some((name, value)) = map.next_entry()? {
                metadata.insert(name, value);
                if metadata.len() > MAX_TYPES {
                    return Err(A::Error::custom("too many types"));
                }
            }
            Ok(metadata)
        }
    }
    deserializer.deserialize_map(Metadata)
}

#[cfg(test)]
mod tests {
    use crate::wire::PushRequest;

    /// Fails if `[0,0,0,...]` is kept without end.
    #[test]
    fn a_request_has_bounds() {
        let list = |count: usize| format!(r#"{{"data":{{"A":[{}0]}}}}"#, "0,".repeat(count - 1));
        assert!(serde_json::from_str::<PushRequest>(&list(1_000)).is_ok());
        assert!(serde_json::from_str::<PushRequest>(&list(super::MAX_OBJECTS + 1)).is_err());
        let types: Vec<_> = (0..=super::MAX_TYPES).map(|n| format!("\"{n}\":[]")).collect();
        assert!(
            serde_json::from_str::<PushRequest>(&format!("{{\"data\":{{{}}}}}", types.join(","))).is_err()
        );
        let types: Vec<_> = (0..=super::MAX_TYPES).map(|n| format!("\"{n}\":0")).collect();
        let metadata = format!(r#"{{"operationMetadata":{{"metadata":{{{}}}}}}}"#, types.join(","));
        assert!(serde_json::from_str::<PushRequest>(&metadata).is_err());
    }
}
