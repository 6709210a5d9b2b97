//! Fetching what changed.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future;

use super::history::LostHistory;
use super::outgrown::Grown;
use super::unanswered::Unanswered;
use super::walk::Walk;
use super::{Client, PullReport};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Record, TypeName, Zone};
use crate::protocol::{Cursor, PullReply, PullRequest, ResetRequired, SyncOperationMetadata};
use crate::source::{ResetReason, SyncableDataSourceExt as _};
use crate::store::StateKey;
use crate::transport::PullAnswer;

/// What to pull and how to store it.
#[derive(Debug, Default)]
pub(super) struct PullPlan {
    /// Types to fetch whole, each with the newest local edit that is given up for it. What changed of the
    /// other types comes in the same commit: alone, one type would show sessions of which the others lack their part.
    pub(super) anew: BTreeMap<TypeName, u64>,
    /// Why everything is fetched anew, for the report.
    pub(super) reset: Option<ResetReason>,
    /// What of the server's history was lost.
    pub(super) lost: LostHistory,
    /// Fields that are fetched for the first time.
    pub(super) grown: Grown,
    /// What is in flight while its answer cannot be had.
    pub(super) unanswered: Unanswered,
    /// Whether the cursor begins anew, without the places of zones that other managers of the store pull.
    pub(super) loses_places: bool,
}

/// A part of a pull: some types from a cursor on.
struct Leg {
    types: BTreeSet<TypeName>,
    cursor: Option<Cursor>,
    own_through: u64,
    /// Types that were fetched before, in this pull.
    anew: BTreeSet<TypeName>,
}

/// What one attempt to pull came to.
pub(super) enum Pulled {
    Done(PullReport),
    ResetRequired(ResetReason, LostHistory),
    /// Another process moved the cursor.
    Moved,
}

/// Where a leg ended.
enum Fetched {
    /// At this cursor, with the last records not staged yet.
    CaughtUp(Cursor, Vec<Record>),
    /// With the number of the push up to which own records were to be passed over.
    ResetRequired(ResetRequired, u64),
    /// Another process has taken the walk over.
    Moved,
}

/// How often another process may move the cursor under a pull.
const ATTEMPTS: usize = 4;

impl Client {
    /// Pulls by a plan, starting over where the server requires it.
    pub(super) async fn pull_once(&self, mut plan: PullPlan) -> Result<PullReport> {
        for _ in 0..ATTEMPTS {
            match self.try_pull(&mut plan).await? {
                Pulled::Done(report) => {
                    if report.forgotten > 0 {
                        self.send_forgotten_by_policy().await?;
                    }
                    return Ok(report);
                }
                Pulled::ResetRequired(reason, lost) => {
                    if !plan.loses_places || lost != LostHistory::default() {
                        plan.reset = Some(reason);
                    }
                    self.extend_to_all(&mut plan);
                    plan.lost.merge(lost);
                }
                // Another process may have pushed since, from where the server was.
                Pulled::Moved => plan.lost.last = None,
            }
        }
        Err(Error::new(
            ErrorKind::Contention,
            "pull",
            "the server or another process keeps moving the cursor",
        ))
    }

    pub(super) fn is_whole(&self, plan: &PullPlan) -> bool {
        plan.anew.len() == self.endpoints.len()
    }

    /// Local edits of the types that are added are kept: only what is not pending is replaced.
    pub(super) fn extend_to_all(&self, plan: &mut PullPlan) {
        for name in self.endpoints.keys() {
            plan.anew.entry(name.clone()).or_insert(0);
        }
    }

    async fn try_pull(&self, plan: &mut PullPlan) -> Result<Pulled> {
        let stored = self.load_cursor().await?;
        for (name, places) in self.outgrown().await? {
            plan.anew.entry(name.clone()).or_insert(0);
            plan.grown.insert(name, places);
        }
        if stored.is_none() && !plan.anew.is_empty() {
            self.extend_to_all(plan);
        }
        self.plan_history(plan, stored.as_ref()).await?;
        let Some(mut walk) = self.walk(plan, stored.as_ref()).await? else { return Ok(Pulled::Moved) };
        // Other managers go on at the places of their zones, so these stay as long as the stored cursor is good.
        plan.loses_places =
            self.is_whole(plan) && (stored.is_none() || plan.reset.is_some() || !self.others_pull().await?);
        let types = |plan: &PullPlan| plan.anew.keys().cloned().collect();
        // Of what is fetched anew nothing of our own is here any more.
        let anew =
            |plan: &PullPlan| Leg { types: types(plan), cursor: None, own_through: 0, anew: BTreeSet::new() };
        let last_leg = if plan.loses_places {
            anew(plan)
        } else {
            if !plan.anew.is_empty() && !walk.is_last_leg {
                match self.fetch(anew(plan), &mut walk).await? {
                    Fetched::ResetRequired(reset, own_through) => {
                        return self.start_over(&mut walk, reset, own_through).await;
                    }
                    Fetched::Moved => return Ok(Pulled::Moved),
                    Fetched::CaughtUp(_, records) => {
                        walk.is_last_leg = true;
                        if !self.stage(&mut walk, records, None).await? {
                            return Ok(Pulled::Moved);
                        }
                    }
                }
            }
            Leg {
                types: self.endpoints.keys().cloned().collect(),
                cursor: stored.clone(),
                own_through: walk.own_through,
                anew: types(plan),
            }
        };
        match self.fetch(last_leg, &mut walk).await? {
            Fetched::ResetRequired(reset, own_through) => {
                self.start_over(&mut walk, reset, own_through).await
            }
            Fetched::Moved => Ok(Pulled::Moved),
            Fetched::CaughtUp(cursor, records) => {
                // A type that the server has learned of meanwhile was not fetched, and its cursor says that it was.
                let is_new =
                    |name: &TypeName| walk.waiting.contains(name) && !walk.waits_at_end.contains(name);
                if plan.anew.keys().any(is_new) {
                    self.forget(&mut walk).await?;
                    return Ok(Pulled::Moved);
                }
                let mut inline = Some(records);
                if walk.staged > 0 {
                    self.stage_records(&mut walk, inline.take().unwrap_or_default()).await?;
                }
                self.finish(plan, walk, inline, stored, cursor).await
            }
        }
    }

    async fn start_over(&self, walk: &mut Walk, reset: ResetRequired, own_through: u64) -> Result<Pulled> {
        let is_ours = self.forget(walk).await?;
        // The place where a walk was cut off may have become too old, and the stored cursor not.
        if !is_ours || walk.goes_on {
            return Ok(Pulled::Moved);
        }
        let reason = reset.reason;
        let lost = self.lost_history(&self.own_zones(), reset, own_through).await?;
        Ok(Pulled::ResetRequired(reason, self.lost_elsewhere(lost, own_through).await?))
    }

    /// Stages the pages of a leg from where the walk is, all but the last.
    async fn fetch(&self, leg: Leg, walk: &mut Walk) -> Result<Fetched> {
        walk.pushed = self.store.source().entry(StateKey::PUSH).await?;
        let mut request = self.request(&leg, walk.place.clone().or_else(|| leg.cursor.clone()));
        let mut answer = self.ask(&request).await?;
        loop {
            let Some(next) = answer.next().cloned() else {
                return match answer.read().await? {
                    PullReply::ResetRequired(reset) => Ok(Fetched::ResetRequired(reset, leg.own_through)),
                    PullReply::Page(page) => {
                        let cursor = page.cursor.clone();
                        Ok(Fetched::CaughtUp(cursor, self.read_page(page, &request, walk)?))
                    }
                };
            };
            let mut next_request = self.request(&leg, Some(next.clone()));
            next_request.count_remaining = false;
            // The next page is made and travels while this one is read and stored.
            let (asked, stored) =
                future::join(self.ask(&next_request), self.store_page(answer, &request, &next, walk)).await;
            if !stored? {
                return Ok(Fetched::Moved);
            }
            answer = asked?;
            request = next_request;
        }
    }

    /// Reads a page that is not the last, and stages it; `false` if another process has taken the walk over.
    async fn store_page(
        &self,
        answer: PullAnswer,
        request: &PullRequest,
        next: &Cursor,
        walk: &mut Walk,
    ) -> Result<bool> {
        let protocol = |message| Error::new(ErrorKind::Protocol, "pull", message);
        let page = match answer.read().await? {
            PullReply::Page(page) if !page.caught_up && page.cursor == *next => page,
            _ => return Err(protocol("a page goes on at another place than was said before it was read")),
        };
        if page.payload.is_empty() && request.cursor.as_ref() == Some(&page.cursor) {
            return Err(protocol("the server's pages do not go on"));
        }
        let records = self.read_page(page, request, walk)?;
        self.stage(walk, records, Some(next.clone())).await
    }

    /// A cursor that the server does not know as its own comes from another store of it: start over.
    pub(super) async fn ask(&self, request: &PullRequest) -> Result<PullAnswer> {
        match self.transport.pull(request).await {
            Err(error) if error.kind() == ErrorKind::BadCursor && request.cursor.is_some() => {
                Ok(PullReply::ResetRequired(ResetRequired::new(ResetReason::Epoch)).into())
            }
            Err(error) if error.kind() == ErrorKind::UnknownZone => {
                let zones: Vec<_> = request.zones.iter().take(10).map(ToString::to_string).collect();
                Err(error.with_context("zones", zones.join(", ")))
            }
            answer => answer,
        }
    }

    /// A request that shows whether the server knows the places in these zones, and pushes: of one record, of any type.
    pub(super) fn history_request(
        &self,
        zones: &BTreeSet<Zone>,
        cursor: Option<Cursor>,
        own_through: u64,
    ) -> PullRequest {
        let types: BTreeSet<TypeName> = self.endpoints.keys().cloned().collect();
        let leg = Leg { types: types.clone(), cursor: None, own_through, anew: types };
        let zones = zones.iter().cloned().collect();
        PullRequest { zones, max_records: 1, count_remaining: false, ..self.request(&leg, cursor) }
    }

    fn request(&self, leg: &Leg, cursor: Option<Cursor>) -> PullRequest {
        let schemas = self.store.schemas().filter(|schema| leg.types.contains(schema.name()));
        PullRequest {
            metadata: SyncOperationMetadata::new(self.store.device(), schemas),
            zones: self.zones.clone(),
            cursor,
            own_through: leg.own_through,
            max_records: self.pull_limits.records,
            max_bytes: self.pull_limits.bytes,
            count_remaining: self.progress.is_some(),
            anew: leg.anew.clone(),
        }
    }
}
