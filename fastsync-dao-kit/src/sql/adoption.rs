//! Rows that were in a table before it was adopted, as sessions of their own.
//!
//! A row without an index row is not tracked. This says which commits track them: no input, no
//! output, no clock. A data source goes on like this, for each zone:
//!
//! 1. Is [`Adoption::session`] committed? Then [`Adoption::pass`], and again.
//! 2. Read untracked rows by id, at most [`BATCH_ROWS`] and about [`BATCH_BYTES`] of them. There are
//!    none: that was all.
//! 3. Commit [`Adoption::commit`] and give what came of it to [`Adoption::take`]. Again from 1.
//!
//! The session's id follows from the type, the zone and the batch. So of several processes that
//! read the same rows one commits them, and the others find its session. What a crash cut off goes
//! on with the first batch that is not there. Rows have to be read after the session was looked for,
//! so that a later batch has none of an earlier one.

use fastsync_core::source::{
    Action, Commit, CommitOutcome, ConflictReason, Expect, OnMismatch, Write, Writes,
};
use fastsync_core::{
    Author, DeviceId, Error, ErrorKind, Hlc, Incarnation, ObjectId, Record, RecordKey, Result, Revision,
    SessionId, SessionKind, SyncMetadata, Tag, Timestamp, TypeSchema, Value, Zone, ZoneRestriction,
};
use uuid::Uuid;

/// The most rows of one batch.
pub const BATCH_ROWS: usize = 10_000;

/// About how many bytes one batch has at most.
pub const BATCH_BYTES: usize = 8 << 20;

/// The user that sessions of adopted rows name.
const AUTHOR: &str = "adoption";

/// What ids of sessions and devices are derived from. It never changes: sessions are known by it.
const NAMESPACE: Uuid = Uuid::from_u128(0x8f4e_2b6a_91c3_4d57_a0de_6c1b_f7a2_5e39);

/// Which rows of a table are adopted, and the zones that they are in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowZones {
    /// All rows of a type that is not restricted, in [`Zone::Global`]; of a restricted one those
    /// that have the key of this zone in their column `zone`.
    In(Zone),
    /// All rows of a restricted type, each in the zone that its column `zone` names.
    Stored,
}

impl RowZones {
    /// The one zone that is meant; `None` if there are as many as the column has.
    ///
    /// # Errors
    /// `InvalidInput` if objects of the type cannot be in the zone, or have no zone of their own.
    pub fn zone(&self, schema: &TypeSchema) -> Result<Option<&Zone>> {
        let name = schema.name();
        match self {
            Self::In(zone) if schema.fits(zone) => Ok(Some(zone)),
            Self::In(zone) => Err(invalid(format!("objects of type {name} are not in zone {zone}"))),
            Self::Stored if schema.restriction() == ZoneRestriction::Restricted => Ok(None),
            Self::Stored => {
                Err(invalid(format!("objects of type {name} have no zone of their own: name the zone")))
            }
        }
    }

    /// The zone with a key that stands in the column `zone`.
    ///
    /// # Errors
    /// `InvalidInput` with the key, if it cannot be that of a zone.
    pub fn stored(schema: &TypeSchema, key: &str) -> Result<Zone> {
        Zone::restricted(key).map_err(|error| {
            refused(schema, ErrorKind::InvalidInput, error.message()).with_context("zone", key)
        })
    }
}

/// What came of adopting rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AdoptedRows {
    /// How many rows this call has made objects of.
    pub rows: u64,
    /// The sessions that it committed for them.
    pub sessions: u64,
}

impl AdoptedRows {
    /// Adds what came of another zone.
    pub fn add(&mut self, other: Self) {
        self.rows = self.rows.saturating_add(other.rows);
        self.sessions = self.sessions.saturating_add(other.sessions);
    }
}

/// The adoption of the rows of one type in one zone.
#[derive(Debug)]
pub struct Adoption {
    schema: TypeSchema,
    zone: Zone,
    batch: u64,
    /// How many rows the commit has that was made last.
    asked: u64,
    adopted: AdoptedRows,
}

impl Adoption {
    /// Begins with the first batch.
    #[must_use]
    pub fn new(schema: TypeSchema, zone: Zone) -> Self {
        Self { schema, zone, batch: 0, asked: 0, adopted: AdoptedRows::default() }
    }

    /// The type.
    #[must_use]
    pub const fn schema(&self) -> &TypeSchema {
        &self.schema
    }

    /// The zone.
    #[must_use]
    pub const fn zone(&self) -> &Zone {
        &self.zone
    }

    /// The session of the batch that is next: the same one in every process.
    #[must_use]
    pub fn session(&self) -> SessionId {
        // A name of a type has no space.
        let name = format!("{} {} {}", self.schema.name(), self.batch, self.zone);
        SessionId::from_uuid(Uuid::new_v5(&NAMESPACE, name.as_bytes()))
    }

    /// Goes on to the next batch: the session of this one is there.
    pub const fn pass(&mut self) {
        self.batch = self.batch.saturating_add(1);
    }

    /// The commit of the batch that is next: puts of what the rows have. `tag` is random.
    #[must_use]
    pub fn commit(&mut self, rows: Vec<(ObjectId, Vec<Value>)>, at: Timestamp, tag: Tag) -> Commit {
        let session = self.session();
        self.asked = u64::try_from(rows.len()).unwrap_or(u64::MAX);
        // In a history that was set back to a copy, the same session may be committed with other rows.
        let seed = Uuid::new_v5(&session.as_uuid(), &tag.0.to_be_bytes());
        let device = DeviceId::from_uuid(Uuid::new_v5(&NAMESPACE, AUTHOR.as_bytes()));
        let write = |(id, body): (ObjectId, Vec<Value>)| {
            let (revision, life) = Uuid::new_v5(&seed, id.as_str().as_bytes()).as_u64_pair();
            let metadata = SyncMetadata {
                revision: Revision::from_bits(revision.max(1)),
                incarnation: Incarnation::from_bits(life.max(1)),
                modified_at: Hlc::new(at, 0),
                modified_by: device,
                change: 0,
            };
            let key = RecordKey { zone: self.zone.clone(), type_name: self.schema.name().clone(), id };
            let record = Record { key, body: Some(body), metadata };
            let action = Action::Put { record, pending: false };
            Write { action, expect: Expect::Absent, on_mismatch: OnMismatch::Abort }
        };
        Commit {
            session,
            kind: SessionKind::Direct,
            author: Author { user: Some(AUTHOR.to_owned()), device, number: 0 },
            at,
            tag,
            positioned: true,
            clears: Vec::new(),
            writes: Writes::Inline(rows.into_iter().map(write).collect()),
            state: Vec::new(),
        }
    }

    /// Takes what came of the commit that was made last.
    ///
    /// # Errors
    /// `Constraint` if a rule of the table refuses a row.
    pub fn take(&mut self, outcome: CommitOutcome) -> Result<()> {
        match outcome {
            CommitOutcome::Applied(_) => {
                self.adopted.add(AdoptedRows { rows: self.asked, sessions: 1 });
                self.pass();
            }
            CommitOutcome::Duplicate(_) => self.pass(),
            // A row that an ordinary commit was faster with is tracked: those that are left are read again.
            CommitOutcome::Conflicts { writes, .. } => {
                let refused = writes.iter().find_map(|conflict| match &conflict.reason {
                    ConflictReason::Constraint(text) => Some((conflict.write.action.key(), text)),
                    _ => None,
                });
                if let Some((key, text)) = refused {
                    return Err(self.refused(ErrorKind::Constraint, key.id.as_str(), text));
                }
            }
        }
        Ok(())
    }

    /// The id of a row, if it can be that of an object.
    ///
    /// # Errors
    /// `InvalidInput` with the row.
    pub fn id(&self, text: &str) -> Result<ObjectId> {
        let id = ObjectId::new(text).and_then(|id| self.schema.admit_id(&id).map(|()| id));
        id.map_err(|error| self.unreadable(text, &error))
    }

    /// The values of a row in their stored form, if they fit the type.
    ///
    /// # Errors
    /// `InvalidInput` with the row.
    pub fn body(&self, id: &ObjectId, mut body: Vec<Value>) -> Result<Vec<Value>> {
        let admitted = self.schema.admit(&mut body);
        admitted.map(|()| body).map_err(|error| self.unreadable(id.as_str(), &error))
    }

    /// The refusal of a row that cannot be read as the type: nothing of its batch is adopted.
    #[must_use]
    pub fn unreadable(&self, id: &str, error: &Error) -> Error {
        self.refused(ErrorKind::InvalidInput, id, error.message())
    }

    fn refused(&self, kind: ErrorKind, id: &str, why: &str) -> Error {
        refused(&self.schema, kind, why).with_context("zone", &self.zone).with_context("id", id)
    }

    /// What was adopted.
    #[must_use]
    pub const fn adopted(&self) -> AdoptedRows {
        self.adopted
    }
}

fn refused(schema: &TypeSchema, kind: ErrorKind, why: &str) -> Error {
    let table = schema.name();
    let message = format!("a row of table {table} cannot be adopted: {why}; correct or delete it");
    Error::new(kind, "adopt_rows", message)
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidInput, "adopt_rows", message)
}
