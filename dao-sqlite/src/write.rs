//! The writes of one attempt to commit: many rows at a time where that is enough, one by one where it is not.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use fastsync_core::source::{Action, ConflictReason, Expect, OnMismatch, Write};
use fastsync_core::{Record, RecordKey};

use crate::apply::{Writer, refusal};
use crate::commit::{Attempt, conflict};
use crate::error::Run;
use crate::plan::{At, Placed, Plan, Watch};
use crate::put::Put;
use crate::registry::Type;

/// The last key written of a staged commit, or all of them by their hash, until it is known that none is staged twice.
#[derive(Default)]
pub(crate) struct Seen {
    last: Option<RecordKey>,
    all: HashSet<u64>,
    hasher: RandomState,
}

impl Seen {
    /// Whether one of these keys was written before, as far as it is watched.
    fn is_twice(&mut self, placed: &[Placed<'_>], watch: Watch) -> bool {
        let mut keys = placed.iter().map(|(_, write)| write.action.key());
        match watch {
            Watch::Nothing => false,
            Watch::Neighbours => {
                let meets_last = keys.next() == self.last.as_ref();
                self.last = placed.last().map(|(_, write)| write.action.key().clone());
                meets_last || !placed.is_sorted_by(|(_, a), (_, b)| a.action.key() != b.action.key())
            }
            Watch::All => keys.any(|key| !self.all.insert(self.hasher.hash_one(key))),
        }
    }
}

impl Attempt<'_> {
    /// Applies every write; `false` if one stops the commit.
    pub(crate) fn write_all(&mut self, plan: &Plan, writer: &mut Writer<'_>) -> Run<bool> {
        let store = self.store;
        let phases = plan.phases(store)?;
        let watch = plan.watch(&phases);
        let mut goes_on = true;
        for phase in phases {
            plan.each(store, Some(phase), &mut |kind, placed| {
                goes_on = !self.seen.is_twice(placed, watch) && self.write_some(kind, placed, writer)?;
                Ok(goes_on)
            })?;
            if !goes_on {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn write_some(&mut self, kind: &Arc<Type>, placed: &[Placed<'_>], writer: &mut Writer<'_>) -> Run<bool> {
        let one_by_one = self.one_by_one || !self.failed.is_empty() || !self.left_out.is_empty();
        let look_first = self.look_first;
        let put = |(_, write): &Placed<'_>| if one_by_one { None } else { put_of(write, look_first) };
        for run in placed.chunk_by(|a, b| put(a).is_some() && put(a) == put(b)) {
            match run.first().and_then(put) {
                Some(put) if run.len() > 1 => {
                    if !self.write_many(kind, put, run, writer)? {
                        return Ok(false);
                    }
                }
                _ => {
                    for &(at, write) in run {
                        if !self.write_one(at, kind, write, writer)? {
                            return Ok(false);
                        }
                    }
                }
            }
        }
        Ok(true)
    }

    fn write_many(
        &mut self,
        kind: &Arc<Type>,
        put: Put,
        run: &[Placed<'_>],
        writer: &mut Writer<'_>,
    ) -> Run<bool> {
        let records: Vec<(&Record, bool)> = run
            .iter()
            .filter_map(|(_, write)| match &write.action {
                Action::Put { record, pending } => Some((record, *pending)),
                Action::Acknowledge { .. } => None,
            })
            .collect();
        if !writer.put_index(kind, put, &records)? {
            // One that stops the commit is found by looking at all; which are skipped, one by one.
            self.is_unclear = run.iter().all(|(_, write)| write.on_mismatch == OnMismatch::Skip);
            return Ok(false);
        }
        let refused = refusal(writer.put_rows(kind, records.iter().map(|(record, _)| *record)))?;
        self.is_unclear = refused.is_some();
        Ok(!self.is_unclear)
    }

    fn write_one(&mut self, at: At, kind: &Arc<Type>, write: &Write, writer: &mut Writer<'_>) -> Run<bool> {
        if self.failed.contains(&at) {
            return Ok(true);
        }
        if let Some(text) = self.left_out.get(&at) {
            let reason = ConflictReason::Constraint(text.clone());
            self.skipped.push(conflict(self.store, kind, write, reason)?);
            return Ok(true);
        }
        let expect = expected(write, self.look_first);
        let record = match &write.action {
            Action::Put { record, pending } => {
                let is_written = match Put::of(expect) {
                    Some(put) => writer.put_index(kind, put, &[(record, *pending)])?,
                    None => writer.update_index(kind, record, *pending, expect)?,
                };
                if !is_written {
                    return self.mismatch(kind, write);
                }
                record
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
    pub(crate) fn is_open(&self) -> bool {
        !self.store.connection.is_autocommit()
    }

    /// A unique value may have been in the way that a later write gave free, or that rows exchange.
    pub(crate) fn retry(&mut self, writer: &mut Writer<'_>) -> Run<()> {
        let mut is_vacated = false;
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
            // At once: rows that wait for each other in a long row would take as many rounds.
            if !is_vacated {
                is_vacated = true;
                self.vacate()?;
            } else if self.refused.len() == before {
                return Ok(());
            }
        }
    }
}

/// What is still to be checked of a write.
fn expected(write: &Write, look_first: bool) -> Expect {
    if look_first { Expect::Anything } else { write.expect }
}

/// How the index row of a write is put; `None` if it is no put of a live record, or takes an update.
fn put_of(write: &Write, look_first: bool) -> Option<Put> {
    match &write.action {
        Action::Put { record, .. } if !record.is_deleted() => Put::of(expected(write, look_first)),
        Action::Put { .. } | Action::Acknowledge { .. } => None,
    }
}
