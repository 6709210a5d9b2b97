//! Values and index rows as MySQL holds them.

use std::collections::{BTreeSet, HashMap};

use fastsync_core::{
    Decimal, DeviceId, FieldKind, FieldName, FieldSchema, Hlc, Incarnation, ObjectId, Record, RecordKey,
    Revision, SyncMetadata, Value,
};
use sqlx::mysql::MySqlRow;
use sqlx::{MySqlConnection, Row as _};
use uuid::Uuid;

use crate::error::{Fail, Run};
use crate::registry::Type;
use crate::sql::{Sql, bytes, number};
use crate::store::Store;

/// Binds the value of a field.
pub(crate) fn add_value(sql: &mut Sql, value: &Value) {
    match value {
        Value::Null => sql.add(None::<&str>),
        Value::Bool(value) => sql.add(*value),
        Value::Integer(value) => sql.add(*value),
        Value::Real(value) => sql.add(*value),
        Value::Text(text) | Value::Json(text) => sql.add(text.as_str()),
        Value::Bytes(bytes) => sql.add(bytes.as_slice()),
        Value::Decimal(number) => sql.add(number.to_string()),
    };
}

/// The value of a field in a column of the user's table.
fn read_value(row: &MySqlRow, at: usize, field: &FieldSchema) -> Run<Value> {
    let owned = |bytes: &[u8]| {
        let text = std::str::from_utf8(bytes).map(str::to_owned);
        text.map_err(|_| Fail::corrupt(format!("column {} holds what is not UTF-8", field.name)))
    };
    Ok(match field.kind {
        FieldKind::Boolean => match row.try_get_unchecked::<Option<i64>, _>(at)? {
            None => Value::Null,
            Some(value @ (0 | 1)) => Value::Bool(value == 1),
            Some(_) => return Err(Fail::corrupt(format!("column {} is neither true nor false", field.name))),
        },
        kind if kind.is_integer() => {
            row.try_get_unchecked::<Option<i64>, _>(at)?.map_or(Value::Null, Value::Integer)
        }
        FieldKind::Real => row.try_get_unchecked::<Option<f64>, _>(at)?.map_or(Value::Null, Value::Real),
        FieldKind::Bytes => bytes(row, at)?.map_or(Value::Null, |bytes| Value::Bytes(bytes.to_vec())),
        FieldKind::Decimal => match bytes(row, at)? {
            Some(bytes) => Value::Decimal(decimal(bytes, &field.name)?),
            None => Value::Null,
        },
        FieldKind::Json => match bytes(row, at)? {
            Some(bytes) => Value::Json(owned(bytes)?),
            None => Value::Null,
        },
        _ => match bytes(row, at)? {
            Some(bytes) => Value::Text(owned(bytes)?),
            None => Value::Null,
        },
    })
}

/// A number in a decimal column, which the server gives as text with all digits of the column.
fn decimal(bytes: &[u8], column: &FieldName) -> Run<Decimal> {
    let read = std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok());
    read.ok_or_else(|| Fail::corrupt(format!("column {column} holds a number of too many digits")))
}

/// The values of the fields of a type, from column `first` on.
pub(crate) fn read_body(row: &MySqlRow, first: usize, kind: &Type) -> Run<Vec<Value>> {
    let columns = first..;
    kind.schema.fields().iter().zip(columns).map(|(field, at)| read_value(row, at, field)).collect()
}

/// An id in an index column or in the user's table.
pub(crate) fn read_id(row: &MySqlRow, at: usize) -> Run<ObjectId> {
    ObjectId::new(crate::sql::text(row, at)?).map_err(|_| Fail::corrupt("a table holds an id that is none"))
}

/// The columns of an index row, in the order in which [`Entry::read`] takes them.
pub(crate) const ENTRY: &str =
    "r.position, r.`change`, r.deleted, r.modified_by, r.modified_at, r.revision, r.incarnation, r.bytes";

/// How many columns [`ENTRY`] has.
pub(crate) const ENTRY_COLUMNS: usize = 8;

/// What the index knows of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) position: u64,
    pub(crate) change: u64,
    pub(crate) deleted: bool,
    pub(crate) modified_by: u64,
    pub(crate) modified_at: u64,
    pub(crate) revision: u64,
    pub(crate) incarnation: u64,
    pub(crate) bytes: u64,
}

impl Entry {
    pub(crate) fn read(row: &MySqlRow, first: usize) -> Run<Self> {
        let column = |at: usize| number(row, first.saturating_add(at));
        Ok(Self {
            position: column(0)?,
            change: column(1)?,
            deleted: column(2)? != 0,
            modified_by: column(3)?,
            modified_at: column(4)?,
            revision: column(5)?,
            incarnation: column(6)?,
            bytes: column(7)?,
        })
    }

    /// What expectations are about.
    pub(crate) const fn current(&self) -> (Revision, u64) {
        (Revision::from_bits(self.revision), self.change)
    }

    pub(crate) fn into_record(
        self,
        key: RecordKey,
        body: Option<Vec<Value>>,
        devices: &HashMap<u64, Uuid>,
    ) -> Run<Record> {
        let modified_at = Hlc::from_bits(self.modified_at)
            .map_err(|_| Fail::corrupt("the index holds a modification time out of range"))?;
        let device = devices.get(&self.modified_by);
        let device = device.ok_or_else(|| Fail::corrupt("the index names a device that is not there"))?;
        let metadata = SyncMetadata {
            revision: Revision::from_bits(self.revision),
            incarnation: Incarnation::from_bits(self.incarnation),
            modified_at,
            modified_by: DeviceId::from_uuid(*device),
            change: self.change,
        };
        Ok(Record { key, body, metadata })
    }
}

/// The devices that index rows name.
pub(crate) async fn devices<'e>(
    store: &Store,
    connection: &mut MySqlConnection,
    entries: impl Iterator<Item = &'e Entry>,
) -> Run<HashMap<u64, Uuid>> {
    let numbers: BTreeSet<u64> = entries.map(|entry| entry.modified_by).collect();
    store.devices_of(connection, &numbers).await
}
