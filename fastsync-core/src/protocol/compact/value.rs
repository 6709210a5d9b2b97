//! Values: as they are, but bytes and JSON in an array of one.

use std::fmt;

use base64::Engine as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser::SerializeTuple as _};

use super::Compact;
use crate::model::Value;

impl Serialize for Compact<&Value> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Integer(value) => serializer.serialize_i64(*value),
            Value::Real(value) => serializer.serialize_f64(*value),
            Value::Text(text) => serializer.serialize_str(text),
            Value::Bytes(bytes) => array_of_one(serializer, &Bytes(bytes)),
            Value::Json(text) => array_of_one(serializer, text),
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
        deserializer.deserialize_any(ValueVisitor).map(Self)
    }
}

impl From<Compact<Self>> for Value {
    fn from(compact: Compact<Self>) -> Self {
        compact.0
    }
}

struct ValueVisitor;

// No `visit_bytes`: MessagePack's reader would hand text that is not UTF-8 to it.
impl<'de> de::Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Integer(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        i64::try_from(value)
            .map(Value::Integer)
            .map_err(|_| E::custom("a whole number is beyond 2^63 - 1, which not every backend stores"))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        if value.is_finite() { Ok(Value::Real(value)) } else { Err(E::custom("a number is not finite")) }
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

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
