//! Reading objects from records.

use crate::error::{Error, ErrorKind, Result};
use crate::model::{ObjectId, Record, RecordKey, Value};
use crate::object::SyncableObject;

/// What [`SyncableRepositoryExt::list`](super::SyncableRepositoryExt::list) finds.
#[derive(Debug)]
#[non_exhaustive]
pub struct Listed<T> {
    /// The objects, in the order of the selection.
    pub objects: Vec<T>,
    /// The others: their values are of a later version of the type, or were not written by it. They are exchanged as they
    /// are.
    pub unreadable: Vec<Unreadable>,
}

/// An object that its type cannot read.
#[derive(Debug)]
#[non_exhaustive]
pub struct Unreadable {
    /// The object.
    pub key: RecordKey,
    /// Why: `Corrupt`, with the field in its source.
    pub error: Error,
}

/// The objects of live records.
pub(super) fn list<T: SyncableObject>(records: Vec<Record>) -> Listed<T> {
    let mut listed = Listed { objects: Vec::with_capacity(records.len()), unreadable: Vec::new() };
    for record in records {
        let key = record.key.clone();
        match decode(record) {
            Ok(object) => listed.objects.push(object),
            Err(error) => listed.unreadable.push(Unreadable { key, error }),
        }
    }
    listed
}

/// Reads a body as the type does, and writes what was read.
pub(super) fn recode<T: SyncableObject>(id: &ObjectId, body: Vec<Value>) -> Result<Vec<Value>> {
    T::from_body(id, body)?.to_body()
}

/// The object of a live record.
pub(super) fn decode<T: SyncableObject>(record: Record) -> Result<T> {
    let Record { key, body, .. } = record;
    T::from_body(&key.id, body.unwrap_or_default()).map_err(|error| {
        Error::new(ErrorKind::Corrupt, "decode", "a stored record does not fit its type")
            .with_record(&key)
            .with_source(error)
    })
}
