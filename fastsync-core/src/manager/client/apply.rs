//! Storing what the server sent or answered, without overwriting a local edit.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;

use futures_util::FutureExt as _;

use super::aside::{AsideReason, Asides, Refusal};
use super::forgotten::{Marks, unbased};
use super::outgrown::Grown;
use super::rejected::refusals_meet;
use super::settle::SettledWrite;
use super::unanswered::Unanswered;
use super::{Client, SettledConflict};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Hlc, Record, RecordKey, SessionId, SyncMetadata};
use crate::source::{
    Action, Clear, CommitOutcome, Conflict, ConflictReason, Expect, OnMismatch, StateWrite,
    SyncableDataSourceExt as _, Write, Writes,
};
use crate::store::{StateKey, unchanged};

/// How often a commit is tried again when no new conflict turns up and the known ones keep moving.
const ATTEMPTS: usize = 64;

/// After how many of them local edits are made to wait: one that is made again and again, as fast as the storage takes it,
/// would be in front of every attempt.
const PATIENCE: usize = 8;

/// What is to be stored in one local commit.
#[derive(Debug)]
pub(super) struct Application {
    pub(super) session: SessionId,
    /// What was fetched anew, each type in each zone with the newest edit that is given up for it.
    pub(super) anew: Vec<Clear>,
    /// Objects that wait for a decision: they are no edits, and not given up.
    pub(super) marks: Marks,
    pub(super) writes: Incoming,
    pub(super) state: Vec<StateWrite>,
    /// Objects that the server no longer has.
    pub(super) gone: BTreeSet<RecordKey>,
    pub(super) grown: Grown,
    /// Objects of pushes whose answer cannot be had: nothing is stored while another version of one of them is there.
    pub(super) unanswered: Unanswered,
    /// Whether its writes give edits up. One that was made since stays.
    pub(super) gives_up: bool,
}

impl Application {
    /// A commit of these writes and entries.
    pub(super) fn new(session: SessionId, writes: Incoming, state: Vec<StateWrite>) -> Self {
        Self {
            session,
            anew: Vec::new(),
            marks: Marks::default(),
            writes,
            state,
            gone: BTreeSet::new(),
            grown: Grown::new(),
            unanswered: Unanswered::NOTHING,
            gives_up: false,
        }
    }
}

#[derive(Debug)]
pub(super) enum Incoming {
    Inline(Vec<Write>),
    /// Staged under the session's id.
    Staged,
}

/// A write of a record that came from the server: applies unless a local edit is pending.
pub(super) fn incoming(record: Record) -> Write {
    Write {
        action: Action::Put { record, pending: false },
        expect: Expect::Change(0),
        on_mismatch: OnMismatch::Abort,
    }
}

/// Whether a write is of a record that the server does not have: it is removed, or kept as one that was forgotten.
fn is_of_missing(write: &Write) -> bool {
    match &write.action {
        Action::Put { record, pending } => {
            *pending || (record.metadata.revision.is_none() && record.is_deleted())
        }
        Action::Acknowledge { .. } => false,
    }
}

/// What becomes of a missing record that moved meanwhile: an edit of what was forgotten is kept with it, any other stays.
fn missing_now(missing: &Record, current: Option<Record>) -> Write {
    match current {
        Some(local) if !missing.is_deleted() && !local.is_deleted() && !local.metadata.revision.is_none() => {
            unbased(local)
        }
        _ => left_out(&missing.key, missing.metadata),
    }
}

/// A key that conflicted: what the server sent, and what was made of it and the local edit.
struct SettledKey {
    server: Record,
    result: SettledWrite,
    /// Why the server's version cannot be stored; it goes aside then.
    refused: Option<Refusal>,
    /// Whether the server does not have it, and what it "sent" is made up here.
    is_missing: bool,
    /// What is made of it once the table lets go of what is in its way.
    postponed: Option<Write>,
}

impl SettledKey {
    fn new(server: Record, result: SettledWrite, refused: Option<Refusal>, is_missing: bool) -> Self {
        Self { server, result, refused, is_missing, postponed: None }
    }
}

/// What was stored.
#[derive(Debug, Default)]
pub(super) struct Applied {
    pub(super) conflicts: Vec<SettledConflict>,
    pub(super) set_aside: u64,
    pub(super) from_aside: u64,
}

/// Whether a record has an edit that is given up.
fn is_given_up(local: &Record, anew: &[Clear], marks: &Marks) -> bool {
    let mut scopes =
        anew.iter().filter(|scope| scope.type_name == local.key.type_name && scope.zone == local.key.zone);
    local.metadata.is_pending()
        && scopes.any(|scope| local.metadata.change <= scope.through_change)
        && !marks.holds(local)
}

fn is_acknowledgement(write: &Write) -> bool {
    matches!(write.action, Action::Acknowledge { .. })
}

fn sent_by_server(conflict: &Conflict) -> Result<Record> {
    match &conflict.write.action {
        Action::Put { record, .. } => Ok(record.clone()),
        Action::Acknowledge { .. } => {
            Err(Error::new(ErrorKind::Backend, "apply", "an acknowledgement cannot conflict"))
        }
    }
}

/// A change that no commit gives.
const NO_CHANGE: u64 = u64::MAX >> 1;

/// A write that is left out, in place of one that is staged.
fn left_out(key: &RecordKey, metadata: SyncMetadata) -> Write {
    Write {
        action: Action::Put { record: Record { key: key.clone(), body: None, metadata }, pending: false },
        expect: Expect::Change(NO_CHANGE),
        on_mismatch: OnMismatch::Skip,
    }
}

fn is_left_out(write: &Write) -> bool {
    write.expect == Expect::Change(NO_CHANGE)
}

/// What is made of a write that the device's table refuses: the row stays as it is.
fn refused(conflict: Conflict, server: &Record, was_settled: bool, is_given_up: bool) -> SettledWrite {
    let stays = SettledWrite { write: left_out(&server.key, server.metadata), report: None };
    match (conflict.write.expect, conflict.current) {
        // The answer to a push. The edit is over, though what the server made of it cannot be stored: pushed again, it would
        // be merged again.
        (Expect::Change(pushed), Some(local))
            if pushed != 0 && local.metadata.change == pushed && (!was_settled || is_given_up) =>
        {
            let write = Write {
                action: Action::Put { record: local, pending: false },
                expect: Expect::Change(pushed),
                on_mismatch: OnMismatch::Abort,
            };
            SettledWrite { write, report: None }
        }
        _ => stays,
    }
}

impl Client {
    /// Commits what the server answered, settling each conflict with a local edit, and sets aside what of the answer this
    /// release cannot read (`unfit`). Gives the conflicts, or `None` if another process moved the state meanwhile and nothing
    /// was stored.
    pub(super) async fn apply_answer(
        &self,
        application: Application,
        unfit: Vec<(Record, Error)>,
    ) -> Result<Option<Vec<SettledConflict>>> {
        let mut asides = self.load_asides().await?;
        if let Incoming::Inline(writes) = &application.writes {
            // What the server has of these now is what it answered.
            writes.iter().for_each(|write| asides.supersede(write.action.key()));
        }
        for (record, error) in unfit {
            let schema = self.store.schema(&record.key.type_name)?;
            asides.add_unfit(record, &error, schema)?;
        }
        Ok(self.apply_beside(application, asides).await?.map(|applied| applied.conflicts))
    }

    /// Commits, settling each conflict with a local edit and setting aside what the device's own tables refuse. Gives
    /// `None` if another process moved the state meanwhile and nothing was stored.
    pub(super) async fn apply_beside(
        &self,
        application: Application,
        asides: Asides,
    ) -> Result<Option<Applied>> {
        let Application { session, anew, marks, mut writes, state, gone, grown, unanswered, gives_up } =
            application;
        let mut settled: BTreeMap<RecordKey, SettledKey> = BTreeMap::new();
        let mut refusals = if gone.is_empty() { None } else { Some(self.load_refusals().await?) };
        let mut attempts = 0;
        let mut alone = None;
        while attempts < ATTEMPTS {
            if attempts >= PATIENCE && alone.is_none() {
                alone = Some(self.store.hold_edits().await);
            }
            let refused_by_table =
                settled.values().filter_map(|settled| Some((&settled.server, settled.refused.as_ref()?)));
            let aside = asides.change(&self.store, refused_by_table)?;
            let writes = match &mut writes {
                // An acknowledgement cannot conflict, so they are not needed a second time.
                Incoming::Inline(writes) if writes.iter().all(is_acknowledgement) => {
                    Writes::Inline(std::mem::take(writes))
                }
                Incoming::Staged => Writes::Staged { overrides: overrides(&settled, &asides) },
                Incoming::Inline(writes) => {
                    let writes = writes.iter().map(|write| {
                        settled.get(write.action.key()).map_or(write, |settled| &settled.result.write)
                    });
                    Writes::Inline(writes.filter(|write| !is_left_out(write)).cloned().collect())
                }
            };
            let came = settled.iter().filter(|(_, settled)| !settled.is_missing);
            let seen = came.map(|(key, settled)| (key, Some(&settled.server)));
            let seen = seen.chain(gone.iter().map(|key| (key, None)));
            let mut state = state.clone();
            // Who gives edits up writes the entries of their refusals itself.
            if let Some(refusals) = refusals.as_ref().filter(|_| !gives_up) {
                state.extend(refusals_meet(refusals, seen)?);
            }
            state.extend(aside.entries);
            let applied = |settled: BTreeMap<RecordKey, SettledKey>| Applied {
                conflicts: settled.into_values().filter_map(|settled| settled.result.report).collect(),
                set_aside: aside.set_aside,
                from_aside: aside.from_aside,
            };
            // All that there was is refused, as it was before.
            let is_nothing = matches!(&writes, Writes::Inline(writes) if writes.is_empty());
            if is_nothing && state.is_empty() && !settled.is_empty() {
                return Ok(Some(applied(settled)));
            }
            let commit = self.apply_commit(session, Vec::new(), writes, state);
            match self.store.source().commit_alone(commit).await? {
                CommitOutcome::Applied(_) | CommitOutcome::Duplicate(_) => return Ok(Some(applied(settled))),
                CommitOutcome::Conflicts { state, .. } if !state.is_empty() => return Ok(None),
                CommitOutcome::Conflicts { writes, .. } => {
                    attempts += 1;
                    if refusals.is_none() {
                        refusals = Some(self.load_refusals().await?);
                    }
                    let mut is_in_way = false;
                    for conflict in writes {
                        let key = conflict.write.action.key().clone();
                        let earlier = settled.remove(&key);
                        // The first conflict names what the server sent, later ones what was made of it.
                        let (server, before, is_missing) = match earlier {
                            Some(SettledKey { server, refused, is_missing, .. }) => {
                                (server, Some(refused), is_missing)
                            }
                            None => {
                                let is_missing = !gives_up && is_of_missing(&conflict.write);
                                (sent_by_server(&conflict)?, None, is_missing)
                            }
                        };
                        if let ConflictReason::Constraint(text) = &conflict.reason {
                            // A kept object stays in its row as it is, so another write is in its way: that is refused instead.
                            let keeps =
                                |write: &Write| matches!(write.action, Action::Put { pending: true, .. });
                            if is_missing && keeps(&conflict.write) {
                                let write = left_out(&key, server.metadata);
                                let result = SettledWrite { write, report: None };
                                let postponed = Some(conflict.write);
                                let settled_key = SettledKey::new(server, result, None, true);
                                settled.insert(key, SettledKey { postponed, ..settled_key });
                                continue;
                            }
                            is_in_way = true;
                            if !matches!(before, Some(Some(_))) {
                                attempts = 0;
                            }
                            let refusal = Some((AsideReason::Constraint, text.clone()));
                            let is_given_up = conflict
                                .current
                                .as_ref()
                                .is_some_and(|local| is_given_up(local, &anew, &marks));
                            let result = refused(conflict, &server, before.is_some(), is_given_up);
                            settled.insert(key, SettledKey::new(server, result, refusal, is_missing));
                            continue;
                        }
                        if before.is_none() {
                            attempts = 0;
                        }
                        if is_missing {
                            let write = missing_now(&server, conflict.current);
                            let result = SettledWrite { write, report: None };
                            settled.insert(key, SettledKey::new(server, result, None, is_missing));
                            continue;
                        }
                        // The receipt will tell of a version that is as it was sent. It is staged all the same: what a pull
                        // has staged may be stored after the receipt.
                        let is_as_sent = unanswered.is_as_sent(&server, self.store.device());
                        if !is_as_sent {
                            unanswered.check(&key)?;
                        }
                        if gives_up || is_as_sent {
                            let write = left_out(&key, server.metadata);
                            let result = SettledWrite { write, report: None };
                            settled.insert(key, SettledKey::new(server, result, None, is_missing));
                            continue;
                        }
                        let (server, current) = (server, conflict.current);
                        let given_up =
                            current.as_ref().is_some_and(|local| is_given_up(local, &anew, &marks));
                        let mut settling =
                            pin!(self.settle_conflict(server.clone(), current, given_up, &grown));
                        let (result, undecided) = match settling.as_mut().now_or_never() {
                            Some(result) => result?,
                            // What a handler waits for may be an edit.
                            None => {
                                alone = None;
                                settling.await?
                            }
                        };
                        let refused = undecided.map(|text| (AsideReason::HandlerFailed, text));
                        settled.insert(key, SettledKey::new(server, result, refused, is_missing));
                    }
                    if is_in_way {
                        for kept in settled.values_mut() {
                            if let Some(write) = kept.postponed.take() {
                                kept.result.write = write;
                            }
                        }
                    }
                }
            }
        }
        Err(Error::new(ErrorKind::Contention, "apply", "local edits keep moving"))
    }

    /// What becomes of a write that conflicts, and why it is left out, if the handler could not decide.
    async fn settle_conflict(
        &self,
        server: Record,
        current: Option<Record>,
        is_given_up: bool,
        grown: &Grown,
    ) -> Result<(SettledWrite, Option<String>)> {
        let write = match current {
            // An edit that this very commit gives up is in nobody's way.
            Some(local) if is_given_up => Write { expect: unchanged(&local), ..incoming(server) },
            Some(local) if local.metadata.is_pending() => {
                let (key, metadata) = (server.key.clone(), server.metadata);
                return Ok(match self.settle(server, local, grown).await? {
                    Ok(settled) => (settled, None),
                    Err(text) => (SettledWrite { write: left_out(&key, metadata), report: None }, Some(text)),
                });
            }
            // What was pending no longer is.
            _ => incoming(server),
        };
        Ok((SettledWrite { write, report: None }, None))
    }

    /// The entry that keeps the clock ahead of everything seen, over restarts too.
    pub(super) fn observe(&self, newest: Option<Hlc>) -> Result<Option<StateWrite>> {
        let Some(newest) = newest else { return Ok(None) };
        self.store.hybrid().observe(self.store.clock(), newest);
        StateKey::clock(self.store.hybrid().last()).map(Some)
    }
}

/// What replaces staged writes: what conflicts were settled to, and nothing for what does not fit.
fn overrides(settled: &BTreeMap<RecordKey, SettledKey>, asides: &Asides) -> Vec<Write> {
    let results = settled.values().map(|settled| settled.result.write.clone());
    let unfit = asides.unfit().filter(|(key, _)| !settled.contains_key(key));
    results.chain(unfit.map(|(key, metadata)| left_out(key, metadata))).collect()
}
