//! Sending local edits.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::future;

use super::apply::{Application, Incoming};
use super::collect::{Collected, Withheld};
use super::forgotten::Marks;
use super::queue::{InFlight, PushQueue, moved_by_another_process};
use super::rejected::forget_refusal;
use super::replies::Replies;
use super::withdraw::refuses_whole_push;
use super::{Client, PushReport, SyncPhase, SyncProgress};
use crate::error::{Error, ErrorKind, Result};
use crate::model::Record;
use crate::protocol::{PushReceipt, PushReply};
use crate::source::entry::encode;
use crate::source::{CommitOutcome, StateWrite, SyncableDataSourceExt as _, Writes};
use crate::store::StateKey;

/// How often the server may ask for another number or identity before it is called broken.
pub(super) const MAX_RENUMBERINGS: usize = 4;

/// How many pushes are under way at once: while the server commits one, it writes the next one down, and a third is on its
/// way. The server remembers as many ([`PushRequest::follows`](crate::protocol::PushRequest::follows)).
const WINDOW: usize = 3;

/// How often in a row a push may be sent in vain because it was sent before its turn; from then on each waits for it.
const MAX_OVERTAKINGS: usize = 2;

/// What one call of `push` has come to so far.
pub(super) struct Pushing {
    pub(super) queue: PushQueue,
    pub(super) withheld: Withheld,
    only_in_flight: bool,
    /// How many pushes in a row came to the server before those that they follow.
    overtook: usize,
    pub(super) renumberings: usize,
    /// Whether the server has forgotten pushes: what that means is found out before anything else is sent.
    pub(super) has_lost: bool,
    /// How often the server refused the times of edits.
    pub(super) redatings: usize,
    /// How many records were answered, and how many waited at the beginning.
    done: u64,
    total: Option<u64>,
    pub(super) report: PushReport,
}

impl Client {
    pub(super) async fn push(&self) -> Result<PushReport> {
        self.know_itself().await?;
        let mut report = self.catch_up().await?;
        for _ in 0..MAX_RENUMBERINGS {
            if self.load_lost().await?.0.pushes > 0 {
                let pulled = self.pull_once(super::pull::PullPlan::default()).await?;
                report = report.and(pulled.before_push());
            }
            self.send_forgotten_by_policy().await?;
            report = report.and(self.push_known().await?);
            if self.load_lost().await?.0.pushes == 0 {
                return Ok(PushReport { waiting: self.waiting().await?, ..report });
            }
        }
        Err(Error::new(ErrorKind::Protocol, "push", "the server does not agree on any push number"))
    }

    async fn push_known(&self) -> Result<PushReport> {
        let mut report = PushReport::default();
        match self.push_all(false, &mut report).await {
            // The server does not know a type of ours, or asks for a later version of it: a pull tells which, and the others
            // can go on.
            Err(error) if may_be_about_a_type(&error) && !self.push_standing().await?.1 => {
                let known_before = self.load_unknown_types().await?;
                self.pull_once(super::pull::PullPlan::default()).await?;
                // It may have been told before that a type waits, and the push was made before that.
                if known_before.is_empty() && self.load_unknown_types().await?.is_empty() {
                    return Err(error);
                }
                self.push_all(false, &mut report).await?;
            }
            outcome => outcome?,
        }
        Ok(report)
    }

    /// Sends what was begun and not answered, if there is anything.
    pub(super) async fn settle_in_flight(&self) -> Result<PushReport> {
        let mut report = PushReport::default();
        let (_, is_in_flight) = self.push_standing().await?;
        if !is_in_flight {
            return Ok(report);
        }
        match self.push_all(true, &mut report).await {
            // Its edits wait as any others do: whoever pushes them next is told why they are refused.
            Err(error) if refuses_whole_push(&error) && !self.push_standing().await?.1 => {}
            outcome => outcome?,
        }
        Ok(report)
    }

    pub(super) async fn pushing(&self, only_in_flight: bool) -> Result<Pushing> {
        Ok(Pushing {
            queue: self.load_queue().await?,
            withheld: self.withheld().await?,
            only_in_flight,
            overtook: 0,
            renumberings: 0,
            has_lost: false,
            redatings: 0,
            done: 0,
            total: None,
            report: PushReport::default(),
        })
    }

    /// Pushes, and adds to the report what was done, also where it fails.
    async fn push_all(&self, only_in_flight: bool, report: &mut PushReport) -> Result<()> {
        let mut pushing = self.pushing(only_in_flight).await?;
        let outcome = self.push_through(&mut pushing).await;
        *report = std::mem::take(report).and(pushing.report);
        outcome
    }

    async fn push_through(&self, pushing: &mut Pushing) -> Result<()> {
        self.discard_marked(pushing).await?;
        let mut replies = Replies::default();
        loop {
            self.send_next(pushing, &mut replies, 0).await?;
            if replies.is_empty() {
                if pushing.only_in_flight || !self.begin(pushing).await? {
                    return Ok(());
                }
                continue;
            }
            // While the server works on the first session, the next ones are stored, and sent after it.
            if pushing.queue.sessions.len() < WINDOW && replies.beside(self.extend(pushing)).await? {
                continue;
            }
            let Some((reply, is_early)) = replies.next().await else { continue };
            let reply = match reply {
                Err(error) if refuses_whole_push(&error) => {
                    replies.forget();
                    self.give_way(pushing, error).await?;
                    continue;
                }
                reply => reply?,
            };
            match reply {
                PushReply::Processed(receipt) => {
                    pushing.renumberings = 0;
                    self.cut.processed();
                    if is_early {
                        pushing.overtook = 0;
                    }
                    let sent = pushing.queue.sessions.front().map_or(0, |session| session.changes.len());
                    pushing.done += u64::try_from(sent).unwrap_or(u64::MAX);
                    if receipt.exceptions.is_empty() {
                        self.send_next(pushing, &mut replies, 1).await?;
                    } else {
                        replies.forget();
                    }
                    replies.beside(self.settle_answer(pushing, receipt)).await?;
                }
                // The one that it follows was not there; another process of the server may have got it.
                PushReply::Gap { .. } if is_early => {
                    replies.forget();
                    pushing.overtook += 1;
                }
                refused => {
                    replies.forget();
                    self.renumber(pushing, refused).await?;
                }
            }
        }
    }

    /// Sends as many sessions as may be under way, after `answered` ones at the front of the queue.
    async fn send_next<'a>(
        &'a self,
        pushing: &mut Pushing,
        replies: &mut Replies<'a>,
        answered: usize,
    ) -> Result<()> {
        let window = if pushing.overtook < MAX_OVERTAKINGS { WINDOW } else { 1 };
        while replies.len() < window
            && let Some(session) = pushing.queue.sessions.get(answered + replies.len()).map(Arc::clone)
        {
            if pushing.total.is_none() && self.progress.is_some() {
                pushing.total = Some(self.store.source().count_pending().await?);
            }
            let (done, total) = (pushing.done, pushing.total);
            self.report_progress(&SyncProgress { phase: SyncPhase::Pushing, done, total });
            replies.add(async move { self.transport.push(&session.request).await });
        }
        Ok(())
    }

    /// Makes the first session of an empty queue; `false` if there is nothing to push.
    async fn begin(&self, pushing: &mut Pushing) -> Result<bool> {
        if pushing.has_lost {
            return Ok(false);
        }
        self.regroup(pushing).await?;
        let number = pushing.queue.next_number();
        let first = loop {
            match self.collect(number, 0, usize::MAX, &pushing.withheld).await? {
                Collected::Nothing => return Ok(false),
                Collected::Session(first) => break first,
                Collected::TooLarge(edits, size) => self.refuse_unsent(pushing, edits, size).await?,
            }
        };
        let outdated = std::mem::take(&mut pushing.withheld.outdated);
        let mut entries: Vec<_> = outdated.iter().flat_map(forget_refusal).collect();
        let decided = std::mem::take(&mut pushing.withheld.decided);
        entries.extend(decided.iter().map(|key| StateWrite::set(StateKey::forgotten(key), None)));
        let acknowledged = pushing.queue.acknowledged;
        let sessions = [Arc::new(first)].into();
        self.commit_queue(&mut pushing.queue, acknowledged, sessions, entries).await?;
        Ok(true)
    }

    /// Stores the session after those that wait; `false` if there is none now.
    async fn extend(&self, pushing: &mut Pushing) -> Result<bool> {
        let Some(next) = self.collect_next(pushing).await? else { return Ok(false) };
        let mut sessions = pushing.queue.sessions.clone();
        sessions.push_back(Arc::clone(&next));
        let acknowledged = pushing.queue.acknowledged;
        let storing = self.commit_queue(&mut pushing.queue, acknowledged, sessions, Vec::new());
        let (stored, ()) = future::join(storing, async { self.transport.prepare(&next.request) }).await;
        stored.map(|()| true)
    }

    /// Stores the receipt of the queue's first session, and with it the session after those that wait. If there is
    /// anything to tell of the first one, those that follow it are dropped: they may depend on what was refused.
    pub(super) async fn settle_answer(&self, pushing: &mut Pushing, receipt: PushReceipt) -> Result<()> {
        if !receipt.exceptions.is_empty() {
            return self.store_answer(pushing, receipt).await;
        }
        // After a single one, `extend` has just found nothing, and `begin` looks again.
        let next = if pushing.queue.sessions.len() > 1 { self.collect_next(pushing).await? } else { None };
        let mut sessions: VecDeque<_> = pushing.queue.sessions.iter().skip(1).map(Arc::clone).collect();
        sessions.extend(next.clone());
        // The store is busy with the commit meanwhile.
        let preparing = async {
            if let Some(next) = &next {
                self.transport.prepare(&next.request);
            }
        };
        let (stored, ()) = future::join(self.store_receipt(pushing, receipt, sessions), preparing).await;
        stored
    }

    /// Stores the receipt of the queue's first session and makes no other one.
    pub(super) async fn store_answer(&self, pushing: &mut Pushing, receipt: PushReceipt) -> Result<()> {
        let sessions = match receipt.exceptions.is_empty() {
            true => pushing.queue.sessions.iter().skip(1).map(Arc::clone).collect(),
            false => VecDeque::new(),
        };
        self.store_receipt(pushing, receipt, sessions).await
    }

    /// The session after those that wait.
    async fn collect_next(&self, pushing: &Pushing) -> Result<Option<Arc<InFlight>>> {
        let queue = &pushing.queue;
        if pushing.only_in_flight {
            return Ok(None);
        }
        let last = queue.sessions.back();
        let like = last.map_or(usize::MAX, |session| session.changes.len());
        match self.collect(queue.next_number(), queue.last_change(), like, &pushing.withheld).await? {
            Collected::Session(mut next) if !queue.meets(&next) => {
                next.request.request_mut().follows = last.map(|session| session.request.session);
                Ok(Some(Arc::new(next)))
            }
            // What can never be sent is listed once the queue is empty.
            Collected::Session(_) | Collected::Nothing | Collected::TooLarge(..) => Ok(None),
        }
    }

    /// Drops the sessions that wait.
    pub(super) async fn empty_queue(
        &self,
        queue: &mut PushQueue,
        acknowledged: u64,
        entries: Vec<StateWrite>,
    ) -> Result<()> {
        self.commit_queue(queue, acknowledged, VecDeque::new(), entries).await
    }

    pub(super) async fn commit_queue(
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
        match self.store.source().commit_alone(commit).await? {
            CommitOutcome::Applied(_) | CommitOutcome::Duplicate(_) => {
                *queue = replaced;
                Ok(())
            }
            CommitOutcome::Conflicts { .. } => Err(moved_by_another_process()),
        }
    }

    /// Stores what became of the queue's first session; `sessions` go on waiting.
    async fn store_receipt(
        &self,
        pushing: &mut Pushing,
        receipt: PushReceipt,
        sessions: VecDeque<Arc<InFlight>>,
    ) -> Result<()> {
        let Some(answered) = pushing.queue.sessions.front().map(Arc::clone) else { return Ok(()) };
        let mut plan = self.plan_receipt(&answered, receipt)?;
        let forgotten = self.keep_forgotten(&mut plan).await?;
        let (mut entries, replaced) = pushing.queue.replace(answered.request.number, sessions)?;
        for edit in &plan.rejected {
            pushing.withheld.outdated.retain(|key| *key != edit.key);
            entries.push(StateWrite::set(StateKey::rejected(&edit.key), Some(encode(edit)?)));
            entries.push(StateWrite::set(StateKey::unseen(&edit.key), None));
        }
        for Record { key, metadata, .. } in &forgotten {
            entries.push(Marks::entry(key, metadata.incarnation)?);
        }
        entries.extend(self.observe(plan.newest)?);
        let application = Application::new(self.store.new_session(), Incoming::Inline(plan.writes), entries);
        let Some(conflicts) = self.apply_answer(application, plan.unfit).await? else {
            return Err(moved_by_another_process());
        };
        self.store.events().records(plan.replaced);
        let report = &mut pushing.report;
        report.sessions += 1;
        report.forgotten += u64::try_from(forgotten.len()).unwrap_or(u64::MAX);
        for Record { key, metadata, .. } in forgotten {
            pushing.withheld.forgotten.insert(key, metadata.incarnation);
        }
        report.applied += plan.applied;
        report.rejected += u64::try_from(plan.rejected.len()).unwrap_or(u64::MAX);
        report.conflicts.extend(plan.conflicts);
        report.conflicts.extend(conflicts);
        pushing.withheld.rejected.extend(plan.rejected.into_iter().map(|edit| (edit.key, edit.change)));
        pushing.queue = replaced;
        Ok(())
    }
}

/// Whether a pull may tell of which type the server takes no push. Where it speaks no protocol of ours, it takes no pull either.
fn may_be_about_a_type(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::UnknownType => true,
        ErrorKind::UpgradeRequired => error.protocols().is_none(),
        _ => false,
    }
}
