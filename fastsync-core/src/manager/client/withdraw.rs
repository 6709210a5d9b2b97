//! Taking pushes back: before a number is used for anything else, the server says what became of it.

use std::collections::VecDeque;

use super::Client;
use super::push::Pushing;
use super::queue::{InFlight, PushQueue};
use super::rejected::RejectedEdit;
use crate::error::{Error, ErrorKind, Result};
use crate::model::RecordKey;
use crate::protocol::{PushReply, PushRequest};
use crate::source::StateWrite;
use crate::source::entry::encode;
use crate::store::{SessionLimits, StateKey};

/// Whether an error means that the server, or something before it, refuses a push for what it says. It may have processed
/// the push at an earlier try all the same.
pub(super) fn refuses_whole_push(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::InvalidInput
        | ErrorKind::TooLarge
        | ErrorKind::UnknownType
        | ErrorKind::UnknownZone
        | ErrorKind::ClockSkew => true,
        // A server that speaks no protocol of ours cannot be asked for anything.
        ErrorKind::UpgradeRequired => error.protocols().is_none(),
        _ => false,
    }
}

impl Client {
    /// Does what a refusal of the queue's first session asks for, once that session and those after it are void.
    pub(super) async fn give_way(&self, pushing: &mut Pushing, error: Error) -> Result<()> {
        let Some(refused) = pushing.queue.sessions.front().cloned() else { return Err(error) };
        match self.withdraw(&pushing.queue).await? {
            PushReply::Processed(receipt) => self.settle_answer(pushing, receipt).await,
            PushReply::Voided { last } => match error.kind() {
                ErrorKind::TooLarge | ErrorKind::InvalidInput | ErrorKind::UnknownZone => {
                    if refused.is_one_local_commit() {
                        return self.refuse(pushing, last, &refused, &error).await;
                    }
                    self.cut.refused(refused.size(), &error);
                    self.void(&mut pushing.queue, last, Vec::new()).await
                }
                ErrorKind::ClockSkew => self.date_anew(pushing, last, error).await,
                _ => {
                    self.void(&mut pushing.queue, last, Vec::new()).await?;
                    Err(error)
                }
            },
            other => self.renumber(pushing, other).await,
        }
    }

    /// Asks what became of the queue's first session; if the server has not processed it, it never will, nor those after it.
    pub(super) async fn withdraw(&self, queue: &PushQueue) -> Result<PushReply> {
        let mut requests = queue.sessions.iter().map(|session| &session.request);
        let Some(first) = requests.next() else {
            return Err(Error::invalid("push", "there is nothing to withdraw"));
        };
        let (metadata, later) = (first.metadata.clone(), requests.map(|request| request.session));
        let withdrawal = PushRequest::withdrawal(metadata, first.number, first.session, later);
        self.transport.push(&withdrawal.into()).await
    }

    /// Drops the sessions that wait: the server has made them void, up to this number.
    pub(super) async fn void(
        &self,
        queue: &mut PushQueue,
        last: u64,
        mut entries: Vec<StateWrite>,
    ) -> Result<()> {
        if last <= queue.acknowledged {
            let message = "the server has made a push void without using its number up";
            return Err(Error::new(ErrorKind::Protocol, "push", message));
        }
        if last >= queue.next_number() {
            // Another copy of this store has used the numbers in between: what it pushed under them is not here.
            entries.extend(self.refetch_all()?);
        }
        self.empty_queue(queue, last, entries).await
    }

    /// Lists the edits of one local commit as refused.
    async fn refuse(
        &self,
        pushing: &mut Pushing,
        last: u64,
        refused: &InFlight,
        error: &Error,
    ) -> Result<()> {
        let code = match error.kind() {
            ErrorKind::TooLarge => "too_large",
            ErrorKind::UnknownZone => "zone",
            _ => "invalid",
        };
        let size = refused.size();
        let message = format!(
            "a local commit of {} records and about {} bytes is refused as a whole: {}",
            size.records,
            size.bytes,
            error.message()
        );
        let changes = refused.changes.iter().copied();
        let edits = refused_edits(refused.request.payload.keys().zip(changes), code, &message);
        let entries = pushing.note_refused(&edits)?;
        // The others are no larger for it.
        self.cut.was_one();
        self.void(&mut pushing.queue, last, entries).await
    }

    /// Lists the edits of a local commit that is larger than any session may be: it can never be sent.
    pub(super) async fn refuse_unsent(
        &self,
        pushing: &mut Pushing,
        edits: Vec<(RecordKey, u64)>,
        size: SessionLimits,
    ) -> Result<()> {
        let limits = self.store.limits();
        let message = format!(
            "a local commit of {} records and {} bytes exceeds the limit of {} records and {} bytes per session",
            size.records, size.bytes, limits.records, limits.bytes
        );
        let entries = pushing.note_refused(&refused_edits(edits, "too_large", &message))?;
        let acknowledged = pushing.queue.acknowledged;
        self.commit_queue(&mut pushing.queue, acknowledged, VecDeque::new(), entries).await
    }
}

impl Pushing {
    /// Counts edits as refused; the entries that keep them.
    fn note_refused(&mut self, edits: &[RejectedEdit]) -> Result<Vec<StateWrite>> {
        self.report.rejected += u64::try_from(edits.len()).unwrap_or(u64::MAX);
        self.withheld.rejected.extend(edits.iter().map(|edit| (edit.key.clone(), edit.change)));
        let mut entries = Vec::new();
        for edit in edits {
            self.withheld.outdated.retain(|key| *key != edit.key);
            entries.push(StateWrite::set(StateKey::rejected(&edit.key), Some(encode(edit)?)));
            entries.push(StateWrite::set(StateKey::unseen(&edit.key), Some(encode(&())?)));
        }
        Ok(entries)
    }
}

/// What the server has instead of them is not known.
fn refused_edits(
    edits: impl IntoIterator<Item = (RecordKey, u64)>,
    code: &str,
    message: &str,
) -> Vec<RejectedEdit> {
    let edit = |(key, change)| RejectedEdit {
        key,
        change,
        code: code.to_owned(),
        message: message.to_owned(),
        server: None,
    };
    edits.into_iter().map(edit).collect()
}
