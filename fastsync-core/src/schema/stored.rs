//! Reading a schema that was stored.

use std::iter;

use serde::Deserialize;

use super::{FieldSchema, TypeSchema, ZoneRestriction, repeated};
use crate::error::{Error, Result};
use crate::model::{FieldName, TypeName};

/// A schema as it is read, before its fields are checked.
#[derive(Deserialize)]
pub(super) struct StoredSchema {
    name: TypeName,
    version: u32,
    priority: i32,
    restriction: ZoneRestriction,
    id_field: FieldName,
    fields: Vec<FieldSchema>,
}

impl TryFrom<StoredSchema> for TypeSchema {
    type Error = Error;

    fn try_from(stored: StoredSchema) -> Result<Self> {
        let StoredSchema { name, version, priority, restriction, id_field, fields } = stored;
        let names = iter::once(&id_field).chain(fields.iter().map(|field| &field.name));
        let problems = repeated(restriction, names);
        if problems.is_empty() {
            return Ok(Self { name, version, priority, restriction, id_field, fields });
        }
        Err(Error::invalid("schema", format!("type {name}: {}", problems.join("; "))))
    }
}
