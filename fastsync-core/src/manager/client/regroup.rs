//! A local commit of which one edit was refused stays one, also when that edit is mended.

use std::collections::{BTreeMap, BTreeSet};

use super::Client;
use super::push::Pushing;
use super::queue::moved_by_another_process;
use super::rejected::forget_refusal;
use crate::error::Result;
use crate::model::{Record, RecordKey};
use crate::source::{Action, CommitOutcome, Expect, OnMismatch, SyncableDataSourceExt as _, Write, Writes};
use crate::store::PendingReader;

impl Client {
    /// Makes one local commit again of each that was refused and of which an object was edited since: of what is left of it,
    /// and of the commits with the later edits. The next push sends it whole.
    pub(super) async fn regroup(&self, pushing: &mut Pushing) -> Result<()> {
        if pushing.withheld.outdated.is_empty() || pushing.withheld.rejected.is_empty() {
            return Ok(());
        }
        let mut refused: BTreeMap<u64, Vec<RecordKey>> = BTreeMap::new();
        for (_, edit) in self.load_refusals().await?.into_values() {
            refused.entry(edit.change).or_default().push(edit.key);
        }
        for (change, keys) in refused {
            let is_left = |key: &RecordKey| pushing.withheld.rejected.get(key) == Some(&change);
            if keys.iter().all(is_left) || !keys.iter().any(is_left) {
                continue;
            }
            let mut changes = BTreeSet::from([change]);
            for key in keys.iter().filter(|key| !is_left(key)) {
                changes.extend(self.pending_at(key).await?.map(|record| record.metadata.change));
            }
            // One that was replaced by a pull, or given up, leaves the others refused.
            if changes.len() > 1 {
                self.join(&changes, &keys).await?;
            }
        }
        pushing.withheld = self.withheld().await?;
        Ok(())
    }

    /// Makes one local commit of these, and forgets why its objects were refused.
    async fn join(&self, changes: &BTreeSet<u64>, keys: &[RecordKey]) -> Result<()> {
        let mut writes = Vec::new();
        for change in changes {
            writes.extend(self.local_commit(*change).await?.into_iter().map(|mut record| {
                // Under the number of this commit.
                record.metadata.change = 0;
                Write {
                    action: Action::Put { record, pending: true },
                    expect: Expect::Change(*change),
                    on_mismatch: OnMismatch::Abort,
                }
            }));
        }
        let state = keys.iter().flat_map(forget_refusal).collect();
        let commit = self.apply_commit(self.store.new_session(), Vec::new(), Writes::Inline(writes), state);
        match self.store.source().commit_alone(commit).await? {
            CommitOutcome::Applied(_) | CommitOutcome::Duplicate(_) => Ok(()),
            CommitOutcome::Conflicts { .. } => Err(moved_by_another_process()),
        }
    }

    /// What still waits of a local commit.
    pub(super) async fn local_commit(&self, change: u64) -> Result<Vec<Record>> {
        let mut reader = PendingReader::after(&self.store, change.saturating_sub(1), 1);
        let mut records = reader.next().await?.unwrap_or_default();
        records.retain(|record| record.metadata.change == change);
        Ok(records)
    }
}
