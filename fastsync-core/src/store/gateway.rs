//! What a gateway writes: whoever brings data in by another way than a repository or a push.

use super::Store;
use crate::error::Result;
use crate::model::{Author, DeviceId, SessionKind};
use crate::source::{Commit, CommitOutcome, StateWrite, SyncableDataSourceExt as _, Write, Writes};

impl Store {
    /// Writes state entries and no record, all or none; returns whether every one was as expected. Keys of gateways do not begin
    /// with `fastsync/`.
    ///
    /// # Errors
    /// Those of the data source.
    pub async fn write_state(&self, state: Vec<StateWrite>) -> Result<bool> {
        let commit = self.session_of(self.device(), SessionKind::Edit, Vec::new(), state);
        let outcome = self.source().commit_alone(commit).await?;
        Ok(!matches!(outcome, CommitOutcome::Conflicts { .. }))
    }

    /// Commits records as they are, at one position of each zone, with state entries: an import. Nothing is validated but
    /// that the records fit their types, and no handler is asked: each write says what it expects.
    ///
    /// # Errors
    /// Those of [`commit`](crate::SyncableDataSource::commit).
    pub async fn write_records(
        &self,
        by: DeviceId,
        writes: Vec<Write>,
        state: Vec<StateWrite>,
    ) -> Result<CommitOutcome> {
        let keys = writes.iter().map(|write| write.action.key().clone()).collect();
        let commit = Commit { positioned: true, ..self.session_of(by, SessionKind::Direct, writes, state) };
        let outcome = self.source().commit_alone(commit).await?;
        if let CommitOutcome::Applied(_) = outcome {
            self.events().records(keys);
        }
        Ok(outcome)
    }

    fn session_of(
        &self,
        device: DeviceId,
        kind: SessionKind,
        writes: Vec<Write>,
        state: Vec<StateWrite>,
    ) -> Commit {
        let (tag, _) = self.new_tag();
        Commit {
            session: self.new_session(),
            kind,
            author: Author { user: None, device, number: 0 },
            at: self.now(),
            tag,
            positioned: false,
            clears: Vec::new(),
            writes: Writes::Inline(writes),
            state,
        }
    }
}
