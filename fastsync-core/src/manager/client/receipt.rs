//! What a receipt means for the local records.

use std::collections::{BTreeMap, BTreeSet};

use super::forgotten::{kept_life, unbased};
use super::queue::InFlight;
use super::rejected::RejectedEdit;
use super::{Client, SettledConflict, Settlement};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{DeviceId, Hlc, Record, RecordKey, Revision, SyncMetadata, TypeName};
use crate::protocol::{Outcome, PushReceipt, Row};
use crate::source::{Action, Expect, OnMismatch, Write};

impl Client {
    /// What a receipt means for the local records.
    pub(super) fn plan_receipt(&self, in_flight: &InFlight, receipt: PushReceipt) -> Result<ReceiptPlan> {
        let protocol = |message: &str| Error::new(ErrorKind::Protocol, "push", message);
        if receipt.session != in_flight.request.session {
            return Err(protocol("the receipt is for another session"));
        }
        if receipt.revision.is_none() {
            return Err(protocol("the receipt has no revision"));
        }
        let types = &in_flight.request.metadata.types;
        let is_as_sent = |name: &TypeName| {
            let (sent, ours) = (types.get(name), self.store.schema(name));
            ours.is_ok_and(|ours| sent.is_none_or(|sent| sent.has_the_form_of(ours)))
        };
        let mut current = receipt.current;
        current.groups.retain(|group| is_as_sent(&group.type_name));
        let mut unreadable = BTreeMap::new();
        let current = current.into_fitting_records(
            types,
            |name| self.store.schema(name).ok(),
            |record, error| drop(unreadable.insert(record.key.clone(), (record, error))),
        )?;
        let mut current: BTreeMap<RecordKey, Record> =
            current.into_iter().map(|record| (record.key.clone(), record)).collect();
        let mut outcomes: BTreeMap<RecordKey, Outcome> = receipt
            .exceptions
            .into_iter()
            .map(|named| {
                (RecordKey { zone: named.zone, type_name: named.type_name, id: named.id }, named.outcome)
            })
            .collect();
        // A local commit of which one edit was refused stays together.
        let refused: BTreeSet<u64> = in_flight
            .request
            .payload
            .keys()
            .zip(&in_flight.changes)
            .filter(|(key, _)| matches!(outcomes.get(key), Some(Outcome::Rejected { code, .. }) if code != "aborted"))
            .map(|(_, change)| *change)
            .collect();
        let mut plan = ReceiptPlan::default();
        for (row, change) in in_flight.request.payload.rows().zip(&in_flight.changes) {
            let (key, row) = row;
            match outcomes.remove(&key) {
                None => {
                    plan.applied += 1;
                    plan.writes.push(acknowledge(key, row, *change, receipt.revision));
                }
                Some(Outcome::Kept) => {
                    plan.applied += 1;
                    let settlement = Settlement::KeptClient;
                    plan.conflicts.push(SettledConflict { key: key.clone(), settlement, dropped: None });
                    plan.writes.push(acknowledge(key, row, *change, receipt.revision));
                }
                Some(Outcome::Rejected { code, message }) => {
                    // The innocent part of an aborted session just stays pending.
                    if refused.contains(change) {
                        let server = current.remove(&key);
                        plan.rejected.push(RejectedEdit { key, change: *change, code, message, server });
                    }
                }
                // What the server has came with the fields of before an upgrade of the application: the edit stays, and meets
                // it again with all fields.
                Some(_) if !is_as_sent(&key.type_name) => {}
                Some(outcome) => {
                    let device = in_flight.request.metadata.device;
                    // Where another life of it has ended, that says nothing of this one.
                    let ended = |server: &Record| server.is_deleted() && server.metadata.incarnation != row.2;
                    if current.get(&key).is_none_or(ended) && !unreadable.contains_key(&key) {
                        plan.gone.push(key.clone());
                    }
                    let server = match unreadable.remove(&key) {
                        // It has values that a later release knows, and lies aside until then. The edit is over all the same:
                        // sent again, it would be merged again.
                        Some(unfit) => {
                            plan.unfit.push(unfit);
                            sent(&key, row, device, 0)
                        }
                        None => current.remove(&key).unwrap_or_else(|| gone(&key, row)),
                    };
                    let settlement = match outcome {
                        Outcome::Merged => Settlement::Merged,
                        _ => Settlement::KeptServer,
                    };
                    plan.newest = plan.newest.max(Some(server.metadata.modified_at));
                    let dropped = sent(&key, row, device, *change);
                    if !dropped.is_if_absent() {
                        let dropped = Some(dropped);
                        plan.conflicts.push(SettledConflict { key: key.clone(), settlement, dropped });
                    }
                    plan.replaced.push(key);
                    plan.writes.push(Write {
                        action: Action::Put { record: server, pending: false },
                        expect: Expect::Change(*change),
                        on_mismatch: OnMismatch::Abort,
                    });
                }
            }
        }
        if !outcomes.is_empty() {
            return Err(protocol("the receipt names an object that was not pushed"));
        }
        Ok(plan)
    }
}

#[derive(Debug, Default)]
pub(super) struct ReceiptPlan {
    pub(super) writes: Vec<Write>,
    pub(super) applied: u64,
    pub(super) conflicts: Vec<SettledConflict>,
    pub(super) rejected: Vec<RejectedEdit>,
    /// What the server has instead of some of them, and why this release cannot read it.
    pub(super) unfit: Vec<(Record, Error)>,
    /// The objects that are no longer as they were edited.
    pub(super) replaced: Vec<RecordKey>,
    pub(super) newest: Option<Hlc>,
    /// Objects of which the server has nothing, not even a tombstone of their life.
    pub(super) gone: Vec<RecordKey>,
}

impl ReceiptPlan {
    /// Keeps an object that is not gone but forgotten, as it was sent; `None` if there is nothing to keep.
    pub(super) fn keep_forgotten(&mut self, key: &RecordKey) -> Option<Record> {
        let is_it = |conflict: &SettledConflict| conflict.key == *key;
        let place = self.conflicts.iter().position(is_it)?;
        let is_kept = |record: &Record| !record.is_deleted() && !record.metadata.revision.is_none();
        let mut sent = self.conflicts.get(place)?.dropped.clone().filter(is_kept)?;
        let write = self.writes.iter_mut().find(|write| write.action.key() == key)?;
        *write = unbased(sent.clone());
        sent.metadata.incarnation = kept_life(&sent);
        self.conflicts.remove(place);
        self.replaced.retain(|replaced| replaced != key);
        Some(sent)
    }
}

fn acknowledge(key: RecordKey, row: &Row, change: u64, revision: Revision) -> Write {
    Write {
        action: Action::Acknowledge { key, change, revision, incarnation: row.2 },
        expect: Expect::Anything,
        on_mismatch: OnMismatch::Abort,
    }
}

/// A record as it was sent.
fn sent(key: &RecordKey, row: &Row, modified_by: DeviceId, change: u64) -> Record {
    let Row(_, revision, incarnation, modified_at, _, body) = row;
    let metadata = SyncMetadata {
        revision: *revision,
        incarnation: *incarnation,
        modified_at: *modified_at,
        modified_by,
        change,
    };
    Record { key: key.clone(), body: body.clone(), metadata }
}

/// The local form of an object that no longer exists on the server.
fn gone(key: &RecordKey, row: &Row) -> Record {
    let nobody = DeviceId::from_uuid(uuid::Uuid::nil());
    Record { body: None, ..sent(key, row, nobody, 0) }
}
