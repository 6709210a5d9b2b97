//! Committing a session.
//!
//! An attempt is one pass in which each write checks its own expectation. What that pass cannot decide (clears,
//! keys staged twice, the full list of conflicts) is decided by a second attempt that looks first and writes then;
//! which of many rows a constraint refuses, by one that writes them one by one.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, HashSet};

use fastsync_core::source::rules::Verdict;
use fastsync_core::source::{
    Commit, CommitOutcome, Conflict, ConflictReason, Expect, ExpectState, OnMismatch, Receipt, Write,
};
use fastsync_core::{RecordKey, SessionId};

use crate::apply::{Writer, record_now};
use crate::codec::{capped, unsigned};
use crate::connection::Store;
use crate::error::Run;
use crate::finish::finish;
use crate::foreign::violators;
use crate::plan::{At, Plan};
use crate::read::{read_positions, state_entry};
use crate::registry::Type;
use crate::staging::unstage;

/// A write that a constraint refuses, with the database's text.
pub(crate) type Refused = (At, Write, String);

enum Step {
    Done(CommitOutcome),
    /// An expectation failed: look at all of them.
    LookFirst,
    /// Some of many rows that were written at once cannot be: write them one by one to see which.
    OneByOne,
    Refused(Vec<Refused>),
}

pub(crate) fn commit(store: &Store, commit: Commit) -> Run<CommitOutcome> {
    commit_in(store, commit, false)
}

/// The same in a transaction that was begun to write.
pub(crate) fn commit_begun(store: &Store, commit: Commit) -> Run<CommitOutcome> {
    commit_in(store, commit, true)
}

fn commit_in(store: &Store, mut commit: Commit, mut is_begun: bool) -> Run<CommitOutcome> {
    let mut plan = match Plan::new(store, &mut commit) {
        Ok(plan) => plan,
        // Whatever it brings, a session that is there is there.
        Err(fail) => return receipt_of(store, commit.session)?.map(CommitOutcome::Duplicate).ok_or(fail),
    };
    let mut left_out = BTreeMap::new();
    let mut look_first = !commit.clears.is_empty();
    let mut one_by_one = false;
    loop {
        if !std::mem::take(&mut is_begun) {
            store.begin("BEGIN IMMEDIATE")?;
        }
        // For this transaction only. SQLite sets it while it compiles, so it cannot be prepared once.
        store.connection.execute_batch("PRAGMA defer_foreign_keys = ON")?;
        let attempt = Attempt::new(store, &commit, &left_out, look_first, one_by_one);
        let step = attempt.run(&mut plan);
        if let Ok(Step::Done(outcome @ CommitOutcome::Applied(_))) = step {
            return Ok(outcome);
        }
        store.roll_back();
        match step? {
            Step::Done(outcome) => return Ok(outcome),
            Step::LookFirst => look_first = true,
            Step::OneByOne => one_by_one = true,
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

/// The receipt of a session that was committed before.
pub(crate) fn receipt_of(store: &Store, session: SessionId) -> Run<Option<Receipt>> {
    let sql = "SELECT positions, change FROM fastsync_sessions WHERE id = ?1";
    let found = store.all(sql, [session.as_uuid().as_bytes()], |row| {
        let positions = read_positions(store, row, 0)?;
        Ok(Receipt { positions, change: unsigned(row.get(1)?), skipped: Vec::new() })
    });
    Ok(found?.pop())
}

/// One transaction.
pub(crate) struct Attempt<'a> {
    pub(crate) store: &'a Store,
    commit: &'a Commit,
    pub(crate) left_out: &'a BTreeMap<At, String>,
    pub(crate) look_first: bool,
    pub(crate) one_by_one: bool,
    /// Whether this attempt ends because `one_by_one` is needed.
    pub(crate) is_unclear: bool,
    pub(crate) skipped: Vec<Conflict>,
    /// Writes whose expectation failed when looked at first.
    pub(crate) failed: HashSet<At>,
    /// The last key written of a staged commit, or all of them by their hash, until it is known that none is staged
    /// twice.
    pub(crate) last_key: Option<RecordKey>,
    pub(crate) seen: HashSet<u64>,
    pub(crate) hasher: RandomState,
    pub(crate) refused: Vec<Refused>,
}

impl<'a> Attempt<'a> {
    fn new(
        store: &'a Store,
        commit: &'a Commit,
        left_out: &'a BTreeMap<At, String>,
        look_first: bool,
        one_by_one: bool,
    ) -> Self {
        Self {
            store,
            commit,
            left_out,
            look_first,
            one_by_one,
            is_unclear: false,
            skipped: Vec::new(),
            failed: HashSet::new(),
            last_key: None,
            seen: HashSet::new(),
            hasher: RandomState::new(),
            refused: Vec::new(),
        }
    }

    fn run(mut self, plan: &mut Plan) -> Run<Step> {
        let store = self.store;
        if let Some(receipt) = receipt_of(store, self.commit.session)? {
            return Ok(Step::Done(CommitOutcome::Duplicate(receipt)));
        }
        plan.read_batches(store)?;
        let sql = "SELECT ifnull(max(n), 0) + 1 FROM fastsync_sessions";
        let session: i64 = store.one(sql, [], |row| row.get(0))?.unwrap_or(1);
        let mut writer = Writer::new(store, session, self.commit.positioned);

        let mut verdict = Verdict::default();
        self.check_state(&mut verdict)?;
        self.look_first |= verdict.stops();
        if self.look_first {
            self.look(plan, &mut writer, &mut verdict)?;
        }
        match verdict.skipped() {
            Ok(skipped) => self.skipped = skipped,
            Err(outcome) => return Ok(Step::Done(outcome)),
        }
        self.clear()?;
        if !self.write_all(plan, &mut writer)? {
            if self.is_unclear {
                return Ok(Step::OneByOne);
            }
            if self.is_open() {
                return Ok(Step::LookFirst);
            }
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

    fn check_state(&self, verdict: &mut Verdict) -> Run<()> {
        for write in &self.commit.state {
            if write.expect != ExpectState::Anything {
                verdict.state(write, state_entry(self.store, &write.key)?.as_deref());
            }
        }
        Ok(())
    }

    /// Checks every expectation against the state before this commit.
    fn look(&mut self, plan: &mut Plan, writer: &mut Writer<'_>, verdict: &mut Verdict) -> Run<()> {
        let store = self.store;
        plan.find_last_writes(store)?;
        plan.each(store, None, &mut |kind, placed| {
            for &(at, write) in placed {
                let key = write.action.key();
                let unconditional = write.expect == Expect::Anything || self.left_out.contains_key(&at);
                if unconditional || write.expect.holds(writer.current(kind, key)?) {
                    continue;
                }
                if write.on_mismatch == OnMismatch::Skip {
                    self.failed.insert(at);
                }
                verdict.refuse(write, ConflictReason::Mismatch, || record_now(store, kind, key))?;
                if verdict.is_full() {
                    return Ok(false);
                }
            }
            Ok(true)
        })
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
            self.store.run(sql, (zone, kind.n, through))?;
        }
        Ok(())
    }
}

pub(crate) fn conflict(store: &Store, kind: &Type, write: &Write, reason: ConflictReason) -> Run<Conflict> {
    let current = record_now(store, kind, write.action.key())?;
    Ok(Conflict { write: write.clone(), current, reason })
}
