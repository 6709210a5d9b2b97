//! Staging and committing: first everything that can fail is checked, then everything is applied.

use std::collections::{BTreeMap, HashSet};

use super::constraints;
use super::history::PositionedSession;
use super::state::{CommittedSession, State, Stored};
use crate::error::{Error, Result};
use crate::model::{Position, Record, RecordKey, SessionId, SessionSummary, TypeName, Zone};
use crate::source::{
    Action, Clear, Commit, CommitOutcome, Conflict, ConflictReason, Expect, ExpectState, OnMismatch, Receipt,
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

/// What is applied, in the order of its keys: one action of each.
type Plan = Vec<Action>;

/// The staged batches of a session, by sequence.
type Batches = BTreeMap<u64, Vec<Write>>;

pub(super) fn commit(state: &mut State, mut commit: Commit) -> Result<CommitOutcome> {
    if let Some(session) = state.sessions.get(&commit.session) {
        return Ok(CommitOutcome::Duplicate(Receipt {
            positions: session.summary.positions.clone(),
            change: session.change,
            skipped: Vec::new(),
        }));
    }
    let (given, is_staged) = match std::mem::replace(&mut commit.writes, Writes::Inline(Vec::new())) {
        Writes::Inline(given) => (given, false),
        Writes::Staged { overrides } => (overrides, true),
    };
    let mut staged = if is_staged { state.staged.remove(&commit.session) } else { None }.unwrap_or_default();
    let session = commit.session;
    let outcome = commit_writes(state, commit, &mut staged, given);
    // They are used up by a commit that applied, and by no other.
    if !staged.is_empty() {
        state.staged.insert(session, staged);
    }
    outcome
}

fn commit_writes(
    state: &mut State,
    commit: Commit,
    staged: &mut Batches,
    mut given: Vec<Write>,
) -> Result<CommitOutcome> {
    let keys = keys_of(&given)?;
    // What is replaced need not fit.
    let counts = |write: &&mut Write| !keys.contains(write.action.key());
    for write in staged.values_mut().flatten().filter(counts) {
        admit(state, write)?;
    }
    for write in &mut given {
        admit(state, write)?;
    }
    for clear in &commit.clears {
        state.types.get(&clear.type_name)?;
    }
    StateWrite::check_keys(&commit.state)?;

    let mut checked = check_expectations(state, staged.values().flatten().chain(&given));
    let state_conflicts = check_state(state, &commit.state);
    if checked.conflicts.is_empty() && state_conflicts.is_empty() && !state.constraints.is_empty() {
        let all: Vec<_> = staged.values().flatten().chain(&given).collect();
        check_constraints(state, &commit.clears, &all, &mut checked);
    }
    if !checked.conflicts.is_empty() || !state_conflicts.is_empty() {
        return Ok(CommitOutcome::Conflicts { writes: checked.conflicts, state: state_conflicts });
    }

    // From here on nothing fails.
    let all = std::mem::take(staged).into_values().flatten().chain(given);
    let mut all: Vec<_> = all.map(|write| Some(write.action)).collect();
    let plan: Plan = checked.applied.iter().filter_map(|at| all.get_mut(*at)?.take()).collect();
    drop(all);
    for clear in &commit.clears {
        apply_clear(state, clear);
    }
    let positions = if commit.positioned { assign_positions(state, &commit, &plan) } else { Vec::new() };
    let (change, counts) = apply_writes(state, plan, &positions);
    for write in commit.state {
        match write.value {
            Some(value) => drop(state.entries.insert(write.key, value)),
            None => drop(state.entries.remove(&write.key)),
        }
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

/// The keys of the writes that are given; an error if one is written twice.
fn keys_of(given: &[Write]) -> Result<HashSet<&RecordKey>> {
    let mut keys = HashSet::with_capacity(given.len());
    for write in given {
        if !keys.insert(write.action.key()) {
            return Err(Error::invalid("commit", "a key is written twice").with_record(write.action.key()));
        }
    }
    Ok(keys)
}

#[derive(Default)]
struct Checked {
    /// The places of the writes that are applied, in the order of their keys.
    applied: Vec<usize>,
    conflicts: Vec<Conflict>,
    skipped: Vec<Conflict>,
}

/// Looks at the last write of each key.
fn check_expectations<'a>(state: &State, all: impl Iterator<Item = &'a Write>) -> Checked {
    let mut all: Vec<_> = all.enumerate().collect();
    // Of one key, what came later stands later; pages come sorted, which this sort makes use of.
    all.sort_by_key(|(_, write)| write.action.key());
    let mut checked = Checked { applied: Vec::with_capacity(all.len()), ..Checked::default() };
    let mut rest = all.into_iter().peekable();
    while let Some((at, write)) = rest.next() {
        let key = write.action.key();
        if rest.peek().is_some_and(|(_, next)| next.action.key() == key) {
            continue;
        }
        // Of what may be anything nothing has to be looked up.
        if write.expect == Expect::Anything || write.expect.holds(state.current(key)) {
            checked.applied.push(at);
            continue;
        }
        let conflict = || Conflict {
            write: write.clone(),
            current: state.record(key),
            reason: ConflictReason::Mismatch,
        };
        match write.on_mismatch {
            OnMismatch::Abort if checked.conflicts.len() < Conflict::MAX_PER_OUTCOME => {
                checked.conflicts.push(conflict());
            }
            OnMismatch::Abort => {}
            OnMismatch::Skip => checked.skipped.push(conflict()),
        }
    }
    checked
}

/// Moves the writes that a constraint refuses to the conflicts. What the commit would lead to is tried on a copy.
fn check_constraints(state: &State, clears: &[Clear], all: &[&Write], checked: &mut Checked) {
    while checked.conflicts.is_empty() {
        let mut trial = state.clone();
        clears.iter().for_each(|clear| apply_clear(&mut trial, clear));
        let applied = checked.applied.iter().filter_map(|at| all.get(*at));
        let plan: Plan = applied.clone().map(|write| write.action.clone()).collect();
        let puts = applied.filter(|write| matches!(write.action, Action::Put { .. }));
        let written = puts.map(|write| write.action.key()).collect();
        apply_writes(&mut trial, plan, &[]);
        let refused = constraints::refused(&trial, &written);
        if refused.is_empty() {
            return;
        }
        let is_refused =
            |at: &usize| all.get(*at).is_some_and(|write| refused.contains_key(write.action.key()));
        let (left_out, applied) = std::mem::take(&mut checked.applied).into_iter().partition(is_refused);
        checked.applied = applied;
        for write in left_out.iter().filter_map(|at: &usize| all.get(*at)) {
            let text = refused.get(write.action.key()).cloned().unwrap_or_default();
            let current = state.record(write.action.key());
            let reason = ConflictReason::Constraint(text);
            let conflict = Conflict { write: (*write).clone(), current, reason };
            match write.on_mismatch {
                OnMismatch::Abort if checked.conflicts.len() < Conflict::MAX_PER_OUTCOME => {
                    checked.conflicts.push(conflict);
                }
                OnMismatch::Abort => {}
                OnMismatch::Skip => checked.skipped.push(conflict),
            }
        }
    }
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
fn assign_positions(state: &mut State, commit: &Commit, plan: &Plan) -> Vec<(Zone, Position)> {
    let puts = plan.iter().filter(|action| matches!(action, Action::Put { .. }));
    let mut zones: Vec<_> = puts.map(|action| &action.key().zone).collect();
    zones.dedup();
    let assign = |zone: &Zone| {
        let session = PositionedSession {
            id: commit.session,
            tag: commit.tag,
            device: commit.author.device,
            number: commit.author.number,
        };
        let position = state.histories.entry(zone.clone()).or_default().append(session);
        (zone.clone(), position)
    };
    zones.into_iter().map(assign).collect()
}

/// Applies the plan; gives the number of the local commit and how many records of each type were put.
fn apply_writes(
    state: &mut State,
    plan: Plan,
    positions: &[(Zone, Position)],
) -> (u64, BTreeMap<TypeName, u64>) {
    let has_edits = plan.iter().any(|action| matches!(action, Action::Put { pending: true, .. }));
    let change = if has_edits { state.last_change.saturating_add(1) } else { 0 };
    state.last_change = state.last_change.max(change);
    let mut counts = BTreeMap::new();
    for action in plan {
        let Ok(registered) = state.types.get(&action.key().type_name) else { continue };
        let order = registered.order;
        match action {
            Action::Put { record: Record { key, body, mut metadata }, pending } => {
                let body = body.map(|body| registered.columns.write(body));
                metadata.change = match (pending, metadata.change) {
                    (false, _) => 0,
                    (true, 0) => change,
                    (true, kept) => kept,
                };
                let assigned = positions.iter().find(|(zone, _)| *zone == key.zone).map(|(_, at)| *at);
                state.insert(order, &key, Stored { body, metadata, position: assigned });
                *counts.entry(key.type_name).or_insert(0) += 1;
            }
            Action::Acknowledge { key, change: pushed, revision, incarnation } => {
                state.revise(order, &key, |metadata| {
                    if metadata.incarnation == incarnation {
                        metadata.revision = revision;
                    }
                    if metadata.change == pushed {
                        metadata.change = 0;
                    }
                });
            }
        }
    }
    (change, counts)
}
