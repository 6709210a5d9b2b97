//! What is stored under the keys. Each value begins with the version of its form.

use fastsync_core::source::entry;
use fastsync_core::{
    DeviceId, Hlc, Incarnation, ObjectId, Position, Record, RecordKey, Revision, SessionId, SessionSummary,
    SyncMetadata, Tag, Value, Zone,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::kv::fail::{Fail, Run};
use crate::kv::registry::Kind;

/// The version of every value that this crate writes.
pub(crate) const VERSION: u8 = entry::FORM;

/// How much was written, in the one row [`META`](crate::kv::key::META).
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
    let body = if head.is_deleted { None } else { Some(kind.columns.take(body(columns)?)) };
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
    Ok(entry::content(value)?)
}

fn unreadable() -> Fail {
    Fail::corrupt("a value cannot be read")
}

fn too_odd() -> Fail {
    Fail::invalid("a value cannot be stored")
}

#[cfg(test)]
mod tests {
    use fastsync_core::source::{Action, Expect, OnMismatch, Write};
    use fastsync_core::{Author, SessionKind, Timestamp, TypeName};
    use uuid::Uuid;

    use super::*;
    use crate::kv::key::{self, ByPosition};

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn write() -> Write {
        let metadata = SyncMetadata {
            revision: Revision::from_bits(0x0102_0304_0506_0708),
            incarnation: Incarnation::from_bits(9),
            modified_at: Hlc::new(Timestamp::from_millis(1_763_700_000_000), 3),
            modified_by: DeviceId::from_uuid(Uuid::from_u128(7)),
            change: 300,
        };
        let body = vec![
            "a".into(),
            Value::Null,
            true.into(),
            (-2_i64).into(),
            0.5.into(),
            vec![1_u8, 2].into(),
            Value::Json("[]".to_owned()),
        ];
        let key = RecordKey {
            zone: Zone::restricted("z").unwrap(),
            type_name: TypeName::new("items").unwrap(),
            id: ObjectId::new("i").unwrap(),
        };
        let action = Action::Put { record: Record { key, body: Some(body), metadata }, pending: true };
        Write { action, expect: Expect::Change(5), on_mismatch: OnMismatch::Skip }
    }

    /// What version 1 wrote, later versions read: these bytes never change.
    #[test]
    fn the_form_of_every_row_is_pinned() {
        let write = write();
        let Action::Put { record, .. } = &write.action else { panic!("a put") };
        let (zone, id) = (&record.key.zone, &record.key.id);
        let session = SessionId::from_uuid(Uuid::from_u128(1));
        let head = Head::new(&record.metadata, 12, false);
        let summary = SessionSummary {
            id: session,
            kind: SessionKind::Direct,
            author: Author { user: Some("ann".to_owned()), device: record.metadata.modified_by, number: 2 },
            committed_at: Timestamp::from_millis(5),
            positions: vec![(zone.clone(), Position(12))],
            counts: vec![(record.key.type_name.clone(), 1)],
        };
        let at = PositionRow { session, tag: Tag(6), device: record.metadata.modified_by, number: 2 };
        let rows = [
            ("record", key::record(zone, 3, id), encode_record(&head, record.body.as_deref()).unwrap()),
            ("feed", key::entry(&ByPosition::Feed.group(zone, 12, 3), id), Vec::new()),
            ("tombstone", key::entry(&ByPosition::Tombstones.group(&Zone::Global, 12, 3), id), Vec::new()),
            ("pending", key::entry(&key::pending(300, zone, 3), id), Vec::new()),
            ("position", key::positioned(zone, Position(12)), encode(&at).unwrap()),
            (
                "zone",
                key::zone(zone),
                encode(&ZoneRow { position: Position(12), tag: Tag(6), horizon: Position(4) }).unwrap(),
            ),
            ("session", key::session(session), encode(&SessionRow { summary, change: 0 }).unwrap()),
            ("staged", key::batch_part(session, 1, 0), encode(&[write.clone()][..]).unwrap()),
            ("meta", key::META.to_vec(), encode(&Meta { number: 300 }).unwrap()),
            (
                "run",
                key::entry(&key::pending(300, zone, 3), id),
                encode(&[ObjectId::new("j").unwrap()][..]).unwrap(),
            ),
        ];
        let found: String =
            rows.iter().map(|(name, key, value)| format!("{name} {} {}\n", hex(key), hex(value))).collect();
        assert_eq!(found, include_str!("rows.golden"));

        let (read, columns) = super::head(&rows[0].2).unwrap();
        assert_eq!((read, body(columns).unwrap()), (head, record.body.clone().unwrap()));
        assert_eq!(decode::<Vec<Write>>(&rows[7].2).unwrap(), std::slice::from_ref(&write));
        for (name, _, value) in rows.iter().filter(|(_, _, value)| !value.is_empty()) {
            let mut later = value.clone();
            later[0] = VERSION + 1;
            let Err(Fail::Core(error)) = content(&later) else { panic!("{name} is read") };
            assert_eq!(error.kind(), fastsync_core::ErrorKind::Unsupported, "{name}");
        }
    }
}
