//! Local edits: an atomic group of adds, updates and removals over any number of types.

use std::collections::BTreeMap;

use super::{StateKey, Store, StoreRole};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    Author, Incarnation, ObjectId, Record, RecordKey, Revision, SessionKind, SyncMetadata, TypeName, Value,
    Zone,
};
use crate::source::{
    Action, Commit, CommitOutcome, ConflictReason, Expect, OnMismatch, SyncableDataSourceExt as _, Write,
    Writes,
};

/// How often an edit is tried again when the records that it touches keep moving.
const ATTEMPTS: usize = 16;

/// An atomic group of edits: all are committed together, and on a client they are pushed together.
///
/// Filled through repositories (`stage_add`, `stage_update`, `stage_remove`) and committed once. Nothing is
/// written before [`EditSession::commit`]; dropping it drops the edits.
#[derive(Debug)]
#[must_use = "nothing is written before `commit`"]
pub struct EditSession {
    store: Store,
    edits: BTreeMap<RecordKey, Edit>,
}

#[derive(Debug)]
enum Edit {
    Add(Vec<Value>),
    /// Only if there is neither an object nor what is left of one.
    AddIfAbsent(Vec<Value>),
    Update(Vec<Value>, Recode),
    /// Only if the record still has this revision and pending change.
    UpdateOf(Vec<Value>, Recode, (Revision, u64)),
    Remove,
}

/// Reads a body as its type does, and writes what was read.
pub(crate) type Recode = fn(&ObjectId, Vec<Value>) -> Result<Vec<Value>>;

impl EditSession {
    pub(super) fn new(store: Store) -> Self {
        Self { store, edits: BTreeMap::new() }
    }

    pub(crate) fn add(&mut self, key: RecordKey, body: Vec<Value>, recode: Recode) -> Result<()> {
        self.put(key, body, recode, Edit::Add)
    }

    pub(crate) fn add_if_absent(&mut self, key: RecordKey, body: Vec<Value>, recode: Recode) -> Result<()> {
        self.put(key, body, recode, Edit::AddIfAbsent)
    }

    pub(crate) fn update(&mut self, key: RecordKey, body: Vec<Value>, recode: Recode) -> Result<()> {
        self.put(key, body, recode, |body| Edit::Update(body, recode))
    }

    /// Replaces a record that was read, if it is still the same when this is committed; `Contention` otherwise.
    pub(crate) fn update_of(
        &mut self,
        read: &SyncMetadata,
        key: RecordKey,
        body: Vec<Value>,
        recode: Recode,
    ) -> Result<()> {
        let read = (read.revision, read.change);
        self.put(key, body, recode, |body| Edit::UpdateOf(body, recode, read))
    }

    pub(crate) fn remove(&mut self, key: RecordKey) -> Result<()> {
        self.store.check_zone(&key.type_name, &key.zone)?;
        self.insert(key, Edit::Remove)
    }

    fn put(
        &mut self,
        key: RecordKey,
        mut body: Vec<Value>,
        recode: Recode,
        edit: impl FnOnce(Vec<Value>) -> Edit,
    ) -> Result<()> {
        self.store.check_zone(&key.type_name, &key.zone)?;
        let schema = self.store.schema(&key.type_name)?;
        schema
            .admit_id(&key.id)
            .and_then(|()| schema.admit(&mut body))
            // What goes in must come out.
            .and_then(|()| recode(&key.id, body.clone()).map(drop).map_err(unreadable))
            .map_err(|error| error.with_record(&key))?;
        self.insert(key, edit(body))
    }

    fn insert(&mut self, key: RecordKey, edit: Edit) -> Result<()> {
        if self.edits.contains_key(&key) {
            return Err(Error::invalid("edit", "one session edits an object twice").with_record(&key));
        }
        self.edits.insert(key, edit);
        Ok(())
    }

    /// How many objects the session edits.
    #[must_use]
    pub fn len(&self) -> usize {
        self.edits.len()
    }

    /// Whether the session edits nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }

    /// Commits the edits: all of them or none. Gives the number of objects that were changed; removing an object
    /// that is not there changes nothing.
    ///
    /// # Errors
    /// `AlreadyExists` for an add and `NotFound` for an update of an object that is or is not there; `TooLarge`
    /// on a client if the session exceeds the store's limits; `Constraint` if the user's table refuses a record;
    /// `Contention` if the records keep moving. Nothing is changed then.
    ///
    /// A synchronisation of this process that edits were in the way of again and again lets them wait while it stores what it
    /// received.
    ///
    /// Cancellation: a dropped future leaves all of the edits or none.
    pub async fn commit(self) -> Result<usize> {
        self.check_limits()?;
        if self.edits.is_empty() {
            return Ok(0);
        }
        for _ in 0..ATTEMPTS {
            let _turn = self.store.edit_turn().await;
            let (commit, keys) = self.prepare().await?;
            if keys.is_empty() {
                return Ok(0);
            }
            match self.store.source().commit_alone(commit).await? {
                CommitOutcome::Applied(_) | CommitOutcome::Duplicate(_) => {
                    let changed = keys.len();
                    self.store.events().records(keys);
                    return Ok(changed);
                }
                CommitOutcome::Conflicts { writes, .. } => {
                    let refused = writes.iter().find_map(|conflict| match &conflict.reason {
                        ConflictReason::Constraint(message) => Some((conflict.write.action.key(), message)),
                        ConflictReason::Mismatch => None,
                    });
                    if let Some((key, message)) = refused {
                        return Err(
                            Error::new(ErrorKind::Constraint, "edit", message.clone()).with_record(key)
                        );
                    }
                }
            }
        }
        Err(Error::new(ErrorKind::Contention, "edit", "the edited objects keep moving"))
    }

    fn check_limits(&self) -> Result<()> {
        let limits = self.store.limits();
        if self.store.role() == StoreRole::Server {
            return Ok(());
        }
        let too_large = |what: &str, size: usize, limit: usize| {
            Error::new(
                ErrorKind::TooLarge,
                "edit",
                format!("a session of {size} {what} exceeds the limit of {limit} {what} per session"),
            )
        };
        if self.edits.len() > limits.records {
            return Err(too_large("records", self.edits.len(), limits.records));
        }
        let bytes: usize = self.edits.iter().map(|(key, edit)| edit.approximate_bytes(key)).sum();
        if bytes > limits.bytes {
            return Err(too_large("bytes", bytes, limits.bytes));
        }
        Ok(())
    }

    /// The commit that makes these edits of what is stored now.
    async fn prepare(&self) -> Result<(Commit, Vec<RecordKey>)> {
        let current = self.read_current().await?;
        let client = self.store.role() == StoreRole::Client;
        let (tag, revision) = self.store.new_tag();
        let device = self.store.device();
        // Another process, or this one before it was started anew, may have stored what is dated ahead of
        // this clock.
        let newest = current.values().map(|record| record.metadata.modified_at).max();
        self.store.hybrid().observe(self.store.clock(), newest.unwrap_or_default());
        let modified_at = self.store.hybrid().tick(self.store.clock());
        let mut writes = Vec::with_capacity(self.edits.len());
        for (key, edit) in &self.edits {
            let current = current.get(key);
            let live = current.is_some_and(|record| !record.is_deleted());
            let body =
                match edit {
                    Edit::Add(_) if live => {
                        return Err(Error::new(ErrorKind::AlreadyExists, "edit", "the object is there")
                            .with_record(key));
                    }
                    Edit::Update(..) | Edit::UpdateOf(..) if !live => {
                        return Err(Error::new(ErrorKind::NotFound, "edit", "the object is not there")
                            .with_record(key));
                    }
                    Edit::UpdateOf(_, _, read)
                        if current.is_some_and(|record| {
                            (record.metadata.revision, record.metadata.change) != *read
                        }) =>
                    {
                        return Err(moved(key));
                    }
                    Edit::AddIfAbsent(_) if current.is_some() => continue,
                    Edit::Remove if !live => continue,
                    Edit::Add(body) | Edit::AddIfAbsent(body) => Some(body.clone()),
                    Edit::Update(body, recode) | Edit::UpdateOf(body, recode, _) => {
                        let current = current.and_then(|record| record.body.as_deref());
                        Some(self.keep_unread(key, body.clone(), current.unwrap_or_default(), *recode))
                    }
                    Edit::Remove => None,
                };
            let nothing = || (Revision::NONE, Incarnation::from_bits(self.store.random().next_u64()));
            let (base, incarnation) = match current {
                None if matches!(edit, Edit::AddIfAbsent(_)) => (Revision::NONE, key.life_if_absent()),
                // Once edited, a default object is one like any other.
                Some(record) if live && !(body.is_some() && record.is_if_absent()) => {
                    (record.metadata.revision, record.metadata.life_under(device))
                }
                // A new life of the id, in place of the version that the tombstone stands for.
                Some(Record { metadata: known, .. }) if client && !known.revision.is_none() => {
                    known.next_life(device).map_or_else(nothing, |life| (known.revision, life))
                }
                _ => nothing(),
            };
            let metadata = SyncMetadata {
                revision: if client { base } else { revision },
                incarnation,
                modified_at,
                modified_by: device,
                change: 0,
            };
            writes.push(Write {
                action: Action::Put { record: Record { key: key.clone(), body, metadata }, pending: client },
                expect: current.map_or(Expect::Absent, unchanged),
                on_mismatch: OnMismatch::Abort,
            });
        }
        let keys = writes.iter().map(|write| write.action.key().clone()).collect();
        let commit = Commit {
            session: self.store.new_session(),
            kind: if client { SessionKind::Edit } else { SessionKind::Direct },
            author: Author { user: None, device, number: 0 },
            at: self.store.now(),
            tag,
            positioned: !client,
            clears: Vec::new(),
            writes: Writes::Inline(writes),
            state: vec![StateKey::clock(modified_at)?],
        };
        Ok((commit, keys))
    }

    /// An update's body, with what is stored now in those fields that it has as the type reads them: so a variant that is
    /// read as "another one" stays what it is when another field is edited.
    fn keep_unread(
        &self,
        key: &RecordKey,
        mut body: Vec<Value>,
        current: &[Value],
        recode: Recode,
    ) -> Vec<Value> {
        if body == current {
            return body;
        }
        // What cannot be read is replaced.
        let Ok(mut as_read) = recode(&key.id, current.to_vec()) else { return body };
        if self.store.schema(&key.type_name).and_then(|schema| schema.admit(&mut as_read)).is_err() {
            return body;
        }
        for ((value, current), as_read) in body.iter_mut().zip(current).zip(&as_read) {
            if value == as_read && value != current {
                value.clone_from(current);
            }
        }
        body
    }

    async fn read_current(&self) -> Result<BTreeMap<RecordKey, Record>> {
        let mut by_type: BTreeMap<(&TypeName, &Zone), Vec<ObjectId>> = BTreeMap::new();
        for key in self.edits.keys() {
            by_type.entry((&key.type_name, &key.zone)).or_default().push(key.id.clone());
        }
        let mut current = BTreeMap::new();
        for ((type_name, zone), ids) in by_type {
            let records = self.store.source().get(type_name, zone, &ids).await?;
            current.extend(records.into_iter().map(|record| (record.key.clone(), record)));
        }
        Ok(current)
    }
}

impl Edit {
    fn approximate_bytes(&self, key: &RecordKey) -> usize {
        let body = match self {
            Self::Add(body) | Self::AddIfAbsent(body) | Self::Update(body, _) | Self::UpdateOf(body, ..) => {
                body.iter().map(Value::approximate_bytes).sum()
            }
            Self::Remove => 0,
        };
        body + key.id.as_str().len() + 64
    }
}

fn unreadable(error: Error) -> Error {
    let text = format!("the object could not be read again: {error}");
    Error::new(ErrorKind::InvalidInput, "edit", text).with_source(error)
}

fn moved(key: &RecordKey) -> Error {
    Error::new(ErrorKind::Contention, "edit", "the object changed since it was read").with_record(key)
}

/// The expectation that a record is still as it was read.
pub(crate) fn unchanged(record: &Record) -> Expect {
    if record.metadata.is_pending() {
        Expect::Change(record.metadata.change)
    } else {
        Expect::Revision(record.metadata.revision)
    }
}
