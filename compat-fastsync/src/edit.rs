//! One pushed object: what it says, and what to do about it.

use std::collections::BTreeMap;

use fastsync_core::{
    Hlc, Incarnation, MAX_RECORD_BYTES, ObjectId, Record, RecordKey, Result, Revision, Submission,
    SubmittedEdit, SyncMetadata, Timestamp, TypeSchema, Value,
};
use serde_json::value::RawValue;

use crate::convert::to_body;
use crate::memo::{self, Memo};
use crate::refusal::{Refusal, Refused};
use crate::wire::{SyncObject, Unreadable, operation};
use crate::{KnownType, may_go_to, timestamp, version, zone_refusal};

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
    unknown: Option<usize>,
    raw: Box<RawValue>,
}

/// What to do about an edit.
pub(crate) enum Step {
    /// Nothing: it is done already.
    Done,
    /// Refuse it.
    Refuse(Box<Refused>),
    /// Let the server decide.
    Submit(SubmittedEdit),
}

/// A base that is no record's: the server asks the type's handler.
const NOT_KNOWN: Revision = Revision::from_bits(u64::MAX);

impl<'a> Edit<'a> {
    /// Reads an object, and says whether halves of characters were replaced in it.
    pub(crate) fn read(
        type_name: &'a str,
        known: &KnownType<'a>,
        raw: Box<RawValue>,
    ) -> std::result::Result<(Self, bool), Box<Refused>> {
        let KnownType { schema, zone, unknown } = known;
        let key = |id: &str| {
            let id = ObjectId::new(id).ok().filter(|id| schema.admit_id(id).is_ok())?;
            Some(RecordKey { zone: zone.clone(), type_name: schema.name().clone(), id })
        };
        let (object, is_mended) = match SyncObject::read(&raw) {
            Ok(read) => read,
            Err(Unreadable { said, id, fields: values, message }) => {
                let refusal = Refusal::of_object(type_name, said.as_deref(), "unreadable", message);
                let key = id.as_deref().and_then(key);
                return Err(Box::new(Refused { values, ..*Refused::unread(refusal, key, raw) }));
            }
        };
        let SyncObject { id, metadata, deleted, fields } = object;
        let admitted =
            ObjectId::new(&id).and_then(|object_id| schema.admit_id(&object_id).map(|()| object_id));
        let object_id = match admitted {
            Ok(object_id) => object_id,
            Err(error) => {
                let refusal = Refusal::of_object(type_name, Some(&id), "invalid", error.message());
                return Err(Refused::unread(refusal, None, raw));
            }
        };
        let said = metadata.sync_zone.as_deref();
        if !may_go_to(zone, said) {
            let refusal = Refusal { id: Some(id), ..zone_refusal(type_name, zone, said) };
            return Err(Refused::unread(refusal, None, raw));
        }
        // An operation that is none of the three is an edit like any other: it must not vanish.
        let operation = metadata.operation();
        let edit = Self {
            key: RecordKey { zone: zone.clone(), type_name: schema.name().clone(), id: object_id },
            deleted: deleted || operation == Some(operation::DELETE),
            schema,
            type_name,
            fields,
            is_add: operation == Some(operation::ADD),
            version: metadata.version.whole(),
            told: timestamp::read(metadata.timestamp),
            unknown: *unknown,
            raw,
        };
        Ok((edit, is_mended))
    }

    pub(crate) fn approximate_bytes(&self) -> usize {
        const OVERHEAD: usize = 64;
        OVERHEAD + self.fields.values().map(Value::approximate_bytes).sum::<usize>()
    }

    pub(crate) fn remark(&self, code: impl Into<String>, message: impl Into<String>) -> Refusal {
        Refusal::of_object(self.type_name, Some(self.key.id.as_str()), code, message)
    }

    pub(crate) fn refused(&self, code: impl Into<String>, message: impl Into<String>) -> Box<Refused> {
        let refusal = self.remark(code, message);
        // Who may not use the zone is not told what is in it.
        let key = (refusal.code != "zone").then(|| self.key.clone());
        // What is larger fits no record, and is not kept with a tombstone either.
        let is_small = self.approximate_bytes() <= MAX_RECORD_BYTES;
        let values = if is_small { self.fields.clone() } else { BTreeMap::new() };
        Box::new(Refused { refusal, key, values, raw: self.raw.clone() })
    }

    /// Whether this is an edit of an object that the client did not just make, and that is not here.
    pub(crate) fn lacks_its_object(&self, current: Option<&Record>) -> bool {
        current.is_none() && !version::is_first(self.version)
    }

    /// What to do about this edit of `current`, given what is known of earlier pushes. `is_gone`: an object that is not here was,
    /// and is deleted.
    pub(crate) fn step(
        &self,
        now: Timestamp,
        (current, is_gone): (Option<&Record>, bool),
        memo: Memo,
        submission: &Submission,
    ) -> Result<Step> {
        let body = match self.body(current) {
            Ok(body) => body,
            Err(refused) => return Ok(Step::Refuse(refused)),
        };
        let digest = memo::digest(body.as_deref())?;
        let nothing_to_delete = self.deleted && current.is_none_or(Record::is_deleted);
        if memo.knows(self.version, digest) || nothing_to_delete {
            return Ok(Step::Done);
        }
        let (revision, incarnation) = self.base((current, is_gone), &memo, submission)?;
        let metadata = SyncMetadata {
            revision,
            incarnation,
            modified_at: self.modified_at(now, current),
            // The server's submission names the device; records carry it as well.
            modified_by: submission.device(),
            change: 0,
        };
        let makes_it = current.is_none() && version::is_first(self.version);
        let note = memo.noting((self.version, digest), submission.revision(), makes_it)?;
        let record = Record { key: self.key.clone(), body, metadata };
        Ok(Step::Submit(SubmittedEdit::new(record).with_note(note)))
    }

    fn body(&self, current: Option<&Record>) -> std::result::Result<Option<Vec<Value>>, Box<Refused>> {
        if self.deleted {
            return Ok(None);
        }
        to_body(self.schema, self.unknown, self.fields.clone(), current)
            .map(Some)
            .map_err(|error| self.refused("invalid", error.message()))
    }

    /// The version and the life that the edit started from.
    fn base(
        &self,
        (current, is_gone): (Option<&Record>, bool),
        memo: &Memo,
        submission: &Submission,
    ) -> Result<(Revision, Incarnation)> {
        let new = (Revision::NONE, Incarnation::from_bits(submission.revision().to_bits()));
        let is_own = version::is_clients_own(self.version);
        let Some(current) = current else {
            // Never here, whatever operation the client says; or here once, deleted, and purged since.
            return Ok(if is_own && !is_gone { new } else { (NOT_KNOWN, new.1) });
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
