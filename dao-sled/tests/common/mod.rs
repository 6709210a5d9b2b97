//! What the tests of this crate share.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::sync::atomic::{AtomicU64, Ordering};

use fastsync_core::source::*;
use fastsync_core::*;
use fastsync_dao_sled::SledDataSource;

static COUNTER: AtomicU64 = AtomicU64::new(1);

pub fn next() -> u64 {
    COUNTER.fetch_add(1, Ordering::Relaxed)
}

pub fn items() -> TypeSchema {
    TypeSchema::builder("items", "id")
        .field("name", FieldKind::Text)
        .field("quantity", FieldKind::Integer)
        .nullable_field("note", FieldKind::Text)
        .build()
        .unwrap()
}

pub fn notes() -> TypeSchema {
    TypeSchema::builder("notes", "id")
        .field("text", FieldKind::Text)
        .priority(5)
        .restricted()
        .build()
        .unwrap()
}

pub fn name(name: &str) -> TypeName {
    TypeName::new(name).unwrap()
}

pub fn device() -> DeviceId {
    DeviceId::from_uuid(uuid::Uuid::from_u128(7))
}

pub fn id(id: &str) -> ObjectId {
    ObjectId::new(id).unwrap()
}

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

pub fn item(key: &str, title: &str) -> Record {
    let body = vec![title.into(), Value::Integer(1), Value::Null];
    record("items", &Zone::Global, key, Some(body))
}

pub fn put(record: Record) -> Write {
    Write {
        action: Action::Put { record, pending: false },
        expect: Expect::Anything,
        on_mismatch: OnMismatch::Abort,
    }
}

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

pub async fn apply(source: &SledDataSource, writes: Vec<Write>) -> Receipt {
    match source.commit(commit(writes)).await.unwrap() {
        CommitOutcome::Applied(receipt) => receipt,
        other => panic!("{other:?}"),
    }
}

pub async fn conflicts(source: &SledDataSource, writes: Vec<Write>) -> Vec<Conflict> {
    match source.commit(commit(writes)).await.unwrap() {
        CommitOutcome::Conflicts { writes, .. } => writes,
        other => panic!("{other:?}"),
    }
}

pub fn request(zone: &Zone) -> ChangesRequest {
    ChangesRequest {
        zone: zone.clone(),
        after: Point::START,
        types: None,
        skip_own: None,
        limits: PageLimits { records: 1_000, bytes: 1 << 30 },
        count_remaining: false,
    }
}

pub async fn page(source: &SledDataSource, request: &ChangesRequest) -> ChangesPage {
    match source.changes(request).await.unwrap() {
        Changes::Page(page) => page,
        other => panic!("{other:?}"),
    }
}

pub fn ids(records: &[Record]) -> Vec<&str> {
    records.iter().map(|record| record.key.id.as_str()).collect()
}
