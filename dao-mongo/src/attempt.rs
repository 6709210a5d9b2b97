//! One transaction: every commit in it is checked against the snapshot and what the commits before it write.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};

use fastsync_core::source::{Clear, CommitOutcome, Conflict, Receipt, StateConflict, Write};
use fastsync_core::{RecordKey, TypeName};
use mongodb::bson::{RawDocument, doc};

use crate::bulk::{Bulk, Refusal, Stop, Verb};
use crate::codec::{Entry, capped, object_key};
use crate::command::{RECORDS, STAGED, any_of_each, find, raw, within};
use crate::error::{Fail, Run};
use crate::job::Job;
use crate::ledger::{Given, Ledger, Tally};
use crate::slots::{Failed, Slots, conflicts};
use crate::staging::{Staged, load, of_session, parts};
use crate::tx::Tx;

/// What rules of the user's refused in earlier attempts of the same commit.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    /// The writes that are refused for good, with the database's text.
    refused: HashMap<RecordKey, String>,
    /// The types whose written rows give their unique values free before any gets new ones.
    pub(crate) give_way: BTreeSet<TypeName>,
}

impl Refusals {
    /// Notes a refused write. A first clash may only be with a row of the same commit.
    pub(crate) fn note(&mut self, refusal: Refusal) {
        let Refusal { key, text, is_clash } = refusal;
        if !is_clash || !self.give_way.insert(key.type_name.clone()) {
            self.refused.insert(key, text);
        }
    }
}

/// What the commits of an attempt came to.
#[derive(Debug)]
pub(crate) struct Verdicts {
    pub(crate) outcomes: Vec<CommitOutcome>,
    /// Whether the transaction has written something of a commit that conflicts.
    pub(crate) must_abort: bool,
}

/// One round over the writes of a commit that are read part by part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pass {
    Check,
    GiveWay,
    Write,
}

/// What a commit came to, before the records that are in its way are read.
enum Draft {
    Duplicate(Receipt),
    Conflicts(Vec<Failed>, Vec<StateConflict>),
    Applied(Receipt, Vec<Failed>),
}

pub(crate) struct Attempt<'a, 's> {
    pub(crate) tx: &'a mut Tx<'s>,
    pub(crate) refusals: &'a Refusals,
    pub(crate) ledger: Ledger,
}

impl Attempt<'_, '_> {
    /// Runs the commits in their order. `earlier` is what an attempt came to whose commit may have gone through.
    pub(crate) async fn run(
        mut self,
        jobs: &[Job],
        staged: Option<&Staged>,
        earlier: Option<&[CommitOutcome]>,
    ) -> Result<Verdicts, Stop> {
        // The transaction is all or nothing, so if one of its commits is there, all are.
        if let Some(outcomes) = earlier.filter(|_| jobs.iter().any(|job| self.ledger.is_own(job))) {
            return Ok(Verdicts { outcomes: outcomes.to_vec(), must_abort: false });
        }
        self.ledger.read_state(self.tx, jobs).await?;
        let verdicts = match jobs {
            [job] if job.is_staged || !job.commit.clears.is_empty() => {
                let nothing = Staged::default();
                self.alone(job, staged.unwrap_or(&nothing)).await?
            }
            _ => self.together(jobs).await?,
        };
        if !verdicts.must_abort {
            self.ledger.write(self.tx).await?;
        }
        Ok(verdicts)
    }

    /// Several commits, each of which sees what those before it write.
    async fn together(&mut self, jobs: &[Job]) -> Result<Verdicts, Stop> {
        let keys = jobs.iter().flat_map(|job| job.writes.iter().map(|write| write.action.key())).collect();
        let mut slots = Slots::load(self.tx, keys).await?;
        let mut drafts = Vec::with_capacity(jobs.len());
        for job in jobs {
            drafts.push(self.draft(job, &mut slots)?);
        }
        let mut outcomes = Vec::with_capacity(jobs.len());
        for draft in drafts {
            outcomes.push(match draft {
                Draft::Duplicate(receipt) => CommitOutcome::Duplicate(receipt),
                Draft::Conflicts(failed, state) => {
                    CommitOutcome::Conflicts { writes: self.conflicts(failed).await?, state }
                }
                Draft::Applied(receipt, failed) => {
                    CommitOutcome::Applied(Receipt { skipped: self.conflicts(failed).await?, ..receipt })
                }
            });
        }
        let give_way = &self.refusals.give_way;
        slots.give_way(self.tx, give_way).await?;
        slots.flush(self.tx, give_way).await?;
        Ok(Verdicts { outcomes, must_abort: false })
    }

    fn draft<'w>(&mut self, job: &'w Job, slots: &mut Slots<'w>) -> Run<Draft> {
        if let Some(receipt) = self.ledger.duplicate(job) {
            return Ok(Draft::Duplicate(receipt));
        }
        let state = self.ledger.state_conflicts(job);
        let mut applied = Vec::with_capacity(job.writes.len());
        let mut failed = Vec::new();
        for write in &job.writes {
            match self.check(slots, write) {
                Some(fail) => failed.push(fail),
                None => applied.push(write),
            }
        }
        if !state.is_empty() || failed.iter().any(Failed::stops) {
            let stops = failed.into_iter().filter(Failed::stops);
            return Ok(Draft::Conflicts(stops.take(Conflict::MAX_PER_OUTCOME).collect(), state));
        }
        let mut tally = Tally::default();
        for write in applied {
            let given = self.ledger.give(job, write, &mut tally)?;
            slots.apply(write, given);
        }
        let receipt = self.ledger.note(job, &tally);
        Ok(Draft::Applied(receipt, failed))
    }

    /// A commit with clears, or one whose writes are staged: they are read part by part.
    async fn alone(&mut self, job: &Job, staged: &Staged) -> Result<Verdicts, Stop> {
        if let Some(receipt) = self.ledger.duplicate(job) {
            let outcomes = vec![CommitOutcome::Duplicate(receipt)];
            return Ok(Verdicts { outcomes, must_abort: false });
        }
        if job.is_staged && parts(self.tx, job.commit.session).await? != staged.parts {
            return Err(Stop::Restaged);
        }
        let state = self.ledger.state_conflicts(job);
        let overridden: HashSet<_> = job.writes.iter().map(|write| write.action.key()).collect();
        let give_way = &self.refusals.give_way;
        // Checks see the state before the clears, so with clears they come in a pass of their own. So they do before
        // anything gives way, wherever that is staged.
        let checks_first = !job.commit.clears.is_empty() || !give_way.is_empty();
        let (mut stopping, mut skipped, mut failed_at) = (Vec::new(), Vec::new(), HashSet::new());
        let mut tally = Tally::default();
        for pass in [Pass::Check, Pass::GiveWay, Pass::Write] {
            let is_check = pass == Pass::Check;
            if is_check && !checks_first || pass == Pass::GiveWay && give_way.is_empty() {
                continue;
            }
            if checks_first && pass == Pass::Write && stopping.is_empty() && state.is_empty() {
                for clear in &job.commit.clears {
                    self.clear(clear).await?;
                }
            }
            for chunk in 0..=staged.parts.len() {
                let writes = self.chunk(job, staged, &overridden, chunk).await?;
                let keys = writes.iter().map(|write| write.action.key()).collect();
                let mut slots = Slots::load(self.tx, keys).await?;
                if is_check || !checks_first {
                    let mut failed = Vec::new();
                    for (at, write) in writes.iter().enumerate() {
                        if let Some(fail) = self.check(&slots, write) {
                            failed_at.insert((chunk, at));
                            failed.push(fail);
                        }
                    }
                    let (stop, skip): (Vec<_>, Vec<_>) = failed.into_iter().partition(Failed::stops);
                    let room = Conflict::MAX_PER_OUTCOME.saturating_sub(stopping.len());
                    stopping.extend(self.conflicts(stop.into_iter().take(room).collect()).await?);
                    skipped.extend(self.conflicts(skip).await?);
                }
                if is_check || !stopping.is_empty() || !state.is_empty() {
                    continue;
                }
                for (at, write) in writes.iter().enumerate() {
                    if failed_at.contains(&(chunk, at)) {
                        continue;
                    }
                    let given = match pass {
                        Pass::Write => self.ledger.give(job, write, &mut tally)?,
                        Pass::Check | Pass::GiveWay => Given::default(),
                    };
                    slots.apply(write, given);
                }
                match pass {
                    Pass::Write => slots.flush(self.tx, give_way).await?,
                    Pass::Check | Pass::GiveWay => {
                        slots.give_way(self.tx, give_way).await?;
                    }
                }
            }
        }
        if !stopping.is_empty() || !state.is_empty() {
            let outcomes = vec![CommitOutcome::Conflicts { writes: stopping, state }];
            return Ok(Verdicts { outcomes, must_abort: true });
        }
        if job.is_staged {
            let staged = self.tx.store.collection(STAGED);
            let batches = staged.delete_many(of_session(job.commit.session));
            batches.session(&mut self.tx.session).await.map_err(Fail::from)?;
        }
        let receipt = self.ledger.note(job, &tally);
        let outcomes = vec![CommitOutcome::Applied(Receipt { skipped, ..receipt })];
        Ok(Verdicts { outcomes, must_abort: false })
    }

    /// The writes that count of one staged part, or those given with the commit, which come last.
    async fn chunk<'w>(
        &mut self,
        job: &'w Job,
        staged: &Staged,
        overridden: &HashSet<&RecordKey>,
        chunk: usize,
    ) -> Result<Cow<'w, [Write]>, Stop> {
        let Some(part) = staged.parts.get(chunk).copied() else { return Ok(Cow::Borrowed(&job.writes)) };
        let writes = load(self.tx, job.commit.session, part).await?;
        let writes = writes.ok_or(Stop::Restaged)?.into_iter().enumerate().filter(|(at, write)| {
            let key = write.action.key();
            !overridden.contains(key) && !staged.is_superseded(part, *at, key)
        });
        let mut writes: Vec<_> = writes.map(|(_, write)| write).collect();
        for write in &mut writes {
            // A type may have been prepared anew since. What another write replaces need not fit.
            let kind = self.tx.store.types.get(&write.action.key().type_name)?;
            write.admit_signed(&kind.schema).map_err(Fail::from)?;
        }
        Ok(Cow::Owned(writes))
    }

    fn check(&self, slots: &Slots<'_>, write: &Write) -> Option<Failed> {
        slots.check(write, self.refusals.refused.get(write.action.key()))
    }

    async fn conflicts(&mut self, failed: Vec<Failed>) -> Run<Vec<Conflict>> {
        conflicts(self.tx, failed).await
    }

    async fn clear(&mut self, clear: &Clear) -> Result<(), Stop> {
        let kind = self.tx.store.types.get(&clear.type_name)?;
        if !kind.schema.fits(&clear.zone) {
            return Ok(());
        }
        let edits = doc! { "$not": { "$gt": capped(clear.through_change) } };
        let filter = raw(&doc! { "_id": within(&clear.zone, Some(kind.n)), "change": edits })?;
        let zone = clear.zone.to_string();
        let mut keys = Vec::new();
        let note = &mut |document: &RawDocument| {
            let entry = Entry::read(document)?;
            if !entry.row.deleted {
                keys.push(object_key(&zone, entry.id));
            }
            Ok(())
        };
        self.tx.each(find(RECORDS, &filter), note).await?;
        let mut objects = Bulk::new(Verb::Delete, kind.collection());
        any_of_each(keys).for_each(|some| objects.delete_all(&some));
        objects.run(self.tx).await?;
        let mut rows = Bulk::new(Verb::Delete, RECORDS);
        rows.delete_all(&filter);
        rows.run(self.tx).await
    }
}
