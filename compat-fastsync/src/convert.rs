//! Between the objects of the original protocol and our records.

use std::collections::BTreeMap;

use fastsync_core::{
    Error, ErrorKind, FieldKind, FieldSchema, ObjectId, Record, Result, TypeName, TypeSchema, Value, Zone,
};

use crate::timestamp::Unit;
use crate::version;
use crate::wire::{Number, RESERVED, SyncMetadata, SyncObject, operation};

/// What the original calls the zone that everyone shares.
pub(crate) const GLOBAL: &str = "Global";

/// The name of a zone in the original protocol.
pub(crate) fn zone_name(zone: &Zone) -> &str {
    zone.key().unwrap_or(GLOBAL)
}

/// The body of a pushed object. A field that the object does not have keeps what is stored: a client that does not
/// know a field does not erase it. Fields that the type does not have go into the one at `unknown`, if there is one.
pub(crate) fn to_body(
    schema: &TypeSchema,
    unknown: Option<usize>,
    mut fields: BTreeMap<String, Value>,
    stored: Option<&Record>,
) -> Result<Vec<Value>> {
    let stored = stored.and_then(|record| record.body.as_deref()).unwrap_or_default();
    let mut body = Vec::with_capacity(schema.fields().len());
    for (at, field) in schema.fields().iter().enumerate() {
        if unknown == Some(at) {
            body.push(stored.get(at).cloned().unwrap_or(Value::Null));
            continue;
        }
        body.push(match fields.remove(field.name.as_str()) {
            Some(value) => adapt(field.kind, value),
            None => match stored.get(at) {
                Some(value) => value.clone(),
                // A client of before the field was.
                None => field.default.clone().unwrap_or(Value::Null),
            },
        });
    }
    if let Some(kept) = unknown.and_then(|at| body.get_mut(at))
        && !fields.is_empty()
    {
        let mut all = unknown_fields(kept);
        all.append(&mut fields);
        *kept = Value::json(&all)?;
    }
    schema.admit(&mut body)?;
    Ok(body)
}

/// The fields that were kept for clients and that the type does not have.
fn unknown_fields(kept: &Value) -> BTreeMap<String, Value> {
    kept.parse_json().unwrap_or_default()
}

/// A value as the field has it, where a client's platform writes the same value in another form.
#[allow(clippy::cast_possible_truncation, reason = "the range is checked")]
fn adapt(kind: FieldKind, value: Value) -> Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match (kind, value) {
        (kind, Value::Real(real)) if kind.is_integer() && real.fract() == 0.0 && real.abs() <= EXACT => {
            Value::Integer(real as i64)
        }
        (FieldKind::Boolean, Value::Integer(bit @ (0 | 1))) => Value::Bool(bit == 1),
        (FieldKind::Uuid, Value::Text(text)) => Value::Text(text.to_ascii_lowercase()),
        // The shortest text that is this number: the digits that the client wrote, if they are few enough. More are rounded
        // already; as they are, the field refuses them.
        (FieldKind::Decimal, Value::Real(real)) if is_exact(real) => Value::Text(real.to_string()),
        // Dart's local times say no offset, and the platforms of a mixed house would not agree on one.
        (FieldKind::Instant, Value::Text(mut text)) if is_without_offset(&text) => {
            text.push('Z');
            Value::Text(text)
        }
        (_, value) => value,
    }
}

/// Whether every decimal number of so few digits has a floating point number of its own.
fn is_exact(real: f64) -> bool {
    let digits =
        real.to_string().bytes().filter(u8::is_ascii_digit).skip_while(|digit| *digit == b'0').count();
    digits <= f64::DIGITS as usize
}

/// Whether a text is a date and time without an offset from UTC.
fn is_without_offset(text: &str) -> bool {
    let after_date = text.get("2026-01-31".len()..).unwrap_or_default();
    after_date.contains(':') && !after_date.contains(['Z', 'z', '+', '-'])
}

/// A value as clients write it themselves: of a second they know milliseconds, and some microseconds; decimal numbers are
/// plain ones.
fn to_wire(kind: FieldKind, value: Value) -> Value {
    const MILLIS: usize = "000000".len();
    const MICROS: usize = "000".len();
    let text = match value {
        Value::Text(text) => text,
        // A number, as .NET writes it: with a point, for Dart, which else reads a whole one.
        Value::Decimal(number) if number.scale() == 0 => return Value::Json(format!("{number}.0")),
        Value::Decimal(number) => return Value::Json(number.to_string()),
        value => return value,
    };
    let (digits, end) = match kind {
        FieldKind::Instant => (text.strip_suffix('Z').unwrap_or(&text), "Z"),
        FieldKind::LocalDateTime | FieldKind::Time => (&*text, ""),
        _ => return Value::Text(text),
    };
    let zeros = digits.len() - digits.trim_end_matches('0').len();
    let cut = if zeros >= MILLIS {
        MILLIS
    } else if zeros >= MICROS {
        MICROS
    } else {
        0
    };
    Value::Text(format!("{}{end}", &digits[..digits.len() - cut]))
}

/// A record as a client receives it. A deleted object has the values of `deleted_body`: typed clients read its fields, too.
pub(crate) fn to_object(
    schema: &TypeSchema,
    type_name: &str,
    unknown: Option<usize>,
    unit: Unit,
    record: Record,
    deleted_body: impl FnOnce() -> Vec<Value>,
) -> SyncObject {
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
    let named = |field: &FieldSchema, value| (field.name.as_str().to_owned(), to_wire(field.kind, value));
    let fields = schema.fields().iter();
    let body = record.body.unwrap_or_else(deleted_body);
    let mut unknown_values = BTreeMap::new();
    let mut known = BTreeMap::new();
    for (at, (field, value)) in fields.zip(body).enumerate() {
        if unknown == Some(at) {
            unknown_values = unknown_fields(&value);
        } else {
            known.extend([named(field, value)]);
        }
    }
    // What the type has by now is the type's.
    let mut fields = unknown_values;
    fields.retain(|name, _| !RESERVED.contains(&name.as_str()));
    fields.append(&mut known);
    SyncObject { id, metadata, deleted, fields }
}

/// About how many bytes the form that a client receives has beside an object's id and values.
pub(crate) fn overhead(schema: &TypeSchema, type_name: &str, zone: &Zone) -> usize {
    const OF_EVERY_OBJECT: usize = 280;
    let names = schema.fields().iter().map(|field| field.name.as_str().len() + 4);
    OF_EVERY_OBJECT + type_name.len() + zone_name(zone).len() + names.sum::<usize>()
}

/// The values of a deleted object: those that were kept, and for fields of which there is none, or none that fits, those of
/// the sample.
pub(crate) fn deleted_body(
    schema: &TypeSchema,
    sample: &[Value],
    kept: Option<BTreeMap<String, Value>>,
) -> Vec<Value> {
    let mut kept = kept.unwrap_or_default();
    let mut body = sample.to_vec();
    for (at, field) in schema.fields().iter().enumerate() {
        let Some(value) = kept.remove(field.name.as_str()) else { continue };
        let Some(place) = body.get_mut(at) else { continue };
        let of_sample = std::mem::replace(place, adapt(field.kind, value));
        if schema.admit(&mut body).is_err()
            && let Some(place) = body.get_mut(at)
        {
            *place = of_sample;
        }
    }
    body
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

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> TypeSchema {
        let builder = TypeSchema::builder("Visit", "id").field("at", FieldKind::Instant);
        let builder = builder.field("local", FieldKind::LocalDateTime).field("day", FieldKind::Date);
        builder.field("clock", FieldKind::Time).build().unwrap()
    }

    fn fields(values: [&str; 4]) -> BTreeMap<String, Value> {
        let names = ["at", "local", "day", "clock"].map(str::to_owned);
        names.into_iter().zip(values.map(Value::from)).collect()
    }

    /// What clients get of what they have pushed.
    fn back(values: [&str; 4]) -> BTreeMap<String, Value> {
        let body = to_body(&schema(), None, fields(values), None).unwrap();
        body.into_iter()
            .zip(schema().fields())
            .map(|(value, field)| (field.name.as_str().to_owned(), to_wire(field.kind, value)))
            .collect()
    }

    #[test]
    fn clients_get_the_dates_that_they_write() {
        for values in [
            // TypeScript, and Dart's UTC.
            ["2026-11-21T10:00:00.120Z", "2026-11-21T10:00:00.000", "2026-11-21", "10:00:00.000"],
            // Dart writes microseconds where there are any; .NET writes seven digits, and we nine.
            ["2026-11-21T10:00:00.123456Z", "2026-11-21T10:00:00.000120", "2026-11-21", "10:00:00.500"],
            ["2026-11-21T10:00:00.123456700Z", "2026-11-21T10:00:00.000000001", "0001-01-01", "00:00:00.000"],
        ] {
            assert!(back(values) == fields(values), "{values:?}");
        }
        // Dart's local time, and a text without a fraction.
        let others = ["2026-11-21T10:00:00.120", "2026-11-21T10:00:00", "2026-11-21", "10:00:00"];
        let form = ["2026-11-21T10:00:00.120Z", "2026-11-21T10:00:00.000", "2026-11-21", "10:00:00.000"];
        assert!(back(others) == fields(form));
        let offset = ["2026-11-21T12:00:00.120+02:00", form[1], form[2], "10:00:00.0000000"];
        let utc = ["2026-11-21T10:00:00.120Z", form[1], form[2], form[3]];
        assert!(back(offset) == fields(utc));
    }

    #[test]
    fn clients_get_decimal_numbers_as_numbers() {
        let schema = TypeSchema::builder("Line", "id").field("price", FieldKind::Decimal).build().unwrap();
        for (pushed, pulled) in [("2", "2.0"), ("0.1", "0.1"), ("\"12.50\"", "12.5"), ("-1e-7", "-0.0000001")]
        {
            let value = serde_json::from_str::<Value>(pushed).unwrap();
            let body = to_body(&schema, None, BTreeMap::from([("price".to_owned(), value)]), None).unwrap();
            let value = body.into_iter().next().unwrap();
            assert_eq!(serde_json::to_string(&to_wire(FieldKind::Decimal, value)).unwrap(), pulled);
        }
        let large = BTreeMap::from([("price".to_owned(), Value::Real(1e300))]);
        assert!(to_body(&schema, None, large, None).is_err());
    }

    /// Fails if a deleted object has a value that the live form could not have.
    #[test]
    fn a_deleted_object_has_what_was_kept_where_it_fits() {
        let form = ["1970-01-01T00:00:00.000Z", "1970-01-01T00:00:00.000", "1970-01-01", "00:00:00.000"];
        let schema = schema();
        let sample = to_body(&schema, None, fields(form), None).unwrap();
        assert!(deleted_body(&schema, &sample, None) == sample);
        let kept = [
            ("at", Value::Text("2026-11-21T10:00:00.000".into())),
            ("day", Value::Integer(7)),
            ("gone", Value::Null),
        ];
        let kept = kept.map(|(name, value)| (name.to_owned(), value)).into_iter().collect();
        let body = deleted_body(&schema, &sample, Some(kept));
        assert!(body[0] == Value::Text("2026-11-21T10:00:00.000000000Z".into()));
        assert!(body[1..] == sample[1..]);
    }
}
