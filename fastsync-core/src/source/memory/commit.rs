//! Staging and committing: first everything that can fail is checked, then everything is applied.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::history::PositionedSession;
use super::state::{CommittedSession, State, Stored};
use crate::error::{Error, Result};
use crate::model::{Position, RecordKey, SessionId, SessionSummary, TypeName, Zone};
use crate::source::{
    Action, Clear, Commit, CommitOutcome, Conflict, ConflictReason, ExpectState, OnMismatch, Receipt,
    StateConflict, StateWrite, Write, Writes,
};

pub(super) fn stage(
    state: &mut State,
    session: SessionId,
    sequence: u64,
    mut writes: Vec<Write>,
) -> Result<()> {
    writes.iter_mut().try_for_each(|write| admit(state, write))?;
    state.staged.entry(session).or_default().entry(sequence).or_insert(writes);
    Ok(())
}

pub(super) fn commit(state: &mut State, commit: Commit) -> Result<CommitOutcome> {
    if let Some(session) = state.sessions.get(&commit.session) {
        return Ok(CommitOutcome::Duplicate(Receipt {
            positions: session.summary.positions.clone(),
            change: session.change,
            skipped: Vec::new(),
        }));
    }
    let is_staged = matches!(commit.writes, Writes::Staged { .. });
    let writes = collect_writes(state, commit.session, &commit.writes)?;
    for clear in &commit.clears {
        state.types.get(&clear.type_name)?;
    }
    StateWrite::check_keys(&commit.state)?;

    let checked = check_expectations(state, writes);
    let state_conflicts = check_state(state, &commit.state);
    if !checked.conflicts.is_empty() || !state_conflicts.is_empty() {
        return Ok(CommitOutcome::Conflicts { writes: checked.conflicts, state: state_conflicts });
    }

    // From here on nothing fails.
    for clear in &commit.clears {
        apply_clear(state, clear);
    }
    let positions =
        if commit.positioned { assign_positions(state, &commit, &checked.plan) } else { Vec::new() };
    let (change, counts) = apply_writes(state, checked.plan, &positions);
    for write in commit.state {
        match write.value {
            Some(value) => drop(state.entries.insert(write.key, value)),
            None => drop(state.entries.remove(&write.key)),
        }
    }
    if is_staged {
        state.staged.remove(&commit.session);
    }
    let summary = SessionSummary {
        id: commit.session,
        kind: commit.kind,
        author: commit.author,
        committed_at: commit.at,
        positions: positions.clone(),
        counts: counts.into_iter().collect(),
    };
    state.sessions.insert(commit.session, CommittedSession { summary, change });
    Ok(CommitOutcome::Applied(Receipt { positions, change, skipped: checked.skipped }))
}

fn admit(state: &State, write: &mut Write) -> Result<()> {
    write.admit(&state.types.get(&write.action.key().type_name)?.schema)
}

/// The last write of each key, brought into its stored form.
fn collect_writes(state: &State, session: SessionId, writes: &Writes) -> Result<Vec<Write>> {
    let (staged, given) = match writes {
        Writes::Inline(given) => (None, given),
        Writes::Staged { overrides } => (state.staged.get(&session), overrides),
    };
    let mut keys = HashSet::with_capacity(given.len());
    for write in given {
        if !keys.insert(write.action.key()) {
            return Err(Error::invalid("commit", "a key is written twice").with_record(write.action.key()));
        }
    }
    let batches = staged.into_iter().flat_map(BTreeMap::values).flatten();
    let kept = batches.filter(|write| !keys.contains(write.action.key()));
    let last: BTreeMap<_, _> = kept.chain(given).map(|write| (write.action.key(), write)).collect();
    let mut collected: Vec<_> = last.into_values().cloned().collect();
    collected.iter_mut().try_for_each(|write| admit(state, write))?;
    Ok(collected)
}

#[derive(Default)]
struct Checked {
    /// What to do per key.
    plan: BTreeMap<RecordKey, Action>,
    conflicts: Vec<Conflict>,
    skipped: Vec<Conflict>,
}

fn check_expectations(state: &State, writes: Vec<Write>) -> Checked {
    let mut checked = Checked::default();
    for write in writes {
        let key = write.action.key();
        if write.expect.holds(state.current(key)) {
            checked.plan.insert(key.clone(), write.action);
            continue;
        }
        let current = state.record(key);
        let on_mismatch = write.on_mismatch;
        let conflict = Conflict { write, current, reason: ConflictReason::Mismatch };
        match on_mismatch {
            OnMismatch::Abort if checked.conflicts.len() < Conflict::MAX_PER_OUTCOME => {
                checked.conflicts.push(conflict);
            }
            OnMismatch::Abort => {}
            OnMismatch::Skip => checked.skipped.push(conflict),
        }
    }
    checked
}

fn check_state(state: &State, writes: &[StateWrite]) -> Vec<StateConflict> {
    let failed = writes.iter().filter(|write| match (&write.expect, state.entries.get(&write.key)) {
        (ExpectState::Anything, _) | (ExpectState::Absent, None) => false,
        (ExpectState::Value(expected), Some(current)) => expected != current,
        (ExpectState::Absent, Some(_)) | (ExpectState::Value(_), None) => true,
    });
    let conflicts = failed.map(|write| StateConflict {
        key: write.key.clone(),
        current: state.entries.get(&write.key).cloned(),
    });
    conflicts.take(Conflict::MAX_PER_OUTCOME).collect()
}

fn apply_clear(state: &mut State, clear: &Clear) {
    let Ok(registered) = state.types.get(&clear.type_name) else { return };
    let order = registered.order;
    let table = state.table(&clear.type_name, &clear.zone).into_iter().flatten();
    let done = table.filter(|(_, stored)| stored.metadata.change <= clear.through_change);
    let ids: Vec<_> = done.map(|(id, _)| id.clone()).collect();
    for id in ids {
        let key = RecordKey { zone: clear.zone.clone(), type_name: clear.type_name.clone(), id };
        state.remove(order, &key);
    }
}

/// One position in each zone that a record is put into.
fn assign_positions(
    state: &mut State,
    commit: &Commit,
    plan: &BTreeMap<RecordKey, Action>,
) -> Vec<(Zone, Position)> {
    let puts = plan.iter().filter(|(_, action)| matches!(action, Action::Put { .. }));
    let zones: BTreeSet<_> = puts.map(|(key, _)| key.zone.clone()).collect();
    let assign = |zone: Zone| {
        let session = PositionedSession {
            id: commit.session,
            tag: commit.tag,
            device: commit.author.device,
            number: commit.author.number,
        };
        let position = state.histories.entry(zone.clone()).or_default().append(session);
        (zone, position)
    };
    zones.into_iter().map(assign).collect()
}

/// Applies the plan; gives the number of the local commit and how many records of each type were put.
fn apply_writes(
    state: &mut State,
    plan: BTreeMap<RecordKey, Action>,
    positions: &[(Zone, Position)],
) -> (u64, BTreeMap<TypeName, u64>) {
    let has_edits = plan.values().any(|action| matches!(action, Action::Put { pending: true, .. }));
    let change = if has_edits { state.last_change.saturating_add(1) } else { 0 };
    state.last_change = state.last_change.max(change);
    let mut counts = BTreeMap::new();
    for (key, action) in plan {
        let Ok(registered) = state.types.get(&key.type_name) else { continue };
        let order = registered.order;
        match action {
            Action::Put { record, pending } => {
                let body = record.body.map(|body| registered.write(body));
                let mut metadata = record.metadata;
                metadata.change = match (pending, metadata.change) {
                    (false, _) => 0,
                    (true, 0) => change,
                    (true, kept) => kept,
                };
                let assigned = positions.iter().find(|(zone, _)| *zone == key.zone).map(|(_, at)| *at);
                let position = assigned.or_else(|| state.stored(&key).and_then(|previous| previous.position));
                *counts.entry(key.type_name.clone()).or_insert(0) += 1;
                state.insert(order, key, Stored { body, metadata, position });
            }
            Action::Acknowledge { change: pushed, revision, incarnation, .. } => {
                let Some(mut stored) = state.remove(order, &key) else { continue };
                if stored.metadata.incarnation == incarnation {
                    stored.metadata.revision = revision;
                }
                if stored.metadata.change == pushed {
                    stored.metadata.change = 0;
                }
                state.insert(order, key, stored);
            }
        }
    }
    (change, counts)
}
