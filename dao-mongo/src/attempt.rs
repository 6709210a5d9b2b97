//! One transaction: every commit in it is checked against the snapshot and what the commits before it write.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use fastsync_core::source::rules::{self, Verdict};
use fastsync_core::source::{Action, CommitOutcome, Conflict, Receipt, StateConflict, Write};
use fastsync_core::{RecordKey, SessionId, Tag, TypeName, Zone};
use mongodb::ClientSession;
use mongodb::bson::{Bson, RawDocumentBuf};

use crate::bulk::{Refusal, Stop};
use crate::error::{Fail, Run};
use crate::job::{CHANGES, Job};
use crate::slots::{Failed, Given, Slots, conflicts};
use crate::staging::{Staged, load, of_session, parts};
use crate::store::{STAGED, Store};

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

/// The end of a zone's history, or of the numbering of local commits.
#[derive(Debug, Default)]
pub(crate) struct End {
    pub(crate) number: u64,
    pub(crate) tag: u64,
    pub(crate) moved: bool,
}

/// What a commit has written.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) positions: BTreeMap<Zone, u64>,
    pub(crate) put: rules::Tally<Zone, TypeName>,
    pub(crate) change: u64,
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

pub(crate) struct Attempt<'a> {
    pub(crate) store: &'a Store,
    pub(crate) session: &'a mut ClientSession,
    pub(crate) refusals: &'a Refusals,
    /// By the `_id` in `fastsync_zones`.
    pub(crate) ends: BTreeMap<String, End>,
    /// The sessions that are committed already, with the call that committed them.
    pub(crate) committed: HashMap<SessionId, (Receipt, Option<Bson>)>,
    /// The state entries that are expected or written, as they are now.
    pub(crate) state: HashMap<String, Option<Vec<u8>>>,
    pub(crate) written: BTreeSet<String>,
    pub(crate) sessions: Vec<RawDocumentBuf>,
}

impl<'a> Attempt<'a> {
    pub(crate) fn new(store: &'a Store, session: &'a mut ClientSession, refusals: &'a Refusals) -> Self {
        Self {
            store,
            session,
            refusals,
            ends: BTreeMap::new(),
            committed: HashMap::new(),
            state: HashMap::new(),
            written: BTreeSet::new(),
            sessions: Vec::new(),
        }
    }

    /// Runs the commits in their order. `earlier` is what an attempt came to whose commit may have gone through.
    pub(crate) async fn run(
        mut self,
        jobs: &[Job],
        staged: Option<&Staged>,
        turns: &BTreeSet<String>,
        earlier: Option<&[CommitOutcome]>,
    ) -> Result<Verdicts, Stop> {
        for turn in turns {
            self.touch(turn).await?;
        }
        self.look_up_sessions(jobs).await?;
        let own = |(at, job): (usize, &Job)| {
            let (_, attempt) = self.committed.get(&job.commit.session)?;
            let is_own = attempt.as_ref() == Some(&Bson::ObjectId(job.attempt));
            earlier.filter(|_| is_own)?.get(at).cloned()
        };
        // The transaction is all or nothing, so if one of its commits is there, all are.
        if jobs.iter().enumerate().any(|job| own(job).is_some()) {
            let outcomes = earlier.map(<[_]>::to_vec).unwrap_or_default();
            return Ok(Verdicts { outcomes, must_abort: false });
        }
        self.look_up_state(jobs).await?;
        let verdicts = match jobs {
            [job] if job.is_staged || !job.commit.clears.is_empty() => {
                let nothing = Staged::default();
                self.alone(job, staged.unwrap_or(&nothing)).await?
            }
            _ => self.together(jobs).await?,
        };
        if !verdicts.must_abort {
            self.finish().await?;
        }
        Ok(verdicts)
    }

    /// Several commits, each of which sees what those before it write.
    async fn together(&mut self, jobs: &[Job]) -> Result<Verdicts, Stop> {
        let keys = jobs.iter().flat_map(|job| job.writes.iter().map(|write| write.action.key())).collect();
        let mut slots = Slots::load(self.store, self.session, keys).await?;
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
        slots.give_way(self.store, self.session, give_way).await?;
        slots.flush(self.store, self.session, give_way).await?;
        Ok(Verdicts { outcomes, must_abort: false })
    }

    fn draft<'w>(&mut self, job: &'w Job, slots: &mut Slots<'w>) -> Run<Draft> {
        if let Some((receipt, _)) = self.committed.get(&job.commit.session) {
            return Ok(Draft::Duplicate(Receipt { skipped: Vec::new(), ..receipt.clone() }));
        }
        let state = self.state_conflicts(job);
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
            let given = self.give(job, write, &mut tally)?;
            slots.apply(write, given);
        }
        let receipt = self.note(job, &tally)?;
        Ok(Draft::Applied(receipt, failed))
    }

    /// A commit with clears, or one whose writes are staged: they are read part by part.
    async fn alone(&mut self, job: &Job, staged: &Staged) -> Result<Verdicts, Stop> {
        if let Some((receipt, _)) = self.committed.get(&job.commit.session) {
            let outcomes = vec![CommitOutcome::Duplicate(receipt.clone())];
            return Ok(Verdicts { outcomes, must_abort: false });
        }
        if job.is_staged && parts(self.store, self.session, job.commit.session).await? != staged.parts {
            return Err(Stop::Restaged);
        }
        let state = self.state_conflicts(job);
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
                let mut slots = Slots::load(self.store, self.session, keys).await?;
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
                        Pass::Write => self.give(job, write, &mut tally)?,
                        Pass::Check | Pass::GiveWay => Given { position: 0, change: 0 },
                    };
                    slots.apply(write, given);
                }
                match pass {
                    Pass::Write => slots.flush(self.store, self.session, give_way).await?,
                    Pass::Check | Pass::GiveWay => {
                        slots.give_way(self.store, self.session, give_way).await?;
                    }
                }
            }
        }
        if !stopping.is_empty() || !state.is_empty() {
            let outcomes = vec![CommitOutcome::Conflicts { writes: stopping, state }];
            return Ok(Verdicts { outcomes, must_abort: true });
        }
        if job.is_staged {
            let staged = self.store.collection(STAGED);
            let batches = staged.delete_many(of_session(job.commit.session));
            batches.session(&mut *self.session).await.map_err(Fail::from)?;
        }
        let receipt = self.note(job, &tally)?;
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
        let writes = load(self.store, self.session, job.commit.session, part).await?;
        let writes = writes.ok_or(Stop::Restaged)?.into_iter().enumerate().filter(|(at, write)| {
            let key = write.action.key();
            !overridden.contains(key) && !staged.is_superseded(part, *at, key)
        });
        let mut writes: Vec<_> = writes.map(|(_, write)| write).collect();
        for write in &mut writes {
            // A type may have been prepared anew since. What another write replaces need not fit.
            write.admit_signed(&self.store.kind(&write.action.key().type_name)?.schema)?;
        }
        Ok(Cow::Owned(writes))
    }

    fn check(&self, slots: &Slots<'_>, write: &Write) -> Option<Failed> {
        slots.check(write, self.refusals.refused.get(write.action.key()))
    }

    async fn conflicts(&mut self, failed: Vec<Failed>) -> Run<Vec<Conflict>> {
        conflicts(self.store, self.session, failed).await
    }

    fn state_conflicts(&self, job: &Job) -> Vec<StateConflict> {
        let mut verdict = Verdict::default();
        for write in &job.commit.state {
            verdict.state(write, self.state.get(&write.key).and_then(Option::as_deref));
        }
        verdict.into_state()
    }

    /// What a write gets from its commit: the next position of its zone, the number of the local commit.
    fn give(&mut self, job: &Job, write: &Write, tally: &mut Tally) -> Run<Given> {
        let Action::Put { record, pending } = &write.action else {
            return Ok(Given { position: 0, change: 0 });
        };
        let key = &record.key;
        tally.put.put(&key.zone, &key.type_name, *pending);
        if *pending && tally.change == 0 {
            tally.change = self.advance(CHANGES, Tag(0))?;
        }
        let position = match tally.positions.get(&key.zone) {
            Some(position) => *position,
            None if job.commit.positioned => {
                let position = self.advance(&key.zone.to_string(), job.commit.tag)?;
                tally.positions.insert(key.zone.clone(), position);
                position
            }
            None => 0,
        };
        Ok(Given { position, change: tally.change })
    }

    fn advance(&mut self, turn: &str, tag: Tag) -> Run<u64> {
        let end = self.ends.get_mut(turn).ok_or_else(|| Fail::corrupt("a zone was not touched"))?;
        end.number = end.number.saturating_add(1);
        (end.tag, end.moved) = (tag.0, true);
        Ok(end.number)
    }
}
