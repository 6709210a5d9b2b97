//! What the tests of this crate share: the server, and databases of their own.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::print_stderr)]

use std::sync::atomic::{AtomicU64, Ordering};

use fastsync_core::source::*;
use fastsync_core::*;
use fastsync_dao_mongo::MongoDataSource;
use fastsync_dao_mongo::mongodb::bson::oid::ObjectId as Unique;
use fastsync_dao_mongo::mongodb::{Client, Database};

/// The variables that name the servers; `cargo xtask test` starts both and sets them.
const URL: &str = "FASTSYNC_MONGO_URL";
const STANDALONE_URL: &str = "FASTSYNC_MONGO_STANDALONE_URL";

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|url| !url.is_empty())
}

/// The server to test on, a replica set; `None` if there is none.
///
/// # Panics
/// If there is none and `FASTSYNC_REQUIRE` asks for it.
pub fn url() -> Option<String> {
    let url = variable(URL);
    let required = std::env::var("FASTSYNC_REQUIRE").unwrap_or_default();
    let is_required = required.split(',').any(|name| name.trim() == "mongo");
    assert!(url.is_some() || !is_required, "FASTSYNC_REQUIRE names mongo, but {URL} is not set");
    url
}

/// A server that is no replica set; `None`, and said so, if there is none.
pub fn standalone() -> Option<String> {
    let url = variable(STANDALONE_URL);
    if url.is_none() {
        eprintln!("SKIPPED: {STANDALONE_URL} is not set; `cargo xtask test` starts a server");
    }
    url
}

/// Why tests are skipped.
pub fn reason() -> String {
    format!("{URL} is not set; `cargo xtask test` starts a server")
}

/// A database of a test's own, dropped at its end.
#[derive(Debug)]
pub struct Scratch {
    url: String,
    name: String,
}

impl Scratch {
    /// `None`, and said so, if there is no server.
    pub fn new() -> Option<Self> {
        let url = url();
        if url.is_none() {
            eprintln!("SKIPPED: {}", reason());
        }
        Some(Self { url: url?, name: format!("fastsync_test_{}", Unique::new()) })
    }

    pub async fn database(&self) -> Database {
        Client::with_uri_str(&self.url).await.unwrap().database(&self.name)
    }

    pub async fn open(&self) -> MongoDataSource {
        MongoDataSource::connect(&self.url, &self.name).await.unwrap()
    }

    /// With the type `items`.
    pub async fn items(&self) -> MongoDataSource {
        let source = self.open().await;
        source.prepare(&[items()]).await.unwrap();
        source
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let (url, name) = (self.url.clone(), self.name.clone());
        // A runtime of its own: this may run on one that is about to end.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async { Client::with_uri_str(url).await?.database(&name).drop().await })
        });
        drop(dropping.join());
    }
}

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

pub async fn apply(source: &MongoDataSource, writes: Vec<Write>) -> Receipt {
    match source.commit(commit(writes)).await.unwrap() {
        CommitOutcome::Applied(receipt) => receipt,
        other => panic!("{other:?}"),
    }
}

pub async fn conflicts(source: &MongoDataSource, writes: Vec<Write>) -> Vec<Conflict> {
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

pub async fn page(source: &MongoDataSource, request: &ChangesRequest) -> ChangesPage {
    match source.changes(request).await.unwrap() {
        Changes::Page(page) => page,
        other => panic!("{other:?}"),
    }
}

pub fn ids(records: &[Record]) -> Vec<&str> {
    records.iter().map(|record| record.key.id.as_str()).collect()
}
