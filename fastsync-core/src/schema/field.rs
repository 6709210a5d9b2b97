//! One field: what it holds, and which values fit.

use serde::{Deserialize, Serialize};

use super::stored::StoredField;
use crate::error::Result;
use crate::model::{FieldName, Value};

/// The kind of a field, which decides its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FieldKind {
    /// True or false.
    Boolean,
    /// A signed 64-bit whole number.
    Integer,
    /// A finite 64-bit floating point number.
    Real,
    /// Text without NUL.
    Text,
    /// A UUID, as its hyphenated lower-case text.
    Uuid,
    /// A date or time, as text of at most 64 bytes (RFC 3339 from the derive macro).
    DateTime,
    /// Bytes.
    Bytes,
    /// Anything else, as a JSON column.
    Json,
}

/// One field of a type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "StoredField")]
pub struct FieldSchema {
    /// The field's name: column, document field, name on the wire.
    pub name: FieldName,
    /// What it holds.
    pub kind: FieldKind,
    /// Whether it may be [`Value::Null`].
    pub nullable: bool,
    /// What records have that were stored before the field was; without it, null or the kind's zero.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// Whether the field's type does not allow its kind's zero: an enum stored as text does not allow empty text. UUIDs,
    /// dates and JSON never have a zero.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub zeroless: bool,
    /// What the field was called in earlier schemas; its values there are its values now.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub was: Vec<FieldName>,
}

impl FieldSchema {
    /// What a record has that was stored before the field was: the default, or null if the field is nullable, or the
    /// kind's zero.
    ///
    /// It is a value that can be read if [`Self::has_initial`] says so.
    #[must_use]
    pub fn initial(&self) -> Value {
        if let Some(default) = &self.default {
            return default.clone();
        }
        if self.nullable {
            return Value::Null;
        }
        self.zero()
    }

    /// Whether [`Self::initial`] is a value of the field. If it is not, the field needs a default to be added to
    /// records.
    #[must_use]
    pub fn has_initial(&self) -> bool {
        self.nullable || self.default.is_some() || self.has_zero()
    }

    /// The kind's zero: `false`, `0`, `0.0`, empty, and `null` in JSON. It is a value of the field if
    /// [`Self::has_zero`] says so.
    #[must_use]
    pub fn zero(&self) -> Value {
        match self.kind {
            FieldKind::Boolean => Value::Bool(false),
            FieldKind::Integer => Value::Integer(0),
            FieldKind::Real => Value::Real(0.0),
            FieldKind::Text | FieldKind::Uuid | FieldKind::DateTime => Value::Text(String::new()),
            FieldKind::Bytes => Value::Bytes(Vec::new()),
            FieldKind::Json => Value::Json("null".to_owned()),
        }
    }

    /// Whether [`Self::zero`] is a value of the field.
    #[must_use]
    pub fn has_zero(&self) -> bool {
        !self.zeroless && !matches!(self.kind, FieldKind::Uuid | FieldKind::DateTime | FieldKind::Json)
    }

    /// What the field is called, and what it was.
    pub(super) fn names(&self) -> impl Iterator<Item = &FieldName> {
        std::iter::once(&self.name).chain(&self.was)
    }

    /// Brings the default into its stored form; says what is wrong with it if it is no value of the field.
    pub(super) fn settle_default(&mut self) -> Result<Option<&'static str>> {
        let Some(mut default) = self.default.take() else { return Ok(None) };
        let problem = self.admit(&mut default)?;
        // Null is what a nullable field has without a default.
        self.default = Some(default).filter(|default| *default != Value::Null);
        Ok(problem)
    }
}

impl FieldSchema {
    /// `Ok(None)` if the value fits, otherwise what is wrong with it.
    pub(super) fn admit(&self, value: &mut Value) -> Result<Option<&'static str>> {
        use base64::Engine as _;
        if matches!(value, Value::Null) {
            return Ok((!self.nullable).then_some("must have a value"));
        }
        let fits = match (self.kind, &mut *value) {
            (FieldKind::Boolean, Value::Bool(_)) | (FieldKind::Integer, Value::Integer(_)) => true,
            (FieldKind::Real, Value::Real(real)) => {
                *real += 0.0;
                real.is_finite()
            }
            (FieldKind::Real, Value::Integer(whole)) => {
                let exact = whole.unsigned_abs() <= 1 << f64::MANTISSA_DIGITS;
                *value = Value::Real(*whole as f64);
                exact
            }
            (FieldKind::Text, Value::Text(text)) => {
                if text.contains('\0') {
                    return Ok(Some("holds NUL"));
                }
                true
            }
            (FieldKind::Uuid, Value::Text(text)) => is_canonical_uuid(text),
            (FieldKind::DateTime, Value::Text(text)) => {
                (1..=64).contains(&text.len()) && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
            }
            (FieldKind::Bytes, Value::Bytes(_)) | (FieldKind::Json, Value::Json(_)) => true,
            (FieldKind::Bytes, Value::Text(text)) => {
                match base64::engine::general_purpose::STANDARD.decode(&*text) {
                    Ok(bytes) => {
                        *value = Value::Bytes(bytes);
                        true
                    }
                    Err(_) => false,
                }
            }
            (
                FieldKind::Json,
                plain @ (Value::Bool(_) | Value::Integer(_) | Value::Real(_) | Value::Text(_)),
            ) => {
                *value = Value::json(plain)?;
                true
            }
            _ => false,
        };
        Ok((!fits).then_some("has a value of another kind"))
    }
}

fn is_canonical_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
        })
}
