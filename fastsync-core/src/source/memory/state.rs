//! What is stored, with the indexes that reads go by.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound::{Excluded, Unbounded};

use super::history::History;
use super::schema::{RegisteredType, TypeOrder, Types};
use crate::error::Result;
use crate::model::{
    ObjectId, Position, Record, RecordKey, Revision, SessionId, SessionSummary, SyncMetadata, TypeName,
    Value, Zone,
};
use crate::source::Write;

/// Everything that one storage holds.
#[derive(Debug, Default, Clone)]
pub(super) struct State {
    pub(super) types: Types,
    tables: BTreeMap<(TypeName, Zone), Table>,
    pub(super) histories: BTreeMap<Zone, History>,
    /// Records that wait to be pushed, by change, then by type and key.
    pending: BTreeMap<u64, BTreeSet<(TypeOrder, RecordKey)>>,
    pub(super) last_change: u64,
    pub(super) staged: HashMap<SessionId, BTreeMap<u64, Vec<Write>>>,
    pub(super) sessions: HashMap<SessionId, CommittedSession>,
    pub(super) entries: BTreeMap<String, Vec<u8>>,
}

/// The records of one type in one zone.
pub(super) type Table = BTreeMap<ObjectId, Stored>;

/// A record as it is kept: without its key, its body by columns.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) body: Option<Vec<Value>>,
    pub(super) metadata: SyncMetadata,
    /// The position of the last positioned commit that wrote it.
    pub(super) position: Option<Position>,
}

/// A committed session as it is kept.
#[derive(Debug, Clone)]
pub(super) struct CommittedSession {
    pub(super) summary: SessionSummary,
    pub(super) change: u64,
}

impl State {
    pub(super) fn table(&self, type_name: &TypeName, zone: &Zone) -> Option<&Table> {
        self.tables.get(&(type_name.clone(), zone.clone()))
    }

    pub(super) fn stored(&self, key: &RecordKey) -> Option<&Stored> {
        self.table(&key.type_name, &key.zone)?.get(&key.id)
    }

    /// What expectations are about.
    pub(super) fn current(&self, key: &RecordKey) -> Option<(Revision, u64)> {
        self.stored(key).map(|stored| (stored.metadata.revision, stored.metadata.change))
    }

    pub(super) fn record(&self, key: &RecordKey) -> Option<Record> {
        let registered = self.types.get(&key.type_name).ok()?;
        Some(registered.record(&key.zone, &key.id, self.stored(key)?))
    }

    pub(super) fn get(&self, type_name: &TypeName, zone: &Zone, ids: &[ObjectId]) -> Result<Vec<Record>> {
        let registered = self.types.get(type_name)?;
        let Some(table) = self.table(type_name, zone) else { return Ok(Vec::new()) };
        let found = ids.iter().filter_map(|id| Some((id, table.get(id)?)));
        Ok(found.map(|(id, stored)| registered.record(zone, id, stored)).collect())
    }

    pub(super) fn pending(&self, after: u64, limit: usize) -> Vec<Record> {
        let later = self.pending.range((Excluded(after), Unbounded)).flat_map(|(_, keys)| keys);
        later.take(limit).filter_map(|(_, key)| self.record(key)).collect()
    }

    pub(super) fn count_pending(&self) -> u64 {
        self.pending.values().map(|keys| keys.len() as u64).sum()
    }

    /// Puts a record in place of what is there, and keeps every index in step.
    pub(super) fn insert(&mut self, order: TypeOrder, key: RecordKey, stored: Stored) {
        self.remove(order, &key);
        if let Some(position) = stored.position {
            let history = self.histories.entry(key.zone.clone()).or_default();
            history.note(position, order, key.id.clone());
        }
        if stored.metadata.is_pending() {
            self.pending.entry(stored.metadata.change).or_default().insert((order, key.clone()));
        }
        self.tables.entry((key.type_name, key.zone)).or_default().insert(key.id, stored);
    }

    /// Removes a record, and keeps every index in step.
    pub(super) fn remove(&mut self, order: TypeOrder, key: &RecordKey) -> Option<Stored> {
        let table = self.tables.get_mut(&(key.type_name.clone(), key.zone.clone()))?;
        let stored = table.remove(&key.id)?;
        if let (Some(position), Some(history)) = (stored.position, self.histories.get_mut(&key.zone)) {
            history.forget(position, order, &key.id);
        }
        if let Some(keys) = self.pending.get_mut(&stored.metadata.change) {
            keys.remove(&(order, key.clone()));
            if keys.is_empty() {
                self.pending.remove(&stored.metadata.change);
            }
        }
        Some(stored)
    }
}

impl RegisteredType {
    pub(super) fn record(&self, zone: &Zone, id: &ObjectId, stored: &Stored) -> Record {
        Record {
            key: RecordKey { zone: zone.clone(), type_name: self.schema.name().clone(), id: id.clone() },
            body: stored.body.as_deref().map(|body| self.read(body)),
            metadata: stored.metadata,
        }
    }
}
