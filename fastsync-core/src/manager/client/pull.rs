//! Fetching what changed.

use std::collections::BTreeSet;

use futures_util::future;

use super::apply::{Application, Incoming, incoming};
use super::state::encode;
use super::{Client, PullReport, SyncPhase, SyncProgress};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Hlc, Record, TypeName};
use crate::protocol::{Cursor, PullPage, PullReply, PullRequest, SyncOperationMetadata};
use crate::source::{Clear, ExpectState, ResetReason, StateWrite};
use crate::store::StateKey;

/// What to pull and how to store it.
#[derive(Debug)]
pub(super) struct PullPlan {
    /// The types to fetch.
    pub(super) types: BTreeSet<TypeName>,
    /// Start over and replace what is there, up to these pending changes.
    pub(super) replace: Option<u64>,
    /// Why everything is fetched anew, for the report.
    pub(super) reset: Option<ResetReason>,
}

impl PullPlan {
    /// Everything since the stored cursor.
    pub(super) fn delta(client: &Client) -> Self {
        Self { types: client.endpoints.keys().cloned().collect(), replace: None, reset: None }
    }
}

/// What one attempt to pull came to.
pub(super) enum Pulled {
    Done(PullReport),
    ResetRequired(ResetReason),
    /// Another process moved the cursor.
    Moved,
}

/// How often another process may move the cursor under a pull.
const ATTEMPTS: usize = 4;

impl Client {
    pub(super) async fn pull(&self) -> Result<PullReport> {
        // An unanswered push is settled first: its receipt must meet the records that it was made of.
        let settled = self.settle_in_flight().await?;
        let refetch = self.load_refetch().await?;
        if !refetch.is_empty() {
            let types = refetch.into_iter().filter(|name| self.endpoints.contains_key(name)).collect();
            self.pull_once(PullPlan { types, replace: Some(0), reset: None }).await?;
        }
        let mut report = self.pull_once(PullPlan::delta(self)).await?;
        report.conflicts.splice(0..0, settled.conflicts);
        Ok(report)
    }

    /// Pulls by a plan, starting over where the server requires it.
    pub(super) async fn pull_once(&self, mut plan: PullPlan) -> Result<PullReport> {
        for _ in 0..ATTEMPTS {
            match self.try_pull(&plan).await? {
                Pulled::Done(report) => return Ok(report),
                Pulled::ResetRequired(reason) if plan.replace.is_none() => {
                    // Local edits are kept: only what is not pending is replaced.
                    plan.replace = Some(0);
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

    async fn try_pull(&self, plan: &PullPlan) -> Result<Pulled> {
        let stored = self.load_cursor().await?;
        let covers_all = plan.types.len() == self.endpoints.len();
        let mut cursor = if plan.replace.is_some() { None } else { stored.clone() };
        // After a reset nothing of our own pushes is here any more.
        let own_through =
            if plan.replace.is_some() { 0 } else { self.load_push_state().await?.state.acknowledged };
        let session = self.store.new_session();
        let mut walk = Walk::default();
        let mut request = self.request(plan, cursor.clone(), own_through);
        let mut reply = self.ask(&request).await?;
        loop {
            let page = match reply {
                PullReply::ResetRequired { reason } => {
                    self.drop_staged(&walk, session).await?;
                    return Ok(Pulled::ResetRequired(reason));
                }
                PullReply::Page(page) => page,
            };
            let last = page.caught_up;
            let next_cursor = page.cursor.clone();
            if !last && page.payload.is_empty() && cursor.as_ref() == Some(&next_cursor) {
                return Err(Error::new(ErrorKind::Protocol, "pull", "the server's pages do not go on"));
            }
            let records = self.read_page(page, &request, &mut walk)?;
            self.report_progress(&SyncProgress {
                phase: SyncPhase::Pulling,
                done: walk.received,
                total: walk.total,
            });
            cursor = Some(next_cursor);
            if last && walk.staged == 0 {
                return self.finish(plan, session, walk, Some(records), stored, cursor, covers_all).await;
            }
            if last {
                self.stage(session, &mut walk, records).await?;
                return self.finish(plan, session, walk, None, stored, cursor, covers_all).await;
            }
            request = self.request(plan, cursor.clone(), own_through);
            request.count_remaining = false;
            // The next page travels while this one is stored.
            let (staged, next) =
                future::join(self.stage(session, &mut walk, records), self.ask(&request)).await;
            staged?;
            reply = next?;
        }
    }

    /// A cursor that the server does not know as its own comes from another store of it: start over.
    async fn ask(&self, request: &PullRequest) -> Result<PullReply> {
        match self.transport.pull(request).await {
            Err(error) if error.kind() == ErrorKind::BadCursor && request.cursor.is_some() => {
                Ok(PullReply::ResetRequired { reason: ResetReason::Epoch })
            }
            reply => reply,
        }
    }

    fn request(&self, plan: &PullPlan, cursor: Option<Cursor>, own_through: u64) -> PullRequest {
        let schemas = self.store.schemas().filter(|schema| plan.types.contains(schema.name()));
        PullRequest {
            metadata: SyncOperationMetadata::new(self.store.device(), schemas),
            zones: self.zones.clone(),
            cursor,
            own_through,
            max_records: self.pull_limits.records,
            max_bytes: self.pull_limits.bytes,
            count_remaining: self.progress.is_some(),
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
            self.store.check_zone(&record.key)?;
            if record.metadata.revision.is_none() {
                return Err(protocol("the server sent a record without a revision"));
            }
            walk.newest = walk.newest.max(Some(record.metadata.modified_at));
        }
        walk.received += received;
        if let Some(remaining) = page.remaining {
            walk.total = Some(walk.received.saturating_add(remaining));
        }
        walk.unknown_types.extend(page.unknown_types);
        Ok(records)
    }

    async fn stage(&self, session: crate::SessionId, walk: &mut Walk, records: Vec<Record>) -> Result<()> {
        if walk.staged == 0 {
            // What a pull that was cut off had staged is of no use any more.
            self.store.source().unstage(None).await?;
        }
        let writes = records.into_iter().map(incoming).collect();
        self.store.source().stage(session, walk.staged, writes).await?;
        walk.staged += 1;
        Ok(())
    }

    async fn drop_staged(&self, walk: &Walk, session: crate::SessionId) -> Result<()> {
        if walk.staged > 0 { self.store.source().unstage(Some(session)).await } else { Ok(()) }
    }

    #[allow(clippy::too_many_arguments)]
    async fn finish(
        &self,
        plan: &PullPlan,
        session: crate::SessionId,
        walk: Walk,
        inline: Option<Vec<Record>>,
        stored: Option<Cursor>,
        cursor: Option<Cursor>,
        covers_all: bool,
    ) -> Result<Pulled> {
        let mut report = PullReport { received: walk.received, conflicts: Vec::new(), reset: plan.reset };
        let mut state = Vec::new();
        // A fetch of some types leaves the cursor where it is: what it brought too early comes again, unchanged.
        if covers_all && cursor != stored {
            let expect =
                stored.map_or(ExpectState::Absent, |cursor| ExpectState::Value(cursor.as_str().into()));
            let value = cursor.map(|cursor| cursor.as_str().as_bytes().to_vec());
            state.push(StateWrite { key: StateKey::CURSOR.to_owned(), expect, value });
        }
        if covers_all && walk.unknown_types != self.load_unknown_types().await? {
            state.push(StateWrite::set(StateKey::UNKNOWN_TYPES, Some(encode(&walk.unknown_types)?)));
        }
        if plan.replace.is_some() {
            let done =
                plan.types.iter().map(|name| StateWrite::set(format!("{}{name}", StateKey::REFETCH), None));
            state.extend(done);
        }
        state.extend(self.observe(walk.newest));
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
        let application = Application { session, clears, writes, state };
        match self.apply(application).await? {
            None => {
                self.drop_staged(&walk, session).await?;
                Ok(Pulled::Moved)
            }
            Some(conflicts) => {
                report.conflicts = conflicts;
                match keys {
                    Some(keys) if plan.replace.is_none() => self.store.events().records(keys),
                    _ => self.store.events().types(plan.types.clone()),
                }
                Ok(Pulled::Done(report))
            }
        }
    }

    /// What a reset removes: everything of its types but newer edits, and what the server does not know.
    fn clears(&self, plan: &PullPlan, walk: &Walk) -> Vec<Clear> {
        let Some(through_change) = plan.replace else { return Vec::new() };
        plan.types
            .iter()
            .filter(|name| !walk.unknown_types.contains(*name))
            .flat_map(|name| {
                self.zones.iter().map(move |zone| Clear {
                    type_name: name.clone(),
                    zone: zone.clone(),
                    through_change,
                })
            })
            .filter(|clear| {
                let key = crate::RecordKey {
                    zone: clear.zone.clone(),
                    type_name: clear.type_name.clone(),
                    id: crate::ObjectId::from(0),
                };
                self.store.check_zone(&key).is_ok()
            })
            .collect()
    }
}

/// What a pull has seen so far.
#[derive(Debug, Default)]
struct Walk {
    staged: u64,
    received: u64,
    total: Option<u64>,
    newest: Option<Hlc>,
    unknown_types: BTreeSet<TypeName>,
}
