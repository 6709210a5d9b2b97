//! A data source with one deliberate bug, around the memory data source.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use fastsync_core::source::{
    Action, Changes, ChangesRequest, Commit, CommitOutcome, Expect, Point, Receipt, ResetReason, SkipOwn,
    Turn, Write, Writes,
};
use fastsync_core::{
    MemoryDataSource, ObjectId, Position, Query, Record, RecordKey, Result, SessionId, SessionSummary,
    SyncableDataSource, Tag, Timestamp, TypeName, TypeSchema, Value, Zone,
};
use tokio::task::yield_now;

/// What is wrong.
#[derive(Debug)]
pub(crate) enum Bug {
    /// Nothing.
    None,
    /// Expectations are checked, and then the write is done without them.
    LostUpdate,
    /// A session has its position, and readers pass it, before its records can be read.
    PositionBeforeVisibility(Arc<Mutex<HashSet<RecordKey>>>),
    /// A commit is as many commits as it has writes.
    OneWriteAtATime,
    /// The new revision and position are visible before the new body is.
    StampedBeforeWritten,
    IdsFoldCase,
    ZonesFoldCase,
    /// A session that was committed before is committed again under another id.
    DuplicatesAreApplied,
    DuplicatesLoseTheirReceipt,
    /// State entries are written after the records, in a commit of their own.
    StateApartFromRecords,
    /// The next page begins at the next position, even if this one ended inside a session.
    PagesSkipTies,
    /// The next page begins with the last session of this one.
    PagesRepeat,
    /// A reader has caught up when a page has fewer records than it may.
    ShortPageIsTheLast,
    /// A reader has not caught up when a page has as many records as it may.
    FullPageIsNeverTheLast,
    AcknowledgeClearsNewerEdits,
    TombstonesAreForgotten,
    HorizonIsIgnored,
    TagsAreNotCompared,
    PointsLagBehind,
    /// A reader that is through with loading goes on at the head, and not where it began.
    LoadsEndAtTheHead,
    /// A batch that is staged again is kept beside the first.
    LaterStagingWins,
    SkipsAreSilent,
    /// A commit in turn is committed at once.
    TurnsAreNotWaitedFor,
    OwnPushesByDeviceOnly,
    CommitsBlockTheThread,
    /// Whole numbers go through a floating point column.
    NumbersBecomeReals,
    /// Text loses spaces at its end.
    TextIsTrimmed,
}

#[derive(Debug)]
pub(crate) struct Broken {
    inner: MemoryDataSource,
    bug: Arc<Bug>,
    /// The tags of the positions that this handle wrote, for the bugs that make up points.
    tags: Mutex<HashMap<(Zone, Position), Tag>>,
    calls: AtomicU64,
    /// What was staged.
    staged: Mutex<Vec<(SessionId, u64)>>,
}

impl Broken {
    pub(crate) fn new(inner: MemoryDataSource, bug: Arc<Bug>) -> Self {
        Self { inner, bug, calls: AtomicU64::default(), tags: Mutex::default(), staged: Mutex::default() }
    }

    fn zone(&self, zone: &Zone) -> Zone {
        match (&*self.bug, zone.key()) {
            (Bug::ZonesFoldCase, Some(key)) => Zone::restricted(key.to_lowercase()).unwrap(),
            _ => zone.clone(),
        }
    }

    fn id(&self, id: &ObjectId) -> ObjectId {
        match &*self.bug {
            Bug::IdsFoldCase => ObjectId::new(id.as_str().to_ascii_lowercase()).unwrap(),
            _ => id.clone(),
        }
    }

    /// A record as this data source stores it.
    fn warp(&self, action: &mut Action) {
        match action {
            Action::Put { record, .. } => {
                (record.key.zone, record.key.id) = (self.zone(&record.key.zone), self.id(&record.key.id));
                for value in record.body.iter_mut().flatten() {
                    match (&*self.bug, value) {
                        (Bug::NumbersBecomeReals, Value::Integer(whole)) => {
                            #[allow(clippy::cast_possible_truncation)]
                            let stored = *whole as f64 as i64;
                            *whole = stored;
                        }
                        (Bug::TextIsTrimmed, Value::Text(text)) => *text = text.trim_end().to_owned(),
                        _ => {}
                    }
                }
            }
            Action::Acknowledge { key, .. } => (key.zone, key.id) = (self.zone(&key.zone), self.id(&key.id)),
        }
    }

    fn count(&self) -> u64 {
        self.calls.fetch_add(1, Ordering::Relaxed) + 1_000
    }

    async fn current(&self, key: &RecordKey) -> Option<Record> {
        let found = self.inner.get(&key.type_name, &key.zone, std::slice::from_ref(&key.id)).await;
        found.ok()?.pop()
    }

    fn another_session(&self, commit: &Commit, number: u64) -> SessionId {
        struct Bits(u64);
        impl fastsync_core::Random for Bits {
            fn next_u64(&self) -> u64 {
                self.0
            }
        }
        let at = Timestamp::from_millis(commit.at.as_millis() + number);
        SessionId::new(at, &Bits(commit.tag.0.wrapping_mul(31).wrapping_add(number)))
    }

    async fn commit_with_bug(&self, mut commit: Commit) -> Result<CommitOutcome> {
        let writes = match &mut commit.writes {
            Writes::Inline(writes) | Writes::Staged { overrides: writes } => writes,
        };
        for write in writes.iter_mut() {
            self.warp(&mut write.action);
        }
        let is_inline = matches!(commit.writes, Writes::Inline(_));
        match &*self.bug {
            Bug::LostUpdate => {
                if self.would_succeed(&commit).await && self.inner.session(commit.session).await?.is_none() {
                    pause().await;
                    if let Writes::Inline(writes) = &mut commit.writes {
                        writes.iter_mut().for_each(|write| write.expect = Expect::Anything);
                    }
                }
                self.inner.commit(commit).await
            }
            Bug::PositionBeforeVisibility(hidden) => {
                let keys: Vec<_> = keys(&commit);
                hidden.lock().unwrap().extend(keys.iter().cloned());
                let outcome = self.inner.commit(commit).await;
                pause().await;
                let mut hidden = hidden.lock().unwrap();
                hidden.retain(|key| !keys.contains(key));
                outcome
            }
            Bug::OneWriteAtATime if is_inline => self.commit_one_by_one(commit).await,
            Bug::StampedBeforeWritten if commit.positioned && self.would_succeed(&commit).await => {
                let mut stamps = commit.clone();
                if let Writes::Inline(writes) = &mut stamps.writes {
                    for write in writes {
                        let Action::Put { record, .. } = &mut write.action else { continue };
                        let current = self.current(&record.key).await;
                        if let (Some(body), Some(old)) = (&mut record.body, current.and_then(|old| old.body))
                        {
                            *body = old;
                        }
                    }
                }
                let outcome = self.inner.commit(stamps).await;
                if let Ok(CommitOutcome::Applied(_)) = outcome {
                    pause().await;
                    let session = self.another_session(&commit, 1);
                    let mut bodies = Commit { session, positioned: false, ..commit };
                    if let Writes::Inline(writes) = &mut bodies.writes {
                        writes.iter_mut().for_each(|write| write.expect = Expect::Anything);
                    }
                    self.inner.commit(bodies).await?;
                }
                outcome
            }
            Bug::DuplicatesAreApplied => {
                if self.inner.session(commit.session).await?.is_some() {
                    commit.session = self.another_session(&commit, self.count());
                }
                self.inner.commit(commit).await
            }
            Bug::DuplicatesLoseTheirReceipt => Ok(match self.inner.commit(commit).await? {
                CommitOutcome::Duplicate(_) => CommitOutcome::Duplicate(Receipt::default()),
                outcome => outcome,
            }),
            Bug::StateApartFromRecords if !commit.state.is_empty() => {
                let state = std::mem::take(&mut commit.state);
                let session = self.another_session(&commit, 1);
                let after = Commit { session, state, ..commit.clone() };
                let after = Commit { writes: Writes::Inline(vec![]), clears: vec![], ..after };
                let outcome = self.inner.commit(commit).await?;
                yield_now().await;
                match self.inner.commit(after).await? {
                    CommitOutcome::Applied(_) => Ok(outcome),
                    failed => Ok(failed),
                }
            }
            Bug::AcknowledgeClearsNewerEdits => {
                if let Writes::Inline(writes) = &mut commit.writes {
                    for write in writes {
                        let Action::Acknowledge { key, change, .. } = &mut write.action else { continue };
                        *change = self.current(key).await.map_or(0, |record| record.metadata.change);
                    }
                }
                self.inner.commit(commit).await
            }
            Bug::SkipsAreSilent => Ok(match self.inner.commit(commit).await? {
                CommitOutcome::Applied(receipt) => {
                    CommitOutcome::Applied(Receipt { skipped: vec![], ..receipt })
                }
                outcome => outcome,
            }),
            Bug::CommitsBlockTheThread => {
                std::thread::sleep(Duration::from_millis(if keys(&commit).len() > 1_000 { 400 } else { 0 }));
                self.inner.commit(commit).await
            }
            _ => self.inner.commit(commit).await,
        }
    }

    async fn would_succeed(&self, commit: &Commit) -> bool {
        let Writes::Inline(writes) = &commit.writes else { return false };
        for write in writes {
            let current = self.current(write.action.key()).await;
            let current = current.map(|record| (record.metadata.revision, record.metadata.change));
            if !write.expect.holds(current) {
                return false;
            }
        }
        true
    }

    async fn commit_one_by_one(&self, mut commit: Commit) -> Result<CommitOutcome> {
        let writes = std::mem::replace(&mut commit.writes, Writes::Inline(vec![]));
        let Writes::Inline(mut writes) = writes else { return self.inner.commit(commit).await };
        let last = writes.pop();
        for (number, write) in (0..).zip(writes) {
            let session = self.another_session(&commit, number);
            let part = Commit { session, writes: Writes::Inline(vec![write]), ..commit.clone() };
            let outcome = self.inner.commit(part).await?;
            if !matches!(outcome, CommitOutcome::Applied(_)) {
                return Ok(outcome);
            }
            yield_now().await;
        }
        commit.writes = Writes::Inline(last.into_iter().collect());
        self.inner.commit(commit).await
    }

    async fn changes_with_bug(&self, mut request: ChangesRequest) -> Result<Changes> {
        request.zone = self.zone(&request.zone);
        match (&*self.bug, &mut request.skip_own) {
            (Bug::OwnPushesByDeviceOnly, Some(SkipOwn { through, .. })) => *through = u64::MAX,
            (Bug::PagesRepeat, _) if request.after.within.is_none() && request.after.position.0 > 1 => {
                let before = Position(request.after.position.0 - 1);
                let tag = self.tags.lock().unwrap().get(&(request.zone.clone(), before)).copied();
                if let Some(tag) = tag {
                    request.after = Point { position: before, tag, ..Point::START };
                }
            }
            _ => {}
        }
        let changes = match (&*self.bug, self.inner.changes(&request).await?) {
            (Bug::HorizonIsIgnored, Changes::ResetRequired(ResetReason::Horizon))
            | (Bug::TagsAreNotCompared, Changes::ResetRequired(ResetReason::History)) => {
                self.inner.changes(&ChangesRequest { after: Point::START, ..request.clone() }).await?
            }
            (_, changes) => changes,
        };
        let Changes::Page(mut page) = changes else { return Ok(changes) };
        match &*self.bug {
            Bug::PositionBeforeVisibility(hidden) => {
                let hidden = hidden.lock().unwrap();
                page.records.retain(|record| !hidden.contains(&record.key));
            }
            Bug::PagesSkipTies => page.next.within = None,
            Bug::ShortPageIsTheLast if page.records.len() < request.limits.records => {
                (page.next, page.caught_up) = (Point::at(page.head), true);
            }
            Bug::FullPageIsNeverTheLast if page.records.len() == request.limits.records => {
                page.caught_up = false;
            }
            Bug::LoadsEndAtTheHead if request.after.loading && !page.next.loading => {
                (page.next, page.caught_up) = (Point::at(page.head), true);
                page.remaining = page.remaining.map(|_| 0);
            }
            Bug::TombstonesAreForgotten => page.records.retain(|record| !record.is_deleted()),
            _ => {}
        }
        Ok(Changes::Page(page))
    }
}

/// Long enough for another task to come in between, on a busy machine too.
async fn pause() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

fn keys(commit: &Commit) -> Vec<RecordKey> {
    match &commit.writes {
        Writes::Inline(writes) | Writes::Staged { overrides: writes } => {
            writes.iter().map(|write| write.action.key().clone()).collect()
        }
    }
}

#[async_trait]
impl SyncableDataSource for Broken {
    fn backend(&self) -> &'static str {
        "broken"
    }

    async fn prepare(&self, types: &[TypeSchema]) -> Result<()> {
        self.inner.prepare(types).await
    }

    async fn get(&self, type_name: &TypeName, zone: &Zone, ids: &[ObjectId]) -> Result<Vec<Record>> {
        let ids: Vec<_> = ids.iter().map(|id| self.id(id)).collect();
        let mut found = self.inner.get(type_name, &self.zone(zone), &ids).await?;
        if matches!(*self.bug, Bug::TombstonesAreForgotten) {
            found.retain(|record| !record.is_deleted());
        }
        Ok(found)
    }

    async fn find(&self, query: &Query) -> Result<Vec<Record>> {
        let mut query = query.clone();
        query.zone = self.zone(&query.zone);
        self.inner.find(&query).await
    }

    async fn count(&self, query: &Query) -> Result<u64> {
        let mut query = query.clone();
        query.zone = self.zone(&query.zone);
        self.inner.count(&query).await
    }

    async fn changes(&self, request: &ChangesRequest) -> Result<Changes> {
        self.changes_with_bug(request.clone()).await
    }

    async fn point(&self, zone: &Zone, position: Position) -> Result<Option<Point>> {
        let lag = u64::from(matches!(*self.bug, Bug::PointsLagBehind));
        self.inner.point(&self.zone(zone), Position(position.0.saturating_sub(lag))).await
    }

    async fn pending(&self, after: u64, limit: usize) -> Result<Vec<Record>> {
        let mut found = self.inner.pending(after, limit).await?;
        if matches!(*self.bug, Bug::TombstonesAreForgotten) {
            found.retain(|record| !record.is_deleted());
        }
        Ok(found)
    }

    async fn count_pending(&self) -> Result<u64> {
        self.inner.count_pending().await
    }

    async fn stage(&self, session: SessionId, sequence: u64, mut writes: Vec<Write>) -> Result<()> {
        writes.iter_mut().for_each(|write| self.warp(&mut write.action));
        let again = {
            let mut staged = self.staged.lock().unwrap();
            staged.push((session, sequence));
            staged.iter().filter(|batch| **batch == (session, sequence)).count() as u64 - 1
        };
        let beside = if matches!(*self.bug, Bug::LaterStagingWins) { again << 40 } else { 0 };
        self.inner.stage(session, sequence + beside, writes).await
    }

    async fn unstage(&self, session: Option<SessionId>) -> Result<()> {
        self.inner.unstage(session).await
    }

    async fn commit(&self, commit: Commit) -> Result<CommitOutcome> {
        let tag = commit.tag;
        let outcome = self.commit_with_bug(commit).await?;
        if let CommitOutcome::Applied(receipt) = &outcome {
            let mut tags = self.tags.lock().unwrap();
            tags.extend(receipt.positions.iter().cloned().map(|at| (at, tag)));
        }
        Ok(outcome)
    }

    async fn commit_in_turn(&self, commit: Commit, turn: Turn) -> Result<CommitOutcome> {
        if !matches!(*self.bug, Bug::TurnsAreNotWaitedFor) {
            turn.comes().await;
        }
        self.commit(commit).await
    }

    async fn session(&self, id: SessionId) -> Result<Option<SessionSummary>> {
        self.inner.session(id).await
    }

    async fn sessions(&self, zone: &Zone, after: Position, limit: usize) -> Result<Vec<SessionSummary>> {
        self.inner.sessions(&self.zone(zone), after, limit).await
    }

    async fn state(&self, key: &str) -> Result<Option<Vec<u8>>> {
        self.inner.state(key).await
    }

    async fn states(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>> {
        self.inner.states(prefix).await
    }

    async fn purge(&self, zone: &Zone, through: Position) -> Result<u64> {
        self.inner.purge(&self.zone(zone), through).await
    }
}
