//! Values, tokens and records as SQLite holds them.

use fastsync_core::{
    Decimal, DeviceId, FieldKind, FieldSchema, Hlc, Incarnation, Record, RecordKey, Revision, SessionId,
    SyncMetadata, Value,
};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Row, ToSql};
use uuid::Uuid;

use crate::connection::Store;
use crate::error::{Fail, Run};

/// The signed integer with the same bits: SQLite has no unsigned ones.
pub(crate) const fn signed(bits: u64) -> i64 {
    bits.cast_signed()
}

/// Back from [`signed`].
pub(crate) const fn unsigned(bits: i64) -> u64 {
    bits.cast_unsigned()
}

/// A number that is compared in SQL: those beyond `i64` exceed every stored one.
pub(crate) fn capped(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A row limit.
pub(crate) fn capped_len(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Binds a value without copying it.
pub(crate) struct Bind<'a>(pub(crate) &'a Value);

impl ToSql for Bind<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            Value::Null => ValueRef::Null,
            Value::Bool(value) => ValueRef::Integer((*value).into()),
            Value::Integer(value) => ValueRef::Integer(*value),
            Value::Real(value) => ValueRef::Real(*value),
            Value::Text(text) | Value::Json(text) => ValueRef::Text(text.as_bytes()),
            Value::Bytes(bytes) => ValueRef::Blob(bytes),
            Value::Decimal(number) => return Ok(ToSqlOutput::Owned(number.to_string().into())),
        }))
    }
}

fn text(bytes: &[u8]) -> Option<String> {
    std::str::from_utf8(bytes).ok().map(str::to_owned)
}

fn decimal(bytes: &[u8]) -> Option<Decimal> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

/// The value of a field in a column of the user's table.
pub(crate) fn read_value(value: ValueRef<'_>, field: &FieldSchema) -> Run<Value> {
    let read = match (field.kind, value) {
        (_, ValueRef::Null) => Some(Value::Null),
        (FieldKind::Boolean, ValueRef::Integer(value @ (0 | 1))) => Some(Value::Bool(value == 1)),
        (kind, ValueRef::Integer(value)) if kind.is_integer() => Some(Value::Integer(value)),
        (FieldKind::Real, ValueRef::Real(value)) => Some(Value::Real(value)),
        (kind, ValueRef::Text(bytes)) if kind.is_text() => text(bytes).map(Value::Text),
        (FieldKind::Decimal, ValueRef::Text(bytes)) => decimal(bytes).map(Value::Decimal),
        (FieldKind::Bytes, ValueRef::Blob(bytes)) => Some(Value::Bytes(bytes.to_vec())),
        (FieldKind::Json, ValueRef::Text(bytes)) => text(bytes).map(Value::Json),
        _ => None,
    };
    read.ok_or_else(|| Fail::corrupt(format!("column {} holds a value of another kind", field.name)))
}

/// The columns of a record's metadata, in the order in which [`Meta::read`] takes them.
pub(crate) const META: &str = "r.revision, r.incarnation, r.modified_at, r.modified_by, r.change, r.deleted";

/// How many columns [`META`] has.
pub(crate) const META_COLUMNS: usize = 6;

/// What the index knows of a record.
pub(crate) struct Meta {
    pub(crate) sync: SyncMetadata,
    pub(crate) deleted: bool,
}

impl Meta {
    pub(crate) fn read(store: &Store, row: &Row<'_>, first: usize) -> Run<Self> {
        let column = |at: usize| row.get::<_, i64>(first + at);
        let modified_at = Hlc::from_bits(unsigned(column(2)?))
            .map_err(|_| Fail::corrupt("the index holds a modification time out of range"))?;
        Ok(Self {
            sync: SyncMetadata {
                revision: Revision::from_bits(unsigned(column(0)?)),
                incarnation: Incarnation::from_bits(unsigned(column(1)?)),
                modified_at,
                modified_by: DeviceId::from_uuid(store.device_of(column(3)?)?),
                change: unsigned(column(4)?),
            },
            deleted: column(5)? != 0,
        })
    }

    pub(crate) fn into_record(self, key: RecordKey, body: Option<Vec<Value>>) -> Record {
        Record { key, body, metadata: self.sync }
    }
}

/// A session id in a column.
pub(crate) fn read_session(row: &Row<'_>, at: usize) -> Run<SessionId> {
    let bytes: [u8; 16] = row.get(at)?;
    Ok(SessionId::from_uuid(Uuid::from_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_keep_their_bits() {
        for bits in [0, 1, u64::MAX, 1 << 63, (1 << 63) - 1] {
            assert_eq!(unsigned(signed(bits)), bits);
        }
        assert_eq!((capped(u64::MAX), capped(7)), (i64::MAX, 7));
    }
}
