//! The records of one chunk of writes: as they are in the transaction's snapshot, and as they are to be.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use fastsync_core::source::rules::{acknowledged, change_of_put};
use fastsync_core::source::{Action, Conflict, ConflictReason, OnMismatch, Write};
use fastsync_core::{RecordKey, TypeName, Value};
use mongodb::bson::{RawDocument, RawDocumentBuf};

use crate::bulk::{Bulk, Stop, Verb};
use crate::codec::{Row, object_fields, object_key, record_id, with_fields};
use crate::command::{RECORDS, by_id, fields};
use crate::error::Run;
use crate::ledger::Given;
use crate::records::{Access, Found, records};
use crate::registry::Type;
use crate::tx::Tx;

/// What becomes of a record.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Effect<'a> {
    Nothing,
    /// Only its index row is written.
    Row,
    Body(&'a [Value]),
    Delete,
}

#[derive(Debug)]
struct Slot<'a> {
    kind: Arc<Type>,
    /// The row in the snapshot.
    stored: Option<Row>,
    /// The row after the writes so far.
    now: Option<Row>,
    effect: Effect<'a>,
}

impl Slot<'_> {
    /// Whether there is a document in the snapshot.
    fn is_live(&self) -> bool {
        self.stored.is_some_and(|row| !row.deleted)
    }
}

/// A write that is left out or stops its commit, with the row that is there instead.
#[derive(Debug)]
pub(crate) struct Failed {
    write: Write,
    reason: ConflictReason,
    row: Option<Row>,
    /// The body of `row`, if an earlier commit of the same transaction wrote it.
    body: Option<Option<Vec<Value>>>,
}

impl Failed {
    /// Whether it stops its commit.
    pub(crate) fn stops(&self) -> bool {
        self.write.on_mismatch == OnMismatch::Abort
    }
}

#[derive(Debug, Default)]
pub(crate) struct Slots<'a> {
    slots: HashMap<&'a RecordKey, Slot<'a>>,
}

impl<'a> Slots<'a> {
    /// Reads the index rows of these keys in the transaction.
    pub(crate) async fn load(tx: &mut Tx<'_>, keys: Vec<&'a RecordKey>) -> Run<Self> {
        let store = tx.store;
        let (mut slots, mut ids) = (HashMap::with_capacity(keys.len()), Vec::with_capacity(keys.len()));
        for key in keys {
            let kind = store.types.get(&key.type_name)?;
            let id = record_id(&key.zone.to_string(), kind.n, key.id.as_str());
            let slot = Slot { kind, stored: None, now: None, effect: Effect::Nothing };
            if slots.insert(key, slot).is_none() {
                ids.push(id);
            }
        }
        let note = &mut |document: &RawDocument| {
            let Found { zone, n, id, row } = Found::read(document)?;
            let Some(kind) = store.types.at(n) else { return Ok(()) };
            let key = RecordKey { zone, type_name: kind.schema.name().clone(), id };
            if let Some(slot) = slots.get_mut(&key) {
                (slot.stored, slot.now) = (Some(row), Some(row));
            }
            Ok(())
        };
        tx.each_of(RECORDS, ids, note).await?;
        Ok(Self { slots })
    }

    /// Why a write cannot be applied, if it cannot.
    pub(crate) fn check(&self, write: &Write, refused: Option<&String>) -> Option<Failed> {
        let slot = self.slots.get(write.action.key())?;
        let reason = match refused {
            Some(text) => ConflictReason::Constraint(text.clone()),
            None if write.expect.holds(slot.now.map(|row| (row.sync.revision, row.sync.change))) => {
                return None;
            }
            None => ConflictReason::Mismatch,
        };
        let body = match slot.effect {
            Effect::Nothing | Effect::Row => None,
            Effect::Body(body) => Some(Some(body.to_vec())),
            Effect::Delete => Some(None),
        };
        Some(Failed { write: write.clone(), reason, row: slot.now, body })
    }

    /// Notes what a write does.
    pub(crate) fn apply(&mut self, write: &'a Write, given: Given) {
        let Some(slot) = self.slots.get_mut(write.action.key()) else { return };
        match &write.action {
            Action::Put { record, pending } => {
                let mut sync = record.metadata;
                sync.change = change_of_put(*pending, sync.change, given.change);
                let position = match given.position {
                    0 => slot.now.map_or(0, |row| row.position),
                    position => position,
                };
                let bytes = i64::try_from(record.approximate_bytes()).unwrap_or(i64::MAX);
                slot.now = Some(Row { sync, deleted: record.is_deleted(), position, bytes });
                slot.effect = record.body.as_deref().map_or(Effect::Delete, Effect::Body);
            }
            Action::Acknowledge { change, revision, incarnation, .. } => {
                let Some(row) = &mut slot.now else { return };
                let there = (row.sync.incarnation, row.sync.revision, row.sync.change);
                (row.sync.revision, row.sync.change) =
                    acknowledged(there, (*incarnation, *revision, *change));
                if slot.effect == Effect::Nothing {
                    slot.effect = Effect::Row;
                }
            }
        }
    }

    /// Removes the documents that were noted to be written, of these types: then none is in the way of another.
    pub(crate) async fn give_way(&self, tx: &mut Tx<'_>, types: &BTreeSet<TypeName>) -> Result<(), Stop> {
        for (name, keys) in self.giving_way(types) {
            let mut bulk = Bulk::new(Verb::Delete, name);
            keys.into_iter().for_each(|key| bulk.delete(&object_of(key), Some(key)));
            bulk.run(tx).await?;
        }
        Ok(())
    }

    /// The live documents of these types that are written or removed, by collection.
    fn giving_way(&self, types: &BTreeSet<TypeName>) -> BTreeMap<&str, Vec<&'a RecordKey>> {
        let mut found: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        for (key, slot) in self.slots.iter().filter(|(key, _)| types.contains(&key.type_name)) {
            let is_written = matches!(slot.effect, Effect::Body(_) | Effect::Delete);
            if is_written && slot.is_live() {
                found.entry(slot.kind.collection()).or_default().push(*key);
            }
        }
        found
    }

    /// Writes what was noted: first what frees unique values. `gave_way`: types whose documents were removed for that.
    pub(crate) async fn flush(&self, tx: &mut Tx<'_>, gave_way: &BTreeSet<TypeName>) -> Result<(), Stop> {
        let mut removed = HashMap::new();
        for (name, keys) in self.giving_way(gave_way) {
            let keys = keys.into_iter().map(object_of).collect();
            removed.insert(name, tx.before(name, keys).await?);
        }
        let mut bodies = BTreeMap::new();
        let mut replaced = Bulk::new(Verb::Update, RECORDS);
        let mut inserted = Bulk::new(Verb::Insert, RECORDS);
        let mut slots: Vec<_> = self.slots.iter().collect();
        slots.sort_unstable_by_key(|(key, _)| **key);
        for (key, slot) in slots {
            let Some(now) = slot.now.filter(|_| slot.effect != Effect::Nothing) else { continue };
            let id = record_id(&key.zone.to_string(), slot.kind.n, key.id.as_str());
            let row = now.document(&id);
            match slot.stored {
                Some(_) => replaced.update(&id, &row, None),
                None => inserted.push(row, None),
            }
            let object = object_of(key);
            let collection = slot.kind.collection();
            let is_there = slot.is_live() && !gave_way.contains(&key.type_name);
            let verb = match slot.effect {
                Effect::Body(_) if is_there => Verb::Update,
                Effect::Body(_) => Verb::Insert,
                Effect::Delete if is_there => Verb::Delete,
                Effect::Delete | Effect::Row | Effect::Nothing => continue,
            };
            let bulk = bodies.entry((verb, collection)).or_insert_with(|| Bulk::new(verb, collection));
            match slot.effect {
                Effect::Body(body) if is_there => {
                    // The user's further fields stay.
                    let set = object_fields(&slot.kind, key.id.as_str(), body);
                    bulk.update(&object, &fields([("$set", (&set).into())]), Some(key));
                }
                Effect::Body(body) => {
                    let before = removed.get(collection).and_then(|removed| removed.get(object.as_bytes()));
                    let before = before.cloned().unwrap_or_else(|| by_id(&object));
                    bulk.push(with_fields(&before, &slot.kind, key.id.as_str(), body)?, Some(key));
                }
                _ => bulk.delete(&object, Some(key)),
            }
        }
        for bulk in bodies.into_values().chain([replaced, inserted]) {
            bulk.run(tx).await?;
        }
        Ok(())
    }
}

/// The `_id` of an object's document.
fn object_of(key: &RecordKey) -> RawDocumentBuf {
    object_key(&key.zone.to_string(), key.id.as_str())
}

/// The failed writes with the records that are there instead. Before [`Slots::flush`]: it reads the snapshot.
pub(crate) async fn conflicts(tx: &mut Tx<'_>, failed: Vec<Failed>) -> Run<Vec<Conflict>> {
    let mut stored = Vec::new();
    for failed in &failed {
        let key = failed.write.action.key();
        if let (Some(row), None) = (failed.row, &failed.body) {
            let kind = tx.store.types.get(&key.type_name)?;
            stored.push(Found { zone: key.zone.clone(), n: kind.n, id: key.id.clone(), row });
        }
    }
    let stored = records(tx, stored, Access::ByKey).await?;
    let stored: HashMap<_, _> = stored.into_iter().map(|record| (record.key.clone(), record)).collect();
    let conflict = |failed: Failed| {
        let key = failed.write.action.key();
        let current = match (failed.row, failed.body) {
            (Some(row), Some(body)) => Some(row.record(key.clone(), body)),
            (Some(_), None) => stored.get(key).cloned(),
            (None, _) => None,
        };
        Conflict { current, reason: failed.reason, write: failed.write }
    };
    Ok(failed.into_iter().map(conflict).collect())
}
