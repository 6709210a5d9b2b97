//! One case's storage, with builders for records and commits and short forms of the calls.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fastsync_core::source::{
    ChangesRequest, Clear, Commit, CommitOutcome, Conflict, PageLimits, Point, Preparation, Receipt,
    StateConflict, SyncableDataSourceExt as _, Write, Writes,
};
use fastsync_core::{
    Author, DeviceId, Error, Hlc, Incarnation, ObjectId, Query, Random, Record, RecordKey, Revision,
    SessionId, SessionKind, SyncMetadata, SyncableDataSource, Tag, Timestamp, Value, Zone,
};

use crate::harness::Harness;
use crate::records::{acme, key, name, put, put_pending, schemas};
use crate::steps::{Noted, Steps};

/// A handle to one case's storage, with the types of [`schemas`] prepared.
///
/// Its ids, revisions and tags come from a counter, so a failing case fails the same way again.
#[derive(Clone)]
pub struct Fixture {
    harness: Arc<dyn Harness>,
    source: Arc<dyn SyncableDataSource>,
    steps: Arc<Steps>,
    numbers: Arc<Numbers>,
    device: DeviceId,
}

/// Well-spread numbers from a counter (the SplitMix64 finaliser).
#[derive(Debug, Default)]
struct Numbers(AtomicU64);

impl Numbers {
    fn count(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}

impl Random for Numbers {
    fn next_u64(&self) -> u64 {
        let mut bits = self.count().wrapping_mul(0x9e37_79b9_7f4a_7c15);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }
}

impl fmt::Debug for Fixture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fixture").field("source", &self.source).finish_non_exhaustive()
    }
}

impl Fixture {
    /// Opens the storage of a harness and prepares the types of the suite.
    ///
    /// # Panics
    /// If the storage refuses the types.
    pub async fn new(harness: Arc<dyn Harness>) -> Self {
        Self::noted(harness, Arc::default()).await
    }

    /// The same, and notes what is done.
    pub(crate) async fn noted(harness: Arc<dyn Harness>, steps: Arc<Steps>) -> Self {
        let numbers = Arc::new(Numbers::default());
        let device = DeviceId::random(&*numbers);
        Self::open(harness, steps, numbers, device).await
    }

    async fn open(
        harness: Arc<dyn Harness>,
        steps: Arc<Steps>,
        numbers: Arc<Numbers>,
        device: DeviceId,
    ) -> Self {
        let source = Arc::new(Noted::new(harness.open().await, Arc::clone(&steps)));
        let fixture = Self { harness, source, steps, numbers, device };
        fixture.prepare().await;
        fixture
    }

    /// Says why the case, or the rest of it, cannot run on this harness.
    pub(crate) fn skip(&self, reason: &str) {
        self.steps.skip(reason.to_owned());
    }

    async fn prepare(&self) {
        self.source
            .prepare(&schemas(), Preparation::Apply)
            .await
            .expect("prepare takes the types of the suite");
    }

    /// The data source under test.
    #[must_use]
    pub fn source(&self) -> &dyn SyncableDataSource {
        &*self.source
    }

    /// The harness of this case.
    #[must_use]
    pub fn harness(&self) -> &dyn Harness {
        &*self.harness
    }

    /// The device that writes the commits of [`Self::push`].
    #[must_use]
    pub fn device(&self) -> DeviceId {
        self.device
    }

    /// A second handle to the same storage.
    ///
    /// # Panics
    /// If the storage refuses the types.
    pub async fn second_handle(&self) -> Self {
        if !self.harness.shares_storage() {
            return self.clone();
        }
        let Self { harness, steps, numbers, device, .. } = self.clone();
        Self::open(harness, steps, numbers, device).await
    }

    /// Drops this handle and opens the storage again, as after a restart. Only the last handle may do it.
    ///
    /// # Panics
    /// If the storage refuses the types.
    pub async fn reopen(self) -> Self {
        if !self.harness.is_durable() {
            return self;
        }
        let Self { harness, source, steps, numbers, device } = self;
        drop(source);
        Self::open(harness, steps, numbers, device).await
    }

    /// A revision that was never used.
    #[must_use]
    pub fn revision(&self) -> Revision {
        Revision::from_bits(self.numbers.next_u64() | 1)
    }

    /// A record with a fresh revision.
    #[must_use]
    pub fn record(&self, key: RecordKey, body: Vec<Value>) -> Record {
        let count = self.numbers.count();
        let metadata = SyncMetadata {
            revision: self.revision(),
            incarnation: Incarnation::from_bits(self.numbers.next_u64()),
            modified_at: Hlc::new(Timestamp::from_millis(1_763_700_000_000 + count), 3),
            modified_by: self.device,
            change: 0,
        };
        Record { key, body: Some(body), metadata }
    }

    /// A customer of Acme.
    #[must_use]
    pub fn customer(&self, id: &str, customer_name: &str) -> Record {
        self.record(key(&acme(), "customers", id), vec![customer_name.into(), Value::Null])
    }

    /// An order of Acme's.
    #[must_use]
    pub fn order(&self, id: &str, customer: &str, quantity: i64) -> Record {
        self.record(key(&acme(), "orders", id), vec![customer.into(), quantity.into(), Value::Null])
    }

    /// An article that everyone sees.
    #[must_use]
    pub fn article(&self, id: &str, title: &str, price: f64) -> Record {
        self.record(key(&Zone::Global, "articles", id), vec![title.into(), price.into()])
    }

    /// A sample with one field set.
    ///
    /// # Panics
    /// If there is no such field.
    #[must_use]
    pub fn sample(&self, id: &str, field: &str, value: Value) -> Record {
        let schemas = schemas();
        let samples = schemas.iter().find(|schema| schema.name().as_str() == "samples");
        let fields = samples.map_or(&[][..], |schema| schema.fields());
        let mut body = vec![Value::Null; fields.len()];
        let at = fields.iter().position(|known| known.name.as_str() == field);
        let at = at.expect("samples have such a field");
        body[at] = value;
        self.record(key(&acme(), "samples", id), body)
    }

    /// The same object in another zone, as a record of its own.
    #[must_use]
    pub fn in_zone(&self, record: &Record, zone: &Zone) -> Record {
        let key = RecordKey { zone: zone.clone(), ..record.key.clone() };
        self.record(key, record.body.clone().unwrap_or_default())
    }

    /// The deletion of an object.
    #[must_use]
    pub fn tombstone(&self, of: &Record) -> Record {
        let mut tombstone = self.record(of.key.clone(), Vec::new());
        tombstone.body = None;
        tombstone.metadata.incarnation = of.metadata.incarnation;
        tombstone
    }

    /// A commit that takes positions, as a server makes it of a push.
    #[must_use]
    pub fn push(&self, writes: Vec<Write>) -> Commit {
        let count = self.numbers.count();
        let at = Timestamp::from_millis(1_763_700_000_000 + count);
        Commit {
            session: SessionId::new(at, &*self.numbers),
            kind: SessionKind::Push,
            author: Author { user: Some("anna@acme.example".to_owned()), device: self.device, number: count },
            at,
            tag: Tag(self.numbers.next_u64()),
            positioned: true,
            clears: Vec::new(),
            writes: Writes::Inline(writes),
            state: Vec::new(),
        }
    }

    /// A commit of a client's own store: it takes no position.
    #[must_use]
    pub fn local(&self, writes: Vec<Write>) -> Commit {
        let commit = self.push(writes);
        let author = Author { user: None, number: 0, ..commit.author };
        Commit { kind: SessionKind::Apply, author, positioned: false, ..commit }
    }

    /// A commit that only clears.
    #[must_use]
    pub fn clear(&self, type_name: &str, zone: &Zone, through_change: u64) -> Commit {
        let clear = Clear { type_name: name(type_name), zone: zone.clone(), through_change };
        Commit { clears: vec![clear], ..self.local(Vec::new()) }
    }

    /// Pushes records, whatever is there.
    ///
    /// # Panics
    /// If the commit is not applied.
    pub async fn put_all(&self, records: &[Record]) -> Receipt {
        self.apply(self.push(records.iter().map(put).collect())).await
    }

    /// Stores local edits and gives the number of the commit.
    ///
    /// # Panics
    /// If the commit is not applied.
    pub async fn edit(&self, records: &[Record]) -> u64 {
        self.apply(self.local(records.iter().map(put_pending).collect())).await.change
    }

    /// Commits what must succeed.
    ///
    /// # Panics
    /// If the commit is not applied.
    pub async fn apply(&self, commit: Commit) -> Receipt {
        match self.source.commit_alone(commit).await {
            Ok(CommitOutcome::Applied(receipt)) => receipt,
            other => panic!("the commit is applied, not {other:?}"),
        }
    }

    /// Commits what must conflict.
    ///
    /// # Panics
    /// If the commit does anything else.
    pub async fn conflicts(&self, commit: Commit) -> (Vec<Conflict>, Vec<StateConflict>) {
        match self.source.commit_alone(commit).await {
            Ok(CommitOutcome::Conflicts { writes, state }) => (writes, state),
            other => panic!("the commit conflicts, not {other:?}"),
        }
    }

    /// Commits what must be refused.
    ///
    /// # Panics
    /// If the commit is not refused.
    pub async fn refused(&self, commit: Commit) -> Error {
        match self.source.commit_alone(commit).await {
            Err(error) => error,
            other => panic!("the commit is refused, not {other:?}"),
        }
    }

    /// Stages a batch.
    ///
    /// # Panics
    /// If staging fails.
    pub async fn stage(&self, session: SessionId, sequence: u64, writes: Vec<Write>) {
        self.source.stage(session, sequence, writes).await.expect("the batch is staged");
    }

    /// The record with this key.
    ///
    /// # Panics
    /// If reading fails.
    pub async fn get(&self, key: &RecordKey) -> Option<Record> {
        let found = self.source.get(&key.type_name, &key.zone, std::slice::from_ref(&key.id)).await;
        found.expect("get succeeds").pop()
    }

    /// The ids that a query finds, in its order.
    ///
    /// # Panics
    /// If the query fails.
    pub async fn find_ids(&self, query: &Query) -> Vec<String> {
        let found = self.source.find(query).await.expect("find succeeds").records;
        found.iter().map(|record| record.key.id.as_str().to_owned()).collect()
    }

    /// Every live id of a type in a zone.
    ///
    /// # Panics
    /// If the query fails.
    pub async fn live_ids(&self, type_name: &str, zone: &Zone) -> Vec<String> {
        self.find_ids(&Query::all(name(type_name), zone.clone())).await
    }

    /// Every record that waits to be pushed.
    ///
    /// # Panics
    /// If reading fails.
    pub async fn pending(&self) -> Vec<Record> {
        self.source.pending_after(0, usize::MAX).await.expect("pending succeeds")
    }

    /// The state entry with this key.
    ///
    /// # Panics
    /// If reading fails.
    pub async fn state(&self, entry: &str) -> Option<Vec<u8>> {
        self.source.entry(entry).await.expect("state succeeds")
    }

    /// Removes tombstones.
    ///
    /// # Panics
    /// If purging fails.
    pub async fn purge(&self, zone: &Zone, through: u64) -> u64 {
        self.source.purge_tombstones(zone, fastsync_core::Position(through)).await.expect("purge succeeds")
    }
}

/// A request for everything in a zone, from the beginning, in pages of 100 records.
#[must_use]
pub(crate) fn all_changes(zone: &Zone) -> ChangesRequest {
    ChangesRequest {
        zone: zone.clone(),
        after: Point::START.into(),
        types: None,
        skip_own: None,
        limits: PageLimits { records: 100, bytes: 1 << 20 },
        count_remaining: false,
    }
}

/// Ids for [`SyncableDataSource::get`].
pub(crate) fn ids(texts: &[&str]) -> Vec<ObjectId> {
    texts.iter().map(|text| ObjectId::new(text).expect("an id of the suite is well formed")).collect()
}
