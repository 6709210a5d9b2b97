//! Commits that are changed before they are carried out, carried out in another way, or answered otherwise.

use std::time::Duration;

use fastsync_conformance::birch;
use fastsync_core::source::{
    Action, Clear, Commit, CommitOutcome, Conflict, Expect, ExpectState, OnMismatch, Receipt,
    SyncableDataSourceExt as _, Write, Writes,
};
use fastsync_core::{Error, ErrorKind, Query, Record, RecordKey, Result, SyncableDataSource, Tag};
use tokio::task::yield_now;

use super::broken::{Broken, pause};
use super::bugs::Bug;

/// From how many on acknowledgements are many.
const MANY: usize = 8;

fn writes_of(commit: &Commit) -> &Vec<Write> {
    match &commit.writes {
        Writes::Inline(writes) | Writes::Staged { overrides: writes } => writes,
    }
}

pub(super) fn writes_mut(commit: &mut Commit) -> &mut Vec<Write> {
    match &mut commit.writes {
        Writes::Inline(writes) | Writes::Staged { overrides: writes } => writes,
    }
}

fn keys(commit: &Commit) -> Vec<RecordKey> {
    writes_of(commit).iter().map(|write| write.action.key().clone()).collect()
}

pub(super) fn put(record: Record) -> Write {
    let action = Action::Put { record, pending: false };
    Write { action, expect: Expect::Anything, on_mismatch: OnMismatch::Abort }
}

fn expect_anything(commit: &mut Commit) {
    writes_mut(commit).iter_mut().for_each(|write| write.expect = Expect::Anything);
}

/// Only the last write of each key.
fn last_of_each_key(writes: &mut Vec<Write>) {
    let all = std::mem::take(writes);
    for (at, write) in all.iter().enumerate() {
        if all[at + 1..].iter().all(|later| later.action.key() != write.action.key()) {
            writes.push(write.clone());
        }
    }
}

fn overflow<T: Clone>(conflicts: &mut Vec<T>) {
    if conflicts.len() == Conflict::MAX_PER_OUTCOME {
        conflicts.extend_from_within(..1);
    }
}

impl Broken {
    pub(super) async fn commit_with_bug(&self, mut commit: Commit) -> Result<CommitOutcome> {
        if self.is(Bug::DuplicatesAreChecked) {
            let mut once = writes_mut(&mut commit).clone();
            last_of_each_key(&mut once);
            if once.len() < writes_mut(&mut commit).len() {
                return Err(Error::new(ErrorKind::InvalidInput, "commit", "a key is written twice"));
            }
        }
        writes_mut(&mut commit).iter_mut().for_each(|write| self.warp(&mut write.action));
        let mut refused = self.constrained(&commit).await?;
        if !refused.conflicts.is_empty() {
            return Ok(CommitOutcome::Conflicts { writes: refused.conflicts, state: vec![] });
        }
        let is_skipped = |write: &Write| refused.skipped.iter().any(|conflict| conflict.write == *write);
        writes_mut(&mut commit).retain(|write| !is_skipped(write));
        for key in refused.overwritten {
            if let Some(mut row) = self.current(&key).await {
                row.body = None;
                writes_mut(&mut commit).push(put(row));
            }
        }
        if self.is(Bug::ExchangesTakeTwoSteps) && !refused.exchanged.is_empty() {
            let without = refused.exchanged.iter().cloned().map(|mut record| {
                record.body.iter_mut().for_each(|body| body[0] = "nothing".into());
                put(record)
            });
            self.inner.commit_alone(self.apart(&commit, without.collect())).await?;
            pause().await;
        }
        self.spoil_commit(&mut commit).await?;
        self.spoil_writes(&mut commit).await;
        let pending = self.inner.count_pending().await?;
        let mut outcome = self.carry_out(commit.clone()).await;
        if let Ok(CommitOutcome::Applied(receipt)) = &mut outcome {
            receipt.skipped.append(&mut refused.skipped);
            self.note_applied(&commit, receipt, pending).await?;
        }
        self.spoil_outcome(&commit, outcome).await
    }

    /// What the other bugs go by.
    async fn note_applied(&self, commit: &Commit, receipt: &Receipt, pending: u64) -> Result<()> {
        let left = self.inner.count_pending().await?;
        self.notes(|notes| {
            notes.tags.extend(receipt.positions.iter().cloned().map(|at| (at, commit.tag)));
            if !commit.clears.is_empty() {
                notes.cleared += pending.saturating_sub(left);
            }
            for write in writes_of(commit) {
                let key = write.action.key();
                match &write.action {
                    Action::Acknowledge { .. } => {
                        let of_session = notes.acknowledged.entry(commit.session).or_default();
                        of_session.push(key.type_name.clone());
                    }
                    Action::Put { .. } => {
                        notes.authors.entry(key.clone()).or_default().push(commit.author.clone());
                        if commit.positioned {
                            notes.local.remove(key);
                        } else {
                            notes.local.insert(key.clone());
                        }
                    }
                }
            }
        });
        Ok(())
    }

    async fn spoil_commit(&self, commit: &mut Commit) -> Result<()> {
        for write in &mut commit.state {
            write.key = self.state_key(&write.key);
        }
        match self.bug {
            Bug::EveryCommitIsPositioned => commit.positioned = true,
            Bug::TagsLoseABit => commit.tag = Tag(commit.tag.0 & !(1 << 63)),
            Bug::StateExpectationsAreIgnored => {
                commit.state.iter_mut().for_each(|write| write.expect = ExpectState::Anything);
            }
            Bug::AuthorsAreAscii => {
                if let Some(user) = &mut commit.author.user {
                    user.retain(|letter| letter.is_ascii());
                }
            }
            Bug::ClearsReachOtherZones => {
                let there = |clear: &Clear| Clear { zone: birch(), ..clear.clone() };
                let further: Vec<_> = commit.clears.iter().map(there).collect();
                commit.clears.extend(further);
            }
            Bug::ClearsTakeEveryEdit => {
                commit.clears.iter_mut().for_each(|clear| clear.through_change = u64::MAX);
            }
            Bug::ClearsLeaveTombstones => {
                for Clear { type_name, zone, .. } in std::mem::take(&mut commit.clears) {
                    for mut record in self.inner.find(&Query::all(type_name, zone)).await?.records {
                        record.body = None;
                        writes_mut(commit).push(put(record));
                    }
                }
            }
            _ => {}
        }
        let is_inline = matches!(commit.writes, Writes::Inline(_));
        let writes = writes_mut(commit);
        match self.bug {
            Bug::LastWriteOfAKeyWins if is_inline => last_of_each_key(writes),
            Bug::OverridesMayRepeat if !is_inline => last_of_each_key(writes),
            Bug::OverridesAreIgnored if !is_inline => writes.clear(),
            Bug::LargeCommitsAreCut => writes.truncate(1_000),
            Bug::ExpectationsAreIgnored => expect_anything(commit),
            Bug::AbortsAreSkips if writes.iter().any(|write| write.on_mismatch == OnMismatch::Skip) => {
                writes.iter_mut().for_each(|write| write.on_mismatch = OnMismatch::Skip);
            }
            Bug::ManyShareARevision if writes.len() > MANY => {
                let mut shared = None;
                for write in writes {
                    if let Action::Acknowledge { revision, .. } = &mut write.action {
                        *revision = *shared.get_or_insert(*revision);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    async fn carry_out(&self, mut commit: Commit) -> Result<CommitOutcome> {
        let is_inline = matches!(commit.writes, Writes::Inline(_));
        match self.bug {
            Bug::LostUpdate
                if self.would_succeed(&commit).await
                    && self.inner.session(commit.session).await?.is_none() =>
            {
                pause().await;
                expect_anything(&mut commit);
            }
            Bug::PositionBeforeVisibility => {
                let keys = keys(&commit);
                self.notes(|notes| notes.hidden.extend(keys.iter().cloned()));
                let outcome = self.inner.commit_alone(commit).await;
                pause().await;
                self.notes(|notes| notes.hidden.retain(|key| !keys.contains(key)));
                return outcome;
            }
            Bug::OneWriteAtATime if is_inline => return self.commit_one_by_one(commit).await,
            Bug::StampedBeforeWritten if commit.positioned && self.would_succeed(&commit).await => {
                return self.commit_stamps_first(&commit).await;
            }
            Bug::DuplicatesAreApplied if self.inner.session(commit.session).await?.is_some() => {
                commit.session = self.another_session(&commit);
            }
            Bug::StateApartFromRecords if !commit.state.is_empty() => {
                let after =
                    Commit { state: std::mem::take(&mut commit.state), ..self.apart(&commit, vec![]) };
                let outcome = self.inner.commit_alone(commit).await?;
                yield_now().await;
                return Ok(match self.inner.commit_alone(after).await? {
                    CommitOutcome::Applied(_) => outcome,
                    failed => failed,
                });
            }
            Bug::ClearsComeFirst | Bug::ClearsComeLast if !commit.clears.is_empty() => {
                let clears =
                    Commit { clears: std::mem::take(&mut commit.clears), ..self.apart(&commit, vec![]) };
                if self.is(Bug::ClearsComeFirst) {
                    self.inner.commit_alone(clears).await?;
                    return self.inner.commit_alone(commit).await;
                }
                let outcome = self.inner.commit_alone(commit).await;
                self.inner.commit_alone(clears).await?;
                return outcome;
            }
            Bug::CommitsBlockTheThread if keys(&commit).len() > 1_000 => {
                std::thread::sleep(Duration::from_millis(1_000));
            }
            _ => {}
        }
        self.inner.commit_alone(commit).await
    }

    async fn spoil_outcome(&self, commit: &Commit, outcome: Result<CommitOutcome>) -> Result<CommitOutcome> {
        if let (Bug::RefusalsAreSwallowed, Err(error)) = (self.bug, &outcome)
            && matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::TooLarge)
        {
            return Ok(CommitOutcome::Applied(Receipt::default()));
        }
        let mut outcome = outcome?;
        match (self.bug, &mut outcome) {
            (Bug::DuplicatesLoseTheirReceipt, CommitOutcome::Duplicate(receipt)) => {
                *receipt = Receipt::default()
            }
            (Bug::SkipsAreSilent, CommitOutcome::Applied(receipt)) => receipt.skipped.clear(),
            (Bug::PositionsComeInAnyOrder, CommitOutcome::Applied(receipt)) => receipt.positions.reverse(),
            (Bug::AppliedBatchesStay, CommitOutcome::Applied(_)) => {
                if matches!(commit.writes, Writes::Staged { .. }) {
                    self.inner.stage(commit.session, 0, vec![]).await?;
                }
            }
            (Bug::ConflictsLackTheCurrent, CommitOutcome::Conflicts { writes, .. }) => {
                writes.iter_mut().for_each(|conflict| conflict.current = None);
            }
            (Bug::EveryConflictIsNamed, CommitOutcome::Conflicts { writes, state }) => {
                overflow(writes);
                overflow(state);
            }
            (Bug::ConflictsUseUpTheSession, CommitOutcome::Conflicts { .. }) => {
                let empty = Commit { session: commit.session, ..self.apart(commit, vec![]) };
                self.inner.commit_alone(empty).await?;
            }
            (Bug::ConflictsDropTheBatches, CommitOutcome::Conflicts { .. }) => {
                self.inner.unstage(Some(commit.session)).await?;
            }
            _ => {}
        }
        Ok(outcome)
    }

    async fn would_succeed(&self, commit: &Commit) -> bool {
        let Writes::Inline(writes) = &commit.writes else { return false };
        for write in writes {
            let current = self.current(write.action.key()).await;
            let current = current.map(|record| (record.metadata.revision, record.metadata.change));
            if !write.expect.holds(current) {
                return false;
            }
        }
        true
    }

    async fn commit_one_by_one(&self, mut commit: Commit) -> Result<CommitOutcome> {
        let mut writes = std::mem::take(writes_mut(&mut commit));
        let last = writes.pop();
        for write in writes {
            let part = Commit { positioned: commit.positioned, ..self.apart(&commit, vec![write]) };
            let outcome = self.inner.commit_alone(part).await?;
            if !matches!(outcome, CommitOutcome::Applied(_)) {
                return Ok(outcome);
            }
            yield_now().await;
        }
        writes_mut(&mut commit).extend(last);
        self.inner.commit_alone(commit).await
    }

    async fn commit_stamps_first(&self, commit: &Commit) -> Result<CommitOutcome> {
        let mut stamps = commit.clone();
        for write in writes_mut(&mut stamps) {
            let Action::Put { record, .. } = &mut write.action else { continue };
            let current = self.current(&record.key).await;
            if let (Some(body), Some(old)) = (&mut record.body, current.and_then(|old| old.body)) {
                *body = old;
            }
        }
        let outcome = self.inner.commit_alone(stamps).await;
        if let Ok(CommitOutcome::Applied(_)) = outcome {
            pause().await;
            let mut bodies = self.apart(commit, writes_of(commit).clone());
            expect_anything(&mut bodies);
            self.inner.commit_alone(bodies).await?;
        }
        outcome
    }
}
