//! Fetching what changed.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future;

use super::apply::{Application, Incoming, incoming};
use super::outgrown::Grown;
use super::state::encode_cursor;
use super::unanswered::Unanswered;
use super::{Client, PullReport, SyncPhase, SyncProgress};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Hlc, Record, RecordKey, SessionId, TypeName};
use crate::protocol::{Cursor, PullPage, PullReply, PullRequest, SyncOperationMetadata};
use crate::source::entry::encode;
use crate::source::{Clear, ExpectState, ResetReason, StateWrite};
use crate::store::StateKey;
use crate::transport::PullAnswer;

/// What to pull and how to store it.
#[derive(Debug, Default)]
pub(super) struct PullPlan {
    /// Types to fetch whole and swap in, each with the newest local edit that is given up for it. What changed of the
    /// other types comes in the same commit: alone, one type would show sessions of which the others lack their part.
    pub(super) anew: BTreeMap<TypeName, u64>,
    /// Why everything is fetched anew, for the report.
    pub(super) reset: Option<ResetReason>,
    /// Fields that are fetched for the first time.
    pub(super) grown: Grown,
    /// What is in flight while its answer cannot be had.
    pub(super) unanswered: Unanswered,
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
    ResetRequired(ResetReason),
    /// Another process moved the cursor.
    Moved,
}

/// Where a leg ended.
enum Fetched {
    /// At this cursor, with the last records not staged yet.
    CaughtUp(Cursor, Vec<Record>),
    ResetRequired(ResetReason),
}

/// How often another process may move the cursor under a pull.
const ATTEMPTS: usize = 4;

impl Client {
    /// Pulls by a plan, starting over where the server requires it.
    pub(super) async fn pull_once(&self, mut plan: PullPlan) -> Result<PullReport> {
        for _ in 0..ATTEMPTS {
            match self.try_pull(&mut plan).await? {
                Pulled::Done(report) => return Ok(report),
                Pulled::ResetRequired(reason) if !self.is_whole(&plan) => {
                    self.extend_to_all(&mut plan);
                    plan.reset = Some(reason);
                }
                Pulled::ResetRequired(_) | Pulled::Moved => {}
            }
        }
        Err(Error::new(
            ErrorKind::Contention,
            "pull",
            "the server or another process keeps moving the cursor",
        ))
    }

    fn is_whole(&self, plan: &PullPlan) -> bool {
        plan.anew.len() == self.endpoints.len()
    }

    /// Local edits of the types that are added are kept: only what is not pending is replaced.
    fn extend_to_all(&self, plan: &mut PullPlan) {
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
        let mut walk = Walk::new(self.store.new_session());
        walk.unanswered = plan.unanswered.clone();
        if !plan.anew.is_empty() {
            let refused = self.load_refusals().await?.into_keys();
            walk.not_seen = refused.filter(|key| plan.anew.contains_key(&key.type_name)).collect();
        }
        let types = |plan: &PullPlan| plan.anew.keys().cloned().collect();
        // Of what is fetched anew nothing of our own is here any more.
        let anew =
            |plan: &PullPlan| Leg { types: types(plan), cursor: None, own_through: 0, anew: BTreeSet::new() };
        let last_leg = if self.is_whole(plan) {
            anew(plan)
        } else {
            if !plan.anew.is_empty() {
                match self.fetch(anew(plan), &mut walk).await? {
                    Fetched::ResetRequired(reason) => return self.start_over(&walk, reason).await,
                    Fetched::CaughtUp(_, records) => self.stage(&mut walk, records).await?,
                }
            }
            let (own_through, _) = self.push_standing().await?;
            Leg {
                types: self.endpoints.keys().cloned().collect(),
                cursor: stored.clone(),
                own_through,
                anew: types(plan),
            }
        };
        match self.fetch(last_leg, &mut walk).await? {
            Fetched::ResetRequired(reason) => self.start_over(&walk, reason).await,
            Fetched::CaughtUp(cursor, records) => {
                if let Some(error) = walk.unanswered.met() {
                    self.drop_staged(&walk).await?;
                    return Err(error);
                }
                let mut inline = Some(records);
                if walk.staged > 0 {
                    self.stage(&mut walk, inline.take().unwrap_or_default()).await?;
                }
                self.finish(plan, walk, inline, stored, cursor).await
            }
        }
    }

    async fn start_over(&self, walk: &Walk, reason: ResetReason) -> Result<Pulled> {
        self.drop_staged(walk).await?;
        Ok(Pulled::ResetRequired(reason))
    }

    /// Stages the pages of a leg, all but the last.
    async fn fetch(&self, leg: Leg, walk: &mut Walk) -> Result<Fetched> {
        let mut request = self.request(&leg, leg.cursor.clone());
        let mut answer = self.ask(&request).await?;
        loop {
            let Some(next) = answer.next().cloned() else {
                return match answer.read().await? {
                    PullReply::ResetRequired { reason } => Ok(Fetched::ResetRequired(reason)),
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
            stored?;
            answer = asked?;
            request = next_request;
        }
    }

    /// Reads a page that is not the last, and stages it.
    async fn store_page(
        &self,
        answer: PullAnswer,
        request: &PullRequest,
        next: &Cursor,
        walk: &mut Walk,
    ) -> Result<()> {
        let protocol = |message| Error::new(ErrorKind::Protocol, "pull", message);
        let page = match answer.read().await? {
            PullReply::Page(page) if !page.caught_up && page.cursor == *next => page,
            _ => return Err(protocol("a page goes on at another place than was said before it was read")),
        };
        if page.payload.is_empty() && request.cursor.as_ref() == Some(&page.cursor) {
            return Err(protocol("the server's pages do not go on"));
        }
        let records = self.read_page(page, request, walk)?;
        self.stage(walk, records).await
    }

    /// A cursor that the server does not know as its own comes from another store of it: start over.
    async fn ask(&self, request: &PullRequest) -> Result<PullAnswer> {
        match self.transport.pull_ahead(request).await {
            Err(error) if error.kind() == ErrorKind::BadCursor && request.cursor.is_some() => {
                Ok(PullReply::ResetRequired { reason: ResetReason::Epoch }.into())
            }
            answer => answer,
        }
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

    /// The records of a page, none of them from outside what was asked for.
    fn read_page(&self, page: PullPage, request: &PullRequest, walk: &mut Walk) -> Result<Vec<Record>> {
        let protocol = |message: &str| Error::new(ErrorKind::Protocol, "pull", message);
        let types = &request.metadata.types;
        let foreign = page
            .payload
            .groups
            .iter()
            .any(|group| !types.contains_key(&group.type_name) || !request.zones.contains(&group.zone));
        if foreign {
            return Err(protocol("the server sent records of a zone or type that was not asked for"));
        }
        let received = u64::try_from(page.payload.len()).unwrap_or(u64::MAX);
        let records =
            page.payload.into_records(types, |name| self.store.schema(name).ok()).map_err(|error| {
                protocol("the server sent records that do not fit their type").with_source(error)
            })?;
        for record in &records {
            self.store.check_zone(&record.key.type_name, &record.key.zone)?;
            if record.metadata.revision.is_none() {
                return Err(protocol("the server sent a record without a revision"));
            }
            walk.newest = walk.newest.max(Some(record.metadata.modified_at));
            walk.not_seen.remove(&record.key);
        }
        let records = walk.unanswered.pass_over(records, self.store.device());
        walk.received += received;
        if let Some(remaining) = page.remaining {
            walk.total = Some(walk.received.saturating_add(remaining));
        }
        walk.waiting.extend(page.unknown_types);
        walk.waiting.extend(page.outdated_types.iter().cloned());
        walk.outdated.extend(page.outdated_types);
        self.report_progress(&SyncProgress {
            phase: SyncPhase::Pulling,
            done: walk.received,
            total: walk.total,
        });
        Ok(records)
    }

    async fn stage(&self, walk: &mut Walk, records: Vec<Record>) -> Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        if walk.staged == 0 {
            // What a pull that was cut off had staged is of no use any more.
            self.store.source().unstage(None).await?;
        }
        let writes = records.into_iter().map(incoming).collect();
        self.store.source().stage(walk.session, walk.staged, writes).await?;
        walk.staged += 1;
        Ok(())
    }

    async fn drop_staged(&self, walk: &Walk) -> Result<()> {
        if walk.staged > 0 { self.store.source().unstage(Some(walk.session)).await } else { Ok(()) }
    }

    /// Makes the pull visible: what was staged, or these records.
    async fn finish(
        &self,
        plan: &PullPlan,
        walk: Walk,
        inline: Option<Vec<Record>>,
        stored: Option<Cursor>,
        cursor: Cursor,
    ) -> Result<Pulled> {
        let mut report = PullReport {
            received: walk.received,
            conflicts: Vec::new(),
            reset: plan.reset,
            unknown_types: walk.waiting.difference(&walk.outdated).cloned().collect(),
            outdated_types: walk.outdated.clone(),
        };
        let mut state = Vec::new();
        if stored.as_ref() != Some(&cursor) {
            let expect = match &stored {
                Some(cursor) => ExpectState::Value(encode_cursor(cursor)?),
                None => ExpectState::Absent,
            };
            let value = Some(encode_cursor(&cursor)?);
            state.push(StateWrite { key: StateKey::CURSOR.to_owned(), expect, value });
        }
        if walk.waiting != self.load_unknown_types().await? {
            state.push(StateWrite::set(StateKey::UNKNOWN_TYPES, Some(encode(&walk.waiting)?)));
        }
        state.extend(self.note_fields(&walk.waiting).await?);
        state.extend(
            plan.anew.keys().map(|name| StateWrite::set(format!("{}{name}", StateKey::REFETCH), None)),
        );
        state.extend(self.observe(walk.newest)?);
        let clears = self.clears(plan, &walk);
        if walk.received == 0 && state.is_empty() && clears.is_empty() {
            return Ok(Pulled::Done(report));
        }
        self.report_progress(&SyncProgress {
            phase: SyncPhase::Applying,
            done: walk.received,
            total: Some(walk.received),
        });
        let keys: Option<Vec<_>> =
            inline.as_ref().map(|records| records.iter().map(|r| r.key.clone()).collect());
        let writes = inline.map_or(Incoming::Staged, |records| {
            Incoming::Inline(records.into_iter().map(incoming).collect())
        });
        let gone = walk.not_seen.iter().filter(|key| !walk.waiting.contains(&key.type_name));
        let application = Application {
            session: walk.session,
            clears,
            writes,
            state,
            gone: gone.cloned().collect(),
            grown: plan.grown.clone(),
        };
        match self.apply(application).await? {
            None => {
                self.drop_staged(&walk).await?;
                Ok(Pulled::Moved)
            }
            Some(conflicts) => {
                report.conflicts = conflicts;
                match keys {
                    Some(keys) if plan.anew.is_empty() => self.store.events().records(keys),
                    _ => self.store.events().types(self.endpoints.keys().cloned().collect()),
                }
                Ok(Pulled::Done(report))
            }
        }
    }

    /// What is removed of the types that are fetched anew: everything but newer edits, and what the server does not
    /// know.
    fn clears(&self, plan: &PullPlan, walk: &Walk) -> Vec<Clear> {
        let known = plan.anew.iter().filter(|(name, _)| !walk.waiting.contains(*name));
        known
            .flat_map(|(name, &through_change)| {
                let fitting = self.zones.iter().filter(|zone| self.store.check_zone(name, zone).is_ok());
                fitting.map(move |zone| Clear { type_name: name.clone(), zone: zone.clone(), through_change })
            })
            .collect()
    }
}

/// What a pull has seen so far.
#[derive(Debug)]
struct Walk {
    session: SessionId,
    staged: u64,
    received: u64,
    total: Option<u64>,
    newest: Option<Hlc>,
    /// Types that the server does not exchange with this client, and those of them that it asks a later version of.
    waiting: BTreeSet<TypeName>,
    outdated: BTreeSet<TypeName>,
    /// Objects with a refused edit that are fetched anew and did not come.
    not_seen: BTreeSet<RecordKey>,
    unanswered: Unanswered,
}

impl Walk {
    fn new(session: SessionId) -> Self {
        Self {
            session,
            staged: 0,
            received: 0,
            total: None,
            newest: None,
            waiting: BTreeSet::new(),
            outdated: BTreeSet::new(),
            not_seen: BTreeSet::new(),
            unanswered: Unanswered::default(),
        }
    }
}
