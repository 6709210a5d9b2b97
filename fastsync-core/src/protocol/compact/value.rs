//! Values: as they are, but bytes and JSON in an array of one.

use std::fmt;

use base64::Engine as _;
use serde::de;
use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::SerializeTuple as _};

use super::Compact;
use crate::model::{Value, ValueVisitor};

impl Serialize for Compact<&Value> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Bytes(bytes) => array_of_one(serializer, &Bytes(bytes)),
            Value::Json(text) => array_of_one(serializer, text),
            plain => plain.serialize_readable(serializer),
        }
    }
}

fn array_of_one<S: Serializer, T: Serialize>(serializer: S, content: &T) -> Result<S::Ok, S::Error> {
    let mut array = serializer.serialize_tuple(1)?;
    array.serialize_element(content)?;
    array.end()
}

struct Bytes<'a>(&'a [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl<'de> Deserialize<'de> for Compact<Value> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CompactVisitor).map(Self)
    }
}

impl From<Compact<Self>> for Value {
    fn from(compact: Compact<Self>) -> Self {
        compact.0
    }
}

struct CompactVisitor;

/// What both forms have is read by the same rules.
macro_rules! as_in_json {
    ($($visit:ident: $type:ty),+) => {$(
        fn $visit<E: de::Error>(self, value: $type) -> Result<Value, E> {
            ValueVisitor.$visit(value)
        }
    )+};
}

// No `visit_bytes`: MessagePack's reader would hand text that is not UTF-8 to it.
impl<'de> de::Visitor<'de> for CompactVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        ValueVisitor.expecting(f)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        ValueVisitor.visit_unit()
    }

    as_in_json!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let value = seq.next_element::<Wrapped>()?.ok_or_else(|| de::Error::invalid_length(0, &self))?;
        // Readers refuse what is left of an array; one of another format might not.
        match seq.next_element::<de::IgnoredAny>()? {
            None => Ok(value.0),
            Some(_) => Err(de::Error::invalid_length(2, &self)),
        }
    }
}

/// What an array of one holds.
struct Wrapped(Value);

impl<'de> Deserialize<'de> for Wrapped {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WrappedVisitor).map(Self)
    }
}

struct WrappedVisitor;

impl de::Visitor<'_> for WrappedVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes, or the text of a JSON value")
    }

    // As JSON has them. A push that comes in both forms must be the same push.
    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Value, E> {
        Ok(Value::Text(base64::engine::general_purpose::STANDARD.encode(bytes)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        serde_json::from_str(text).map_err(|_| E::custom("a JSON value is malformed or too deep"))
    }
}
