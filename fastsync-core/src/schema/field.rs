//! One field: what it holds, and which values fit.

use serde::{Deserialize, Serialize};

use super::FieldKind;
use super::stored::StoredField;
use crate::error::Result;
use crate::model::{FieldName, Value};

/// One field of a type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "StoredField")]
#[non_exhaustive]
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
        self.kind.zero()
    }

    /// Whether [`Self::zero`] is a value of the field.
    #[must_use]
    pub fn has_zero(&self) -> bool {
        !self.zeroless && self.kind.has_zero()
    }

    /// What the field is called, and what it was.
    pub(super) fn names(&self) -> impl Iterator<Item = &FieldName> {
        std::iter::once(&self.name).chain(&self.was)
    }

    /// Brings the default into its stored form; says what is wrong with it if it is no value of the field.
    pub(crate) fn settle_default(&mut self) -> Result<Option<&'static str>> {
        let Some(mut default) = self.default.take() else { return Ok(None) };
        let problem = self.admit(&mut default)?;
        // Null is what a nullable field has without a default.
        self.default = Some(default).filter(|default| *default != Value::Null);
        Ok(problem)
    }
}

impl FieldSchema {
    /// `Ok(None)` if the value fits, otherwise what is wrong with it.
    pub(crate) fn admit(&self, value: &mut Value) -> Result<Option<&'static str>> {
        if matches!(value, Value::Null) {
            return Ok((!self.nullable).then_some("must have a value"));
        }
        self.kind.settle(value)
    }
}
