//! Edits that the server refused: kept until the application decides.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::collect::Withheld;
use super::giving_up::GivingUp;
use super::{Client, ClientStatus};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Record, RecordKey};
use crate::source::entry::{decode, encode};
use crate::source::{ExpectState, StateWrite, SyncableDataSourceExt as _};
use crate::store::StateKey;

/// An edit that the server refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RejectedEdit {
    /// The object.
    pub key: RecordKey,
    /// The local change that was refused.
    pub change: u64,
    /// Why, for programs.
    pub code: String,
    /// Why, for people.
    pub message: String,
    /// What the server has instead, as far as this store knows; `None` if it has nothing, or that is not known because a
    /// whole local commit was refused.
    pub server: Option<Record>,
}

/// Refusals by object, as they are stored and as they say.
pub(super) type Refusals = BTreeMap<RecordKey, (Vec<u8>, RejectedEdit)>;

impl Client {
    pub(super) async fn withheld(&self) -> Result<Withheld> {
        let (current, outdated) = self.refusals().await?;
        let forgotten = self.load_marks().await?;
        let decided = self.marked(&forgotten).await?.1;
        Ok(Withheld {
            rejected: current.into_iter().map(|edit| (edit.key, edit.change)).collect(),
            unknown_types: self.load_unknown_types().await?,
            registered: self.endpoints.keys().cloned().collect(),
            outdated: outdated.into_iter().map(|edit| edit.key).collect(),
            unfetched: self.unfetched_elsewhere().await?,
            forgotten,
            decided,
        })
    }

    pub(super) async fn rejected(&self) -> Result<Vec<RejectedEdit>> {
        Ok(self.refusals().await?.0)
    }

    /// The refusals of edits that are still there, and of others: an object that was edited again, or replaced by
    /// a pull, is no longer the refused edit.
    async fn refusals(&self) -> Result<(Vec<RejectedEdit>, Vec<RejectedEdit>)> {
        let (mut current, mut outdated) = (Vec::new(), Vec::new());
        for (_, edit) in self.load_refusals().await?.into_values() {
            let is_current = self.change_of(&edit.key).await? == Some(edit.change);
            if is_current { current.push(edit) } else { outdated.push(edit) }
        }
        Ok((current, outdated))
    }

    async fn change_of(&self, key: &RecordKey) -> Result<Option<u64>> {
        let found = self.store.source().get(&key.type_name, &key.zone, std::slice::from_ref(&key.id)).await?;
        Ok(found.first().map(|record| record.metadata.change))
    }

    pub(super) async fn status(&self) -> Result<ClientStatus> {
        let rejected = self.rejected().await?.len();
        let aside = self.set_aside().await?.len();
        let forgotten = self.forgotten().await?.len();
        let pending = self.store.source().count_pending().await?;
        let push_in_flight = self.push_standing().await?.1;
        let has_pulled = self.load_cursor().await?.is_some();
        // Where it has lost zones, types are marked to be fetched anew.
        let has_lost_pushes = self.load_lost().await?.0.pushes > 0;
        let waits_for_server = !has_pulled || has_lost_pushes || !self.load_refetch().await?.is_empty();
        Ok(ClientStatus {
            pending,
            rejected: u64::try_from(rejected).unwrap_or(u64::MAX),
            push_in_flight,
            has_pulled,
            forgotten: u64::try_from(forgotten).unwrap_or(u64::MAX),
            aside: u64::try_from(aside).unwrap_or(u64::MAX),
            in_step: !waits_for_server && pending == 0 && !push_in_flight && aside == 0,
            waiting: self.waiting().await?,
        })
    }

    pub(super) async fn retry_rejected(&self, edits: &[RejectedEdit]) -> Result<()> {
        // A local commit goes again as a whole.
        let changes: BTreeSet<u64> = edits.iter().map(|edit| edit.change).collect();
        let refused = self.load_refusals().await?.into_values().map(|(_, edit)| edit);
        let refused: Vec<_> = refused.filter(|edit| changes.contains(&edit.change)).collect();
        let giving_up = self.giving_up().await?;
        self.close_rejected(&refused, giving_up).await
    }

    pub(super) async fn discard_rejected(&self, edits: &[RejectedEdit]) -> Result<()> {
        // As they are stored now: pulls keep them up to date.
        let mut refusals = self.load_refusals().await?;
        let mut giving_up = self.giving_up().await?;
        for edit in edits {
            let key = &edit.key;
            let found =
                self.store.source().get(&key.type_name, &key.zone, std::slice::from_ref(&key.id)).await?;
            let Some(local) = found.into_iter().find(|record| record.metadata.change == edit.change) else {
                continue;
            };
            // One that is tried again is not refused any more, and may be under way.
            let Some((_, refusal)) = refusals.remove(key).filter(|(_, stored)| stored.change == edit.change)
            else {
                continue;
            };
            let is_unseen = self.store.source().entry(&StateKey::unseen(key)).await?.is_some();
            giving_up.add(local, refusal.server, is_unseen);
        }
        self.close_rejected(edits, giving_up).await
    }

    pub(super) async fn load_refusals(&self) -> Result<Refusals> {
        let entries = self.store.source().entries(StateKey::REJECTED).await?;
        let mut refusals = BTreeMap::new();
        for (_, value) in entries {
            let edit: RejectedEdit = decode(&value)?;
            refusals.insert(edit.key.clone(), (value, edit));
        }
        Ok(refusals)
    }

    async fn close_rejected(&self, edits: &[RejectedEdit], giving_up: GivingUp) -> Result<()> {
        let closed: BTreeSet<_> = edits.iter().map(|edit| &edit.key).collect();
        let state = closed.into_iter().flat_map(forget_refusal).collect();
        if self.give_up(giving_up, state).await? {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Contention, "rejected", "another process changed the store"))
    }
}

/// The entries that forget a refusal.
pub(super) fn forget_refusal(key: &RecordKey) -> [StateWrite; 2] {
    [StateKey::rejected(key), StateKey::unseen(key)].map(|key| StateWrite::set(key, None))
}

/// Notes with each refusal what the server has by now, so that the edit can be given up for it.
pub(super) fn refusals_meet<'a>(
    refusals: &Refusals,
    seen: impl Iterator<Item = (&'a RecordKey, Option<&'a Record>)>,
) -> Result<Vec<StateWrite>> {
    let mut entries = Vec::new();
    for (key, server) in seen {
        let Some((stored, edit)) = refusals.get(key) else { continue };
        let value = encode(&RejectedEdit { server: server.cloned(), ..edit.clone() })?;
        if value != *stored {
            let expect = ExpectState::Value(stored.clone());
            entries.push(StateWrite { key: StateKey::rejected(key), expect, value: Some(value) });
        }
    }
    Ok(entries)
}
