//! Edits that reach a server by another way than a push of this protocol.

use std::collections::BTreeMap;

use super::Server;
use super::push::{Plan, Session, Stored};
use crate::context::{SyncContext, ZoneAccess};
use crate::error::Result;
use crate::manager::SyncManager;
use crate::model::{DeviceId, Record, RecordKey, Revision, Tag};
use crate::protocol::{Outcome, PushMode};
use crate::source::{StateWrite, Turn};

/// A session of edits that a gateway makes on behalf of clients with another protocol.
///
/// Records are as in a push: their revision is the base of the edit ([`Revision::NONE`] for an object that the server
/// has not seen), their incarnation the life that was edited, and zones, validation and conflicts are decided as for a
/// push, object by object. Retries are the gateway's business: it notes in state entries what it has done.
#[derive(Debug)]
#[non_exhaustive]
pub struct Submission {
    /// The edits, each object once.
    pub edits: Vec<SubmittedEdit>,
    tag: Tag,
    revision: Revision,
    device: DeviceId,
}

/// One edit of a [`Submission`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SubmittedEdit {
    /// The object as edited, with a body that fits its type.
    pub record: Record,
    /// Written with the session, unless the edit is refused.
    pub note: Option<StateWrite>,
}

impl SubmittedEdit {
    /// An edit without a note.
    #[must_use]
    pub const fn new(record: Record) -> Self {
        Self { record, note: None }
    }

    /// The same with an entry that is written with the session, unless the edit is refused.
    #[must_use]
    pub fn with_note(self, note: impl Into<Option<StateWrite>>) -> Self {
        Self { note: note.into(), ..self }
    }
}

impl Submission {
    /// The revision that the records of this session will have.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// Who makes the edits.
    #[must_use]
    pub fn device(&self) -> DeviceId {
        self.device
    }
}

impl SyncManager<Server> {
    /// What this context may read and write, as the server's zone policy says.
    ///
    /// # Errors
    /// Those of the policy.
    pub async fn access(&self, context: &SyncContext) -> Result<ZoneAccess> {
        self.inner.policy.zones(context).await
    }

    /// Starts a session of a gateway, made by `device`.
    #[must_use]
    pub fn submission(&self, device: DeviceId) -> Submission {
        let (tag, revision) = self.inner.store.new_tag();
        Submission { edits: Vec::new(), tag, revision, device }
    }

    /// Commits the edits at one position of each zone, each object for itself: one that is refused leaves the others.
    /// Gives the objects that there is something to tell of; `None` if a note found another state entry than it
    /// expected: then nothing is changed, and the gateway looks again.
    ///
    /// Where the server's version wins, it is stored again with the revision of this session, and where the object is
    /// gone for good, its tombstone is: a client that knows nothing but positions receives it with its next pull.
    ///
    /// # Errors
    /// `UnknownType`, `UnknownZone` (a zone of the wrong sort for its type), `InvalidInput`, `Contention`; those of the
    /// policy and of the data source. Nothing is changed then.
    ///
    /// Cancellation: a dropped future leaves the whole session or none of it.
    pub async fn submit(
        &self,
        context: &SyncContext,
        submission: Submission,
    ) -> Result<Option<Vec<(RecordKey, Outcome)>>> {
        let server = &self.inner;
        let Submission { edits, tag, revision, device } = submission;
        let (records, notes): (Vec<_>, Vec<_>) =
            edits.into_iter().map(|edit| (edit.record, edit.note)).unzip();
        for record in &records {
            server.store.check_zone(&record.key.type_name, &record.key.zone)?;
        }
        let session = Session {
            context,
            access: server.policy.zones(context).await?,
            id: server.store.new_session(),
            device,
            number: 0,
            mode: PushMode::PerObject,
            restamp: true,
            records,
            unfit: BTreeMap::new(),
            missing: BTreeMap::new(),
        };
        let state = |plan: &Plan| {
            let kept =
                session.records.iter().zip(&notes).filter(|(record, _)| !plan.is_rejected(&record.key));
            Ok(kept.filter_map(|(_, note)| note.clone()).collect())
        };
        Ok(match server.store_session(&session, &Turn::default(), (tag, revision), state).await? {
            // The id is this session's own: one that is there already was stored by a try whose answer was lost.
            Stored::Now(plan) | Stored::Before(plan) => Some(plan.exceptions()),
            Stored::Moved => None,
        })
    }
}
