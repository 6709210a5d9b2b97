//! Fetching everything anew.

use std::collections::BTreeSet;

use super::pull::PullPlan;
use super::{Client, PullReport};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Record, TypeName};
use crate::protocol::unknown_type;
use crate::store::PendingReader;

/// What a reset does with edits that wait to be pushed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PendingEdits {
    /// It does not begin.
    #[default]
    Refuse,
    /// They are pushed first; those that the server refuses keep it from beginning.
    PushFirst,
    /// They are lost, and none of them is sent. What is in flight is taken back first; what the server has processed of it
    /// stays.
    Discard,
}

const PAGE: usize = 4_096;

impl Client {
    pub(super) async fn hard_reset(&self, types: &[TypeName], edits: PendingEdits) -> Result<PullReport> {
        let is_known = |name: &&TypeName| self.endpoints.contains_key(*name);
        let left = self.unregistered_edits(types).await?;
        let is_left = |name: &TypeName| left.iter().any(|clear| clear.type_name == *name);
        if let Some(unknown) = types.iter().find(|name| !is_known(name) && !is_left(name)) {
            return Err(unknown_type(unknown));
        }
        if edits != PendingEdits::Discard
            && let Some(left) = types.iter().find(|name| !is_known(name))
        {
            return Err(Error::new(
                ErrorKind::PendingEdits,
                "hard_reset",
                format!("edits of type {left} wait, which is not registered: register it or discard them"),
            ));
        }
        let types: BTreeSet<TypeName> = if types.is_empty() {
            self.endpoints.keys().cloned().collect()
        } else {
            types.iter().filter(is_known).cloned().collect()
        };
        let settled = match edits {
            PendingEdits::Discard => self.withdraw_in_flight().await?,
            PendingEdits::Refuse | PendingEdits::PushFirst => self.settle_in_flight().await?,
        };
        let mut conflicts = settled.conflicts;
        if edits == PendingEdits::PushFirst {
            conflicts.extend(self.push().await?.conflicts);
        }
        let discard_through = match (edits, self.last_pending_change(&types).await?) {
            (_, None) => 0,
            (PendingEdits::Discard, Some(last)) => last,
            (PendingEdits::Refuse | PendingEdits::PushFirst, Some(_)) => {
                return Err(Error::new(
                    ErrorKind::PendingEdits,
                    "hard_reset",
                    "edits of the types to reset wait to be pushed: push them first or discard them",
                ));
            }
        };
        // Only types that are not registered were named: there is nothing to fetch.
        if types.is_empty() {
            self.drop_edits(left).await?;
            return Ok(PullReport { conflicts, ..PullReport::default() });
        }
        let anew = types.into_iter().map(|name| (name, discard_through)).collect();
        let mut report = self.pull_once(PullPlan { anew, ..PullPlan::default() }).await?;
        if edits == PendingEdits::Discard {
            self.drop_edits(left).await?;
        }
        report.conflicts.splice(0..0, conflicts);
        Ok(report)
    }

    /// The newest local change among the types to reset.
    async fn last_pending_change(&self, types: &BTreeSet<TypeName>) -> Result<Option<u64>> {
        let mut last = None;
        // What waits for a decision is no edit, and a reset keeps it.
        let forgotten = self.load_marks().await?;
        let mut pending = PendingReader::new(&self.store, PAGE);
        while let Some(page) = pending.next().await? {
            let is_edit =
                |record: &&Record| types.contains(&record.key.type_name) && !forgotten.holds(record);
            let changes = page.iter().filter(is_edit);
            last = last.max(changes.map(|record| record.metadata.change).max());
        }
        Ok(last)
    }
}
