//! One pushed object: what it says, and what to do about it.

use std::collections::BTreeMap;

use fastsync_core::{
    Hlc, Incarnation, ObjectId, Record, RecordKey, Result, Revision, Submission, SubmittedEdit, SyncContext,
    SyncMetadata, Timestamp, TypeSchema, Value, Zone,
};

use crate::convert::to_body;
use crate::memo::{self, Memo};
use crate::wire::{SyncObject, operation};
use crate::{Refusal, may_go_to, no_zone, timestamp, version};

/// A pushed object that was read.
pub(crate) struct Edit<'a> {
    pub(crate) key: RecordKey,
    pub(crate) deleted: bool,
    pub(crate) schema: &'a TypeSchema,
    /// The type, as the client calls it.
    type_name: &'a str,
    fields: BTreeMap<String, Value>,
    is_add: bool,
    version: u64,
    told: Option<Timestamp>,
}

/// What to do about an edit.
pub(crate) enum Step {
    /// Nothing: it is done already.
    Done,
    /// Refuse it.
    Refuse(Refusal),
    /// Let the server decide.
    Submit(SubmittedEdit),
}

/// Who edits when.
pub(crate) struct Moment<'a> {
    pub(crate) context: &'a SyncContext,
    pub(crate) now: Timestamp,
}

/// A base that is no record's: the server asks the type's handler.
const NOT_KNOWN: Revision = Revision::from_bits(u64::MAX);

impl<'a> Edit<'a> {
    pub(crate) fn read(
        type_name: &'a str,
        schema: &'a TypeSchema,
        zone: &Zone,
        object: SyncObject,
    ) -> std::result::Result<Self, Refusal> {
        let SyncObject { id, metadata, deleted, fields } = object;
        let object_id = ObjectId::new(&id)
            .and_then(|object_id| schema.admit_id(&object_id).map(|()| object_id))
            .map_err(|error| Refusal::of_object(type_name, &id, "invalid", error.message()))?;
        if !may_go_to(zone, metadata.sync_zone.as_deref()) {
            return Err(Refusal { id: Some(id), ..no_zone(type_name) });
        }
        // An operation that is none of the three is an edit like any other: it must not vanish.
        let operation = metadata.operation();
        Ok(Self {
            key: RecordKey { zone: zone.clone(), type_name: schema.name().clone(), id: object_id },
            deleted: deleted || operation == Some(operation::DELETE),
            schema,
            type_name,
            fields,
            is_add: operation == Some(operation::ADD),
            version: metadata.version.whole(),
            told: timestamp::read(metadata.timestamp),
        })
    }

    pub(crate) fn approximate_bytes(&self) -> usize {
        const OVERHEAD: usize = 64;
        OVERHEAD + self.fields.values().map(Value::approximate_bytes).sum::<usize>()
    }

    pub(crate) fn refused(&self, code: impl Into<String>, message: impl Into<String>) -> Refusal {
        Refusal::of_object(self.type_name, self.key.id.as_str(), code, message)
    }

    /// What to do about this edit of `current`, given what is known of earlier pushes.
    pub(crate) fn step(
        &self,
        moment: &Moment<'_>,
        current: Option<&Record>,
        memo: Memo,
        submission: &Submission,
    ) -> Result<Step> {
        let body = match self.body(current) {
            Ok(body) => body,
            Err(refusal) => return Ok(Step::Refuse(refusal)),
        };
        let digest = memo::digest(body.as_deref())?;
        let nothing_to_delete = self.deleted && current.is_none_or(Record::is_deleted);
        if memo.knows(self.version, digest) || nothing_to_delete {
            return Ok(Step::Done);
        }
        let (revision, incarnation) = self.base(current, &memo, submission)?;
        let metadata = SyncMetadata {
            revision,
            incarnation,
            modified_at: self.modified_at(moment.now, current),
            // The server's submission names the device; records carry it as well.
            modified_by: submission.device(),
            change: 0,
        };
        let key = memo::key(moment.context, &self.key);
        let makes_it = current.is_none() && version::is_first(self.version);
        let note = memo.noting(key, (self.version, digest), submission.revision(), makes_it)?;
        let record = Record { key: self.key.clone(), body, metadata };
        Ok(Step::Submit(SubmittedEdit::new(record).with_note(note)))
    }

    fn body(&self, current: Option<&Record>) -> std::result::Result<Option<Vec<Value>>, Refusal> {
        if self.deleted {
            return Ok(None);
        }
        to_body(self.schema, self.fields.clone(), current)
            .map(Some)
            .map_err(|error| self.refused("invalid", error.message()))
    }

    /// The version and the life that the edit started from.
    fn base(
        &self,
        current: Option<&Record>,
        memo: &Memo,
        submission: &Submission,
    ) -> Result<(Revision, Incarnation)> {
        let new = (Revision::NONE, Incarnation::from_bits(submission.revision().to_bits()));
        let is_own = version::is_clients_own(self.version);
        let Some(current) = current else {
            // Never here, whatever operation the client says; or here once, deleted, and purged since.
            return Ok(if is_own { new } else { (NOT_KNOWN, new.1) });
        };
        let SyncMetadata { revision, incarnation, .. } = current.metadata;
        // No edit brings a deleted object back, not even one that knows of the deletion.
        let is_known = !current.is_deleted()
            && (version::starts_from(self.version, revision)
                || memo.is_continued_by(self.version, current)?);
        Ok(if is_known {
            (revision, incarnation)
        } else if self.is_add && is_own {
            new
        } else {
            (NOT_KNOWN, incarnation)
        })
    }

    /// When the edit was made. Original clients date the making of an object and never an edit: a time that is not
    /// after the server's version is of no use, and the edit has the time of its arrival.
    fn modified_at(&self, now: Timestamp, current: Option<&Record>) -> Hlc {
        let now = Hlc::new(now, 0);
        let told = self.told.map(|told| Hlc::new(told, 0)).filter(|told| *told <= now);
        let Some(current) = current else { return told.unwrap_or(now) };
        let stored = current.metadata.modified_at;
        let made_here = self.is_add && version::is_clients_own(self.version);
        told.filter(|told| made_here || *told > stored).unwrap_or_else(|| {
            let after = Hlc::from_bits(stored.to_bits().saturating_add(1)).unwrap_or(stored);
            now.max(after)
        })
    }
}
