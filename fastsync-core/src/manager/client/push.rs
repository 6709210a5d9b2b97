//! Sending local edits.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future;

use super::apply::{Application, Incoming};
use super::collect::Withheld;
use super::rejected::RejectedEdit;
use super::state::{InFlight, LoadedPushState, PushState, encode};
use super::{Client, PushReport, SettledConflict, Settlement, SyncPhase, SyncProgress};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{DeviceId, Record, RecordKey, SyncMetadata};
use crate::protocol::{Outcome, PushReceipt, PushReply, Row};
use crate::source::{Action, CommitOutcome, Expect, OnMismatch, StateWrite, Write, Writes};
use crate::store::StateKey;

/// How often the server may ask for another number or identity before it is called broken.
const MAX_RENUMBERINGS: usize = 4;

impl Client {
    pub(super) async fn push(&self) -> Result<PushReport> {
        match self.push_all(false).await {
            // The server does not know a type of ours: a pull tells which, and the others can go on.
            Err(error) if error.kind() == ErrorKind::UnknownType => {
                let known_before = self.load_unknown_types().await?;
                self.pull_once(super::pull::PullPlan::default()).await?;
                if self.load_unknown_types().await? == known_before {
                    return Err(error);
                }
                self.push_all(false).await
            }
            outcome => outcome,
        }
    }

    /// Sends the push that was begun and not answered, if there is one.
    pub(super) async fn settle_in_flight(&self) -> Result<PushReport> {
        if self.load_push_state().await?.state.in_flight.is_none() {
            return Ok(PushReport::default());
        }
        self.push_all(true).await
    }

    async fn push_all(&self, only_in_flight: bool) -> Result<PushReport> {
        let mut report = PushReport::default();
        let mut withheld = self.withheld().await?;
        let mut loaded = self.load_push_state().await?;
        let mut renumberings = 0;
        let mut sent = 0;
        let mut total = None;
        loop {
            let in_flight = match loaded.state.in_flight.clone() {
                Some(in_flight) => in_flight,
                None if only_in_flight => return Ok(report),
                None => {
                    let number = loaded.state.acknowledged.saturating_add(1);
                    let Some(next) = self.collect(number, 0, &withheld).await? else { return Ok(report) };
                    loaded = self.begin(&loaded, next.clone(), &mut withheld).await?;
                    next
                }
            };
            if total.is_none() && self.progress.is_some() {
                total = Some(self.store.source().count_pending().await?);
            }
            self.report_progress(&SyncProgress { phase: SyncPhase::Pushing, done: sent, total });
            // While the server works on this session, the next one is read.
            let (reply, next) = future::join(
                self.transport.push(&in_flight.request),
                self.prepare_next(&in_flight, &withheld, only_in_flight),
            )
            .await;
            if let Err(error) = &reply
                && refuses_whole_push(error.kind())
            {
                self.abandon(&loaded).await?;
            }
            match reply? {
                PushReply::Processed(receipt) => {
                    renumberings = 0;
                    sent += u64::try_from(in_flight.changes.len()).unwrap_or(u64::MAX);
                    let next = if receipt.exceptions.is_empty() { next? } else { None };
                    loaded = self
                        .store_receipt(&loaded, &in_flight, receipt, next, &mut withheld, &mut report)
                        .await?;
                }
                PushReply::ClientForked => {
                    renumberings += 1;
                    report.forked = true;
                    loaded = self.take_new_identity(&loaded).await?;
                }
                PushReply::Gap { last } => {
                    // The server has forgotten pushes of ours (a restored backup): it goes on from where it is, and
                    // what it has must be fetched anew.
                    renumberings += 1;
                    let state = PushState { acknowledged: last, in_flight: None };
                    let anew = self.endpoints.keys().map(StateKey::refetch).collect();
                    loaded = self.save_push_state(&loaded, state, anew).await?;
                }
            }
            if renumberings > MAX_RENUMBERINGS {
                return Err(Error::new(
                    ErrorKind::Protocol,
                    "push",
                    "the server does not agree on any push number",
                ));
            }
        }
    }

    /// The session after `in_flight`, unless it edits an object of it again: that needs the receipt first.
    async fn prepare_next(
        &self,
        in_flight: &InFlight,
        withheld: &Withheld,
        only_in_flight: bool,
    ) -> Result<Option<InFlight>> {
        if only_in_flight {
            return Ok(None);
        }
        let after = in_flight.changes.iter().copied().max().unwrap_or_default();
        let number = in_flight.request.number.saturating_add(1);
        let Some(next) = self.collect(number, after, withheld).await? else { return Ok(None) };
        let keys: BTreeSet<RecordKey> = in_flight.request.payload.keys().collect();
        let edited_again = next.request.payload.keys().any(|key| keys.contains(&key));
        Ok((!edited_again).then_some(next))
    }

    async fn begin(
        &self,
        loaded: &LoadedPushState,
        next: InFlight,
        withheld: &mut Withheld,
    ) -> Result<LoadedPushState> {
        let state = PushState { acknowledged: loaded.state.acknowledged, in_flight: Some(next) };
        let outdated = std::mem::take(&mut withheld.outdated);
        let entries = outdated.iter().map(|key| StateWrite::set(StateKey::rejected(key), None)).collect();
        self.save_push_state(loaded, state, entries).await
    }

    /// Gives up a push that the server has refused as a whole: its edits are collected anew next time.
    async fn abandon(&self, loaded: &LoadedPushState) -> Result<()> {
        let state = PushState { acknowledged: loaded.state.acknowledged, in_flight: None };
        self.save_push_state(loaded, state, Vec::new()).await.map(|_| ())
    }

    async fn save_push_state(
        &self,
        loaded: &LoadedPushState,
        state: PushState,
        mut others: Vec<StateWrite>,
    ) -> Result<LoadedPushState> {
        let (entry, saved) = loaded.replace(state)?;
        others.push(entry);
        let commit =
            self.apply_commit(self.store.new_session(), Vec::new(), Writes::Inline(Vec::new()), others);
        match self.store.source().commit(commit).await? {
            CommitOutcome::Applied(_) | CommitOutcome::Duplicate(_) => Ok(saved),
            CommitOutcome::Conflicts { .. } => Err(moved_by_another_process()),
        }
    }

    /// The store was copied: this copy goes on as a device of its own.
    async fn take_new_identity(&self, loaded: &LoadedPushState) -> Result<LoadedPushState> {
        let device = DeviceId::random(self.store.random());
        let entry = StateWrite::set(StateKey::DEVICE, Some(device.as_uuid().as_bytes().to_vec()));
        // A cursor is bound to its device: the next pull fetches everything anew.
        let mut entries = vec![entry, StateWrite::set(StateKey::CURSOR, None)];
        entries.extend(self.endpoints.keys().map(StateKey::refetch));
        let loaded = self.save_push_state(loaded, PushState::default(), entries).await?;
        self.store.set_device(device);
        Ok(loaded)
    }

    async fn store_receipt(
        &self,
        loaded: &LoadedPushState,
        in_flight: &InFlight,
        receipt: PushReceipt,
        next: Option<InFlight>,
        withheld: &mut Withheld,
        report: &mut PushReport,
    ) -> Result<LoadedPushState> {
        let plan = self.plan_receipt(in_flight, receipt)?;
        let state = PushState { acknowledged: in_flight.request.number, in_flight: next };
        let (entry, saved) = loaded.replace(state)?;
        let mut entries = vec![entry];
        for edit in &plan.rejected {
            entries.push(StateWrite::set(StateKey::rejected(&edit.key), Some(encode(edit)?)));
        }
        entries.extend(self.observe(plan.newest));
        let application = Application {
            session: self.store.new_session(),
            clears: Vec::new(),
            writes: Incoming::Inline(plan.writes),
            state: entries,
            gone: BTreeSet::new(),
        };
        let Some(conflicts) = self.apply(application).await? else { return Err(moved_by_another_process()) };
        self.store.events().records(plan.replaced);
        report.sessions += 1;
        report.applied += plan.applied;
        report.rejected += u64::try_from(plan.rejected.len()).unwrap_or(u64::MAX);
        report.conflicts.extend(plan.conflicts);
        report.conflicts.extend(conflicts);
        withheld.rejected.extend(plan.rejected.into_iter().map(|edit| (edit.key, edit.change)));
        Ok(saved)
    }

    /// What a receipt means for the local records.
    fn plan_receipt(&self, in_flight: &InFlight, receipt: PushReceipt) -> Result<ReceiptPlan> {
        let protocol = |message: &str| Error::new(ErrorKind::Protocol, "push", message);
        if receipt.session != in_flight.request.session {
            return Err(protocol("the receipt is for another session"));
        }
        if receipt.revision.is_none() {
            return Err(protocol("the receipt has no revision"));
        }
        let types = &in_flight.request.metadata.types;
        let current = receipt.current.into_records(types, |name| self.store.schema(name).ok())?;
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
                Some(outcome) => {
                    let server = current.remove(&key).unwrap_or_else(|| gone(&key, row));
                    let settlement = match outcome {
                        Outcome::Merged => Settlement::Merged,
                        _ => Settlement::KeptServer,
                    };
                    plan.newest = plan.newest.max(Some(server.metadata.modified_at));
                    let dropped = sent(&key, row, in_flight.request.metadata.device, *change);
                    plan.conflicts.push(SettledConflict {
                        key: key.clone(),
                        settlement,
                        dropped: Some(dropped),
                    });
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
struct ReceiptPlan {
    writes: Vec<Write>,
    applied: u64,
    conflicts: Vec<SettledConflict>,
    rejected: Vec<RejectedEdit>,
    replaced: Vec<RecordKey>,
    newest: Option<crate::model::Hlc>,
}

fn acknowledge(key: RecordKey, row: &Row, change: u64, revision: crate::model::Revision) -> Write {
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

/// Whether an error means that the server refused the push for what it says, and changed nothing.
fn refuses_whole_push(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::InvalidInput
            | ErrorKind::TooLarge
            | ErrorKind::UnknownType
            | ErrorKind::UnknownZone
            | ErrorKind::UpgradeRequired
    )
}

fn moved_by_another_process() -> Error {
    Error::new(ErrorKind::Contention, "push", "another process synchronises this store at the same time")
}
