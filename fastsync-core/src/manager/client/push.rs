//! Sending local edits.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use futures_util::future;

use super::apply::{Application, Incoming};
use super::collect::Withheld;
use super::queue::{InFlight, PushQueue, moved_by_another_process};
use super::state::encode;
use super::{Client, PushReport, SyncPhase, SyncProgress};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{DeviceId, SessionId};
use crate::protocol::{PushReceipt, PushReply};
use crate::source::{CommitOutcome, StateWrite, Writes};
use crate::store::StateKey;
use crate::transport::PreparedPush;

/// How often the server may ask for another number or identity before it is called broken.
const MAX_RENUMBERINGS: usize = 4;

/// What one call of `push` has come to so far.
struct Pushing {
    queue: PushQueue,
    /// The receipt of the queue's first session, while it is not stored.
    answered: Option<PushReceipt>,
    /// The queue's last session, as the transport will send it, if that was made ready.
    prepared: Option<(SessionId, PreparedPush)>,
    withheld: Withheld,
    only_in_flight: bool,
    report: PushReport,
}

impl Client {
    pub(super) async fn push(&self) -> Result<PushReport> {
        match self.push_all(false).await {
            // The server does not know a type of ours: a pull tells which, and the others can go on.
            Err(error) if error.kind() == ErrorKind::UnknownType => {
                let known_before = self.load_unknown_types().await?;
                self.pull_once(super::pull::PullPlan::default()).await?;
                if self.load_unknown_types().await? == known_before {
                    return Err(error);
                }
                self.push_all(false).await
            }
            outcome => outcome,
        }
    }

    /// Sends what was begun and not answered, if there is anything.
    pub(super) async fn settle_in_flight(&self) -> Result<PushReport> {
        let (_, is_in_flight) = self.push_standing().await?;
        if is_in_flight { self.push_all(true).await } else { Ok(PushReport::default()) }
    }

    async fn push_all(&self, only_in_flight: bool) -> Result<PushReport> {
        let mut pushing = Pushing {
            queue: self.load_queue().await?,
            answered: None,
            prepared: None,
            withheld: self.withheld().await?,
            only_in_flight,
            report: PushReport::default(),
        };
        let mut renumberings = 0;
        let mut sent = 0;
        let mut total = None;
        loop {
            let place = usize::from(pushing.answered.is_some());
            let Some(session) = pushing.queue.sessions.get(place).map(Arc::clone) else {
                if only_in_flight || !self.begin(&mut pushing).await? {
                    return Ok(pushing.report);
                }
                continue;
            };
            if total.is_none() && self.progress.is_some() {
                total = Some(self.store.source().count_pending().await?);
            }
            self.report_progress(&SyncProgress { phase: SyncPhase::Pushing, done: sent, total });
            let prepared = pushing.prepared.take().filter(|(id, _)| *id == session.request.session);
            let sent_now = async {
                match prepared {
                    Some((_, prepared)) => self.transport.push_prepared(&session.request, prepared).await,
                    None => self.transport.push(&session.request).await,
                }
            };
            // While the server works on this session, the receipt of the last one and the next one are stored.
            let (reply, stored) = future::join(sent_now, self.catch_up(&mut pushing)).await;
            stored?;
            if let Err(error) = &reply
                && refuses_whole_push(error.kind())
            {
                // Its edits are collected anew next time.
                let acknowledged = pushing.queue.acknowledged;
                self.empty_queue(&mut pushing.queue, acknowledged, Vec::new()).await?;
            }
            match reply? {
                PushReply::Processed(receipt) => {
                    renumberings = 0;
                    sent += u64::try_from(session.changes.len()).unwrap_or(u64::MAX);
                    if receipt.exceptions.is_empty() && pushing.queue.sessions.len() > 1 {
                        pushing.answered = Some(receipt);
                    } else {
                        self.store_receipt(&mut pushing, receipt, VecDeque::new()).await?;
                    }
                }
                PushReply::ClientForked => {
                    renumberings += 1;
                    pushing.report.forked = true;
                    self.take_new_identity(&mut pushing.queue).await?;
                }
                PushReply::Gap { last } => {
                    // The server has forgotten pushes of ours (a restored backup): it goes on from where it is, and
                    // what it has must be fetched anew.
                    renumberings += 1;
                    let anew = self.endpoints.keys().map(StateKey::refetch).collect();
                    self.empty_queue(&mut pushing.queue, last, anew).await?;
                }
            }
            if renumberings > MAX_RENUMBERINGS {
                return Err(Error::new(
                    ErrorKind::Protocol,
                    "push",
                    "the server does not agree on any push number",
                ));
            }
        }
    }

    /// Makes the first session of an empty queue; `false` if there is nothing to push.
    async fn begin(&self, pushing: &mut Pushing) -> Result<bool> {
        let number = pushing.queue.next_number();
        let Some(first) = self.collect(number, 0, usize::MAX, &pushing.withheld).await? else {
            return Ok(false);
        };
        let outdated = std::mem::take(&mut pushing.withheld.outdated);
        let entries = outdated.iter().map(|key| StateWrite::set(StateKey::rejected(key), None)).collect();
        let acknowledged = pushing.queue.acknowledged;
        let sessions = [Arc::new(first)].into();
        self.commit_queue(&mut pushing.queue, acknowledged, sessions, entries).await?;
        Ok(true)
    }

    /// Stores the receipt that waits for it, and the session to send next, in one commit.
    async fn catch_up(&self, pushing: &mut Pushing) -> Result<()> {
        let next = if pushing.only_in_flight { None } else { self.prepare_next(pushing).await? };
        let next = next.map(Arc::new);
        let mut sessions = pushing.queue.sessions.clone();
        sessions.extend(next.clone());
        let storing = async {
            match pushing.answered.take() {
                Some(receipt) => {
                    sessions.pop_front();
                    self.store_receipt(pushing, receipt, sessions).await
                }
                None if sessions.len() > pushing.queue.sessions.len() => {
                    let acknowledged = pushing.queue.acknowledged;
                    self.commit_queue(&mut pushing.queue, acknowledged, sessions, Vec::new()).await
                }
                None => Ok(()),
            }
        };
        // The store is busy with the commit meanwhile.
        let preparing = async {
            let request = &next.as_ref()?.request;
            Some((request.session, self.transport.prepare_push(request)?))
        };
        let (stored, prepared) = future::join(storing, preparing).await;
        pushing.prepared = prepared;
        stored
    }

    /// The session after those that wait.
    async fn prepare_next(&self, pushing: &Pushing) -> Result<Option<InFlight>> {
        let queue = &pushing.queue;
        // One that is already there is sent next.
        if queue.sessions.len() > usize::from(pushing.answered.is_some()) + 1 {
            return Ok(None);
        }
        let like = queue.sessions.back().map_or(usize::MAX, |session| session.changes.len());
        let next = self.collect(queue.next_number(), queue.last_change(), like, &pushing.withheld).await?;
        Ok(next.filter(|next| !queue.meets(next)))
    }

    /// Drops the sessions that wait.
    async fn empty_queue(
        &self,
        queue: &mut PushQueue,
        acknowledged: u64,
        entries: Vec<StateWrite>,
    ) -> Result<()> {
        self.commit_queue(queue, acknowledged, VecDeque::new(), entries).await
    }

    async fn commit_queue(
        &self,
        queue: &mut PushQueue,
        acknowledged: u64,
        sessions: VecDeque<Arc<InFlight>>,
        mut entries: Vec<StateWrite>,
    ) -> Result<()> {
        let (own, replaced) = queue.replace(acknowledged, sessions)?;
        entries.extend(own);
        let commit =
            self.apply_commit(self.store.new_session(), Vec::new(), Writes::Inline(Vec::new()), entries);
        match self.store.source().commit(commit).await? {
            CommitOutcome::Applied(_) | CommitOutcome::Duplicate(_) => {
                *queue = replaced;
                Ok(())
            }
            CommitOutcome::Conflicts { .. } => Err(moved_by_another_process()),
        }
    }

    /// The store was copied: this copy goes on as a device of its own.
    async fn take_new_identity(&self, queue: &mut PushQueue) -> Result<()> {
        let device = DeviceId::random(self.store.random());
        let entry = StateWrite::set(StateKey::DEVICE, Some(device.as_uuid().as_bytes().to_vec()));
        // A cursor is bound to its device: the next pull fetches everything anew.
        let mut entries = vec![entry, StateWrite::set(StateKey::CURSOR, None)];
        entries.extend(self.endpoints.keys().map(StateKey::refetch));
        self.empty_queue(queue, 0, entries).await?;
        self.store.set_device(device);
        Ok(())
    }

    /// Stores what became of the queue's first session; `sessions` go on waiting.
    async fn store_receipt(
        &self,
        pushing: &mut Pushing,
        receipt: PushReceipt,
        sessions: VecDeque<Arc<InFlight>>,
    ) -> Result<()> {
        let Some(answered) = pushing.queue.sessions.front().map(Arc::clone) else { return Ok(()) };
        let plan = self.plan_receipt(&answered, receipt)?;
        let (mut entries, replaced) = pushing.queue.replace(answered.request.number, sessions)?;
        for edit in &plan.rejected {
            entries.push(StateWrite::set(StateKey::rejected(&edit.key), Some(encode(edit)?)));
        }
        entries.extend(self.observe(plan.newest));
        let application = Application {
            session: self.store.new_session(),
            clears: Vec::new(),
            writes: Incoming::Inline(plan.writes),
            state: entries,
            gone: BTreeSet::new(),
        };
        let Some(conflicts) = self.apply(application).await? else { return Err(moved_by_another_process()) };
        self.store.events().records(plan.replaced);
        let report = &mut pushing.report;
        report.sessions += 1;
        report.applied += plan.applied;
        report.rejected += u64::try_from(plan.rejected.len()).unwrap_or(u64::MAX);
        report.conflicts.extend(plan.conflicts);
        report.conflicts.extend(conflicts);
        pushing.withheld.rejected.extend(plan.rejected.into_iter().map(|edit| (edit.key, edit.change)));
        pushing.queue = replaced;
        Ok(())
    }
}

/// Whether an error means that the server refused the push for what it says, and changed nothing.
fn refuses_whole_push(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::InvalidInput
            | ErrorKind::TooLarge
            | ErrorKind::UnknownType
            | ErrorKind::UnknownZone
            | ErrorKind::UpgradeRequired
    )
}
