//! What every commit has, whether its writes are given or staged.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use fastsync_core::source::{
    Action, Commit, CommitOutcome, Conflict, ConflictReason, ExpectState, OnMismatch, Receipt, StateConflict,
    StateWrite, Write,
};
use fastsync_core::{Error, ErrorKind, Position, SessionSummary, TypeName, Zone};

use crate::kv::draft::Draft;
use crate::kv::engine::View;
use crate::kv::fail::{Fail, Run};
use crate::kv::key;
use crate::kv::read::{session_row, state, zone_row};
use crate::kv::record::Place;
use crate::kv::registry::{Kind, Registry};
use crate::kv::rows::{self, Head, PositionRow, SessionRow};

/// The first receipt, if the session was committed before.
pub(crate) fn duplicate(rows: &impl View, commit: &Commit) -> Run<Option<CommitOutcome>> {
    Ok(session_row(rows, commit.session)?.map(|row| {
        let positions = row.summary.positions;
        CommitOutcome::Duplicate(Receipt { positions, change: row.change, skipped: Vec::new() })
    }))
}

/// Refuses what can be refused without looking at what is stored: types, state keys, and a key that is written twice.
pub(crate) fn check_form(registry: &Registry, commit: &Commit, given: &[Write]) -> Run<()> {
    let mut keys = HashSet::with_capacity(given.len());
    if let Some(twice) = given.iter().find(|write| !keys.insert(write.action.key())) {
        let error = Error::new(ErrorKind::InvalidInput, "commit", "a key is written twice");
        return Err(Fail::Core(error.with_record(twice.action.key())));
    }
    for clear in &commit.clears {
        registry.get(&clear.type_name)?;
    }
    Ok(StateWrite::check_keys(&commit.state)?)
}

/// What a look at every write and state entry finds.
#[derive(Default)]
pub(crate) struct Checked {
    conflicts: Vec<Conflict>,
    pub(crate) skipped: Vec<Conflict>,
    state: Vec<StateConflict>,
    /// The zones that a record is put into.
    pub(crate) zones: BTreeSet<Zone>,
    pub(crate) has_edits: bool,
    /// How many records of each type are put.
    pub(crate) counts: BTreeMap<TypeName, u64>,
}

impl Checked {
    /// Notes a write; `false` if it is left out. `before` is the record's row.
    pub(crate) fn write(&mut self, kind: &Kind, write: &Write, before: Option<&[u8]>) -> Run<bool> {
        let current = before.map(rows::head).transpose()?;
        let current = current.map(|(head, _)| (head.revision(), head.change));
        if write.expect.holds(current) {
            if let Action::Put { record, pending } = &write.action {
                if !self.zones.contains(&record.key.zone) {
                    self.zones.insert(record.key.zone.clone());
                }
                self.has_edits |= pending;
                match self.counts.get_mut(&record.key.type_name) {
                    Some(count) => *count = count.saturating_add(1),
                    None => drop(self.counts.insert(record.key.type_name.clone(), 1)),
                }
            }
            return Ok(true);
        }
        if write.on_mismatch == OnMismatch::Abort && self.conflicts.len() >= Conflict::MAX_PER_OUTCOME {
            return Ok(false);
        }
        let name = write.action.key();
        let current = before.map(|value| rows::record(kind, &name.zone, name.id.clone(), value));
        let conflict = Conflict {
            write: write.clone(),
            current: current.transpose()?,
            reason: ConflictReason::Mismatch,
        };
        match write.on_mismatch {
            OnMismatch::Abort => self.conflicts.push(conflict),
            OnMismatch::Skip => self.skipped.push(conflict),
        }
        Ok(false)
    }

    pub(crate) fn state(&mut self, rows: &impl View, commit: &Commit) -> Run<()> {
        for write in &commit.state {
            let expected = match &write.expect {
                ExpectState::Anything => continue,
                ExpectState::Absent => None,
                ExpectState::Value(value) => Some(value),
            };
            let current = state(rows, &write.key)?;
            if current.as_ref() != expected && self.state.len() < Conflict::MAX_PER_OUTCOME {
                self.state.push(StateConflict { key: write.key.clone(), current });
            }
        }
        Ok(())
    }

    /// What stops the commit, if anything does.
    pub(crate) fn stops(&mut self) -> Option<CommitOutcome> {
        let stops = !self.conflicts.is_empty() || !self.state.is_empty();
        stops.then(|| CommitOutcome::Conflicts {
            writes: std::mem::take(&mut self.conflicts),
            state: std::mem::take(&mut self.state),
        })
    }
}

/// Where and under which number a commit's records are written.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Stamp {
    pub(crate) positions: BTreeMap<Zone, Position>,
    pub(crate) number: u64,
}

/// Drafts all of a commit but its records: positions, state entries, the session itself.
pub(crate) fn draft(
    draft: &mut Draft<'_, impl View>,
    commit: Commit,
    checked: Checked,
) -> Run<(Stamp, Receipt)> {
    let mut stamp = Stamp { positions: BTreeMap::new(), number: draft.number() };
    if commit.positioned {
        for zone in &checked.zones {
            stamp.positions.insert(zone.clone(), assign(draft, &commit, zone)?);
        }
    }
    for write in commit.state {
        match write.value {
            Some(value) => draft.put(key::state(&write.key), value),
            None => draft.remove(key::state(&write.key)),
        }
    }
    let summary = SessionSummary {
        id: commit.session,
        kind: commit.kind,
        author: commit.author,
        committed_at: commit.at,
        positions: stamp.positions.clone().into_iter().collect(),
        counts: checked.counts.into_iter().collect(),
    };
    let change = if checked.has_edits { stamp.number } else { 0 };
    let receipt = Receipt { positions: summary.positions.clone(), change, skipped: checked.skipped };
    draft.put(key::session(commit.session), rows::encode(&SessionRow { summary, change })?);
    Ok((stamp, receipt))
}

/// Gives the session the next position of a zone. The writer thread is the only one that does, and readers see it
/// with everything that it stands for.
fn assign(draft: &mut Draft<'_, impl View>, commit: &Commit, zone: &Zone) -> Run<Position> {
    let mut row = zone_row(draft, zone)?;
    row.position = row.position.next();
    row.tag = commit.tag;
    draft.put(key::zone(zone), rows::encode(&row)?);
    let session = PositionRow {
        session: commit.session,
        tag: commit.tag,
        device: commit.author.device,
        number: commit.author.number,
    };
    draft.put(key::positioned(zone, row.position), rows::encode(&session)?);
    Ok(row.position)
}

/// Drafts one record. Done again with what it led to, it leads to the same.
pub(crate) fn draft_record(
    draft: &mut Draft<'_, impl View>,
    kind: &Kind,
    action: Action,
    before: Option<&[u8]>,
    stamp: &Stamp,
) -> Run<()> {
    let before = before.map(rows::head).transpose()?;
    match action {
        Action::Put { record, pending } => {
            let mut metadata = record.metadata;
            metadata.change = match (pending, metadata.change) {
                (false, _) => 0,
                (true, 0) => stamp.number,
                (true, kept) => kept,
            };
            let assigned = stamp.positions.get(&record.key.zone).map(|position| position.0);
            let kept = before.as_ref().map_or(0, |(head, _)| head.position);
            let head = Head::new(&metadata, assigned.unwrap_or(kept), record.body.is_none());
            let columns = record.body.map(|body| kind.columns.write(body));
            let value = rows::encode_record(&head, columns.as_deref())?;
            let place = Place { kind, zone: &record.key.zone, id: &record.key.id };
            place.put(draft, before.as_ref().map(|(head, _)| head), &head, value);
        }
        Action::Acknowledge { key, change, revision, incarnation } => {
            let Some((old, body)) = before else { return Ok(()) };
            let mut head = old;
            if head.incarnation() == incarnation {
                head.set_revision(revision);
            }
            if head.change == change {
                head.change = 0;
            }
            let value = rows::with_head(&head, body)?;
            Place { kind, zone: &key.zone, id: &key.id }.put(draft, Some(&old), &head, value);
        }
    }
    Ok(())
}
