//! The records of one chunk of writes: as they are in the transaction's snapshot, and as they are to be.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use fastsync_core::source::rules::{acknowledged, change_of_put};
use fastsync_core::source::{Action, Conflict, ConflictReason, OnMismatch, Write};
use fastsync_core::{Record, RecordKey, TypeName, Value};
use mongodb::ClientSession;
use mongodb::bson::{RawArrayBuf, RawDocumentBuf};

use crate::bulk::{Bulk, Stop, Verb};
use crate::codec::{Entry, Row, append_fields, object_key, read_id, read_zone, record_id, with_fields};
use crate::error::{Fail, Run};
use crate::read::{Access, Found, records};
use crate::registry::Type;
use crate::store::{KEYS_PER_COMMAND, RECORDS, Store, any_of, find};

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

/// What a write is given by its commit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Given {
    /// The position in the record's zone; 0 if the commit takes none.
    pub(crate) position: u64,
    /// The number of the local commit.
    pub(crate) change: u64,
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
    pub(crate) async fn load(
        store: &Store,
        session: &mut ClientSession,
        keys: Vec<&'a RecordKey>,
    ) -> Run<Self> {
        let mut slots = HashMap::new();
        let mut kinds: HashMap<&TypeName, Arc<Type>> = HashMap::new();
        for key in keys {
            let kind = match kinds.get(&key.type_name) {
                Some(kind) => Arc::clone(kind),
                None => {
                    let kind = store.kind(&key.type_name)?;
                    kinds.insert(&key.type_name, Arc::clone(&kind));
                    kind
                }
            };
            slots.insert(key, Slot { kind, stored: None, now: None, effect: Effect::Nothing });
        }
        let by_n: HashMap<i32, TypeName> =
            kinds.iter().map(|(name, kind)| (kind.n, (*name).clone())).collect();
        let ids: Vec<_> = slots
            .iter()
            .map(|(key, slot)| record_id(&key.zone.to_string(), slot.kind.n, key.id.as_str()))
            .collect();
        for ids in ids.chunks(KEYS_PER_COMMAND) {
            let mut keys = RawArrayBuf::new();
            ids.iter().for_each(|id| keys.push(id.clone()));
            let slots = &mut slots;
            store
                .each(session, find(RECORDS, &any_of(keys)), &mut |document| {
                    let entry = Entry::read(document)?;
                    let Some(type_name) = by_n.get(&entry.n).cloned() else { return Ok(()) };
                    let key = RecordKey { zone: read_zone(entry.zone)?, type_name, id: read_id(entry.id)? };
                    if let Some(slot) = slots.get_mut(&key) {
                        (slot.stored, slot.now) = (Some(entry.row), Some(entry.row));
                    }
                    Ok(())
                })
                .await?;
        }
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
    pub(crate) async fn give_way(
        &self,
        store: &Store,
        session: &mut ClientSession,
        types: &BTreeSet<TypeName>,
    ) -> Result<(), Stop> {
        for (name, slots) in self.giving_way(types) {
            let mut bulk = Bulk::new(Verb::Delete, name);
            slots.iter().for_each(|(key, _)| bulk.delete(&object_of(key), Some(key)));
            bulk.run(store, session).await?;
        }
        Ok(())
    }

    /// The live documents of these types that are written or removed, by collection.
    fn giving_way(&self, types: &BTreeSet<TypeName>) -> BTreeMap<&str, Vec<(&'a RecordKey, &Slot<'a>)>> {
        let mut found: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        for (key, slot) in self.slots.iter().filter(|(key, _)| types.contains(&key.type_name)) {
            let is_written = matches!(slot.effect, Effect::Body(_) | Effect::Delete);
            if is_written && slot.is_live() {
                found.entry(slot.kind.collection()).or_default().push((*key, slot));
            }
        }
        found
    }

    /// Writes what was noted: first what frees unique values. `gave_way`: types whose documents were removed for that.
    pub(crate) async fn flush(
        &self,
        store: &Store,
        session: &mut ClientSession,
        gave_way: &BTreeSet<TypeName>,
    ) -> Result<(), Stop> {
        let mut removed = HashMap::new();
        for (name, slots) in self.giving_way(gave_way) {
            let keys: Vec<_> = slots.iter().map(|(key, _)| object_of(key)).collect();
            for keys in keys.chunks(KEYS_PER_COMMAND) {
                let found = store.before(name, keys).await?;
                removed.extend(found.into_iter().map(|(id, document)| ((name, id), document)));
            }
        }
        let mut bodies: BTreeMap<&str, [Bulk<'_>; 3]> = BTreeMap::new();
        let mut replaced = Bulk::new(Verb::Update, RECORDS);
        let mut inserted = Bulk::new(Verb::Insert, RECORDS);
        let mut slots: Vec<_> = self.slots.iter().collect();
        slots.sort_unstable_by_key(|(key, _)| **key);
        for (key, slot) in slots {
            let Some(now) = slot.now.filter(|_| slot.effect != Effect::Nothing) else { continue };
            let zone = key.zone.to_string();
            let id = record_id(&zone, slot.kind.n, key.id.as_str());
            let row = now.document(&id);
            match slot.stored {
                Some(_) => replaced.update(&id, &row, None),
                None => inserted.push(row, None),
            }
            let object = object_of(key);
            let collection = slot.kind.collection();
            let is_there = slot.is_live() && !gave_way.contains(&key.type_name);
            let [deletes, updates, inserts] = bodies.entry(collection).or_insert_with(|| {
                [Verb::Delete, Verb::Update, Verb::Insert].map(|verb| Bulk::new(verb, collection))
            });
            match slot.effect {
                Effect::Body(body) if is_there => {
                    // The user's further fields stay.
                    let mut fields = RawDocumentBuf::new();
                    append_fields(&mut fields, &slot.kind, key.id.as_str(), body);
                    let mut update = RawDocumentBuf::new();
                    update.append("$set", fields);
                    updates.update(&object, &update, Some(key));
                }
                Effect::Body(body) => {
                    let document = match removed.get(&(collection, object.as_bytes().to_vec())) {
                        Some(before) => with_fields(before, &slot.kind, key.id.as_str(), body)?,
                        None => {
                            let mut document = RawDocumentBuf::new();
                            document.append_ref("_id", &object);
                            append_fields(&mut document, &slot.kind, key.id.as_str(), body);
                            document
                        }
                    };
                    inserts.push(document, Some(key));
                }
                Effect::Delete if is_there => deletes.delete(&object, Some(key)),
                Effect::Delete | Effect::Row | Effect::Nothing => {}
            }
        }
        let mut rounds: [Vec<Bulk<'_>>; 3] = Default::default();
        for bulks in bodies.into_values() {
            rounds.iter_mut().zip(bulks).for_each(|(round, bulk)| round.push(bulk));
        }
        for bulk in rounds.into_iter().flatten() {
            bulk.run(store, session).await?;
        }
        replaced.run(store, session).await?;
        inserted.run(store, session).await
    }
}

/// The `_id` of an object's document.
fn object_of(key: &RecordKey) -> RawDocumentBuf {
    object_key(&key.zone.to_string(), key.id.as_str())
}

/// The failed writes with the records that are there instead. Before [`Slots::flush`]: it reads the snapshot.
pub(crate) async fn conflicts(
    store: &Store,
    session: &mut ClientSession,
    failed: Vec<Failed>,
) -> Run<Vec<Conflict>> {
    let mut stored = Vec::new();
    for failed in &failed {
        let key = failed.write.action.key();
        if let (Some(row), None) = (failed.row, &failed.body) {
            let kind = store.kind(&key.type_name)?;
            stored.push(Found { zone: key.zone.clone(), n: kind.n, id: key.id.clone(), row });
        }
    }
    let stored =
        if stored.is_empty() { Vec::new() } else { records(store, session, stored, Access::ByKey).await? };
    let stored: HashMap<RecordKey, Record> =
        stored.into_iter().map(|record| (record.key.clone(), record)).collect();
    let conflict = |failed: Failed| {
        let key = failed.write.action.key();
        let current = match (failed.row, failed.body) {
            (Some(row), Some(body)) => Some(row.record(key.clone(), body)),
            (Some(_), None) => stored.get(key).cloned(),
            (None, _) => None,
        };
        Ok(Conflict { current, reason: failed.reason, write: failed.write })
    };
    failed.into_iter().map(conflict).collect::<Result<_, Fail>>()
}
