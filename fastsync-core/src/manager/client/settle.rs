//! A pending local edit meets another version from the server.

use super::outgrown::Grown;
use super::{Client, SettledConflict, Settlement};
use crate::conflict::Settled;
use crate::error::Result;
use crate::model::{Record, SyncMetadata};
use crate::protocol::unknown_type;
use crate::source::{Action, OnMismatch, Write};
use crate::store::unchanged;

/// What becomes of a pending record that the server sent another version of.
#[derive(Debug)]
pub(super) struct SettledWrite {
    /// What to store; expects the local record as it was looked at.
    pub(super) write: Write,
    /// What to report, if there was a conflict at all.
    pub(super) report: Option<SettledConflict>,
}

impl Client {
    /// Decides between the server's version and the local record, which has an edit pending. Says why, if the conflict
    /// handler could not.
    pub(super) async fn settle(
        &self,
        server: Record,
        local: Record,
        grown: &Grown,
    ) -> Result<std::result::Result<SettledWrite, String>> {
        let local = self.grown(&server, local, grown);
        let settled = self.decide(&server, &local, grown).await?;
        let expect = unchanged(&local);
        let key = local.key.clone();
        let (record, pending, report) = match settled {
            Decision::Undecided(text) => return Ok(Err(text)),
            Decision::Current => (local, true, None),
            Decision::Server => {
                // Two deletions agree; dropping ours loses nothing. Nor does a default object that gives way.
                let loses_nothing = local.is_if_absent()
                    || (local.is_deleted() && server.is_deleted())
                    || server.is_as(&local);
                let dropped = (!loses_nothing).then_some(local);
                let report = dropped.map(|local| SettledConflict {
                    key,
                    settlement: Settlement::KeptServer,
                    dropped: Some(local),
                });
                (server, false, report)
            }
            Decision::Rebased => {
                let report = SettledConflict { key, settlement: Settlement::KeptClient, dropped: None };
                (rebased(&server, local), true, Some(report))
            }
            Decision::Merged(body) => {
                let mut merged = rebased(&server, local.clone());
                merged.body = Some(body);
                merged.metadata.modified_at = self.store.hybrid().tick(self.store.clock());
                merged.metadata.modified_by = self.store.device();
                let report = SettledConflict { key, settlement: Settlement::Merged, dropped: Some(local) };
                (merged, true, Some(report))
            }
        };
        let write = Write { action: Action::Put { record, pending }, expect, on_mismatch: OnMismatch::Abort };
        Ok(Ok(SettledWrite { write, report }))
    }

    async fn decide(&self, server: &Record, local: &Record, grown: &Grown) -> Result<Decision> {
        if server.metadata.revision == local.metadata.revision && !self.is_set_unseen(server, local, grown) {
            return Ok(Decision::Current);
        }
        // What is the same on both ends needs no decision: another device may have sent it again.
        if local.is_if_absent() || server.is_as(local) {
            return Ok(Decision::Server);
        }
        let same_life = server.metadata.incarnation == local.metadata.incarnation;
        let new_life = !same_life && local.metadata.begins_a_life();
        if server.is_deleted() {
            // A deletion is not undone by an edit that did not know of it; an object made anew is another one.
            return Ok(if new_life && !local.is_deleted() { Decision::Current } else { Decision::Server });
        }
        if !same_life && !new_life {
            return Ok(Decision::Server);
        }
        let endpoint =
            self.endpoints.get(&local.key.type_name).ok_or_else(|| unknown_type(&local.key.type_name))?;
        match endpoint.settle(server, local).await {
            Ok(Settled::Server) => Ok(Decision::Server),
            Ok(Settled::Client) => Ok(Decision::Rebased),
            Ok(Settled::Merged(body)) => Ok(Decision::Merged(body)),
            Err(rejection) => Ok(Decision::Undecided(rejection.message)),
        }
    }
}

enum Decision {
    /// The handler failed.
    Undecided(String),
    /// The local edit is based on the server's version already.
    Current,
    /// The server's version replaces the local edit.
    Server,
    /// The local edit stays, on the server's version as its new base.
    Rebased,
    /// Something made of both stays, on the server's version as its base.
    Merged(Vec<crate::model::Value>),
}

/// The local record as an edit of the server's version.
fn rebased(server: &Record, local: Record) -> Record {
    let metadata = SyncMetadata {
        revision: server.metadata.revision,
        incarnation: server.metadata.incarnation,
        ..local.metadata
    };
    Record { metadata, ..local }
}
