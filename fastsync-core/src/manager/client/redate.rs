//! Dating edits anew that a device has made while its clock was ahead.

use super::Client;
use super::push::{MAX_RENUMBERINGS, Pushing};
use super::queue::moved_by_another_process;
use crate::error::{Error, Result};
use crate::model::{Hlc, Record, Timestamp};
use crate::source::{Action, CommitOutcome, Expect, OnMismatch, SyncableDataSourceExt as _, Write, Writes};
use crate::store::{PendingReader, StateKey};

/// How many edits are dated anew in one commit. A local commit is in one of them, however large it is.
const PAGE: usize = 10_000;

impl Client {
    /// Gives the edits that are dated after the server's time one that the server takes, in the order in which they were
    /// made, and sets the clock of the store back with them. All of them wait here: the sessions in flight are void.
    pub(super) async fn date_anew(&self, pushing: &mut Pushing, last: u64, refusal: Error) -> Result<()> {
        pushing.redatings += 1;
        if pushing.redatings > MAX_RENUMBERINGS {
            self.void(&mut pushing.queue, last, Vec::new()).await?;
            return Err(refusal);
        }
        let told = refusal.context().find(|(key, _)| *key == Error::SERVER_TIME_MS);
        let told = told.and_then(|(_, millis)| millis.parse().ok()).map(Timestamp::from_millis);
        // A server that does not tell its time: this clock may be right by now.
        let latest = Hlc::new(told.unwrap_or_else(|| self.store.now()), 0);
        // Edits of this process wait, so that they come after those before them.
        let _alone = self.store.hold_edits().await;
        self.void(&mut pushing.queue, last, Vec::new()).await?;
        let (mut time, mut change) = (latest, None);
        let mut reader = PendingReader::new(&self.store, PAGE);
        while let Some(page) = reader.next().await? {
            let ahead = page.into_iter().filter(|record| record.metadata.modified_at > latest);
            let writes: Vec<Write> = ahead
                .map(|record| {
                    if change != Some(record.metadata.change) {
                        (time, change) = (time.next(), Some(record.metadata.change));
                    }
                    dated(record, time)
                })
                .collect();
            if writes.is_empty() {
                continue;
            }
            let edits = u64::try_from(writes.len()).unwrap_or(u64::MAX);
            let state = vec![StateKey::clock(time)?];
            let commit =
                self.apply_commit(self.store.new_session(), Vec::new(), Writes::Inline(writes), state);
            match self.store.source().commit_alone(commit).await? {
                CommitOutcome::Applied(_) | CommitOutcome::Duplicate(_) => pushing.report.redated += edits,
                CommitOutcome::Conflicts { .. } => return Err(moved_by_another_process()),
            }
        }
        if time > latest {
            self.store.hybrid().set_back(time);
        }
        Ok(())
    }
}

/// The same edit at another time, unless it was edited meanwhile.
fn dated(mut record: Record, time: Hlc) -> Write {
    let change = record.metadata.change;
    record.metadata.modified_at = time;
    Write {
        action: Action::Put { record, pending: true },
        expect: Expect::Change(change),
        on_mismatch: OnMismatch::Skip,
    }
}
