//! Values, tokens and records as documents hold them.

use fastsync_core::{
    Decimal, DeviceId, FieldKind, FieldSchema, Hlc, Incarnation, ObjectId, Record, RecordKey, Revision,
    SyncMetadata, Value, Zone,
};
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Bson, Decimal128, RawBinaryRef, RawBsonRef, RawDocument, RawDocumentBuf};
use uuid::Uuid;

use crate::command::fields;
use crate::error::{Fail, Run};
use crate::registry::Type;

/// The signed integer with the same bits: BSON has no unsigned ones.
pub(crate) const fn signed(bits: u64) -> i64 {
    bits.cast_signed()
}

/// Back from [`signed`].
pub(crate) const fn unsigned(bits: i64) -> u64 {
    bits.cast_unsigned()
}

/// The signed integer that orders as the unsigned one does.
pub(crate) const fn ordered(number: u64) -> i64 {
    (number ^ (1 << 63)).cast_signed()
}

/// A number that is compared in the database: those beyond `i64` exceed every stored one.
pub(crate) fn capped(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// How many, as an option or a limit of the database.
pub(crate) fn capped_len(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(crate) fn binary(bytes: &[u8]) -> RawBsonRef<'_> {
    RawBsonRef::Binary(RawBinaryRef { subtype: BinarySubtype::Generic, bytes })
}

pub(crate) fn uuid_ref(bytes: &[u8; 16]) -> RawBsonRef<'_> {
    RawBsonRef::Binary(RawBinaryRef { subtype: BinarySubtype::Uuid, bytes })
}

pub(crate) fn read_uuid(value: RawBinaryRef<'_>) -> Run<Uuid> {
    Uuid::from_slice(value.bytes).map_err(|_| Fail::corrupt("a sync document contains an invalid id"))
}

/// The `_id` of a record in the index.
pub(crate) fn record_id(zone: &str, n: i32, id: &str) -> RawDocumentBuf {
    fields([("zone", zone.into()), ("type", n.into()), ("id", id.into())])
}

/// The `_id` of an object in the collection of its type.
pub(crate) fn object_key(zone: &str, id: &str) -> RawDocumentBuf {
    fields([("zone", zone.into()), ("id", id.into())])
}

pub(crate) fn read_zone(text: &str) -> Run<Zone> {
    Zone::parse(text).map_err(|_| Fail::corrupt("a sync document names an invalid zone"))
}

pub(crate) fn read_id(text: &str) -> Run<ObjectId> {
    ObjectId::new(text).map_err(|_| Fail::corrupt("a sync document contains an invalid id"))
}

/// What the index knows of a record.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Row {
    pub(crate) sync: SyncMetadata,
    pub(crate) deleted: bool,
    /// The position of the last positioned commit that wrote it; 0 if none did.
    pub(crate) position: u64,
    /// About how many bytes the record has, so that a page is cut before its bodies are read.
    pub(crate) bytes: i64,
}

impl Row {
    /// About how many bytes the record has.
    pub(crate) fn size(&self) -> usize {
        usize::try_from(self.bytes.max(0)).unwrap_or(usize::MAX)
    }

    /// The row as a document. What is 0 or false is left out, so that partial indexes stay small.
    pub(crate) fn document(&self, id: &RawDocumentBuf) -> RawDocumentBuf {
        let mut row = fields([("_id", id.into())]);
        if self.position != 0 {
            row.append_ref("position", signed(self.position));
        }
        if self.sync.change != 0 {
            row.append_ref("change", signed(self.sync.change));
        }
        if self.deleted {
            row.append_ref("deleted", true);
        }
        row.append_ref("bytes", self.bytes);
        row.append_ref("revision", signed(self.sync.revision.to_bits()));
        row.append_ref("incarnation", signed(self.sync.incarnation.to_bits()));
        row.append_ref("modified_at", signed(self.sync.modified_at.to_bits()));
        row.append_ref("modified_by", uuid_ref(self.sync.modified_by.as_uuid().as_bytes()));
        row
    }

    pub(crate) fn record(self, key: RecordKey, body: Option<Vec<Value>>) -> Record {
        Record { key, body, metadata: self.sync }
    }
}

/// A row of the index with its key.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) zone: &'a str,
    pub(crate) n: i32,
    pub(crate) id: &'a str,
    pub(crate) row: Row,
}

impl<'a> Entry<'a> {
    pub(crate) fn read(document: &'a RawDocument) -> Run<Self> {
        let mut entry = Entry { zone: "", n: 0, id: "", row: EMPTY };
        for element in document {
            let (name, value) = element?;
            match (name, value) {
                ("_id", RawBsonRef::Document(key)) => {
                    (entry.zone, entry.n, entry.id) =
                        (key.get_str("zone")?, key.get_i32("type")?, key.get_str("id")?);
                }
                ("position", RawBsonRef::Int64(bits)) => entry.row.position = unsigned(bits),
                ("change", RawBsonRef::Int64(bits)) => entry.row.sync.change = unsigned(bits),
                ("deleted", RawBsonRef::Boolean(deleted)) => entry.row.deleted = deleted,
                ("bytes", RawBsonRef::Int64(bytes)) => entry.row.bytes = bytes,
                ("revision", RawBsonRef::Int64(bits)) => {
                    entry.row.sync.revision = Revision::from_bits(unsigned(bits));
                }
                ("incarnation", RawBsonRef::Int64(bits)) => {
                    entry.row.sync.incarnation = Incarnation::from_bits(unsigned(bits));
                }
                ("modified_at", RawBsonRef::Int64(bits)) => {
                    entry.row.sync.modified_at = Hlc::from_bits(unsigned(bits))
                        .map_err(|_| Fail::corrupt("the index holds a modification time out of range"))?;
                }
                ("modified_by", RawBsonRef::Binary(bytes)) => {
                    entry.row.sync.modified_by = DeviceId::from_uuid(read_uuid(bytes)?);
                }
                _ => return Err(Fail::corrupt(format!("field {name} of an index document cannot be read"))),
            }
        }
        Ok(entry)
    }
}

const EMPTY: Row = Row {
    sync: SyncMetadata {
        revision: Revision::NONE,
        incarnation: Incarnation::from_bits(0),
        modified_at: Hlc::MAX,
        modified_by: DeviceId::from_uuid(Uuid::nil()),
        change: 0,
    },
    deleted: false,
    position: 0,
    bytes: 0,
};

/// A value as it is stored. JSON is stored as its text: a document would merge `1` and `1.0`, and equal replicas
/// hold equal bytes.
pub(crate) fn value_ref(value: &Value) -> RawBsonRef<'_> {
    match value {
        Value::Null => RawBsonRef::Null,
        Value::Bool(value) => RawBsonRef::Boolean(*value),
        Value::Integer(value) => RawBsonRef::Int64(*value),
        Value::Real(value) => RawBsonRef::Double(*value),
        Value::Text(text) | Value::Json(text) => RawBsonRef::String(text),
        Value::Bytes(bytes) => binary(bytes),
        Value::Decimal(number) => RawBsonRef::Decimal128(decimal128(*number)),
    }
}

/// A value as a document that is built of parts has it.
pub(crate) fn bson(value: &Value) -> Run<Bson> {
    Ok(Bson::try_from(value_ref(value).to_raw_bson())?)
}

/// Where the exponent of a number of BSON begins, above its digits, and what is added to it.
const EXPONENT_AT: u32 = 113;
const EXPONENT_BIAS: i32 = 6176;

/// A decimal number of BSON: its sign, its exponent, and its digits as a whole number.
pub(crate) fn decimal128(number: Decimal) -> Decimal128 {
    let scale = i32::try_from(number.scale()).unwrap_or_default();
    let exponent = u128::from((EXPONENT_BIAS - scale).unsigned_abs());
    let sign = u128::from(number.mantissa() < 0) << 127;
    let bits = sign | exponent << EXPONENT_AT | number.mantissa().unsigned_abs();
    Decimal128::from_bytes(bits.to_le_bytes())
}

/// Back from [`decimal128`], also of what another program wrote; nothing if it has more digits than a number may have, or is
/// none.
fn read_decimal(found: Decimal128) -> Option<Decimal> {
    let bits = u128::from_le_bytes(found.bytes());
    // Both bits set: infinities, what is no number, and numbers with more digits than there are.
    if (bits >> 125) & 0b11 == 0b11 {
        return None;
    }
    let digits = i128::try_from(bits & ((1 << EXPONENT_AT) - 1)).ok()?;
    let mantissa = if bits >> 127 == 1 { -digits } else { digits };
    let exponent = i32::try_from((bits >> EXPONENT_AT) & 0x3fff).ok()? - EXPONENT_BIAS;
    if mantissa == 0 || exponent <= 0 {
        let scale = if mantissa == 0 { 0 } else { exponent.unsigned_abs() };
        return Decimal::new(mantissa, scale).ok();
    }
    Decimal::new(mantissa.checked_mul(10_i128.checked_pow(exponent.unsigned_abs())?)?, 0).ok()
}

/// The fields of an object: its id and its values, in the order of the schema.
pub(crate) fn object_fields(kind: &Type, id: &str, body: &[Value]) -> RawDocumentBuf {
    let mut document = fields([(kind.schema.id_field().as_str(), id.into())]);
    for (field, value) in kind.schema.fields().iter().zip(body) {
        document.append_ref(field.name.as_str(), value_ref(value));
    }
    document
}

/// A document as it is, the user's further fields included, with other values in the fields of its object.
pub(crate) fn with_fields(
    document: &RawDocument,
    kind: &Type,
    id: &str,
    body: &[Value],
) -> Run<RawDocumentBuf> {
    let mut new = RawDocumentBuf::new();
    let fields = object_fields(kind, id, body);
    for element in document {
        let (name, value) = element?;
        new.append_ref(name, fields.get(name)?.unwrap_or(value));
    }
    for element in &fields {
        let (name, value) = element?;
        if document.get(name)?.is_none() {
            new.append_ref(name, value);
        }
    }
    Ok(new)
}

/// The values of an object; a field that its document does not have is its initial value.
pub(crate) fn read_body(document: &RawDocument, kind: &Type) -> Run<Vec<Value>> {
    let fields = kind.schema.fields();
    let mut body: Vec<_> = fields.iter().map(FieldSchema::initial).collect();
    for element in document {
        let (name, value) = element?;
        let Some(at) = kind.position_of(name) else { continue };
        if let (Some(slot), Some(field)) = (body.get_mut(at), fields.get(at)) {
            *slot = read_value(value, field)?;
        }
    }
    Ok(body)
}

fn read_value(value: RawBsonRef<'_>, field: &FieldSchema) -> Run<Value> {
    Ok(match (field.kind, value) {
        (_, RawBsonRef::Null) => Value::Null,
        (FieldKind::Boolean, RawBsonRef::Boolean(value)) => Value::Bool(value),
        (kind, RawBsonRef::Int64(value)) if kind.is_integer() => Value::Integer(value),
        // A shell or another driver writes small whole numbers so.
        (kind, RawBsonRef::Int32(value)) if kind.is_integer() => Value::Integer(value.into()),
        (FieldKind::Real, RawBsonRef::Double(value)) if value.is_finite() => Value::Real(value + 0.0),
        (FieldKind::Real, RawBsonRef::Int32(value)) => Value::Real(value.into()),
        (kind, RawBsonRef::String(text)) if kind.is_text() => Value::Text(text.to_owned()),
        (FieldKind::Decimal, RawBsonRef::Decimal128(found)) => {
            let read = read_decimal(found);
            Value::Decimal(read.ok_or_else(|| {
                Fail::corrupt(format!("field {} holds a number of too many digits", field.name))
            })?)
        }
        // A shell or another driver writes whole numbers so.
        (FieldKind::Decimal, RawBsonRef::Int32(whole)) => Value::Decimal(whole.into()),
        (FieldKind::Decimal, RawBsonRef::Int64(whole)) => Value::Decimal(whole.into()),
        (FieldKind::Bytes, RawBsonRef::Binary(bytes)) => Value::Bytes(bytes.bytes.to_vec()),
        (FieldKind::Json, RawBsonRef::String(text)) => Value::Json(text.to_owned()),
        _ => return Err(Fail::corrupt(format!("field {} holds a value of another kind", field.name))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsigned_numbers_keep_bits_or_order() {
        let numbers = [0, 1, (1 << 63) - 1, 1 << 63, u64::MAX];
        assert!(numbers.map(ordered).is_sorted());
        assert_eq!(numbers.map(|number| unsigned(signed(number))), numbers);
        assert_eq!((capped(u64::MAX), capped(7)), (i64::MAX, 7));
    }

    #[test]
    fn decimal_numbers_are_those_of_bson() {
        let most = "9".repeat(28);
        let least = format!("-0.{}1", "0".repeat(27));
        for text in ["0", "1.5", "-1", "1000", "0.001", &most, &least] {
            let number: Decimal = text.parse().unwrap();
            assert_eq!(read_decimal(decimal128(number)), Some(number), "{text}");
            let theirs: Decimal128 = text.parse().unwrap();
            assert_eq!(read_decimal(theirs), Some(number), "{text}");
        }
        for (theirs, ours) in [("1.50", Some("1.5")), ("12E+2", Some("1200")), ("-0.00", Some("0"))] {
            let ours = ours.map(|text: &str| text.parse().unwrap());
            assert_eq!(read_decimal(theirs.parse().unwrap()), ours, "{theirs}");
        }
        for theirs in ["NaN", "Infinity", "-Infinity", "1E+28", "1E-29", "1E+6000"] {
            assert_eq!(read_decimal(theirs.parse().unwrap()), None, "{theirs}");
        }
    }

    #[test]
    fn a_row_comes_back_as_it_was() {
        let row = Row {
            sync: SyncMetadata {
                revision: Revision::from_bits(u64::MAX),
                incarnation: Incarnation::from_bits(1 << 63),
                modified_at: Hlc::MAX,
                modified_by: DeviceId::from_uuid(Uuid::from_u128(7)),
                change: 9,
            },
            deleted: true,
            position: 3,
            bytes: 64,
        };
        let document = row.document(&record_id("global", 2, "a\"$b"));
        let entry = Entry::read(&document).unwrap();
        assert_eq!((entry.zone, entry.n, entry.id, entry.row), ("global", 2, "a\"$b", row));
    }
}
