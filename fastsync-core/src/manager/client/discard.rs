//! Giving up edits that wait, without sending them.

use std::collections::{BTreeMap, BTreeSet};

use super::Client;
use super::push::Pushing;
use super::queue::{PushQueue, moved_by_another_process};
use super::rejected::forget_refusal;
use super::report::PushReport;
use crate::error::Result;
use crate::model::{Record, RecordKey};
use crate::protocol::PushReply;
use crate::source::entry::{decode, encode};
use crate::source::{StateWrite, SyncableDataSourceExt as _};
use crate::store::StateKey;

impl Client {
    /// Gives up at once what is not in flight, and marks the rest; how many edits are given up.
    pub(super) async fn discard_pending(&self, keys: &[RecordKey]) -> Result<u64> {
        let mut queue = self.load_queue().await?;
        let in_flight: BTreeSet<RecordKey> =
            queue.sessions.iter().flat_map(|session| session.request.payload.keys()).collect();
        let (mut at_once, mut marked) = (Vec::new(), Vec::new());
        for key in keys.iter().collect::<BTreeSet<_>>() {
            let Some(local) = self.pending_at(key).await? else { continue };
            if in_flight.contains(key) { marked.push(local) } else { at_once.push(local) }
        }
        let mut state = Vec::new();
        let forgotten = self.load_marks().await?;
        let decided = at_once.iter().map(|local| &local.key).filter(|key| forgotten.contains(key));
        state.extend(decided.map(|key| StateWrite::set(StateKey::forgotten(key), None)));
        for Record { key, metadata, .. } in &marked {
            let mark = encode(&(key, metadata.change))?;
            state.push(StateWrite::set(StateKey::discarded(key), Some(mark)));
        }
        self.discard(&mut queue, at_once, state).await
    }

    /// Carries out what is marked: takes back what is in flight, and then gives up what the server has not processed.
    pub(super) async fn discard_marked(&self, pushing: &mut Pushing) -> Result<()> {
        let marks = self.store.source().entries(StateKey::DISCARDED).await?;
        if marks.is_empty() {
            return Ok(());
        }
        self.withdraw_all(pushing).await?;
        let mut marked: BTreeMap<RecordKey, u64> = BTreeMap::new();
        for (_, mark) in &marks {
            let (key, change) = decode(mark)?;
            marked.insert(key, change);
        }
        let mut edits = Vec::new();
        for (key, change) in &marked {
            // What was edited since stays.
            edits.extend(self.pending_at(key).await?.filter(|local| local.metadata.change == *change));
        }
        let state = marks.into_iter().map(|(key, _)| StateWrite::set(key, None)).collect();
        self.discard(&mut pushing.queue, edits, state).await?;
        pushing.withheld = self.withheld().await?;
        Ok(())
    }

    /// Takes back everything that is in flight, and stores what was processed of it.
    pub(super) async fn withdraw_in_flight(&self) -> Result<PushReport> {
        let mut pushing = self.pushing(true).await?;
        self.withdraw_all(&mut pushing).await?;
        Ok(pushing.report)
    }

    async fn withdraw_all(&self, pushing: &mut Pushing) -> Result<()> {
        while !pushing.queue.sessions.is_empty() {
            match self.withdraw(&pushing.queue).await? {
                PushReply::Processed(receipt) => self.store_answer(pushing, receipt).await?,
                other => self.renumber(pushing, other).await?,
            }
        }
        Ok(())
    }

    pub(super) async fn pending_at(&self, key: &RecordKey) -> Result<Option<Record>> {
        let found = self.store.source().get(&key.type_name, &key.zone, std::slice::from_ref(&key.id)).await?;
        Ok(found.into_iter().find(|record| record.metadata.is_pending()))
    }

    /// Gives up edits while the queue is as it was looked at; how many.
    async fn discard(
        &self,
        queue: &mut PushQueue,
        edits: Vec<Record>,
        mut state: Vec<StateWrite>,
    ) -> Result<u64> {
        if edits.is_empty() && state.is_empty() {
            return Ok(0);
        }
        let count = u64::try_from(edits.len()).unwrap_or(u64::MAX);
        let (mut refusals, mut giving_up) = (self.load_refusals().await?, self.giving_up().await?);
        for local in edits {
            state.extend(forget_refusal(&local.key));
            // What a refused edit meets is known, unless it was refused unseen.
            let refusal =
                refusals.remove(&local.key).filter(|(_, edit)| edit.change == local.metadata.change);
            let is_unseen = refusal.is_none()
                || self.store.source().entry(&StateKey::unseen(&local.key)).await?.is_some();
            giving_up.add(local, refusal.and_then(|(_, edit)| edit.server), is_unseen);
        }
        let (entries, after) = queue.give_up()?;
        state.extend(entries);
        if !self.give_up(giving_up, state).await? {
            return Err(moved_by_another_process());
        }
        *queue = after;
        Ok(count)
    }
}
