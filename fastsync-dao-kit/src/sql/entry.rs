//! Rows of the index.

use std::collections::{BTreeSet, HashMap};

use fastsync_core::{DeviceId, Hlc, Incarnation, Record, RecordKey, Revision, SyncMetadata, Value};
use uuid::Uuid;

use crate::sql::driver::{Database, Row};
use crate::sql::fail::{Fail, Run};
use crate::sql::store::Store;

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
    pub(crate) fn read(row: &impl Row, first: usize) -> Run<Self> {
        let column = |at: usize| row.number(first.saturating_add(at));
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
pub(crate) async fn devices<'e, D: Database>(
    store: &Store<D>,
    link: &mut D::Link,
    entries: impl Iterator<Item = &'e Entry>,
) -> Run<HashMap<u64, Uuid>> {
    let numbers: BTreeSet<u64> = entries.map(|entry| entry.modified_by).collect();
    store.devices_of(link, &numbers).await
}
