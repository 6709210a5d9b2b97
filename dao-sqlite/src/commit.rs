//! Committing a session.
//!
//! An attempt is one pass in which each write checks its own expectation. What that pass cannot decide (clears,
//! keys staged twice, the full list of conflicts) is decided by a second attempt that looks first and writes then.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, HashSet};
use std::hash::BuildHasher;
use std::sync::Arc;

use fastsync_core::source::{
    Action, Commit, CommitOutcome, Conflict, ConflictReason, Expect, ExpectState, OnMismatch, Receipt,
    StateConflict, Write,
};

use crate::apply::{Writer, record_now, refusal};
use crate::codec::{capped, unsigned};
use crate::connection::Store;
use crate::error::Run;
use crate::finish::finish;
use crate::foreign::violators;
use crate::plan::{At, Plan};
use crate::read::{read_positions, state};
use crate::registry::Type;
use crate::staging::unstage;

/// A write that a constraint refuses, with the database's text.
pub(crate) type Refused = (At, Write, String);

enum Step {
    Done(CommitOutcome),
    /// An expectation failed: look at all of them.
    LookFirst,
    Refused(Vec<Refused>),
}

pub(crate) fn commit(store: &Store, mut commit: Commit) -> Run<CommitOutcome> {
    let mut plan = match Plan::new(store, &mut commit) {
        Ok(plan) => plan,
        // Whatever it brings, a session that is there is there.
        Err(fail) => return receipt_of(store, &commit)?.map(CommitOutcome::Duplicate).ok_or(fail),
    };
    let mut left_out = BTreeMap::new();
    let mut look_first = !commit.clears.is_empty();
    loop {
        store.begin("BEGIN IMMEDIATE")?;
        // For this transaction only. SQLite sets it while it compiles, so it cannot be prepared once.
        store.connection.execute_batch("PRAGMA defer_foreign_keys = ON")?;
        let step = Attempt::new(store, &commit, &left_out, look_first).run(&mut plan);
        if let Ok(Step::Done(outcome @ CommitOutcome::Applied(_))) = step {
            return Ok(outcome);
        }
        store.roll_back();
        match step? {
            Step::Done(outcome) => return Ok(outcome),
            Step::LookFirst => look_first = true,
            Step::Refused(refused) => {
                if refused.iter().any(|(_, write, _)| write.on_mismatch == OnMismatch::Abort) {
                    return refuse(store, refused);
                }
                // Each round leaves out at least one write more.
                left_out.extend(refused.into_iter().map(|(at, _, text)| (at, text)));
            }
        }
    }
}

fn refuse(store: &Store, refused: Vec<Refused>) -> Run<CommitOutcome> {
    let abort = refused.into_iter().filter(|(_, write, _)| write.on_mismatch == OnMismatch::Abort);
    let writes = store.read(|store| {
        abort
            .take(Conflict::MAX_PER_OUTCOME)
            .map(|(_, write, text)| {
                let kind = store.kind(&write.action.key().type_name)?;
                let current = record_now(store, &kind, write.action.key())?;
                Ok(Conflict { write, current, reason: ConflictReason::Constraint(text) })
            })
            .collect::<Run<Vec<_>>>()
    })?;
    Ok(CommitOutcome::Conflicts { writes, state: Vec::new() })
}

fn receipt_of(store: &Store, commit: &Commit) -> Run<Option<Receipt>> {
    let sql = "SELECT positions, change FROM fastsync_sessions WHERE id = ?1";
    let mut statement = store.connection.prepare_cached(sql)?;
    let mut rows = statement.query([commit.session.as_uuid().as_bytes()])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let positions = read_positions(store, row, 0)?;
    Ok(Some(Receipt { positions, change: unsigned(row.get(1)?), skipped: Vec::new() }))
}

/// One transaction.
struct Attempt<'a> {
    store: &'a Store,
    commit: &'a Commit,
    left_out: &'a BTreeMap<At, String>,
    look_first: bool,
    skipped: Vec<Conflict>,
    /// Writes whose expectation failed when looked at first.
    failed: HashSet<At>,
    /// The keys written so far of a staged commit, by their hash, until it is known that none is staged twice.
    seen: HashSet<u64>,
    hasher: RandomState,
    refused: Vec<Refused>,
}

impl<'a> Attempt<'a> {
    fn new(
        store: &'a Store,
        commit: &'a Commit,
        left_out: &'a BTreeMap<At, String>,
        look_first: bool,
    ) -> Self {
        Self {
            store,
            commit,
            left_out,
            look_first,
            skipped: Vec::new(),
            failed: HashSet::new(),
            seen: HashSet::new(),
            hasher: RandomState::new(),
            refused: Vec::new(),
        }
    }

    fn run(mut self, plan: &mut Plan) -> Run<Step> {
        let store = self.store;
        if let Some(receipt) = receipt_of(store, self.commit)? {
            return Ok(Step::Done(CommitOutcome::Duplicate(receipt)));
        }
        plan.read_batches(store)?;
        let sql = "SELECT ifnull(max(n), 0) + 1 FROM fastsync_sessions";
        let session: i64 = store.connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
        let mut writer = Writer::new(store, session, self.commit.positioned);

        let state = self.check_state()?;
        self.look_first |= !state.is_empty();
        if self.look_first {
            let writes = self.look(plan, &mut writer)?;
            if !writes.is_empty() || !state.is_empty() {
                return Ok(Step::Done(CommitOutcome::Conflicts { writes, state }));
            }
        }
        self.clear()?;
        if !self.write_all(plan, &mut writer)? && self.is_open() {
            return Ok(Step::LookFirst);
        }
        writer.flush()?;
        self.retry(&mut writer)?;
        if !self.refused.is_empty() {
            return Ok(Step::Refused(self.refused));
        }
        let receipt = finish(store, self.commit, session, &writer)?;
        if plan.is_staged {
            unstage(store, Some(self.commit.session))?;
        }
        drop(writer);
        match store.end() {
            Ok(()) => Ok(Step::Done(CommitOutcome::Applied(Receipt { skipped: self.skipped, ..receipt }))),
            Err(fail) => match fail.constraint() {
                Some(text) => violators(store, plan, &text, self.left_out)?.map(Step::Refused).ok_or(fail),
                None => Err(fail),
            },
        }
    }

    fn check_state(&self) -> Run<Vec<StateConflict>> {
        let mut conflicts = Vec::new();
        for write in &self.commit.state {
            let expected = match &write.expect {
                ExpectState::Anything => continue,
                ExpectState::Absent => None,
                ExpectState::Value(value) => Some(value),
            };
            let current = state(self.store, &write.key)?;
            if current.as_ref() != expected && conflicts.len() < Conflict::MAX_PER_OUTCOME {
                conflicts.push(StateConflict { key: write.key.clone(), current });
            }
        }
        Ok(conflicts)
    }

    /// Checks every expectation against the state before this commit; gives those that stop it.
    fn look(&mut self, plan: &mut Plan, writer: &mut Writer<'_>) -> Run<Vec<Conflict>> {
        let store = self.store;
        plan.find_last_writes(store)?;
        let mut conflicts = Vec::new();
        plan.each(store, None, &mut |at, kind, write| {
            let key = write.action.key();
            let unconditional = write.expect == Expect::Anything || self.left_out.contains_key(&at);
            if unconditional || write.expect.holds(writer.current(kind, key)?) {
                return Ok(true);
            }
            let conflict = conflict(store, kind, write, ConflictReason::Mismatch)?;
            match write.on_mismatch {
                OnMismatch::Abort => conflicts.push(conflict),
                OnMismatch::Skip => {
                    self.failed.insert(at);
                    self.skipped.push(conflict);
                }
            }
            Ok(conflicts.len() < Conflict::MAX_PER_OUTCOME)
        })?;
        Ok(conflicts)
    }

    fn clear(&self) -> Run<()> {
        for clear in &self.commit.clears {
            let kind = self.store.kind(&clear.type_name)?;
            let Some(zone) = self.store.zone(&clear.zone)?.filter(|_| kind.schema.fits(&clear.zone)) else {
                continue;
            };
            let through = capped(clear.through_change);
            let mut rows = self.store.connection.prepare_cached(&kind.clear())?;
            rows.raw_bind_parameter(1, zone)?;
            rows.raw_bind_parameter(2, kind.n)?;
            rows.raw_bind_parameter(3, through)?;
            if let Some(key) = clear.zone.key() {
                rows.raw_bind_parameter(4, key)?;
            }
            rows.raw_execute()?;
            let sql = "DELETE FROM fastsync_records WHERE zone = ?1 AND type = ?2 AND change <= ?3";
            self.store.connection.prepare_cached(sql)?.execute((zone, kind.n, through))?;
        }
        Ok(())
    }

    /// Applies every write; `false` if one stops the commit.
    fn write_all(&mut self, plan: &mut Plan, writer: &mut Writer<'_>) -> Run<bool> {
        let store = self.store;
        let watch_keys = plan.is_staged && !self.look_first;
        let mut goes_on = true;
        for phase in plan.phases(store)? {
            plan.each(store, Some(phase), &mut |at, kind, write| {
                goes_on = self.write(at, kind, write, watch_keys, writer)?;
                Ok(goes_on)
            })?;
            if !goes_on {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn write(
        &mut self,
        at: At,
        kind: &Arc<Type>,
        write: &Write,
        watch_keys: bool,
        writer: &mut Writer<'_>,
    ) -> Run<bool> {
        if self.failed.contains(&at) {
            return Ok(true);
        }
        if let Some(text) = self.left_out.get(&at) {
            let reason = ConflictReason::Constraint(text.clone());
            self.skipped.push(conflict(self.store, kind, write, reason)?);
            return Ok(true);
        }
        if watch_keys && !self.seen.insert(self.hasher.hash_one(write.action.key())) {
            return Ok(false);
        }
        let expect = if self.look_first { Expect::Anything } else { write.expect };
        let record = match &write.action {
            Action::Put { record, pending } => {
                if writer.put_index(kind, record, *pending, expect)? {
                    record
                } else {
                    return self.mismatch(kind, write);
                }
            }
            Action::Acknowledge { key, change, revision, incarnation } => {
                if expect != Expect::Anything && !expect.holds(writer.current(kind, key)?) {
                    return self.mismatch(kind, write);
                }
                writer.acknowledge(kind, key, *change, *revision, *incarnation)?;
                return Ok(true);
            }
        };
        match refusal(writer.put_row(kind, record))? {
            Some(text) => Ok(self.refuse(at, write, text)),
            None => Ok(true),
        }
    }

    /// Notes a write that is left out; `false` if it stops the commit.
    fn mismatch(&mut self, kind: &Type, write: &Write) -> Run<bool> {
        if write.on_mismatch == OnMismatch::Abort {
            return Ok(false);
        }
        self.skipped.push(conflict(self.store, kind, write, ConflictReason::Mismatch)?);
        Ok(true)
    }

    /// Notes a write that a constraint refuses; `false` if the transaction is gone with it.
    fn refuse(&mut self, at: At, write: &Write, text: String) -> bool {
        if !self.is_open() {
            // A trigger of the user's rolled everything back. What came before is undone, so only this can be named.
            self.refused.clear();
        }
        self.refused.push((at, write.clone(), text));
        self.is_open()
    }

    /// Whether the transaction is; nothing may be written without it.
    fn is_open(&self) -> bool {
        !self.store.connection.is_autocommit()
    }

    /// A unique value may have been in the way that a later write gave free.
    fn retry(&mut self, writer: &mut Writer<'_>) -> Run<()> {
        loop {
            let before = self.refused.len();
            if before == 0 || !self.is_open() {
                return Ok(());
            }
            for (at, write, text) in std::mem::take(&mut self.refused) {
                let kind = self.store.kind(&write.action.key().type_name)?;
                let Action::Put { record, .. } = &write.action else { continue };
                if refusal(writer.put_row(&kind, record))?.is_some() && !self.refuse(at, &write, text) {
                    return Ok(());
                }
            }
            if self.refused.len() == before {
                return Ok(());
            }
        }
    }
}

fn conflict(store: &Store, kind: &Type, write: &Write, reason: ConflictReason) -> Run<Conflict> {
    let current = record_now(store, kind, write.action.key())?;
    Ok(Conflict { write: write.clone(), current, reason })
}
