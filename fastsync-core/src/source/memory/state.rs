//! What is stored, with the indexes that reads go by.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;

use super::constraints::MemoryConstraint;
use super::history::History;
use super::schema::{RegisteredType, TypeOrder, Types};
use crate::error::Result;
use crate::model::{
    ObjectId, Position, Record, RecordKey, Revision, SessionId, SessionSummary, SyncMetadata, TypeName,
    Value, Zone,
};
use crate::schema::TypeSchema;
use crate::source::{Found, PendingRequest, PlannedChange, Preparation, Write};

/// Everything that one storage holds.
#[derive(Debug, Default, Clone)]
pub(super) struct State {
    pub(super) types: Types,
    tables: BTreeMap<TypeName, BTreeMap<Zone, Table>>,
    pub(super) histories: BTreeMap<Zone, History>,
    /// Records that wait to be pushed, by change, then by type and key. They are those of the tables, so that a push looks
    /// none of them up.
    pending: Pending,
    pub(super) last_change: u64,
    pub(super) staged: HashMap<SessionId, BTreeMap<u64, Vec<Write>>>,
    pub(super) sessions: HashMap<SessionId, CommittedSession>,
    pub(super) entries: BTreeMap<String, Vec<u8>>,
    pub(super) constraints: Vec<MemoryConstraint>,
}

type Pending = BTreeMap<u64, BTreeMap<(TypeOrder, RecordKey), Arc<Stored>>>;

/// The records of one type in one zone.
pub(super) type Table = BTreeMap<ObjectId, Arc<Stored>>;

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
    pub(super) fn prepare(&mut self, types: &[TypeSchema], how: Preparation) -> Result<Vec<PlannedChange>> {
        let decided = self.types.decide(types)?;
        if how == Preparation::Plan {
            return Ok(decided.changes);
        }
        self.types = decided.types;
        for name in decided.unsettled {
            self.settle(&name);
        }
        Ok(decided.changes)
    }

    /// Replaces the nulls that a type no longer allows.
    fn settle(&mut self, name: &TypeName) {
        let Ok(registered) = self.types.get(name) else { return };
        let order = registered.order;
        let mut settled = Vec::new();
        for (zone, table) in self.tables.get(name).into_iter().flatten() {
            for (id, stored) in table {
                let mut body = stored.body.clone();
                if body.as_mut().is_some_and(|body| registered.columns.settle(&registered.schema, body)) {
                    let key = RecordKey { zone: zone.clone(), type_name: name.clone(), id: id.clone() };
                    settled.push((key, Stored { body, ..Stored::clone(stored) }));
                }
            }
        }
        for (key, stored) in settled {
            self.insert(order, &key, stored);
        }
    }

    pub(super) fn table(&self, type_name: &TypeName, zone: &Zone) -> Option<&Table> {
        self.tables.get(type_name)?.get(zone)
    }

    /// The records of a type by zone.
    pub(super) fn zones_of(&self, type_name: &TypeName) -> impl Iterator<Item = (&Zone, &Table)> {
        self.tables.get(type_name).into_iter().flatten()
    }

    pub(super) fn stored(&self, key: &RecordKey) -> Option<&Stored> {
        self.table(&key.type_name, &key.zone)?.get(&key.id).map(|stored| &**stored)
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

    pub(super) fn zones(&self, type_name: &TypeName) -> Result<Vec<Zone>> {
        self.types.get(type_name)?;
        let tables = self.tables.get(type_name).into_iter().flatten();
        Ok(tables.filter(|(_, table)| !table.is_empty()).map(|(zone, _)| zone.clone()).collect())
    }

    pub(super) fn pending(&self, request: &PendingRequest) -> Found {
        let later = self.pending.range((Excluded(request.after), Unbounded)).flat_map(|(_, records)| records);
        let record = |((order, key), stored): (&(TypeOrder, RecordKey), &Arc<Stored>)| {
            Some(self.types.at(*order)?.record(&key.zone, &key.id, stored))
        };
        let records = later.take(request.limit).filter_map(record).collect();
        let count = || self.pending.values().map(|records| records.len() as u64).sum();
        Found { records, total: request.total.then(count) }
    }

    /// Drops staged batches, of one session or of all.
    pub(super) fn unstage(&mut self, session: Option<SessionId>) {
        match session {
            Some(session) => drop(self.staged.remove(&session)),
            None => self.staged.clear(),
        }
    }

    /// Puts a record in place of what is there, and keeps every index in step. Without a position of its own it keeps
    /// the one of what is there.
    pub(super) fn insert(&mut self, order: TypeOrder, key: &RecordKey, mut stored: Stored) {
        let tables = self.tables.entry(key.type_name.clone()).or_default();
        let table = tables.entry(key.zone.clone()).or_default();
        let (before, after);
        match table.entry(key.id.clone()) {
            Entry::Occupied(mut entry) => {
                let there = entry.get_mut();
                stored.position = stored.position.or(there.position);
                before = Some(there.place());
                *there = Arc::new(stored);
                after = Arc::clone(there);
            }
            Entry::Vacant(entry) => {
                before = None;
                after = Arc::clone(entry.insert(Arc::new(stored)));
            }
        }
        self.unlist(order, key, before, Some(after.place()));
        self.list(order, key, before, &after);
    }

    /// Removes a record, and keeps every index in step.
    pub(super) fn remove(&mut self, order: TypeOrder, key: &RecordKey) -> Option<Arc<Stored>> {
        let stored = self.table_mut(key)?.remove(&key.id)?;
        self.unlist(order, key, Some(stored.place()), None);
        Some(stored)
    }

    /// Changes the metadata of a record that is there, and keeps every index in step.
    pub(super) fn revise(
        &mut self,
        order: TypeOrder,
        key: &RecordKey,
        revise: impl FnOnce(&mut SyncMetadata),
    ) {
        let Self { tables, pending, .. } = self;
        let table = tables.get_mut(&key.type_name).and_then(|tables| tables.get_mut(&key.zone));
        let Some(stored) = table.and_then(|table| table.get_mut(&key.id)) else { return };
        // No position moves. Out of the list first, so that the record is nobody else's.
        take(pending, order, key, stored.metadata.change);
        revise(&mut Arc::make_mut(stored).metadata);
        give(pending, order, key, stored);
    }

    fn table_mut(&mut self, key: &RecordKey) -> Option<&mut Table> {
        self.tables.get_mut(&key.type_name)?.get_mut(&key.zone)
    }

    /// Takes a record out of the indexes that have it at its place before and not at that after.
    fn unlist(&mut self, order: TypeOrder, key: &RecordKey, before: Option<Place>, after: Option<Place>) {
        let Some(before) = before else { return };
        if let Some(position) = before.position
            && after.and_then(|after| after.position) != Some(position)
            && let Some(history) = self.histories.get_mut(&key.zone)
        {
            history.forget(position, order, &key.id);
        }
        if after.is_none_or(|after| after.change != before.change) {
            take(&mut self.pending, order, key, before.change);
        }
    }

    /// Puts a record into the indexes.
    fn list(&mut self, order: TypeOrder, key: &RecordKey, before: Option<Place>, stored: &Arc<Stored>) {
        if let Some(position) = stored.position
            && before.and_then(|before| before.position) != Some(position)
        {
            let history = self.histories.entry(key.zone.clone()).or_default();
            history.note(position, order, key.id.clone());
        }
        give(&mut self.pending, order, key, stored);
    }
}

/// Lists a record under its change, if it waits to be pushed.
fn give(pending: &mut Pending, order: TypeOrder, key: &RecordKey, stored: &Arc<Stored>) {
    if stored.metadata.change > 0 {
        let records = pending.entry(stored.metadata.change).or_default();
        records.insert((order, key.clone()), Arc::clone(stored));
    }
}

/// Takes a record out from under a change.
fn take(pending: &mut Pending, order: TypeOrder, key: &RecordKey, change: u64) {
    if let Some(records) = pending.get_mut(&change) {
        records.remove(&(order, key.clone()));
        if records.is_empty() {
            pending.remove(&change);
        }
    }
}

/// Where the indexes have a record: at its position, and among the edits of a local commit.
#[derive(Clone, Copy)]
struct Place {
    position: Option<Position>,
    /// 0 if it does not wait to be pushed.
    change: u64,
}

impl Stored {
    pub(super) const fn is_live(&self) -> bool {
        self.body.is_some()
    }

    fn place(&self) -> Place {
        Place { position: self.position, change: self.metadata.change }
    }
}

impl RegisteredType {
    pub(super) fn record(&self, zone: &Zone, id: &ObjectId, stored: &Stored) -> Record {
        Record {
            key: RecordKey { zone: zone.clone(), type_name: self.schema.name().clone(), id: id.clone() },
            body: stored.body.as_deref().map(|body| self.columns.read(body)),
            metadata: stored.metadata,
        }
    }
}
