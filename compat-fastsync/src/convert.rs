//! Between the objects of the original protocol and our records.

use std::collections::BTreeMap;

use fastsync_core::{
    Error, ErrorKind, FieldKind, FieldSchema, ObjectId, Record, Result, TypeName, TypeSchema, Value, Zone,
};

use crate::timestamp::Unit;
use crate::version;
use crate::wire::{Number, SyncMetadata, SyncObject, operation};

/// What the original calls the zone that everyone shares.
pub(crate) const GLOBAL: &str = "Global";

/// The name of a zone in the original protocol.
pub(crate) fn zone_name(zone: &Zone) -> &str {
    zone.key().unwrap_or(GLOBAL)
}

/// The body of a pushed object. A field that the object does not have keeps what is stored: a client that does not
/// know a field does not erase it.
pub(crate) fn to_body(
    schema: &TypeSchema,
    mut fields: BTreeMap<String, Value>,
    stored: Option<&Record>,
) -> Result<Vec<Value>> {
    let stored = stored.and_then(|record| record.body.as_deref()).unwrap_or_default();
    let mut body = Vec::with_capacity(schema.fields().len());
    for (at, field) in schema.fields().iter().enumerate() {
        body.push(match fields.remove(field.name.as_str()) {
            Some(value) => adapt(field.kind, value),
            None => stored.get(at).cloned().unwrap_or(Value::Null),
        });
    }
    schema.admit(&mut body)?;
    Ok(body)
}

/// A value as the field has it, where a client's platform writes the same value in another form.
#[allow(clippy::cast_possible_truncation, reason = "the range is checked")]
fn adapt(kind: FieldKind, value: Value) -> Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match (kind, value) {
        (FieldKind::Integer, Value::Real(real)) if real.fract() == 0.0 && real.abs() <= EXACT => {
            Value::Integer(real as i64)
        }
        (FieldKind::Boolean, Value::Integer(bit @ (0 | 1))) => Value::Bool(bit == 1),
        (FieldKind::Uuid, Value::Text(text)) => Value::Text(text.to_ascii_lowercase()),
        (_, value) => value,
    }
}

/// A record as a client receives it.
pub(crate) fn to_object(schema: &TypeSchema, type_name: &str, unit: Unit, record: Record) -> SyncObject {
    let deleted = record.is_deleted();
    let id = record.key.id.as_str().to_owned();
    let metadata = SyncMetadata {
        id: Some(metadata_id(&record.key.type_name, &record.key.id)),
        type_name: Some(type_name.to_owned()),
        sync_zone: Some(zone_name(&record.key.zone).to_owned()),
        version: version::of(record.metadata.revision).into(),
        timestamp: unit.write(record.metadata.modified_at.timestamp()),
        sync_operation: Some(Number::from(if deleted { operation::DELETE } else { operation::UPDATE })),
    };
    let names = schema.fields().iter().map(|field| field.name.as_str().to_owned());
    let fields = match record.body {
        Some(body) => names.zip(body).collect(),
        None => names.zip(schema.fields().iter().map(placeholder)).collect(),
    };
    SyncObject { id, metadata, deleted, fields }
}

/// About how many bytes the form that a client receives has beside an object's id and values.
pub(crate) fn overhead(schema: &TypeSchema, type_name: &str, zone: &Zone) -> usize {
    const OF_EVERY_OBJECT: usize = 280;
    let names = schema.fields().iter().map(|field| field.name.as_str().len() + 4);
    OF_EVERY_OBJECT + type_name.len() + zone_name(zone).len() + names.sum::<usize>()
}

/// A value for a field of a deleted object: typed clients read the fields of deleted objects, too.
fn placeholder(field: &FieldSchema) -> Value {
    if field.nullable {
        return Value::Null;
    }
    match field.kind {
        FieldKind::Boolean => Value::Bool(false),
        FieldKind::Integer => Value::Integer(0),
        FieldKind::Real => Value::Real(0.0),
        FieldKind::Text | FieldKind::Bytes => Value::Text(String::new()),
        FieldKind::Uuid => Value::Text(uuid::Uuid::nil().to_string()),
        FieldKind::DateTime => Value::Text("1970-01-01T00:00:00Z".to_owned()),
        _ => Value::Null,
    }
}

/// The identity of an object's metadata in the clients' storage, which they share with the metadata of every other
/// object and type. It stays the same, so that a client overwrites what it has.
fn metadata_id(type_name: &TypeName, id: &ObjectId) -> String {
    name_uuid(&["metadata", type_name.as_str(), id.as_str()]).to_string()
}

/// A UUID made from names.
pub(crate) fn name_uuid(names: &[&str]) -> uuid::Uuid {
    let hash = name_hash(names);
    let mut bytes = [0; 16];
    hash.as_bytes().iter().zip(&mut bytes).for_each(|(from, to)| *to = *from);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// A hash of names, each with its length in front.
pub(crate) fn name_hash(names: &[&str]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    for name in names {
        hasher.update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes());
    }
    hasher.finalize()
}

pub(crate) fn contention() -> Error {
    Error::new(ErrorKind::Contention, "compat", "the records keep moving")
}
