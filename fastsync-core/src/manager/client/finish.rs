//! The end of a pull: what was fetched becomes visible, with the cursor, in one local commit.

use super::apply::{Application, Incoming, incoming};
use super::forgotten::Marks;
use super::missing::Missing;
use super::pull::{PullPlan, Pulled};
use super::queue::moved_by_another_process;
use super::state::encode_cursor;
use super::walk::Walk;
use super::{Client, PullReport, SyncPhase, SyncProgress};
use crate::error::Result;
use crate::model::{Record, RecordKey};
use crate::protocol::Cursor;
use crate::source::entry::encode;
use crate::source::{Clear, StateWrite, SyncableDataSourceExt as _};
use crate::store::StateKey;

impl Client {
    /// Makes the pull visible: what was staged, or these records.
    pub(super) async fn finish(
        &self,
        plan: &PullPlan,
        mut walk: Walk,
        inline: Option<Vec<Record>>,
        stored: Option<Cursor>,
        cursor: Cursor,
    ) -> Result<Pulled> {
        let mut report = PullReport {
            received: walk.received,
            conflicts: Vec::new(),
            reset: plan.reset,
            forgotten: 0,
            unknown_types: walk.waiting.difference(&walk.outdated).cloned().collect(),
            outdated_types: walk.outdated.clone(),
            set_aside: 0,
            from_aside: 0,
        };
        let mut state = Vec::new();
        if stored.as_ref() != Some(&cursor) {
            let read = stored.as_ref().map(encode_cursor).transpose()?;
            state.push(StateWrite::replace(StateKey::CURSOR, read, Some(encode_cursor(&cursor)?)));
        }
        if walk.waiting != self.load_unknown_types().await? {
            state.push(StateWrite::set(StateKey::UNKNOWN_TYPES, Some(encode(&walk.waiting)?)));
        }
        if walk.outdated != self.load_outdated_types().await? {
            state.push(StateWrite::set(StateKey::OUTDATED_TYPES, Some(encode(&walk.outdated)?)));
        }
        state.extend(self.note_fields(&walk.waiting).await?);
        state.extend(self.note_zones(plan).await?);
        state.extend(self.observe(walk.newest)?);
        state.extend(self.note_history(plan, &walk).await?);
        let anew = self.fetched_anew(plan, &walk);
        walk.asides.clear(&anew);
        // What is in flight may have replaced what is aside.
        let is_ours = |key: &RecordKey| self.pulls(key) && !plan.unanswered.contains(key);
        let retries = walk.asides.retries(&self.store, is_ours);
        let is_noted = walk.end().is_some();
        if walk.received == 0 && state.is_empty() && !is_noted && anew.is_empty() && retries.is_empty() {
            return Ok(Pulled::Done(report));
        }
        let mut inline = inline.map(|records| records.into_iter().map(incoming).collect::<Vec<_>>());
        match &mut inline {
            Some(writes) => writes.extend(retries.into_iter().map(incoming)),
            None => self.stage_records(&mut walk, retries).await?,
        }
        let marks = if anew.is_empty() { Marks::default() } else { self.load_marks().await? };
        let Some(missing) = self.missing(plan, &mut walk, &anew, &marks, &mut inline).await? else {
            return Ok(Pulled::Moved);
        };
        report.forgotten = missing.forgotten;
        let gives_up = anew.iter().any(|scope| scope.through_change > 0);
        if (missing.is_any || gives_up) && !self.expect_queue(&walk, gives_up, &mut state).await? {
            return Ok(Pulled::Moved);
        }
        let Missing { marks: forgotten, unedited, .. } = missing;
        state.extend(forgotten);
        if let Some(end) = walk.end() {
            state.push(end);
            state.extend(self.forget_seen().await?);
        }
        self.report_progress(&SyncProgress {
            phase: SyncPhase::Applying,
            done: walk.received,
            total: Some(walk.received),
        });
        let keys: Option<Vec<_>> =
            inline.as_ref().map(|writes| writes.iter().map(|write| write.action.key().clone()).collect());
        let writes = inline.map_or(Incoming::Staged, Incoming::Inline);
        let gone = walk.not_seen.iter().filter(|key| !walk.waiting.contains(&key.type_name));
        let application = Application {
            session: walk.session,
            anew,
            marks,
            writes,
            state,
            gone: gone.cloned().collect(),
            grown: plan.grown.clone(),
            unanswered: plan.unanswered.clone(),
            gives_up: false,
        };
        match self.apply_beside(application, walk.asides).await? {
            // What is staged is that of the walk that is noted, whoever goes on with it.
            None => Ok(Pulled::Moved),
            Some(applied) => {
                self.number_apart(&unedited).await?;
                report.conflicts = applied.conflicts;
                report.set_aside = applied.set_aside;
                report.from_aside = applied.from_aside;
                match keys {
                    Some(keys) if plan.anew.is_empty() => self.store.events().records(keys),
                    _ => self.store.events().types(self.endpoints.keys().cloned().collect()),
                }
                Ok(Pulled::Done(report))
            }
        }
    }

    /// What was fetched anew, each type in each zone with the newest edit that is given up for it; not what the server does
    /// not know.
    fn fetched_anew(&self, plan: &PullPlan, walk: &Walk) -> Vec<Clear> {
        let known = plan.anew.iter().filter(|(name, _)| !walk.waiting.contains(*name));
        known
            .flat_map(|(name, &through_change)| {
                let fitting = self.zones.iter().filter(|zone| self.store.check_zone(name, zone).is_ok());
                fitting.map(move |zone| Clear { type_name: name.clone(), zone: zone.clone(), through_change })
            })
            .collect()
    }

    /// Makes the commit fail if another process stores the answer to a push meanwhile: what that had sent came too late for the
    /// walk, and is not missing. `false` if it has happened. Where edits are given up, no session of them is in flight, and none
    /// that another process has made of them is stored later.
    async fn expect_queue(&self, walk: &Walk, gives_up: bool, state: &mut Vec<StateWrite>) -> Result<bool> {
        let is_named = state.iter().any(|entry| entry.key == StateKey::PUSH);
        if gives_up {
            let queue = self.load_queue().await?;
            if !queue.sessions.is_empty() {
                return Err(moved_by_another_process());
            }
            if !queue.is_stored_as(walk.pushed.as_deref()) {
                return Ok(false);
            }
            if !is_named {
                state.extend(queue.give_up()?.0);
            }
            return Ok(true);
        }
        let stored = self.store.source().entry(StateKey::PUSH).await?;
        if stored != walk.pushed {
            return Ok(false);
        }
        if !is_named {
            state.push(StateWrite::replace(StateKey::PUSH, stored.clone(), stored));
        }
        Ok(true)
    }
}
