//! Records and index rows as PostgreSQL holds them.

use std::collections::{BTreeSet, HashMap};

use fastsync_core::{DeviceId, Hlc, Incarnation, ObjectId, Record, RecordKey, Revision, SyncMetadata, Value};
use fastsync_dao_kit::sql::{Fail, Run};
use sqlx::PgConnection;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::native::read;
use crate::registry::Type;
use crate::sql::{number, text, truth};
use crate::store::Store;

/// The values of the fields of a type, from column `first` on.
pub(crate) fn read_body(row: &PgRow, first: usize, kind: &Type) -> Run<Vec<Value>> {
    let fields = kind.schema.fields().iter().zip(&kind.natives).zip(first..);
    fields.map(|((field, native), at)| read(row, at, field, *native)).collect()
}

/// An id in the index.
pub(crate) fn read_id(row: &PgRow, at: usize) -> Run<ObjectId> {
    ObjectId::new(text(row, at)?).map_err(|_| Fail::corrupt("the index holds an id that is not valid"))
}

/// The columns of an index row, in the order in which [`Entry::read`] takes them.
pub(crate) const ENTRY: &str =
    "r.position, r.change, r.deleted, r.modified_by, r.modified_at, r.revision, r.incarnation, r.bytes";

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
    pub(crate) fn read(row: &PgRow, first: usize) -> Run<Self> {
        let column = |at: usize| number(row, first.saturating_add(at));
        Ok(Self {
            position: column(0)?,
            change: column(1)?,
            deleted: truth(row, first.saturating_add(2))?,
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
    connection: &mut PgConnection,
    entries: impl Iterator<Item = &'e Entry>,
) -> Run<HashMap<u64, Uuid>> {
    let numbers: BTreeSet<u64> = entries.map(|entry| entry.modified_by).collect();
    store.devices_of(connection, &numbers).await
}
