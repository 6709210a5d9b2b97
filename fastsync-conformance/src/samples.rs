//! Records and commits for tests that a data source has of its own, beside the suite.
#![allow(clippy::unwrap_used, reason = "a helper of tests fails by panicking")]

use std::sync::atomic::{AtomicU64, Ordering};

use fastsync_core::source::*;
use fastsync_core::*;

static COUNTER: AtomicU64 = AtomicU64::new(1);

/// A number that was not given before.
#[must_use]
pub fn next() -> u64 {
    COUNTER.fetch_add(1, Ordering::Relaxed)
}

/// A type without zones: `name`, `quantity`, and `note` that may be null.
#[must_use]
pub fn items() -> TypeSchema {
    TypeSchema::builder("items", "id")
        .field("name", FieldKind::Text)
        .field("quantity", FieldKind::Integer)
        .nullable_field("note", FieldKind::Text)
        .build()
        .unwrap()
}

/// A type in zones, with the field `text` and a later place in the order of types.
#[must_use]
pub fn notes() -> TypeSchema {
    TypeSchema::builder("notes", "id")
        .field("text", FieldKind::Text)
        .priority(5)
        .restricted()
        .build()
        .unwrap()
}

/// A type name.
///
/// # Panics
/// If it is none.
#[must_use]
pub fn name(name: &str) -> TypeName {
    TypeName::new(name).unwrap()
}

/// The device that everything here comes from.
#[must_use]
pub fn device() -> DeviceId {
    DeviceId::from_uuid(uuid::Uuid::from_u128(7))
}

/// An object id.
///
/// # Panics
/// If it is none.
#[must_use]
pub fn id(id: &str) -> ObjectId {
    ObjectId::new(id).unwrap()
}

/// A record with a revision of its own; a tombstone without a body.
///
/// # Panics
/// If the names are none.
#[must_use]
pub fn record(kind: &str, zone: &Zone, key: &str, body: Option<Vec<Value>>) -> Record {
    Record {
        key: RecordKey { zone: zone.clone(), type_name: name(kind), id: id(key) },
        body,
        metadata: SyncMetadata {
            revision: Revision::from_bits(u64::MAX - next()),
            incarnation: Incarnation::from_bits(1),
            modified_at: Hlc::new(Timestamp::from_millis(1_000), 0),
            modified_by: device(),
            change: 0,
        },
    }
}

/// A record of [`items`].
///
/// # Panics
/// If the id is none.
#[must_use]
pub fn item(key: &str, title: &str) -> Record {
    let body = vec![title.into(), Value::Integer(1), Value::Null];
    record("items", &Zone::Global, key, Some(body))
}

/// Stores a record, whatever is there.
#[must_use]
pub fn put(record: Record) -> Write {
    Write {
        action: Action::Put { record, pending: false },
        expect: Expect::Anything,
        on_mismatch: OnMismatch::Abort,
    }
}

/// A positioned session of its own.
#[must_use]
pub fn commit(writes: Vec<Write>) -> Commit {
    let number = next();
    Commit {
        session: SessionId::from_uuid(uuid::Uuid::from_u128(u128::from(number) << 64)),
        kind: SessionKind::Push,
        author: Author { user: Some("ann".into()), device: device(), number },
        at: Timestamp::from_millis(5),
        tag: Tag(u64::MAX - number),
        positioned: true,
        clears: Vec::new(),
        writes: Writes::Inline(writes),
        state: Vec::new(),
    }
}

/// A type with one text, `name`: for tests of what is inside a data source.
///
/// # Panics
/// Never.
#[must_use]
pub fn named() -> TypeSchema {
    TypeSchema::builder("items", "id").field("name", FieldKind::Text).build().unwrap()
}

/// The session of this number: new records of [`named`] with ids of their own, and tombstones where there is no name.
#[must_use]
pub fn session<T: Into<Value>>(number: u128, names: impl IntoIterator<Item = Option<T>>) -> Commit {
    let put = |(n, text): (u128, Option<T>)| {
        let id = uuid::Uuid::from_u128((number << 64) + n).to_string();
        let record = record("items", &Zone::Global, &id, text.map(|text| vec![text.into()]));
        Write { expect: Expect::Absent, ..put(record) }
    };
    let mut commit = commit((0..).zip(names).map(put).collect());
    commit.session = SessionId::from_uuid(uuid::Uuid::from_u128(number));
    commit
}

/// Commits and gives the receipt.
///
/// # Panics
/// If the commit is not applied.
pub async fn apply(source: &impl SyncableDataSource, writes: Vec<Write>) -> Receipt {
    match source.commit_alone(commit(writes)).await.unwrap() {
        CommitOutcome::Applied(receipt) => receipt,
        other => panic!("{other:?}"),
    }
}

/// Commits what is refused and gives the writes that failed.
///
/// # Panics
/// If the commit is applied.
pub async fn conflicts(source: &impl SyncableDataSource, writes: Vec<Write>) -> Vec<Conflict> {
    match source.commit_alone(commit(writes)).await.unwrap() {
        CommitOutcome::Conflicts { writes, .. } => writes,
        other => panic!("{other:?}"),
    }
}

/// All changes of a zone, on one page.
#[must_use]
pub fn request(zone: &Zone) -> ChangesRequest {
    ChangesRequest {
        zone: zone.clone(),
        after: Point::START.into(),
        types: None,
        skip_own: None,
        limits: PageLimits { records: 1_000, bytes: 1 << 30 },
        count_remaining: false,
    }
}

/// A page of changes.
///
/// # Panics
/// If the reader must start over.
pub async fn page(source: &(impl SyncableDataSource + ?Sized), request: &ChangesRequest) -> ChangesPage {
    match source.changes(request).await.unwrap() {
        Changes::Page(page) => page,
        other => panic!("{other:?}"),
    }
}

/// The ids, in order.
#[must_use]
pub fn ids(records: &[Record]) -> Vec<&str> {
    records.iter().map(|record| record.key.id.as_str()).collect()
}
