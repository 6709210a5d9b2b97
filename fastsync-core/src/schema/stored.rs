//! Reading a schema that was stored.

use std::iter;

use serde::Deserialize;

use super::{FieldKind, FieldSchema, IdKind, TypeSchema, ZoneRestriction, repeated};
use crate::error::{Error, Result};
use crate::model::{FieldName, TypeName, Value};

/// A schema as it is read, before its fields are checked.
#[derive(Deserialize)]
pub(super) struct StoredSchema {
    name: TypeName,
    version: u32,
    #[serde(default)]
    min_version: u32,
    priority: i32,
    restriction: ZoneRestriction,
    id_field: FieldName,
    #[serde(default)]
    id_kind: IdKind,
    fields: Vec<FieldSchema>,
}

impl TryFrom<StoredSchema> for TypeSchema {
    type Error = Error;

    fn try_from(stored: StoredSchema) -> Result<Self> {
        let StoredSchema { name, version, min_version, priority, restriction, id_field, id_kind, fields } =
            stored;
        let names = iter::once(&id_field).chain(fields.iter().flat_map(FieldSchema::names));
        let problems = repeated(restriction, names);
        if problems.is_empty() {
            return Ok(Self { name, version, min_version, priority, restriction, id_field, id_kind, fields });
        }
        Err(Error::invalid("schema", format!("type {name}: {}", problems.join("; "))))
    }
}

/// A field as it is read, before its default is in its stored form: bytes are text in JSON.
#[derive(Deserialize)]
pub(super) struct StoredField {
    name: FieldName,
    kind: FieldKind,
    nullable: bool,
    #[serde(default)]
    default: Option<Value>,
    #[serde(default)]
    zeroless: bool,
    #[serde(default)]
    was: Vec<FieldName>,
}

impl TryFrom<StoredField> for FieldSchema {
    type Error = Error;

    fn try_from(stored: StoredField) -> Result<Self> {
        let StoredField { name, kind, nullable, default, zeroless, was } = stored;
        let mut field = Self { name, kind, nullable, default, zeroless, was };
        match field.settle_default()? {
            None => Ok(field),
            Some(problem) => {
                Err(Error::invalid("schema", format!("field {}: the default {problem}", field.name)))
            }
        }
    }
}
