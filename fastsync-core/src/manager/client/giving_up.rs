//! Giving edits up for what the server has.

use std::collections::BTreeSet;

use super::Client;
use super::apply::{Application, Incoming};
use super::aside::Asides;
use super::outgrown::Grown;
use crate::error::Result;
use crate::model::{Record, Revision, SyncMetadata, TypeName};
use crate::source::{Action, Expect, OnMismatch, StateWrite, Write};
use crate::store::StateKey;

/// Edits to give up.
#[derive(Debug)]
pub(super) struct GivingUp {
    writes: Vec<Write>,
    /// Types to fetch anew then.
    refetch: BTreeSet<TypeName>,
    asides: Asides,
    outgrown: Grown,
}

impl GivingUp {
    /// Adds an edit, and what the server has instead, as far as that is known here. Where it is not (`is_unseen`), the edit
    /// stays visible until the next pull fetches its type anew.
    pub(super) fn add(&mut self, local: Record, server: Option<Record>, is_unseen: bool) {
        let key = &local.key;
        // It has the fields of before an upgrade of the application.
        let is_outgrown = server.is_some() && self.outgrown.contains_key(&key.type_name);
        // What this device cannot hold comes with the pull that can store it.
        let server = server.filter(|_| !is_outgrown && !self.asides.cannot_hold(key));
        let change = local.metadata.change;
        let metadata = SyncMetadata { change: 0, ..local.metadata };
        let record = match server {
            Some(server) => server,
            None if (is_unseen || is_outgrown) && !metadata.revision.is_none() => {
                self.refetch.insert(key.type_name.clone());
                Record { metadata, ..local }
            }
            None => {
                let metadata = SyncMetadata { revision: Revision::NONE, ..metadata };
                Record { body: None, metadata, key: local.key }
            }
        };
        self.writes.push(Write {
            action: Action::Put { record, pending: false },
            expect: Expect::Change(change),
            on_mismatch: OnMismatch::Abort,
        });
    }
}

impl Client {
    /// What is to be known to give edits up.
    pub(super) async fn giving_up(&self) -> Result<GivingUp> {
        let (asides, outgrown) = (self.load_asides().await?, self.outgrown().await?);
        Ok(GivingUp { writes: Vec::new(), refetch: BTreeSet::new(), asides, outgrown })
    }

    /// Gives them up, together with these entries; `false` if another process moved the state meanwhile and nothing was done.
    pub(super) async fn give_up(&self, giving_up: GivingUp, mut state: Vec<StateWrite>) -> Result<bool> {
        let GivingUp { writes, refetch, asides, .. } = giving_up;
        let keys = writes.iter().map(|write| write.action.key().clone()).collect();
        for name in &refetch {
            state.push(StateKey::refetch(name)?);
        }
        let application = Application {
            gives_up: true,
            ..Application::new(self.store.new_session(), Incoming::Inline(writes), state)
        };
        let applied = self.apply_beside(application, asides).await?;
        if applied.is_some() {
            self.store.events().records(keys);
        }
        Ok(applied.is_some())
    }
}
