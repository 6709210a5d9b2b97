//! A pushed edit meets another version than the one it started from.

use super::Server;
use crate::conflict::Settled;
use crate::error::Result;
use crate::model::{Record, Revision, SyncMetadata};
use crate::protocol::{Outcome, unknown_type};

/// What becomes of a pushed edit.
#[derive(Debug)]
pub(super) enum Decision {
    /// Store this record, if the server's is still the one that was looked at.
    Store {
        record: Record,
        /// What to tell of it, if there was a conflict.
        outcome: Option<Outcome>,
    },
    /// Store nothing.
    Leave(Outcome),
}

impl Server {
    /// Decides between what the server has and what was pushed.
    ///
    /// `is_of_one_device`: whether whoever modified a record is one device, which knows what it has sent.
    pub(super) async fn settle(
        &self,
        current: Option<&Record>,
        pushed: &Record,
        is_of_one_device: bool,
    ) -> Result<Decision> {
        let superseded = Decision::Leave(Outcome::Superseded);
        let made_anew = pushed.metadata.begins_a_life();
        let Some(server) = current else {
            // The object is gone, tombstone and all: an edit of it never brings it back.
            return Ok(if made_anew && !pushed.is_deleted() {
                Decision::Store { record: pushed.clone(), outcome: None }
            } else {
                superseded
            });
        };
        // It was to be added only where none is or was.
        if pushed.is_if_absent() {
            return Ok(superseded);
        }
        let same_life = server.metadata.incarnation == pushed.metadata.incarnation;
        if server.is_deleted() {
            // Only an object made anew, not one that the deletion has ended, may take the id again.
            let new_life = made_anew && !same_life && !pushed.is_deleted();
            return Ok(if new_life {
                Decision::Store { record: pushed.clone(), outcome: None }
            } else {
                superseded
            });
        }
        if !same_life && !made_anew {
            return Ok(superseded);
        }
        // It is there already: another device had the same object and sent it again, after the server had lost it.
        if same_life && server.is_as(pushed) {
            return Ok(Decision::Store { record: pushed.clone(), outcome: None });
        }
        // A device that replaces a version knows what it has sent itself since, also where the answer came after it had begun
        // the other life. One that names none may have forgotten the object.
        let knows_own = is_of_one_device && !pushed.metadata.revision.is_none();
        if knows_own && !same_life && server.metadata.modified_by == pushed.metadata.modified_by {
            return Ok(Decision::Store { record: pushed.clone(), outcome: None });
        }
        let endpoint =
            self.endpoints.get(&pushed.key.type_name).ok_or_else(|| unknown_type(&pushed.key.type_name))?;
        Ok(match endpoint.settle(server, pushed).await {
            Ok(Settled::Server) => superseded,
            Ok(Settled::Client) => {
                let record = continued(server, pushed.clone());
                // The client must learn of another life than the one it began.
                let another_life = !same_life && !record.is_deleted();
                let outcome = if another_life { Outcome::Merged } else { Outcome::Kept };
                Decision::Store { record, outcome: Some(outcome) }
            }
            Ok(Settled::Merged(body)) => {
                let mut record = continued(server, pushed.clone());
                record.body = Some(body);
                record.metadata.modified_at = server.metadata.modified_at.max(pushed.metadata.modified_at);
                Decision::Store { record, outcome: Some(Outcome::Merged) }
            }
            Err(rejection) => {
                Decision::Leave(Outcome::Rejected { code: rejection.code, message: rejection.message })
            }
        })
    }
}

/// The pushed record as the next version of the server's.
fn continued(server: &Record, pushed: Record) -> Record {
    let metadata = SyncMetadata { incarnation: server.metadata.incarnation, ..pushed.metadata };
    Record { metadata, ..pushed }
}

/// The base of an edit, as what must be stored for it to apply.
pub(super) fn expected(base: Revision) -> crate::source::Expect {
    if base.is_none() { crate::source::Expect::Absent } else { crate::source::Expect::Revision(base) }
}
