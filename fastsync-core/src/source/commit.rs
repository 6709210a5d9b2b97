//! The one way to write: a conditional, atomic, one-shot commit.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::MAX_STATE_KEY_BYTES;
use crate::error::{Error, Result};
use crate::model::{
    Author, Incarnation, Position, Record, RecordKey, Revision, SessionId, SessionKind, Tag, Timestamp,
    TypeName, Zone,
};
use crate::schema::TypeSchema;

/// A session to commit.
#[derive(Debug, Clone, PartialEq)]
pub struct Commit {
    /// The session's id; committing it again gives the first receipt.
    pub session: SessionId,
    /// Why it is written.
    pub kind: SessionKind,
    /// Who writes it.
    pub author: Author,
    /// When, by the clock of this process.
    pub at: Timestamp,
    /// Random bits that name this commit in the history of its zones.
    pub tag: Tag,
    /// Whether it takes a position in its zones, for readers of `changes`. Servers' commits do.
    pub positioned: bool,
    /// What to remove before anything is written.
    pub clears: Vec<Clear>,
    /// What to write.
    pub writes: Writes,
    /// State entries to write with it.
    pub state: Vec<StateWrite>,
}

/// The writes of a commit.
#[derive(Debug, Clone, PartialEq)]
pub enum Writes {
    /// These.
    Inline(Vec<Write>),
    /// The batches staged under the commit's session id.
    Staged {
        /// Replace the staged writes of their keys; each key once.
        overrides: Vec<Write>,
    },
}

/// One conditional write.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Write {
    /// What to do.
    pub action: Action,
    /// What must be there before.
    pub expect: Expect,
    /// What happens if it is not.
    pub on_mismatch: OnMismatch,
}

impl Write {
    /// Refuses a write that does not fit its type, and brings its values into their stored form.
    ///
    /// # Errors
    /// `InvalidInput` or `TooLarge`, with the record.
    pub fn admit(&mut self, schema: &TypeSchema) -> Result<()> {
        let Action::Put { record, .. } = &mut self.action else { return Ok(()) };
        let fits = if schema.fits(&record.key.zone) {
            let body = record.body.as_deref_mut().map_or(Ok(()), |body| schema.admit(body));
            schema.admit_id(&record.key.id).and(body)
        } else {
            let text = format!("records of type {} are not in zone {}", schema.name(), record.key.zone);
            Err(Error::invalid("admit", text))
        };
        fits.map_err(|error| error.with_record(&record.key))
    }

    /// The same for a storage that keeps numbers with a sign.
    ///
    /// # Errors
    /// As for [`Self::admit`]; `InvalidInput` if it brings a change that is too large, which no commit gave.
    pub fn admit_signed(&mut self, schema: &TypeSchema) -> Result<()> {
        if let Action::Put { record, pending: true } = &self.action
            && i64::try_from(record.metadata.change).is_err()
        {
            let error = Error::invalid("admit", "a record brings a change that no commit gave");
            return Err(error.with_record(&record.key));
        }
        self.admit(schema)
    }

    /// The keys of writes that are given with a commit.
    ///
    /// # Errors
    /// `InvalidInput` if one is written twice.
    pub fn keys(given: &[Self]) -> Result<HashSet<&RecordKey>> {
        let mut keys = HashSet::with_capacity(given.len());
        match given.iter().map(|write| write.action.key()).find(|key| !keys.insert(*key)) {
            Some(key) => Err(twice(key)),
            None => Ok(keys),
        }
    }

    /// Brings writes that are given with a commit into the order of their keys, so that neighbours are written one after the
    /// other.
    ///
    /// # Errors
    /// `InvalidInput` if a key is written twice.
    pub fn sort(given: &mut [Self]) -> Result<()> {
        given.sort_by(|a, b| a.action.key().cmp(b.action.key()));
        let same = given.windows(2).find_map(|pair| match pair {
            [a, b] if a.action.key() == b.action.key() => Some(a.action.key()),
            _ => None,
        });
        same.map_or(Ok(()), |key| Err(twice(key)))
    }

    /// Whether it leaves a tombstone.
    #[must_use]
    pub fn is_deletion(&self) -> bool {
        matches!(&self.action, Action::Put { record, .. } if record.is_deleted())
    }

    /// About how many bytes it takes.
    #[must_use]
    pub fn approximate_bytes(&self) -> usize {
        match &self.action {
            Action::Put { record, .. } => record.approximate_bytes(),
            Action::Acknowledge { .. } => 128,
        }
    }
}

fn twice(key: &RecordKey) -> Error {
    Error::invalid("commit", "a key is written twice").with_record(key)
}

/// What a write does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Action {
    /// Stores a record or a tombstone in place of what is there.
    Put {
        /// The record.
        record: Record,
        /// Marks it as a local edit that waits to be pushed: under the change that its metadata brings or, where
        /// that is 0, under the number of this commit. Otherwise nothing of it is pending.
        pending: bool,
    },
    /// Notes that the edit `change` of a record was committed by the server as `revision`: the record takes the
    /// revision if it is still the life that was pushed, and stops being pending if it was not edited since. A
    /// record that is not there stays so.
    Acknowledge {
        /// The record.
        key: RecordKey,
        /// The change that was pushed.
        change: u64,
        /// What the server committed it as.
        revision: Revision,
        /// The life that was pushed. An object that was removed and made anew meanwhile keeps its own base.
        incarnation: Incarnation,
    },
}

impl Action {
    /// The record that is written.
    #[must_use]
    pub fn key(&self) -> &RecordKey {
        match self {
            Self::Put { record, .. } => &record.key,
            Self::Acknowledge { key, .. } => key,
        }
    }
}

/// What must be there before a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Expect {
    /// Whatever.
    Anything,
    /// Neither a record nor a tombstone.
    Absent,
    /// A record or tombstone of this revision with nothing pending.
    Revision(Revision),
    /// A record or tombstone whose pending change is this one; with 0: nothing, or nothing pending.
    Change(u64),
}

impl Expect {
    /// Whether `current` is what is expected. Backends that compare elsewhere (in SQL) give the same answer.
    #[must_use]
    pub fn holds(&self, current: Option<(Revision, u64)>) -> bool {
        match (self, current) {
            (Self::Anything, _) | (Self::Absent | Self::Change(0), None) => true,
            (Self::Revision(revision), Some((current, change))) => *revision == current && change == 0,
            (Self::Change(change), Some((_, current))) => *change == current,
            (Self::Absent, Some(_)) | (Self::Revision(_) | Self::Change(_), None) => false,
        }
    }
}

/// What happens to the commit if a write's expectation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnMismatch {
    /// Nothing is committed.
    Abort,
    /// The write is left out.
    Skip,
}

/// Removes records without leaving tombstones: every record of the type in the zone whose pending change is at
/// most `through_change` (0: those with nothing pending). What is removed waits to be pushed no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clear {
    /// The type.
    pub type_name: TypeName,
    /// The zone.
    pub zone: Zone,
    /// The newest local change to remove.
    pub through_change: u64,
}

/// Writes a state entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateWrite {
    /// The key, 1 to [`MAX_STATE_KEY_BYTES`] bytes.
    pub key: String,
    /// What must be there before.
    pub expect: ExpectState,
    /// The new value; `None` removes the entry.
    pub value: Option<Vec<u8>>,
}

impl StateWrite {
    /// Sets or removes an entry, whatever is there.
    #[must_use]
    pub fn set(key: impl Into<String>, value: Option<Vec<u8>>) -> Self {
        Self { key: key.into(), expect: ExpectState::Anything, value }
    }

    /// Sets or removes an entry that is still as it was read: with this value, or absent.
    #[must_use]
    pub fn replace(key: impl Into<String>, read: Option<Vec<u8>>, value: Option<Vec<u8>>) -> Self {
        Self { key: key.into(), expect: read.map_or(ExpectState::Absent, ExpectState::Value), value }
    }

    /// Refuses keys that are too long or empty, and one that is written twice.
    ///
    /// # Errors
    /// `InvalidInput`.
    pub fn check_keys(writes: &[Self]) -> Result<()> {
        let mut keys = HashSet::with_capacity(writes.len());
        for Self { key, .. } in writes {
            if !(1..=MAX_STATE_KEY_BYTES).contains(&key.len()) {
                return Err(Error::invalid("commit", format!("a state key has {} bytes", key.len())));
            }
            if !keys.insert(key) {
                return Err(Error::invalid("commit", format!("state key {key:?} is written twice")));
            }
        }
        Ok(())
    }
}

/// What must be there before a state entry is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExpectState {
    /// Whatever.
    Anything,
    /// No entry.
    Absent,
    /// An entry with exactly this value.
    Value(Vec<u8>),
}

impl ExpectState {
    /// Whether `current` is what is expected.
    #[must_use]
    pub fn holds(&self, current: Option<&[u8]>) -> bool {
        match self {
            Self::Anything => true,
            Self::Absent => current.is_none(),
            Self::Value(expected) => current == Some(expected.as_slice()),
        }
    }
}

/// What became of a commit.
#[derive(Debug, Clone, PartialEq)]
pub enum CommitOutcome {
    /// It is committed.
    Applied(Receipt),
    /// Expectations failed; nothing was changed.
    Conflicts {
        /// The writes that failed, at most [`Conflict::MAX_PER_OUTCOME`].
        writes: Vec<Conflict>,
        /// The state entries that failed, at most as many.
        state: Vec<StateConflict>,
    },
    /// This session was committed before, with this receipt.
    Duplicate(Receipt),
}

/// A committed session.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Receipt {
    /// Its place in each zone that it wrote to, by zone; empty if the commit was not positioned.
    pub positions: Vec<(Zone, Position)>,
    /// The number of the local commit, if it marked records as pending; otherwise 0.
    pub change: u64,
    /// The writes with [`OnMismatch::Skip`] that were left out. Empty in the receipt of a duplicate.
    pub skipped: Vec<Conflict>,
}

/// A write whose expectation failed.
#[derive(Debug, Clone, PartialEq)]
pub struct Conflict {
    /// The write.
    pub write: Write,
    /// What is there instead; `None` if nothing is.
    pub current: Option<Record>,
    /// Why it failed.
    pub reason: ConflictReason,
}

impl Conflict {
    /// The most writes, and the most state entries, that one outcome names.
    pub const MAX_PER_OUTCOME: usize = 1_000;
}

/// Why a write failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConflictReason {
    /// The record is not what was expected.
    Mismatch,
    /// A constraint of the user's own table refuses the record; the text is the database's.
    Constraint(String),
}

/// A state entry whose expectation failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateConflict {
    /// The key.
    pub key: String,
    /// What is there instead.
    pub current: Option<Vec<u8>>,
}
