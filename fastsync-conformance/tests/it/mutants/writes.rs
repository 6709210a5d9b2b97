//! Writes that are changed by what is there.

use fastsync_conformance::{acme, birch};
use fastsync_core::source::{Action, Commit, Expect, Write};
use fastsync_core::{Incarnation, Record, RecordKey, SyncMetadata, Value};

use super::broken::Broken;
use super::bugs::Bug;
use super::commits::{put, writes_mut};

impl Broken {
    /// Changes writes by what is there.
    pub(super) async fn spoil_writes(&self, commit: &mut Commit) {
        let mut spoilt = Vec::new();
        for mut write in std::mem::take(writes_mut(commit)) {
            let current = self.current(write.action.key()).await;
            let (is_there, is_dead) =
                (current.is_some(), current.as_ref().is_some_and(|current| current.is_deleted()));
            match (self.bug, &mut write.action, write.expect) {
                (Bug::AbsentHoldsOfTombstones, _, Expect::Absent) if is_dead => {
                    write.expect = Expect::Anything;
                }
                (Bug::RevisionsHoldDespiteEdits, _, Expect::Revision(revision))
                    if current.as_ref().is_some_and(|current| current.metadata.revision == revision) =>
                {
                    write.expect = Expect::Anything;
                }
                (_, Action::Put { record, pending }, _) => {
                    if (self.is(Bug::DeadIdsStayDead) && is_dead && !record.is_deleted())
                        || (self.is(Bug::TombstonesNeedAnObject) && !is_there && record.is_deleted())
                    {
                        continue;
                    }
                    self.spoil_put(record, pending, current.as_ref());
                    if self.is(Bug::DeletionsGoByIdAlone) && record.is_deleted() {
                        spoilt.extend(self.namesakes(record).await);
                    }
                }
                (_, Action::Acknowledge { .. }, _) => {
                    if let Some(action) = self.spoil_acknowledgement(&mut write.action, current) {
                        write.action = action;
                    }
                }
            }
            spoilt.push(write);
        }
        *writes_mut(commit) = spoilt;
    }

    fn spoil_put(&self, record: &mut Record, pending: &mut bool, current: Option<&Record>) {
        let is_edited = current.is_some_and(|current| current.metadata.is_pending());
        match self.bug {
            Bug::BroughtChangesArePending if record.metadata.change > 0 => *pending = true,
            Bug::PlainWritesStayPending if is_edited => *pending = true,
            Bug::KeptChangesAreRenumbered => record.metadata.change = 0,
            Bug::EditsShareANumber if *pending && record.metadata.change == 0 => record.metadata.change = 1,
            Bug::PutsMerge => {
                let old = current.and_then(|current| current.body.as_deref()).unwrap_or_default();
                for (value, old) in record.body.iter_mut().flatten().zip(old) {
                    if *value == Value::Null {
                        *value = old.clone();
                    }
                }
            }
            _ => {}
        }
    }

    /// Tombstones of what has the same id.
    async fn namesakes(&self, of: &Record) -> Vec<Write> {
        let mut found = Vec::new();
        for zone in [acme(), birch()] {
            for type_name in ["customers", "orders"].map(fastsync_conformance::name) {
                let key = RecordKey { zone: zone.clone(), type_name, id: of.key.id.clone() };
                if key != of.key && self.current(&key).await.is_some() {
                    found.push(put(Record { key, ..of.clone() }));
                }
            }
        }
        found
    }

    /// Changes an acknowledgement, or gives what is done in its place.
    fn spoil_acknowledgement(&self, action: &mut Action, current: Option<Record>) -> Option<Action> {
        let Action::Acknowledge { key, change, revision, incarnation } = action else { return None };
        match (self.bug, current) {
            (Bug::AcknowledgeClearsNewerEdits, Some(current)) => *change = current.metadata.change,
            (Bug::EveryLifeIsAcknowledged, Some(current)) => *incarnation = current.metadata.incarnation,
            (Bug::AcknowledgementsKeepTheRevision, Some(current)) => *revision = current.metadata.revision,
            (Bug::AcknowledgementsAreWrites, Some(mut current)) => {
                current.metadata.revision = *revision;
                return Some(Action::Put { record: current, pending: false });
            }
            (Bug::AcknowledgementsCreate, None) => {
                let metadata = SyncMetadata {
                    revision: *revision,
                    incarnation: Incarnation::from_bits(1),
                    modified_at: fastsync_core::Hlc::MAX,
                    modified_by: fastsync_core::DeviceId::from_uuid(uuid::Uuid::nil()),
                    change: 0,
                };
                let record = Record { key: key.clone(), body: None, metadata };
                return Some(Action::Put { record, pending: false });
            }
            _ => {}
        }
        None
    }
}
