//! Records of the server that this device cannot hold: kept aside, listed, and tried again with every pull.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Client, PullLimits};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{DeviceId, FieldName, Hlc, Incarnation, Record, RecordKey, Revision, SyncMetadata, Value};
use crate::protocol::{Columns, TypeVersion};
use crate::schema::{IdKind, TypeSchema};
use crate::source::entry::{decode, encode};
use crate::source::{Clear, ExpectState, StateWrite, SyncableDataSourceExt as _};
use crate::store::{StateKey, Store};

/// A record of the server that this device cannot hold.
///
/// The object here stays as it was: in an older version, or absent. Every pull tries the record again.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SetAside {
    /// The record as the server sent it, its values in the order of `fields`. Without a body, the server has deleted it.
    pub server: Record,
    /// The fields that the values belong to.
    pub fields: Vec<FieldName>,
    /// The version of the type that it was sent for.
    pub version: u32,
    /// Why it is aside, for programs.
    pub reason: AsideReason,
    /// Why it is aside, for people.
    pub message: String,
    /// The kind of the ids of the type that it was sent for.
    id_kind: IdKind,
}

/// Why a record is aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum AsideReason {
    /// A constraint of the device's own table refuses it: another row has the unique value, a parent is missing, a
    /// check fails.
    Constraint,
    /// Its values do not fit the type as this version of the application has it.
    Unreadable,
    /// A local edit is in its way, and the conflict handler could not decide between the two.
    HandlerFailed,
}

/// The stored form.
#[derive(Serialize, Deserialize)]
struct Kept {
    key: RecordKey,
    revision: Revision,
    incarnation: Incarnation,
    modified_at: Hlc,
    modified_by: DeviceId,
    version: u32,
    id_kind: IdKind,
    fields: Vec<FieldName>,
    body: Option<Vec<Value>>,
    reason: AsideReason,
    message: String,
}

impl SetAside {
    /// A record that this end has brought into the form of its type, as far as it fits.
    fn new(server: Record, schema: &TypeSchema, reason: AsideReason, message: String) -> Self {
        let TypeVersion { version, id, fields, .. } = TypeVersion::of(schema);
        Self { server, fields, version, reason, message, id_kind: id }
    }

    fn encode(&self) -> Result<Vec<u8>> {
        let Record { key, body, metadata } = &self.server;
        encode(&Kept {
            key: key.clone(),
            revision: metadata.revision,
            incarnation: metadata.incarnation,
            modified_at: metadata.modified_at,
            modified_by: metadata.modified_by,
            version: self.version,
            id_kind: self.id_kind,
            fields: self.fields.clone(),
            body: body.clone(),
            reason: self.reason,
            message: self.message.clone(),
        })
    }

    fn decode(stored: &[u8]) -> Result<Self> {
        let kept: Kept = decode(stored)?;
        let metadata = SyncMetadata {
            revision: kept.revision,
            incarnation: kept.incarnation,
            modified_at: kept.modified_at,
            modified_by: kept.modified_by,
            change: 0,
        };
        Ok(Self {
            server: Record { key: kept.key, body: kept.body, metadata },
            fields: kept.fields,
            version: kept.version,
            reason: kept.reason,
            message: kept.message,
            id_kind: kept.id_kind,
        })
    }

    /// The record in the form of the type; an error if its values do not fit it.
    fn record(&self, schema: &TypeSchema) -> Result<Record> {
        let columns =
            Columns::of(schema, &TypeVersion::new(self.version, self.id_kind, self.fields.clone()))?;
        let mut record = self.server.clone();
        schema.admit_id(&record.key.id)?;
        record.body = record.body.map(|values| columns.body(schema, values)).transpose()?;
        record.body.as_mut().map_or(Ok(()), |values| schema.admit(values))?;
        Ok(record)
    }
}

/// Why a record cannot be stored, for programs and for people.
pub(super) type Refusal = (AsideReason, String);

/// What is aside, and what one commit makes of it.
#[derive(Debug)]
pub(super) struct Asides {
    limits: (u32, u32),
    /// As it is stored.
    stored: BTreeMap<RecordKey, (Vec<u8>, SetAside)>,
    /// Stored ones that this commit replaces, removes or tries again.
    touched: BTreeSet<RecordKey>,
    /// Those of them that it tries again.
    tried: BTreeSet<RecordKey>,
    /// Records of this pull whose values do not fit.
    unfit: BTreeMap<RecordKey, SetAside>,
    unfit_bytes: usize,
    /// Those of them whose objects have edits that are given up.
    given_up: BTreeSet<RecordKey>,
}

/// The entries of a commit, and what they come to.
#[derive(Debug, Default)]
pub(super) struct AsideChange {
    pub(super) entries: Vec<StateWrite>,
    /// How many records it sets aside that were not tried again.
    pub(super) set_aside: u64,
    /// How many that were aside it stores.
    pub(super) from_aside: u64,
}

impl Asides {
    /// The records of this pull whose values do not fit, and whose objects stay as they are.
    pub(super) fn unfit(&self) -> impl Iterator<Item = (&RecordKey, SyncMetadata)> {
        let stays = |(key, _): &(&RecordKey, &SetAside)| !self.given_up.contains(*key);
        self.unfit.iter().filter(stays).map(|(key, unfit)| (key, unfit.server.metadata))
    }

    /// Whether the values of a record of this pull do not fit: then the object does not stay as it is.
    pub(super) fn give_up(&mut self, key: &RecordKey) -> bool {
        let is_unfit = self.unfit.contains_key(key);
        if is_unfit {
            self.given_up.insert(key.clone());
        }
        is_unfit
    }

    /// Whether this device cannot hold what the server has of an object.
    pub(super) fn cannot_hold(&self, key: &RecordKey) -> bool {
        self.stored.get(key).is_some_and(|(_, aside)| aside.reason != AsideReason::HandlerFailed)
    }

    /// The server sent another version, or took one of ours.
    pub(super) fn supersede(&mut self, key: &RecordKey) {
        if self.stored.contains_key(key) {
            self.touched.insert(key.clone());
        }
        if let Some(earlier) = self.unfit.remove(key) {
            self.unfit_bytes = self.unfit_bytes.saturating_sub(earlier.server.approximate_bytes());
        }
    }

    /// The server sent a version whose values do not fit.
    pub(super) fn add_unfit(&mut self, record: Record, error: &Error, schema: &TypeSchema) -> Result<()> {
        self.supersede(&record.key);
        self.unfit_bytes = self.unfit_bytes.saturating_add(record.approximate_bytes());
        let (key, message) = (record.key.clone(), error.message().to_owned());
        self.unfit.insert(key, SetAside::new(record, schema, AsideReason::Unreadable, message));
        self.check_limits(self.unfit.len(), self.unfit_bytes)
    }

    /// What a walk has seen: the keys whose entries are superseded, and what does not fit, as it is kept.
    pub(super) fn seen(&self) -> Result<(BTreeSet<RecordKey>, Vec<Vec<u8>>)> {
        let unfit = self.unfit.values().map(SetAside::encode).collect::<Result<_>>()?;
        Ok((self.touched.clone(), unfit))
    }

    /// What a walk had seen that was cut off.
    pub(super) fn go_on(&mut self, superseded: BTreeSet<RecordKey>, unfit: &[Vec<u8>]) -> Result<()> {
        self.touched = superseded.into_iter().filter(|key| self.stored.contains_key(key)).collect();
        for stored in unfit {
            let unfit = SetAside::decode(stored)?;
            self.unfit_bytes = self.unfit_bytes.saturating_add(unfit.server.approximate_bytes());
            self.unfit.insert(unfit.server.key.clone(), unfit);
        }
        Ok(())
    }

    /// What is cleared is fetched anew.
    pub(super) fn clear(&mut self, clears: &[Clear]) {
        let is_cleared = |key: &&RecordKey| {
            clears.iter().any(|clear| clear.type_name == key.type_name && clear.zone == key.zone)
        };
        self.touched.extend(self.stored.keys().filter(is_cleared).cloned());
    }

    /// The records to try again: those that the server sent nothing newer of, and whose values fit by now.
    pub(super) fn retries(&mut self, store: &Store, is_ours: impl Fn(&RecordKey) -> bool) -> Vec<Record> {
        let mut retries = Vec::new();
        for (key, (_, aside)) in &self.stored {
            if !is_ours(key) || self.touched.contains(key) || self.unfit.contains_key(key) {
                continue;
            }
            // What does not fit waits for another version of the application.
            let Ok(record) = store.schema(&key.type_name).and_then(|schema| aside.record(schema)) else {
                continue;
            };
            self.touched.insert(key.clone());
            self.tried.insert(key.clone());
            retries.push(record);
        }
        retries
    }

    /// The entries to write with a commit that cannot store these records.
    pub(super) fn change<'a>(
        &self,
        store: &Store,
        refused: impl Iterator<Item = (&'a Record, &'a Refusal)>,
    ) -> Result<AsideChange> {
        let mut aside: BTreeMap<&RecordKey, Vec<u8>> = BTreeMap::new();
        for (key, unfit) in &self.unfit {
            aside.insert(key, unfit.encode()?);
        }
        for (record, (reason, message)) in refused {
            let schema = store.schema(&record.key.type_name)?;
            let entry = SetAside::new(record.clone(), schema, *reason, message.clone());
            aside.insert(&record.key, entry.encode()?);
        }
        let mut change = AsideChange::default();
        for key in &self.touched {
            if aside.contains_key(key) {
                continue;
            }
            change.from_aside += u64::from(self.tried.contains(key));
            change.entries.push(self.entry(key, None));
        }
        let kept =
            self.stored.iter().filter(|(key, _)| !self.touched.contains(key) && !aside.contains_key(key));
        let (count, bytes) = kept.fold((0_usize, 0_usize), |(count, bytes), (_, (stored, _))| {
            (count + 1, bytes.saturating_add(stored.len()))
        });
        let bytes = aside.values().fold(bytes, |bytes, entry| bytes.saturating_add(entry.len()));
        if !aside.is_empty() {
            self.check_limits(count + aside.len(), bytes)?;
        }
        for (key, entry) in aside {
            change.set_aside += u64::from(!self.tried.contains(key));
            if self.stored.get(key).is_none_or(|(stored, _)| *stored != entry) {
                change.entries.push(self.entry(key, Some(entry)));
            }
        }
        Ok(change)
    }

    fn entry(&self, key: &RecordKey, value: Option<Vec<u8>>) -> StateWrite {
        let expect = match self.stored.get(key) {
            Some((stored, _)) => ExpectState::Value(stored.clone()),
            None => ExpectState::Absent,
        };
        StateWrite { key: StateKey::aside(key), expect, value }
    }

    fn check_limits(&self, count: usize, bytes: usize) -> Result<()> {
        let exceeds = |found: usize, limit: u32| usize::try_from(limit).is_ok_and(|limit| found > limit);
        let (most, most_bytes) = self.limits;
        if !exceeds(count, most) && !exceeds(bytes, most_bytes) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::TooLarge,
            "pull",
            format!(
                "this device cannot hold {count} records of the server ({bytes} bytes), and keeps at most {most} \
                 of them ({most_bytes} bytes) aside: see what refuses them with `set_aside()`, or upgrade the \
                 application"
            ),
        ))
    }
}

impl Client {
    pub(super) async fn load_asides(&self) -> Result<Asides> {
        let mut stored = BTreeMap::new();
        for (_, value) in self.store.source().entries(StateKey::ASIDE).await? {
            let aside = SetAside::decode(&value)?;
            stored.insert(aside.server.key.clone(), (value, aside));
        }
        let PullLimits { aside_records, aside_bytes, .. } = self.pull_limits;
        Ok(Asides {
            limits: (aside_records, aside_bytes),
            stored,
            touched: BTreeSet::new(),
            tried: BTreeSet::new(),
            unfit: BTreeMap::new(),
            unfit_bytes: 0,
            given_up: BTreeSet::new(),
        })
    }

    /// Whether this manager pulls the record: another one of the same store may have other zones.
    pub(super) fn pulls(&self, key: &RecordKey) -> bool {
        self.endpoints.contains_key(&key.type_name) && self.zones.contains(&key.zone)
    }

    pub(super) async fn set_aside(&self) -> Result<Vec<SetAside>> {
        let stored = self.load_asides().await?.stored.into_values().map(|(_, aside)| aside);
        Ok(stored.filter(|aside| self.pulls(&aside.server.key)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ObjectId, Timestamp, TypeName, Zone};
    use crate::source::entry::assert_golden;

    /// Fails if a part of a record is forgotten while it is aside, or the form changes: form 1 stays as it is.
    #[test]
    fn a_record_is_kept_whole_and_as_in_its_file() {
        let key = RecordKey {
            zone: Zone::restricted("z").unwrap(),
            type_name: TypeName::new("items").unwrap(),
            id: ObjectId::new("1").unwrap(),
        };
        let metadata = SyncMetadata {
            revision: Revision::from_bits(5),
            incarnation: Incarnation::from_bits(6),
            modified_at: Hlc::new(Timestamp::from_millis(1_795_294_580_370), 2),
            modified_by: DeviceId::from_uuid(uuid::Uuid::from_u128(7)),
            change: 0,
        };
        let mut aside = SetAside {
            server: Record { key, body: Some(vec![Value::Integer(-3), Value::Text("a".into())]), metadata },
            fields: ["n", "name"].map(|name| FieldName::new(name).unwrap()).to_vec(),
            version: 3,
            reason: AsideReason::Unreadable,
            message: "n is too wide".to_owned(),
            id_kind: IdKind::Uuid,
        };
        let mut written = Vec::new();
        for (reason, body) in
            [(AsideReason::Unreadable, aside.server.body.clone()), (AsideReason::Constraint, None)]
        {
            aside.reason = reason;
            aside.server.body = body;
            let stored = aside.encode().unwrap();
            assert_eq!(SetAside::decode(&stored).unwrap(), aside);
            written.push(stored);
        }
        assert_golden("aside-1", &written.iter().map(Vec::as_slice).collect::<Vec<_>>());
    }
}
