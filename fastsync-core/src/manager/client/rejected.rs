//! Edits that the server refused: kept until the application decides.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::apply::{Application, Incoming};
use super::aside::Asides;
use super::collect::Withheld;
use super::outgrown::Grown;
use super::{Client, ClientStatus};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Record, RecordKey, Revision, SyncMetadata, TypeName};
use crate::source::entry::{decode, encode};
use crate::source::{Action, Expect, ExpectState, OnMismatch, StateWrite, Write};
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
        Ok(Withheld {
            rejected: current.into_iter().map(|edit| (edit.key, edit.change)).collect(),
            unknown_types: self.load_unknown_types().await?,
            registered: self.endpoints.keys().cloned().collect(),
            outdated: outdated.into_iter().map(|edit| edit.key).collect(),
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
        let pending = self.store.source().count_pending().await?;
        let push_in_flight = self.push_standing().await?.1;
        let has_pulled = self.load_cursor().await?.is_some();
        let waits_for_server = !has_pulled || !self.load_refetch().await?.is_empty();
        Ok(ClientStatus {
            pending,
            rejected: u64::try_from(rejected).unwrap_or(u64::MAX),
            push_in_flight,
            has_pulled,
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
        self.close_rejected(&refused, Vec::new(), &BTreeSet::new()).await
    }

    pub(super) async fn discard_rejected(&self, edits: &[RejectedEdit]) -> Result<()> {
        // As they are stored now: pulls keep them up to date.
        let mut refusals = self.load_refusals().await?;
        let (mut writes, mut giving_up) = (Vec::new(), self.giving_up().await?);
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
            let server = refusal.server;
            let is_unseen = self.store.source().state(&StateKey::unseen(key)).await?.is_some();
            writes.push(giving_up.write(local, server, is_unseen));
        }
        self.close_rejected(edits, writes, &giving_up.refetch).await
    }

    /// What is to be known to give edits up.
    pub(super) async fn giving_up(&self) -> Result<GivingUp> {
        let (asides, outgrown) = (self.load_asides().await?, self.outgrown().await?);
        Ok(GivingUp { asides, outgrown, refetch: BTreeSet::new() })
    }

    pub(super) async fn load_refusals(&self) -> Result<Refusals> {
        let entries = self.store.source().states(StateKey::REJECTED).await?;
        let mut refusals = BTreeMap::new();
        for (_, value) in entries {
            let edit: RejectedEdit = decode(&value)?;
            refusals.insert(edit.key.clone(), (value, edit));
        }
        Ok(refusals)
    }

    async fn close_rejected(
        &self,
        edits: &[RejectedEdit],
        writes: Vec<Write>,
        refetch: &BTreeSet<TypeName>,
    ) -> Result<()> {
        let keys = writes.iter().map(|write| write.action.key().clone()).collect();
        let closed: BTreeSet<_> = edits.iter().map(|edit| &edit.key).collect();
        let mut state: Vec<_> = closed.into_iter().flat_map(forgotten).collect();
        for name in refetch {
            state.push(StateKey::refetch(name)?);
        }
        let application = Application {
            gives_up: true,
            ..Application::new(self.store.new_session(), Incoming::Inline(writes), state)
        };
        let asides = self.load_asides().await?;
        match self.apply_beside(application, asides).await? {
            Some(_) => {
                self.store.events().records(keys);
                Ok(())
            }
            None => Err(Error::new(ErrorKind::Contention, "rejected", "another process changed the store")),
        }
    }
}

/// The entries that forget a refusal.
pub(super) fn forgotten(key: &RecordKey) -> [StateWrite; 2] {
    [StateKey::rejected(key), StateKey::unseen(key)].map(|key| StateWrite::set(key, None))
}

/// Gives edits up.
#[derive(Debug)]
pub(super) struct GivingUp {
    asides: Asides,
    outgrown: Grown,
    /// Types to fetch anew then.
    pub(super) refetch: BTreeSet<TypeName>,
}

impl GivingUp {
    /// Gives a local edit up for what the server has, as far as that is known here.
    pub(super) fn write(&mut self, local: Record, server: Option<Record>, is_unseen: bool) -> Write {
        let key = &local.key;
        // It has the fields of before an upgrade of the application.
        let is_outgrown = server.is_some() && self.outgrown.contains_key(&key.type_name);
        // What this device cannot hold comes with the pull that can store it.
        let server = server.filter(|_| !is_outgrown && !self.asides.cannot_hold(key));
        given_up(local, server, is_unseen || is_outgrown, &mut self.refetch)
    }
}

/// Gives a local edit up for what the server has. Where that is not known (`is_unseen`), the edit stays visible until the
/// next pull fetches its type anew.
fn given_up(
    local: Record,
    server: Option<Record>,
    is_unseen: bool,
    refetch: &mut BTreeSet<TypeName>,
) -> Write {
    let change = local.metadata.change;
    let record = server.unwrap_or_else(|| {
        let metadata = SyncMetadata { change: 0, ..local.metadata };
        if is_unseen && !metadata.revision.is_none() {
            refetch.insert(local.key.type_name.clone());
            Record { metadata, ..local }
        } else {
            let metadata = SyncMetadata { revision: Revision::NONE, ..metadata };
            Record { body: None, metadata, key: local.key }
        }
    });
    Write {
        action: Action::Put { record, pending: false },
        expect: Expect::Change(change),
        on_mismatch: OnMismatch::Abort,
    }
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
