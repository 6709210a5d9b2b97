//! Edits that the server refused: kept until the application decides.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::apply::{Application, Incoming};
use super::collect::Withheld;
use super::state::decode;
use super::{Client, ClientStatus};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Record, RecordKey, Revision, SyncMetadata};
use crate::source::{Action, Expect, OnMismatch, StateWrite, Write};
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
    /// What the server had instead when it refused the edit; `None` if it had nothing.
    pub server: Option<Record>,
    /// The revision that the refused edit was based on.
    pub base: Revision,
}

impl Client {
    pub(super) async fn withheld(&self) -> Result<Withheld> {
        let (current, outdated) = self.refusals().await?;
        Ok(Withheld {
            rejected: current.into_iter().map(|edit| (edit.key, edit.change)).collect(),
            unknown_types: self.load_unknown_types().await?,
            outdated: outdated.into_iter().map(|edit| edit.key).collect(),
        })
    }

    pub(super) async fn rejected(&self) -> Result<Vec<RejectedEdit>> {
        Ok(self.refusals().await?.0)
    }

    /// The refusals of edits that are still there, and of others: an object that was edited again, or replaced by
    /// a pull, is no longer the refused edit.
    async fn refusals(&self) -> Result<(Vec<RejectedEdit>, Vec<RejectedEdit>)> {
        let entries = self.store.source().states(StateKey::REJECTED).await?;
        let (mut current, mut outdated) = (Vec::new(), Vec::new());
        for (_, value) in &entries {
            let edit: RejectedEdit = decode(value)?;
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
        Ok(ClientStatus {
            pending: self.store.source().count_pending().await?,
            rejected: u64::try_from(rejected).unwrap_or(u64::MAX),
            push_in_flight: self.load_push_state().await?.state.in_flight.is_some(),
            has_pulled: self.load_cursor().await?.is_some(),
        })
    }

    pub(super) async fn retry_rejected(&self, edits: &[RejectedEdit]) -> Result<()> {
        self.close_rejected(edits, Vec::new(), Vec::new()).await
    }

    pub(super) async fn discard_rejected(&self, edits: &[RejectedEdit]) -> Result<()> {
        let mut writes = Vec::new();
        let mut refetch = BTreeSet::new();
        for edit in edits {
            let key = &edit.key;
            let found =
                self.store.source().get(&key.type_name, &key.zone, std::slice::from_ref(&key.id)).await?;
            let Some(local) = found.into_iter().find(|record| record.metadata.change == edit.change) else {
                continue;
            };
            // A pull has moved the edit to a newer base since: what the server has must be fetched.
            let is_outdated = local.metadata.revision != edit.base;
            if is_outdated {
                refetch.insert(&key.type_name);
            }
            let record = edit.server.clone().filter(|_| !is_outdated).unwrap_or(Record {
                body: None,
                metadata: SyncMetadata { revision: Revision::NONE, change: 0, ..local.metadata },
                key: local.key,
            });
            writes.push(Write {
                action: Action::Put { record, pending: false },
                expect: Expect::Change(edit.change),
                on_mismatch: OnMismatch::Skip,
            });
        }
        self.close_rejected(edits, writes, refetch.into_iter().map(StateKey::refetch).collect()).await
    }

    async fn close_rejected(
        &self,
        edits: &[RejectedEdit],
        writes: Vec<Write>,
        mut state: Vec<StateWrite>,
    ) -> Result<()> {
        let keys = writes.iter().map(|write| write.action.key().clone()).collect();
        state.extend(edits.iter().map(|edit| StateWrite::set(StateKey::rejected(&edit.key), None)));
        let application = Application {
            session: self.store.new_session(),
            clears: Vec::new(),
            writes: Incoming::Inline(writes),
            state,
        };
        match self.apply(application).await? {
            Some(_) => {
                self.store.events().records(keys);
                Ok(())
            }
            None => Err(Error::new(ErrorKind::Contention, "rejected", "another process changed the store")),
        }
    }
}
