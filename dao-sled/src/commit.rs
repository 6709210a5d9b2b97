//! Committing a session: first everything that can fail is checked, then everything is drafted.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use fastsync_core::source::{
    Action, Commit, CommitOutcome, Conflict, ConflictReason, ExpectState, MAX_STATE_KEY_BYTES, OnMismatch,
    Receipt, StateConflict, StateWrite, Write, Writes,
};
use fastsync_core::{Position, SessionId, SessionSummary, TypeName, Zone};
use sled::IVec;

use crate::error::{Fail, Run};
use crate::key;
use crate::read::{session_row, zone_row};
use crate::record::{Place, clear};
use crate::registry::{Kind, Registry};
use crate::rows::{self, Head, PositionRow, SessionRow};
use crate::staging::{admit, staged, unstage};
use crate::tree::{Draft, Rows};

/// What is done with one record.
struct Planned {
    kind: Arc<Kind>,
    write: Write,
    /// The record's row before this commit.
    before: Option<IVec>,
}

/// By the records' keys, so that neighbours are written one after the other.
type Plan = BTreeMap<Vec<u8>, Planned>;

pub(crate) fn commit(registry: &Registry, draft: &mut Draft<'_>, mut commit: Commit) -> Run<CommitOutcome> {
    if let Some(row) = session_row(draft, commit.session)? {
        let receipt = Receipt { positions: row.summary.positions, change: row.change, skipped: Vec::new() };
        return Ok(CommitOutcome::Duplicate(receipt));
    }
    let writes = std::mem::replace(&mut commit.writes, Writes::Inline(Vec::new()));
    let is_staged = matches!(writes, Writes::Staged { .. });
    let mut plan = plan(registry, draft, commit.session, writes)?;
    for clear in &commit.clears {
        registry.get(&clear.type_name)?;
    }
    check_state_keys(&commit.state)?;

    let mut skipped = Vec::new();
    let writes = check_expectations(draft, &mut plan, &mut skipped)?;
    let state = check_state(draft, &commit.state)?;
    if !writes.is_empty() || !state.is_empty() {
        return Ok(CommitOutcome::Conflicts { writes, state });
    }

    for cleared in &commit.clears {
        clear(draft, &**registry.get(&cleared.type_name)?, &cleared.zone, cleared.through_change)?;
    }
    if !commit.clears.is_empty() {
        for (key, planned) in &mut plan {
            planned.before = draft.get(key)?;
        }
    }
    let positions =
        if commit.positioned { assign_positions(draft, &commit, &plan)? } else { BTreeMap::new() };
    let (change, counts) = apply(draft, plan, &positions)?;
    for write in commit.state {
        match write.value {
            Some(value) => draft.put(key::state(&write.key), value),
            None => draft.remove(key::state(&write.key)),
        }
    }
    if is_staged {
        unstage(draft, Some(commit.session))?;
    }
    let summary = SessionSummary {
        id: commit.session,
        kind: commit.kind,
        author: commit.author,
        committed_at: commit.at,
        positions: positions.into_iter().collect(),
        counts: counts.into_iter().collect(),
    };
    let receipt = Receipt { positions: summary.positions.clone(), change, skipped };
    draft.put(key::session(commit.session), rows::encode(&SessionRow { summary, change })?);
    Ok(CommitOutcome::Applied(receipt))
}

/// What to do per key. Of several staged writes of a key the last one counts; those given with the commit replace
/// what was staged.
fn plan(registry: &Registry, draft: &Draft<'_>, session: SessionId, writes: Writes) -> Run<Plan> {
    let mut plan = Plan::new();
    let mut add = |mut write: Write| {
        let kind = Arc::clone(registry.get(&write.action.key().type_name)?);
        admit(&kind, &mut write)?;
        let name = write.action.key();
        let key = key::record(&name.zone, kind.n, &name.id);
        plan.insert(key, Planned { kind, write, before: None });
        Run::Ok(())
    };
    let given = match writes {
        Writes::Inline(writes) => writes,
        Writes::Staged { overrides } => {
            for part in staged(draft, session) {
                part?.into_iter().try_for_each(&mut add)?;
            }
            overrides
        }
    };
    let mut keys = HashSet::with_capacity(given.len());
    if let Some(twice) = given.iter().find(|write| !keys.insert(write.action.key())) {
        let error = fastsync_core::Error::new(
            fastsync_core::ErrorKind::InvalidInput,
            "commit",
            "a key is written twice",
        );
        return Err(Fail::Core(error.with_record(twice.action.key())));
    }
    drop(keys);
    given.into_iter().try_for_each(add)?;
    Ok(plan)
}

fn check_state_keys(writes: &[StateWrite]) -> Run<()> {
    let mut keys = HashSet::with_capacity(writes.len());
    for write in writes {
        if !(1..=MAX_STATE_KEY_BYTES).contains(&write.key.len()) {
            return Err(Fail::invalid(format!("a state key has {} bytes", write.key.len())));
        }
        if !keys.insert(&write.key) {
            return Err(Fail::invalid(format!("state key {:?} is written twice", write.key)));
        }
    }
    Ok(())
}

/// Gives the conflicts that stop the commit, and takes the writes that are skipped out of the plan.
fn check_expectations(rows: &dyn Rows, plan: &mut Plan, skipped: &mut Vec<Conflict>) -> Run<Vec<Conflict>> {
    let mut conflicts = Vec::new();
    let mut left_out = Vec::new();
    for (key, planned) in &mut *plan {
        planned.before = rows.get(key)?;
        let current = planned.before.as_ref().map(|value| rows::head(value)).transpose()?;
        let current = current.map(|(head, _)| (head.revision(), head.change));
        if planned.write.expect.holds(current) {
            continue;
        }
        match planned.write.on_mismatch {
            OnMismatch::Abort if conflicts.len() < Conflict::MAX_PER_OUTCOME => {
                conflicts.push(mismatch(planned)?)
            }
            OnMismatch::Abort => {}
            OnMismatch::Skip => {
                skipped.push(mismatch(planned)?);
                left_out.push(key.clone());
            }
        }
    }
    for key in left_out {
        plan.remove(&key);
    }
    Ok(conflicts)
}

fn mismatch(planned: &Planned) -> Run<Conflict> {
    let name = planned.write.action.key();
    let current = planned.before.as_ref();
    let current = current.map(|value| rows::record(&planned.kind, &name.zone, name.id.clone(), value));
    Ok(Conflict {
        write: planned.write.clone(),
        current: current.transpose()?,
        reason: ConflictReason::Mismatch,
    })
}

fn check_state(rows: &dyn Rows, writes: &[StateWrite]) -> Run<Vec<StateConflict>> {
    let mut conflicts = Vec::new();
    for write in writes {
        let expected = match &write.expect {
            ExpectState::Anything => continue,
            ExpectState::Absent => None,
            ExpectState::Value(value) => Some(value),
        };
        let current = crate::read::state(rows, &write.key)?;
        if current.as_ref() != expected && conflicts.len() < Conflict::MAX_PER_OUTCOME {
            conflicts.push(StateConflict { key: write.key.clone(), current });
        }
    }
    Ok(conflicts)
}

/// Gives the session the next position of each zone that a record is put into. The writer thread is the only one
/// that does, and readers see it with everything that it stands for.
fn assign_positions(draft: &mut Draft<'_>, commit: &Commit, plan: &Plan) -> Run<BTreeMap<Zone, Position>> {
    let puts = plan.values().filter(|planned| matches!(planned.write.action, Action::Put { .. }));
    let zones: BTreeSet<_> = puts.map(|planned| planned.write.action.key().zone.clone()).collect();
    let mut positions = BTreeMap::new();
    for zone in zones {
        let mut row = zone_row(draft, &zone)?;
        row.position = row.position.next();
        row.tag = commit.tag;
        draft.put(key::zone(&zone), rows::encode(&row)?);
        let session = PositionRow {
            session: commit.session,
            tag: commit.tag,
            device: commit.author.device,
            number: commit.author.number,
        };
        draft.put(key::positioned(&zone, row.position), rows::encode(&session)?);
        positions.insert(zone, row.position);
    }
    Ok(positions)
}

/// Drafts the records; gives the number of the local commit and how many records of each type were put.
fn apply(
    draft: &mut Draft<'_>,
    plan: Plan,
    positions: &BTreeMap<Zone, Position>,
) -> Run<(u64, BTreeMap<TypeName, u64>)> {
    let number = draft.number();
    let mut has_edits = false;
    let mut counts = BTreeMap::<_, u64>::new();
    for Planned { kind, write, before } in plan.into_values() {
        let before = before.as_ref().map(|value| rows::head(value)).transpose()?;
        match write.action {
            Action::Put { record, pending } => {
                has_edits |= pending;
                let mut metadata = record.metadata;
                metadata.change = match (pending, metadata.change) {
                    (false, _) => 0,
                    (true, 0) => number,
                    (true, kept) => kept,
                };
                let assigned = positions.get(&record.key.zone).map(|position| position.0);
                let kept = before.as_ref().map_or(0, |(head, _)| head.position);
                let head = Head::new(&metadata, assigned.unwrap_or(kept), record.body.is_none());
                let columns = record.body.map(|body| kind.write(body));
                let value = rows::encode_record(&head, columns.as_deref())?;
                let count = counts.entry(record.key.type_name.clone()).or_default();
                *count = count.saturating_add(1);
                let place = Place { kind: &kind, zone: &record.key.zone, id: &record.key.id };
                place.put(draft, before.as_ref().map(|(head, _)| head), &head, value);
            }
            Action::Acknowledge { key, change, revision, incarnation } => {
                let Some((old, body)) = before else { continue };
                let mut head = old;
                if head.incarnation() == incarnation {
                    head.set_revision(revision);
                }
                if head.change == change {
                    head.change = 0;
                }
                let value = rows::with_head(&head, body)?;
                Place { kind: &kind, zone: &key.zone, id: &key.id }.put(draft, Some(&old), &head, value);
            }
        }
    }
    Ok((if has_edits { number } else { 0 }, counts))
}
