//! One field's value.

use std::{fmt, ops::Range};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::Decimal;

/// How deep arrays and objects may be nested in a JSON value. Some databases refuse deeper ones.
pub const MAX_JSON_DEPTH: usize = 32;

/// The value of one field.
///
/// Equal values are stored and sent as equal bytes on every backend: reals are finite and have no negative
/// zero, JSON is text without white space whose member order is kept.
///
/// In readable formats (the wire) a value is plain JSON; bytes are a base64 string and a decimal number is its text, which the
/// schema of the type turns back (see [`TypeSchema::admit`](crate::TypeSchema::admit)).
#[derive(Clone, PartialEq)]
pub enum Value {
    /// No value.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A finite number, never negative zero.
    Real(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Any other value, as compact JSON text.
    Json(String),
    /// A decimal number.
    Decimal(Decimal),
}

impl Value {
    /// About how many bytes the value takes in memory and on the wire.
    #[must_use]
    pub fn approximate_bytes(&self) -> usize {
        match self {
            Self::Null | Self::Bool(_) => 4,
            Self::Integer(_) | Self::Real(_) => 8,
            Self::Text(text) | Self::Json(text) => text.len() + 2,
            Self::Bytes(bytes) => bytes.len() / 3 * 4 + 4,
            Self::Decimal(_) => 16,
        }
    }

    /// The JSON value of anything that serialises, as compact text.
    ///
    /// # Errors
    /// `InvalidInput` if it does not serialise to JSON or is nested deeper than [`MAX_JSON_DEPTH`].
    pub fn json<T: Serialize + ?Sized>(value: &T) -> crate::Result<Self> {
        let text = serde_json::to_string(value).map_err(|error| {
            crate::Error::invalid("encode", "a value does not serialise to JSON").with_source(error)
        })?;
        let canonical = canonical_json(&text)?;
        // A whole number too large for the reader turns into an inexact one.
        if canonical.len() != text.len() && !text.contains("-0.0") {
            return Err(crate::Error::invalid("encode", "a number of a JSON value cannot be stored exactly"));
        }
        Ok(Self::Json(canonical))
    }

    /// Reads a JSON value into a type of the user's.
    ///
    /// # Errors
    /// `InvalidInput` if this is not JSON of the shape that `T` wants.
    pub fn parse_json<'a, T: Deserialize<'a>>(&'a self) -> crate::Result<T> {
        let Self::Json(text) = self else {
            return Err(crate::Error::invalid("decode", "a value is not JSON"));
        };
        serde_json::from_str(text).map_err(|error| {
            crate::Error::invalid("decode", "a JSON value has another shape than its type").with_source(error)
        })
    }
}

/// Checks JSON text and gives it without white space, members in their order.
pub(crate) fn canonical_json(text: &str) -> crate::Result<String> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let mut out = String::with_capacity(text.len());
    de::DeserializeSeed::deserialize(JsonText { out: &mut out, depth: 0 }, &mut deserializer)
        .and_then(|()| deserializer.end())
        .map_err(|error| {
            crate::Error::invalid("decode", "a JSON value is malformed or too deep").with_source(error)
        })?;
    Ok(out)
}

/// Field contents stay out of logs.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("Null"),
            Self::Bool(_) => f.write_str("Bool"),
            Self::Integer(_) => f.write_str("Integer"),
            Self::Real(_) => f.write_str("Real"),
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Bytes(bytes) => write!(f, "Bytes({} bytes)", bytes.len()),
            Self::Json(text) => write!(f, "Json({} bytes)", text.len()),
            Self::Decimal(_) => f.write_str("Decimal"),
        }
    }
}

/// The form in compact (binary) formats, where the kind of a value cannot be read off its text.
#[derive(Serialize, Deserialize)]
enum Tagged<'a> {
    Null,
    Bool(bool),
    Integer(i64),
    Real(f64),
    #[serde(borrow)]
    Text(std::borrow::Cow<'a, str>),
    #[serde(borrow)]
    Bytes(std::borrow::Cow<'a, [u8]>),
    #[serde(borrow)]
    Json(std::borrow::Cow<'a, str>),
    Decimal(Decimal),
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            return match self {
                Self::Null => Tagged::Null,
                Self::Bool(value) => Tagged::Bool(*value),
                Self::Integer(value) => Tagged::Integer(*value),
                Self::Real(value) => Tagged::Real(*value),
                Self::Text(text) => Tagged::Text(text.into()),
                Self::Bytes(bytes) => Tagged::Bytes(bytes.into()),
                Self::Json(text) => Tagged::Json(text.into()),
                Self::Decimal(number) => Tagged::Decimal(*number),
            }
            .serialize(serializer);
        }
        self.serialize_readable(serializer)
    }
}

impl Value {
    /// As readable formats have it, and binary ones what is neither bytes nor JSON.
    pub(crate) fn serialize_readable<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use base64::Engine as _;
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Integer(value) => serializer.serialize_i64(*value),
            Self::Real(value) => serializer.serialize_f64(*value),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Bytes(bytes) => {
                serializer.serialize_str(&base64::engine::general_purpose::STANDARD.encode(bytes))
            }
            Self::Json(text) => {
                let raw: &serde_json::value::RawValue =
                    serde_json::from_str(text).map_err(serde::ser::Error::custom)?;
                raw.serialize(serializer)
            }
            Self::Decimal(number) => number.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return deserializer.deserialize_any(ValueVisitor);
        }
        Ok(match Tagged::deserialize(deserializer)? {
            Tagged::Null => Self::Null,
            Tagged::Bool(value) => Self::Bool(value),
            Tagged::Integer(value) => Self::Integer(value),
            Tagged::Real(value) => Self::Real(value),
            Tagged::Text(text) => Self::Text(text.into_owned()),
            Tagged::Bytes(bytes) => Self::Bytes(bytes.into_owned()),
            Tagged::Json(text) => Self::Json(text.into_owned()),
            Tagged::Decimal(number) => Self::Decimal(number),
        })
    }
}

const BEYOND_I64: &str = "a whole number is beyond 2^63 - 1, which not every backend stores";

/// Reads what readable formats have.
pub(crate) struct ValueVisitor;

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
        i64::try_from(value).map(Value::Integer).map_err(|_| E::custom(BEYOND_I64))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        // JSON has no others; MessagePack has.
        if value.is_finite() { Ok(Value::Real(value)) } else { Err(E::custom("a number is not finite")) }
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::Text(text))
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, seq: A) -> Result<Value, A::Error> {
        let mut out = String::new();
        de::Visitor::visit_seq(JsonText { out: &mut out, depth: 0 }, seq)?;
        Ok(Value::Json(out))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Value, A::Error> {
        let mut out = String::new();
        de::Visitor::visit_map(JsonText { out: &mut out, depth: 0 }, map)?;
        Ok(Value::Json(out))
    }
}

/// Copies a JSON value as text while it is parsed: no tree is built, so a hostile body cannot grow in memory.
struct JsonText<'a> {
    out: &'a mut String,
    depth: usize,
}

impl JsonText<'_> {
    fn deeper<E: de::Error>(&self) -> Result<usize, E> {
        if self.depth >= MAX_JSON_DEPTH {
            return Err(E::custom(format_args!("JSON is nested deeper than {MAX_JSON_DEPTH}")));
        }
        Ok(self.depth + 1)
    }

    fn push<E: de::Error, T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), E> {
        self.out.push_str(&serde_json::to_string(value).map_err(E::custom)?);
        Ok(())
    }
}

impl<'de> de::DeserializeSeed<'de> for JsonText<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> de::Visitor<'de> for JsonText<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.out.push_str("null");
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.out.push_str(if value { "true" } else { "false" });
        Ok(())
    }

    fn visit_i64<E: de::Error>(mut self, value: i64) -> Result<(), E> {
        self.push(&value)
    }

    fn visit_u64<E: de::Error>(mut self, value: u64) -> Result<(), E> {
        if value > i64::MAX.unsigned_abs() {
            return Err(E::custom(BEYOND_I64));
        }
        self.push(&value)
    }

    fn visit_f64<E: de::Error>(mut self, value: f64) -> Result<(), E> {
        if !value.is_finite() {
            return Err(E::custom("a number is not finite"));
        }
        self.push(&(value + 0.0))
    }

    fn visit_str<E: de::Error>(mut self, text: &str) -> Result<(), E> {
        if text.contains('\0') {
            return Err(E::custom("a text in JSON holds NUL, which not every backend stores"));
        }
        self.push(text)
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let depth = self.deeper()?;
        let out = self.out;
        out.push('[');
        let mut first = true;
        loop {
            let before = out.len();
            if !first {
                out.push(',');
            }
            if seq.next_element_seed(JsonText { out, depth })?.is_none() {
                out.truncate(before);
                break;
            }
            first = false;
        }
        out.push(']');
        Ok(())
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let depth = self.deeper()?;
        let out = self.out;
        out.push('{');
        // Where the members' names are in the text, which has one form of each name.
        let mut names: Vec<Range<usize>> = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            if !names.is_empty() {
                out.push(',');
            }
            let start = out.len();
            JsonText { out, depth }.visit_str(&name)?;
            names.push(start..out.len());
            out.push(':');
            map.next_value_seed(JsonText { out, depth })?;
        }
        out.push('}');
        let name = |place: &Range<usize>| out.get(place.clone());
        names.sort_unstable_by(|a, b| name(a).cmp(&name(b)));
        // Some databases keep the last of them only: replicas would differ.
        if names.windows(2).any(|pair| matches!(pair, [a, b] if name(a) == name(b))) {
            return Err(de::Error::custom("a JSON object names a member twice"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> serde_json::Result<Value> {
        serde_json::from_str(json)
    }

    #[test]
    fn json_form_is_plain() {
        let values = [
            (Value::Null, "null"),
            (Value::Bool(true), "true"),
            (Value::Integer(i64::MIN), "-9223372036854775808"),
            (Value::Real(1.0), "1.0"),
            (Value::Text("007".into()), "\"007\""),
            (Value::Json("{\"b\":[1,2.5,null],\"a\":\"é\"}".into()), "{\"b\":[1,2.5,null],\"a\":\"é\"}"),
        ];
        for (value, json) in values {
            assert_eq!(serde_json::to_string(&value).unwrap(), json);
            assert_eq!(read(json).unwrap(), value);
        }
        assert_eq!(read("{ \"a\" : [ ] }").unwrap(), Value::Json("{\"a\":[]}".into()));
        assert!(read("9223372036854775808").is_err());
        assert!(read("1e999").is_err());
    }

    #[test]
    fn values_that_would_be_stored_inexactly_are_refused() {
        assert!(Value::json(&vec![u128::MAX]).is_err());
        assert!(Value::json(&vec![u64::MAX]).is_err());
        assert!(Value::json(&vec!["a\0b"]).is_err());
        assert_eq!(Value::json(&vec![-0.0, 0.1]).unwrap(), Value::Json("[0.0,0.1]".into()));
    }

    #[test]
    fn binary_form_round_trips() {
        let values = vec![
            Value::Null,
            Value::Bytes(vec![0, 255]),
            Value::Json("[]".into()),
            Value::Real(0.1),
            Value::Text(String::new()),
            Value::Decimal(Decimal::new(-125, 1).unwrap()),
        ];
        let bytes = postcard::to_stdvec(&values).unwrap();
        assert_eq!(postcard::from_bytes::<Vec<Value>>(&bytes).unwrap(), values);
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(read(&nested(MAX_JSON_DEPTH)).is_ok());
        assert!(read(&nested(MAX_JSON_DEPTH + 1)).is_err());
        assert!(canonical_json(&nested(100_000)).is_err());
    }
}
