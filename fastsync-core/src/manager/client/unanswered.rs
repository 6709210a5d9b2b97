//! Pulling while a push is in flight whose answer cannot be had.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::pull::PullPlan;
use super::{Client, PullReport};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{DeviceId, Hlc, Incarnation, Record, RecordKey};

/// The objects of pushes in flight whose answer cannot be had, and why.
///
/// A pull brings the changes of others all the same, unless they are of these objects: which came first is known from the
/// answer only. They wait for it here as well, so that a commit finds them.
#[derive(Debug, Clone, Default)]
pub(super) struct Unanswered(Option<Arc<Objects>>);

#[derive(Debug)]
struct Objects {
    /// Each object's time and life as they were sent.
    rows: BTreeMap<RecordKey, (Hlc, Incarnation)>,
    kind: ErrorKind,
    cause: String,
}

impl Unanswered {
    /// Everything is answered.
    pub(super) const NOTHING: Self = Self(None);

    fn row(&self, key: &RecordKey) -> Option<&(Hlc, Incarnation)> {
        self.0.as_ref()?.rows.get(key)
    }

    pub(super) fn contains(&self, key: &RecordKey) -> bool {
        self.row(key).is_some()
    }

    /// Whether the server has stored the record just as it was sent: the receipt will say so.
    pub(super) fn is_as_sent(&self, Record { key, metadata, .. }: &Record, device: DeviceId) -> bool {
        let is_sent = |sent: &(Hlc, Incarnation)| *sent == (metadata.modified_at, metadata.incarnation);
        metadata.modified_by == device && self.row(key).is_some_and(is_sent)
    }

    /// # Errors
    /// Why another version of the object cannot be stored now.
    pub(super) fn check(&self, key: &RecordKey) -> Result<()> {
        let Some(objects) = self.0.as_ref().filter(|_| self.contains(key)) else { return Ok(()) };
        let message =
            "it brings other versions of objects whose push is in flight, and waits for the answer to that";
        Err(Error::new(objects.kind, "pull", message).with_context("push", &objects.cause))
    }
}

impl Client {
    pub(super) async fn pull(&self) -> Result<PullReport> {
        self.know_itself().await?;
        // An unanswered push is settled first: its receipt must meet the records that it was made of.
        match self.settle_in_flight().await {
            Ok(settled) => {
                let mut report = self.pull_marked(Unanswered::default()).await?;
                report.conflicts.splice(0..0, settled.conflicts);
                Ok(report)
            }
            Err(error) => self.pull_after_failed_push(&error).await,
        }
    }

    /// Fetches what changed, and anew what is marked for it.
    async fn pull_marked(&self, unanswered: Unanswered) -> Result<PullReport> {
        let anew = self.load_refetch().await?.into_iter().map(|name| (name, 0)).collect();
        self.pull_once(PullPlan { anew, unanswered, ..PullPlan::default() }).await
    }

    /// Pulls although a push may be in flight whose answer cannot be had for this reason.
    pub(super) async fn pull_after_failed_push(&self, error: &Error) -> Result<PullReport> {
        let unanswered = self.unanswered(error).await?;
        self.pull_marked(unanswered).await
    }

    /// What is in flight and cannot be answered for this reason.
    ///
    /// # Errors
    /// The pull has to wait: what is in flight was made of other fields than the types have now.
    async fn unanswered(&self, error: &Error) -> Result<Unanswered> {
        let queue = self.load_queue().await?;
        if queue.sessions.is_empty() {
            return Ok(Unanswered::default());
        }
        let (kind, cause) = (error.kind(), error.to_string());
        if !self.outgrown().await?.is_empty() {
            let message = "types have other fields since, and a push of before is not answered yet";
            return Err(Error::new(kind, "pull", message).with_context("push", cause));
        }
        let rows = queue.sessions.iter().flat_map(|session| session.request.payload.rows());
        let rows = rows.map(|(key, row)| (key, (row.3, row.2))).collect();
        Ok(Unanswered(Some(Arc::new(Objects { rows, kind, cause }))))
    }
}
