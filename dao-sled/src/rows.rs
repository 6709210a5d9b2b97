//! What is stored under the keys. Each value begins with the version of its form.

use fastsync_core::{
    DeviceId, Hlc, Incarnation, ObjectId, Position, Record, RecordKey, Revision, SessionId, SessionSummary,
    SyncMetadata, Tag, Value, Zone,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Fail, Run};
use crate::registry::Kind;

/// The version of every value that this crate writes.
pub(crate) const VERSION: u8 = 1;

/// How much was written, in the one row [`META`](crate::key::META).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Meta {
    /// The number of the last write: of a commit, a staged batch, a purge, a preparation.
    pub(crate) number: u64,
}

/// What is known of a record beside its body; it comes first, so that it can be read alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    #[serde(with = "postcard::fixint::le")]
    revision: u64,
    #[serde(with = "postcard::fixint::le")]
    incarnation: u64,
    #[serde(with = "postcard::fixint::le")]
    modified_at: u64,
    modified_by: [u8; 16],
    pub(crate) change: u64,
    /// Where it is in the feed; 0 if no positioned commit wrote it.
    pub(crate) position: u64,
    pub(crate) is_deleted: bool,
}

impl Head {
    pub(crate) fn new(metadata: &SyncMetadata, position: u64, is_deleted: bool) -> Self {
        Self {
            revision: metadata.revision.to_bits(),
            incarnation: metadata.incarnation.to_bits(),
            modified_at: metadata.modified_at.to_bits(),
            modified_by: *metadata.modified_by.as_uuid().as_bytes(),
            change: metadata.change,
            position,
            is_deleted,
        }
    }

    pub(crate) fn revision(&self) -> Revision {
        Revision::from_bits(self.revision)
    }

    pub(crate) fn incarnation(&self) -> Incarnation {
        Incarnation::from_bits(self.incarnation)
    }

    pub(crate) fn set_revision(&mut self, revision: Revision) {
        self.revision = revision.to_bits();
    }

    fn metadata(&self) -> Run<SyncMetadata> {
        Ok(SyncMetadata {
            revision: self.revision(),
            incarnation: self.incarnation(),
            modified_at: Hlc::from_bits(self.modified_at)
                .map_err(|_| Fail::corrupt("a record holds a modification time out of range"))?,
            modified_by: DeviceId::from_uuid(uuid::Uuid::from_bytes(self.modified_by)),
            change: self.change,
        })
    }
}

/// Reads what a record's value says beside the body, and gives the body's bytes.
pub(crate) fn head(value: &[u8]) -> Run<(Head, &[u8])> {
    postcard::take_from_bytes(content(value)?).map_err(|_| unreadable())
}

/// The columns of a live record.
pub(crate) fn body(bytes: &[u8]) -> Run<Vec<Value>> {
    postcard::from_bytes(bytes).map_err(|_| unreadable())
}

pub(crate) fn encode_record(head: &Head, columns: Option<&[Value]>) -> Run<Vec<u8>> {
    let out = encode(head)?;
    match columns {
        Some(columns) => postcard::to_extend(columns, out).map_err(|_| too_odd()),
        None => Ok(out),
    }
}

/// A record's value with another head.
pub(crate) fn with_head(head: &Head, body: &[u8]) -> Run<Vec<u8>> {
    let mut out = encode(head)?;
    out.extend_from_slice(body);
    Ok(out)
}

/// The record of a value.
pub(crate) fn record(kind: &Kind, zone: &Zone, id: ObjectId, value: &[u8]) -> Run<Record> {
    let (head, columns) = head(value)?;
    let body = if head.is_deleted { None } else { Some(kind.read(body(columns)?)) };
    let key = RecordKey { zone: zone.clone(), type_name: kind.schema.name().clone(), id };
    Ok(Record { key, body, metadata: head.metadata()? })
}

/// The newest session of a zone, and how far its tombstones were purged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ZoneRow {
    pub(crate) position: Position,
    #[serde(with = "tag")]
    pub(crate) tag: Tag,
    pub(crate) horizon: Position,
}

/// A session at its position.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PositionRow {
    pub(crate) session: SessionId,
    #[serde(with = "tag")]
    pub(crate) tag: Tag,
    pub(crate) device: DeviceId,
    pub(crate) number: u64,
}

/// A session in the audit trail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SessionRow {
    pub(crate) summary: SessionSummary,
    /// The number of the local commit, if it marked records as pending.
    pub(crate) change: u64,
}

mod tag {
    use fastsync_core::Tag;
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(tag: &Tag, serializer: S) -> Result<S::Ok, S::Error> {
        postcard::fixint::le::serialize(&tag.0, serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Tag, D::Error> {
        postcard::fixint::le::deserialize(deserializer).map(Tag)
    }
}

pub(crate) fn encode<T: Serialize + ?Sized>(row: &T) -> Run<Vec<u8>> {
    postcard::to_extend(row, vec![VERSION]).map_err(|_| too_odd())
}

pub(crate) fn decode<T: DeserializeOwned>(value: &[u8]) -> Run<T> {
    postcard::from_bytes(content(value)?).map_err(|_| unreadable())
}

fn content(value: &[u8]) -> Run<&[u8]> {
    match value.split_first() {
        Some((&VERSION, content)) => Ok(content),
        Some((version, _)) => {
            Err(Fail::corrupt(format!("a value has version {version}, {VERSION} is known")))
        }
        None => Err(unreadable()),
    }
}

fn unreadable() -> Fail {
    Fail::corrupt("a value cannot be read")
}

fn too_odd() -> Fail {
    Fail::invalid("a value cannot be stored")
}
