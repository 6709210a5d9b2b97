//! Staging and committing: first everything that can fail is checked, then everything is applied.

use std::collections::BTreeMap;
use std::convert::Infallible;

use super::constraints;
use super::history::PositionedSession;
use super::state::{CommittedSession, State, Stored};
use crate::error::Result;
use crate::model::{Position, Record, RecordKey, SessionId, SessionSummary, TypeName, Zone};
use crate::source::rules::{Tally, Verdict, acknowledged, change_of_put};
use crate::source::{
    Action, Clear, Commit, CommitOutcome, ConflictReason, Expect, Receipt, StateWrite, Write, Writes,
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
    let keys = Write::keys(&given)?;
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

    let (mut applied, mut verdict) = check_expectations(state, staged.values().flatten().chain(&given));
    commit
        .state
        .iter()
        .for_each(|write| verdict.state(write, state.entries.get(&write.key).map(Vec::as_slice)));
    if !verdict.stops() && !state.constraints.is_empty() {
        let all: Vec<_> = staged.values().flatten().chain(&given).collect();
        check_constraints(state, &commit.clears, &all, &mut applied, &mut verdict);
    }
    let skipped = match verdict.skipped() {
        Ok(skipped) => skipped,
        Err(outcome) => return Ok(outcome),
    };

    // From here on nothing fails.
    let all = std::mem::take(staged).into_values().flatten().chain(given);
    let mut all: Vec<_> = all.map(|write| Some(write.action)).collect();
    let plan: Plan = applied.iter().filter_map(|at| all.get_mut(*at)?.take()).collect();
    drop(all);
    for clear in &commit.clears {
        apply_clear(state, clear);
    }
    let tally = tally(&plan);
    let positions = if commit.positioned { assign_positions(state, &commit, &tally) } else { Vec::new() };
    let change = apply_writes(state, plan, &positions, tally.has_edits());
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
        counts: tally.by_type(),
    };
    state.sessions.insert(commit.session, CommittedSession { summary, change });
    Ok(CommitOutcome::Applied(Receipt { positions, change, skipped }))
}

fn admit(state: &State, write: &mut Write) -> Result<()> {
    write.admit(&state.types.get(&write.action.key().type_name)?.schema)
}

/// Looks at the last write of each key; gives the places of those that are applied, in the order of their keys.
fn check_expectations<'a>(state: &State, all: impl Iterator<Item = &'a Write>) -> (Vec<usize>, Verdict) {
    let mut all: Vec<_> = all.enumerate().collect();
    // Of one key, what came later stands later; pages come sorted, which this sort makes use of.
    all.sort_by_key(|(_, write)| write.action.key());
    let (mut applied, mut verdict) = (Vec::with_capacity(all.len()), Verdict::default());
    let mut rest = all.into_iter().peekable();
    while let Some((at, write)) = rest.next() {
        let key = write.action.key();
        if rest.peek().is_some_and(|(_, next)| next.action.key() == key) {
            continue;
        }
        // Of what may be anything nothing has to be looked up.
        if write.expect == Expect::Anything || write.expect.holds(state.current(key)) {
            applied.push(at);
        } else {
            refuse(&mut verdict, state, write, ConflictReason::Mismatch);
        }
    }
    (applied, verdict)
}

/// Leaves out the writes that a constraint refuses. What the commit would lead to is tried on a copy.
fn check_constraints(
    state: &State,
    clears: &[Clear],
    all: &[&Write],
    applied: &mut Vec<usize>,
    verdict: &mut Verdict,
) {
    while !verdict.stops() {
        let mut trial = state.clone();
        clears.iter().for_each(|clear| apply_clear(&mut trial, clear));
        let writes = applied.iter().filter_map(|at| all.get(*at));
        let plan: Plan = writes.clone().map(|write| write.action.clone()).collect();
        let puts = writes.filter(|write| matches!(write.action, Action::Put { .. }));
        let written = puts.map(|write| write.action.key()).collect();
        apply_writes(&mut trial, plan, &[], true);
        let refused = constraints::refused(&trial, &written);
        if refused.is_empty() {
            return;
        }
        let is_refused =
            |at: &usize| all.get(*at).is_some_and(|write| refused.contains_key(write.action.key()));
        let (left_out, rest) = std::mem::take(applied).into_iter().partition(is_refused);
        *applied = rest;
        for write in left_out.iter().filter_map(|at: &usize| all.get(*at)) {
            let text = refused.get(write.action.key()).cloned().unwrap_or_default();
            refuse(verdict, state, write, ConflictReason::Constraint(text));
        }
    }
}

fn refuse(verdict: &mut Verdict, state: &State, write: &Write, reason: ConflictReason) {
    let Ok(()) = verdict.refuse(write, reason, || Ok::<_, Infallible>(state.record(write.action.key())));
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

fn tally(plan: &Plan) -> Tally<Zone, TypeName> {
    let mut tally = Tally::default();
    for action in plan {
        if let Action::Put { record, pending } = action {
            tally.put(&record.key.zone, &record.key.type_name, *pending);
        }
    }
    tally
}

/// One position in each zone that a record is put into.
fn assign_positions(
    state: &mut State,
    commit: &Commit,
    tally: &Tally<Zone, TypeName>,
) -> Vec<(Zone, Position)> {
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
    tally.zones().into_iter().map(assign).collect()
}

/// Applies the plan; gives the number of the local commit.
fn apply_writes(state: &mut State, plan: Plan, positions: &[(Zone, Position)], has_edits: bool) -> u64 {
    let change = if has_edits { state.last_change.saturating_add(1) } else { 0 };
    state.last_change = state.last_change.max(change);
    for action in plan {
        let Ok(registered) = state.types.get(&action.key().type_name) else { continue };
        let order = registered.order;
        match action {
            Action::Put { record: Record { key, body, mut metadata }, pending } => {
                let body = body.map(|body| registered.columns.write(body));
                metadata.change = change_of_put(pending, metadata.change, change);
                let assigned = positions.iter().find(|(zone, _)| *zone == key.zone).map(|(_, at)| *at);
                state.insert(order, &key, Stored { body, metadata, position: assigned });
            }
            Action::Acknowledge { key, change: pushed, revision, incarnation } => {
                state.revise(order, &key, |metadata| {
                    let before = (metadata.incarnation, metadata.revision, metadata.change);
                    (metadata.revision, metadata.change) =
                        acknowledged(before, (incarnation, revision, pushed));
                });
            }
        }
    }
    change
}
