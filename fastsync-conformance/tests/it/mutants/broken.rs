//! A data source with one deliberate bug, around the memory data source.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use fastsync_conformance::Constraint;
use fastsync_core::source::{
    Action, AuditRequest, Changes, ChangesRequest, Commit, CommitOutcome, Expect, Found, OnMismatch,
    PendingRequest, PlannedChange, Preparation, Purge, StateRange, SyncableDataSourceExt as _, Turn, Write,
    Writes,
};
use fastsync_core::{
    Author, DeviceId, Error, ErrorKind, MemoryDataSource, ObjectId, Position, Query, Random, Record,
    RecordKey, Result, SessionId, SessionKind, SessionSummary, SyncableDataSource, Tag, Timestamp, TypeName,
    TypeSchema, Zone,
};

use super::bugs::Bug;

/// What the bugs go by, of all handles to one storage.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    pub(crate) constraints: Vec<Constraint>,
    pub(super) batches: HashMap<SessionId, BTreeMap<u64, Vec<Write>>>,
    /// How many batches were staged.
    staged: u64,
    /// The types as they were prepared last.
    pub(super) types: HashMap<TypeName, TypeSchema>,
    pub(super) tags: HashMap<(Zone, Position), Tag>,
    /// Who wrote a record, the last at the end.
    pub(super) authors: HashMap<RecordKey, Vec<Author>>,
    /// Records that no positioned commit wrote.
    pub(super) local: BTreeSet<RecordKey>,
    /// Records that are not to be seen yet.
    pub(super) hidden: HashSet<RecordKey>,
    /// Records that a reader was given.
    pub(super) given: HashSet<RecordKey>,
    /// The acknowledgements of a session.
    pub(super) acknowledged: HashMap<SessionId, Vec<TypeName>>,
    /// How many edits were cleared.
    pub(super) cleared: u64,
    purged: BTreeMap<Zone, Position>,
    calls: u64,
    is_busy: bool,
}

#[derive(Debug)]
pub(crate) struct Broken {
    pub(super) inner: MemoryDataSource,
    pub(super) bug: Bug,
    notes: Arc<Mutex<Notes>>,
    /// The types that this handle has prepared.
    pub(super) prepared: Mutex<HashMap<TypeName, TypeSchema>>,
}

/// Long enough for another task to come in between, on a busy machine too.
pub(super) async fn pause() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

impl Broken {
    pub(crate) fn new(inner: MemoryDataSource, bug: Bug, notes: Arc<Mutex<Notes>>) -> Self {
        Self { inner, bug, notes, prepared: Mutex::default() }
    }

    pub(super) fn is(&self, bug: Bug) -> bool {
        self.bug == bug
    }

    pub(super) fn notes<T>(&self, operation: impl FnOnce(&mut Notes) -> T) -> T {
        operation(&mut self.notes.lock().unwrap())
    }

    pub(super) async fn current(&self, key: &RecordKey) -> Option<Record> {
        let found = self.inner.get(&key.type_name, &key.zone, std::slice::from_ref(&key.id)).await;
        found.ok()?.pop()
    }

    /// The id of a further session, which a commit is cut into.
    pub(super) fn another_session(&self, commit: &Commit) -> SessionId {
        struct Bits(u64);
        impl Random for Bits {
            fn next_u64(&self) -> u64 {
                self.0
            }
        }
        let call = self.notes(|notes| {
            notes.calls += 1;
            notes.calls
        });
        let at = Timestamp::from_millis(commit.at.as_millis() + call);
        SessionId::new(at, &Bits(commit.tag.0.wrapping_mul(31).wrapping_add(call)))
    }

    /// A commit of these writes in a session of its own.
    pub(super) fn apart(&self, of: &Commit, writes: Vec<Write>) -> Commit {
        let session = self.another_session(of);
        Commit {
            session,
            writes: Writes::Inline(writes),
            clears: vec![],
            state: vec![],
            positioned: false,
            ..of.clone()
        }
    }

    /// A commit that nobody asked for.
    pub(super) fn of_its_own(&self, writes: Vec<Write>) -> Commit {
        let nobody = uuid::Uuid::nil();
        let nothing = Commit {
            session: SessionId::from_uuid(nobody),
            kind: SessionKind::Apply,
            author: Author { user: None, device: DeviceId::from_uuid(nobody), number: 0 },
            at: Timestamp::from_millis(0),
            tag: Tag(7),
            positioned: false,
            clears: vec![],
            writes: Writes::Inline(vec![]),
            state: vec![],
        };
        self.apart(&nothing, writes)
    }

    /// Takes the storage for a call that gives it back at its end, and not if it is abandoned.
    async fn keep_busy(&self) -> Result<()> {
        if !self.is(Bug::AbandonedCallsKeepTheStorageBusy) {
            return Ok(());
        }
        if self.notes(|notes| std::mem::replace(&mut notes.is_busy, true)) {
            return Err(Error::new(ErrorKind::Unavailable, "call", "the storage is busy"));
        }
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        self.notes(|notes| notes.is_busy = false);
        Ok(())
    }

    /// Gives up what waits to be pushed.
    async fn end_edits(&self, mut records: Vec<Record>) -> Result<()> {
        records.retain(Record::is_deleted);
        let acknowledge = |record: &Record| Write {
            action: Action::Acknowledge {
                key: record.key.clone(),
                change: record.metadata.change,
                revision: record.metadata.revision,
                incarnation: record.metadata.incarnation,
            },
            expect: Expect::Anything,
            on_mismatch: OnMismatch::Abort,
        };
        let writes = records.iter().map(acknowledge).collect();
        self.inner.commit_alone(self.of_its_own(writes)).await.map(drop)
    }
}

#[async_trait]
impl SyncableDataSource for Broken {
    fn backend(&self) -> &'static str {
        "broken"
    }

    async fn prepare(&self, types: &[TypeSchema], how: Preparation) -> Result<Vec<PlannedChange>> {
        match how {
            Preparation::Plan => self.plan_with_bug(types).await,
            Preparation::Apply => {
                let planned = self.inner.plan(types).await.unwrap_or_default();
                self.prepare_with_bug(types).await?;
                Ok(planned)
            }
        }
    }

    async fn get(&self, type_name: &TypeName, zone: &Zone, ids: &[ObjectId]) -> Result<Vec<Record>> {
        self.get_with_bug(type_name, zone, ids).await
    }

    async fn find(&self, query: &Query) -> Result<Found> {
        self.find_with_bug(query.clone()).await
    }

    async fn changes(&self, request: &ChangesRequest) -> Result<Changes> {
        let purged = self.notes(|notes| notes.purged.contains_key(&request.zone));
        self.changes_with_bug(request.clone(), purged).await
    }

    async fn pending(&self, request: &PendingRequest) -> Result<Found> {
        let mut request = *request;
        if self.is(Bug::PendingIsGivenWhole) && request.limit > 0 {
            request.limit = usize::MAX;
        }
        let mut found = self.inner.pending(&request).await?;
        let cleared =
            if self.is(Bug::ClearedEditsStayCounted) { self.notes(|notes| notes.cleared) } else { 0 };
        found.total = found.total.map(|total| total + cleared);
        match self.bug {
            Bug::TombstonesAreForgotten => found.records.retain(|record| !record.is_deleted()),
            Bug::PendingGoesById => found.records.sort_by(|a, b| a.key.cmp(&b.key)),
            Bug::TotalsAreOfThePage if found.total.is_some() && request.limit > 0 => {
                found.total = Some(found.records.len() as u64);
            }
            _ => {}
        }
        Ok(found)
    }

    async fn zones(&self, type_name: &TypeName) -> Result<Vec<Zone>> {
        let mut zones = self.inner.zones(type_name).await?;
        if self.is(Bug::TheFirstZoneIsEnough) {
            zones.truncate(1);
        }
        Ok(zones)
    }

    async fn stage(&self, session: SessionId, mut sequence: u64, mut writes: Vec<Write>) -> Result<()> {
        self.keep_busy().await?;
        writes.iter_mut().for_each(|write| self.warp(&mut write.action));
        let (is_there, number) = self.notes(|notes| {
            let batches = notes.batches.entry(session).or_default();
            let is_there = batches.contains_key(&sequence);
            batches.entry(sequence).or_insert_with(|| writes.clone());
            notes.staged += 1;
            (is_there, notes.staged)
        });
        match self.bug {
            Bug::LaterStagingWins if is_there => sequence += number << 40,
            Bug::BatchesGoByArrival => sequence = number,
            Bug::BatchesGoBackwards => sequence = u64::from(u32::MAX).saturating_sub(sequence),
            Bug::LaterBatchesAreLost if sequence > 3 => return Ok(()),
            Bug::StagedEditsAreNotPending => {
                for write in &mut writes {
                    if let Action::Put { pending, .. } = &mut write.action {
                        *pending = false;
                    }
                }
            }
            Bug::StagedWritesAreVisible => {
                self.inner.commit_alone(self.of_its_own(writes.clone())).await?;
            }
            _ => {}
        }
        match self.inner.stage(session, sequence, writes).await {
            Err(_) if self.is(Bug::RefusalsAreSwallowed) => Ok(()),
            result => result,
        }
    }

    async fn commit(&self, commit: Commit, turn: Turn) -> Result<CommitOutcome> {
        if !self.is(Bug::TurnsAreNotWaitedFor) {
            turn.comes().await;
        }
        self.commit_with_bug(commit).await
    }

    async fn sessions(&self, request: &AuditRequest) -> Result<Vec<SessionSummary>> {
        match request {
            AuditRequest::Session(id) => Ok(self.session_with_bug(*id).await?.into_iter().collect()),
            AuditRequest::Zone { zone, after, limit } => {
                let mut found = self.inner.sessions_of(&self.zone(zone), *after, *limit).await?;
                match self.bug {
                    Bug::SessionsGoById => found.sort_by_key(|summary| summary.id),
                    Bug::TheTrailIsPurged if self.notes(|notes| notes.purged.contains_key(zone)) => {
                        found.clear();
                    }
                    _ => {}
                }
                Ok(found)
            }
        }
    }

    async fn state(&self, range: &StateRange) -> Result<Vec<(String, Vec<u8>)>> {
        let StateRange::Key(key) = range else {
            let StateRange::Prefix(prefix) = range else { return Ok(Vec::new()) };
            let prefix = if self.is(Bug::PrefixesAreIgnored) { "" } else { prefix };
            return self.inner.entries(&self.state_key(prefix)).await;
        };
        let mut found = self.inner.entry(&self.state_key(key)).await?;
        match self.bug {
            Bug::EmptyValuesAreAbsent => found = found.filter(|value| !value.is_empty()),
            Bug::StateValuesAreCut => found.iter_mut().for_each(|value| value.truncate(1 << 16)),
            _ => {}
        }
        Ok(found.map(|value| (key.clone(), value)).into_iter().collect())
    }

    async fn purge(&self, what: &Purge) -> Result<u64> {
        let (zone, through) = match what {
            Purge::Tombstones { zone, through } => (zone, *through),
            Purge::Staged(session) => {
                let session = if self.is(Bug::UnstageDropsEverything) { None } else { *session };
                return self.inner.unstage(session).await.map(|()| 0);
            }
        };
        self.keep_busy().await?;
        self.notes(|notes| notes.purged.insert(zone.clone(), through));
        let through = match self.bug {
            Bug::PurgeTakesEverything => Position(u64::MAX),
            Bug::PurgeDoesNothing => return Ok(0),
            Bug::PurgeTakesWaitingDeletions => {
                self.end_edits(self.inner.pending_after(0, usize::MAX).await?).await?;
                through
            }
            _ => through,
        };
        self.inner.purge_tombstones(&self.zone(zone), through).await
    }
}

impl Broken {
    async fn session_with_bug(&self, id: SessionId) -> Result<Option<SessionSummary>> {
        let Some(mut summary) = self.inner.session(id).await? else { return Ok(None) };
        match self.bug {
            Bug::SessionsLoseTheirCounts => summary.counts.clear(),
            Bug::LocalSessionsAreNotKept if summary.positions.is_empty() => return Ok(None),
            Bug::AcknowledgementsAreCounted => {
                let types = self.notes(|notes| notes.acknowledged.get(&id).cloned().unwrap_or_default());
                summary.counts.extend(types.into_iter().map(|name| (name, 1)));
            }
            _ => {}
        }
        Ok(Some(summary))
    }
}
