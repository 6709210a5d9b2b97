//! What every commit has, whether its writes are given or staged.

use std::collections::BTreeMap;

use fastsync_core::source::rules::{Tally, Verdict, acknowledged, change_of_put};
use fastsync_core::source::{
    Action, Commit, CommitOutcome, Conflict, ConflictReason, ExpectState, Receipt, StateWrite, Write,
};
use fastsync_core::{Position, SessionSummary, TypeName, Zone};

use crate::kv::draft::Draft;
use crate::kv::engine::View;
use crate::kv::fail::Run;
use crate::kv::key;
use crate::kv::read::{session_row, state_entry, zone_row};
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
    Write::keys(given)?;
    for clear in &commit.clears {
        registry.get(&clear.type_name)?;
    }
    Ok(StateWrite::check_keys(&commit.state)?)
}

/// What a look at every write and state entry finds.
#[derive(Default)]
pub(crate) struct Checked {
    verdict: Verdict,
    tally: Tally<Zone, TypeName>,
}

impl Checked {
    /// Notes a write; `false` if it is left out. `before` is the record's row.
    pub(crate) fn write(&mut self, kind: &Kind, write: &Write, before: Option<&[u8]>) -> Run<bool> {
        let current = before.map(rows::head).transpose()?;
        let current = current.map(|(head, _)| (head.revision(), head.change));
        if write.expect.holds(current) {
            if let Action::Put { record, pending } = &write.action {
                self.tally.put(&record.key.zone, &record.key.type_name, *pending);
            }
            return Ok(true);
        }
        let name = write.action.key();
        let current = || {
            let current = before.map(|value| rows::record(kind, &name.zone, name.id.clone(), value));
            current.transpose()
        };
        self.verdict.refuse(write, ConflictReason::Mismatch, current)?;
        Ok(false)
    }

    /// Compares the state entries; gives what the commit has written, and which writes are left out, or the outcome if
    /// anything stops it.
    pub(crate) fn end(mut self, rows: &impl View, commit: &Commit) -> Run<Result<Passed, CommitOutcome>> {
        for write in &commit.state {
            if write.expect != ExpectState::Anything {
                self.verdict.state(write, state_entry(rows, &write.key)?.as_deref());
            }
        }
        let tally = self.tally;
        Ok(self.verdict.skipped().map(|skipped| Passed { tally, skipped }))
    }
}

/// A commit that nothing stops.
pub(crate) struct Passed {
    tally: Tally<Zone, TypeName>,
    skipped: Vec<Conflict>,
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
    passed: Passed,
) -> Run<(Stamp, Receipt)> {
    let mut stamp = Stamp { positions: BTreeMap::new(), number: draft.number() };
    if commit.positioned {
        for zone in passed.tally.zones() {
            let position = assign(draft, &commit, &zone)?;
            stamp.positions.insert(zone, position);
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
        counts: passed.tally.by_type(),
    };
    let change = if passed.tally.has_edits() { stamp.number } else { 0 };
    let receipt = Receipt { positions: summary.positions.clone(), change, skipped: passed.skipped };
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
            metadata.change = change_of_put(pending, metadata.change, stamp.number);
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
            let before = (head.incarnation(), head.revision(), head.change);
            let (revision, change) = acknowledged(before, (incarnation, revision, change));
            head.set_revision(revision);
            head.change = change;
            let value = rows::with_head(&head, body)?;
            Place { kind, zone: &key.zone, id: &key.id }.put(draft, Some(&old), &head, value);
        }
    }
    Ok(())
}
