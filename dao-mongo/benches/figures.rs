//! Measures commits and pages beside the driver alone, and many pushers into one zone beside as many zones.
//!
//! `FASTSYNC_MONGO_URL=... cargo bench -p fastsync-dao-mongo`. On a shared machine only the ratios mean much.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::disallowed_methods, clippy::unwrap_used)]
#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::panic, missing_docs)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fastsync_core::source::*;
use fastsync_core::*;
use fastsync_dao_mongo::MongoDataSource;
use fastsync_dao_mongo::mongodb::bson::{Document, RawDocumentBuf, doc, oid::ObjectId as Unique};
use fastsync_dao_mongo::mongodb::options::{Acknowledgment, CollectionOptions, WriteConcern};
use fastsync_dao_mongo::mongodb::{Client, Collection};
use uuid::Uuid;

const ROWS: u64 = 100_000;
const BATCH: u64 = 1_000;

static NUMBER: AtomicU64 = AtomicU64::new(1);

fn schema() -> TypeSchema {
    TypeSchema::builder("items", "id")
        .restricted()
        .field("name", FieldKind::Text)
        .field("description", FieldKind::Text)
        .field("quantity", FieldKind::Integer)
        .field("updated_at", FieldKind::Integer)
        .build()
        .unwrap()
}

fn spread(n: u64) -> u64 {
    let mut bits = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

fn uuid(n: u64) -> Uuid {
    Uuid::from_u64_pair(spread(n), spread(n ^ (1 << 40)))
}

fn description(n: u64) -> String {
    let text = "a description of about one hundred and twenty characters, as objects have it ";
    format!("{n:08} {}", text.repeat(2))[..120].to_owned()
}

fn zone(n: u64) -> Zone {
    Zone::restricted(format!("company:{n}")).unwrap()
}

fn writes(zone: &Zone, from: u64, count: u64) -> Vec<Write> {
    let write = |n: u64| {
        let type_name = TypeName::new("items").unwrap();
        let key = RecordKey { zone: zone.clone(), type_name, id: ObjectId::from(uuid(n)) };
        let quantity = n.cast_signed();
        let body: Vec<Value> = vec![
            format!("item {n:08}").into(),
            description(n).into(),
            quantity.into(),
            (quantity + 9).into(),
        ];
        let metadata = SyncMetadata {
            revision: Revision::from_bits(spread(n)),
            incarnation: Incarnation::from_bits(spread(!n)),
            modified_at: Hlc::new(Timestamp::from_millis(1_700_000_000_000 + n), 0),
            modified_by: DeviceId::from_uuid(uuid(0)),
            change: 0,
        };
        let record = Record { key, body: Some(body), metadata };
        Write {
            action: Action::Put { record, pending: false },
            expect: Expect::Absent,
            on_mismatch: OnMismatch::Abort,
        }
    };
    (from..from + count).map(write).collect()
}

fn commit(writes: Writes) -> Commit {
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    Commit {
        session: SessionId::from_uuid(Uuid::from_u64_pair(spread(number), 1)),
        kind: SessionKind::Push,
        author: Author { user: None, device: DeviceId::from_uuid(uuid(0)), number },
        at: Timestamp::from_millis(number),
        tag: Tag(number),
        positioned: true,
        clears: Vec::new(),
        writes,
        state: vec![StateWrite::set(format!("push/{number}"), Some(number.to_le_bytes().to_vec()))],
    }
}

async fn apply(source: &MongoDataSource, commit: Commit) {
    let outcome = source.commit(commit).await.unwrap();
    assert!(matches!(outcome, CommitOutcome::Applied(_)), "{outcome:?}");
}

fn show(what: &str, count: u64, took: Duration, beside: Option<f64>) -> f64 {
    let rate = count as f64 / took.as_secs_f64();
    let ratio = beside.map(|beside| format!("  {:5.2} of the driver", rate / beside)).unwrap_or_default();
    println!("{what:<44} {rate:>10.0} /s{ratio}");
    rate
}

async fn raw_push(collection: &Collection<RawDocumentBuf>) -> Duration {
    let begin = Instant::now();
    for from in (0..ROWS).step_by(BATCH as usize) {
        let documents = (from..from + BATCH).map(|n| {
            let id = uuid(n).to_string();
            let document = doc! {
                "_id": { "zone": "restricted:company:1", "id": &id }, "id": &id, "name": format!("item {n:08}"),
                "description": description(n), "quantity": n.cast_signed(), "updated_at": n.cast_signed() + 9,
            };
            RawDocumentBuf::from_document(&document).unwrap()
        });
        collection.insert_many(documents).await.unwrap();
    }
    begin.elapsed()
}

async fn raw_pull(collection: &Collection<RawDocumentBuf>) -> Duration {
    let begin = Instant::now();
    let mut cursor = collection.find(doc! {}).batch_size(BATCH as u32).await.unwrap();
    let mut count = 0;
    while cursor.advance().await.unwrap() {
        // What any reader does at least.
        count += u64::from(Document::try_from(cursor.current()).is_ok());
    }
    assert_eq!(count, ROWS);
    begin.elapsed()
}

async fn pull(source: &MongoDataSource, zone: &Zone) -> Duration {
    let begin = Instant::now();
    let limits = PageLimits { records: BATCH as usize, bytes: 4 << 20 };
    let mut request = ChangesRequest {
        zone: zone.clone(),
        after: Point::START,
        types: None,
        skip_own: None,
        limits,
        count_remaining: false,
    };
    let mut count = 0;
    loop {
        let Changes::Page(page) = source.changes(&request).await.unwrap() else { panic!("a page") };
        count += page.records.len() as u64;
        request.after = page.next;
        if page.caught_up {
            break;
        }
    }
    assert_eq!(count, ROWS);
    begin.elapsed()
}

/// 16 pushers of sessions of 20 records, for some seconds; how many were committed.
async fn pushers(sources: &[MongoDataSource], zones: u64, seconds: u64) -> (u64, Duration) {
    let done = Arc::new(AtomicU64::new(0));
    let begin = Instant::now();
    let tasks = (0..16_u64).map(|pusher| {
        let source = sources[pusher as usize % sources.len()].clone();
        let done = Arc::clone(&done);
        tokio::spawn(async move {
            let zone = zone(100 + zones * 100 + pusher % zones);
            while begin.elapsed() < Duration::from_secs(seconds) {
                let from = NUMBER.fetch_add(20, Ordering::Relaxed) + (1 << 32);
                apply(&source, commit(Writes::Inline(writes(&zone, from, 20)))).await;
                done.fetch_add(1, Ordering::Relaxed);
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    (done.load(Ordering::Relaxed), begin.elapsed())
}

#[tokio::main]
async fn main() {
    let Ok(url) = std::env::var("FASTSYNC_MONGO_URL") else {
        eprintln!("SKIPPED: FASTSYNC_MONGO_URL is not set");
        return;
    };
    let seconds = std::env::var("SECONDS_EACH").ok().and_then(|text| text.parse().ok()).unwrap_or(5);
    let name = format!("fastsync_bench_{}", Unique::new());
    let client = Client::with_uri_str(&url).await.unwrap();
    let source = MongoDataSource::open(&client.database(&name)).await.unwrap();
    source.prepare(&[schema()]).await.unwrap();

    let majority = WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build();
    let options = CollectionOptions::builder().write_concern(majority).build();
    let raw = client.database(&name).collection_with_options::<RawDocumentBuf>("raw", options);
    let driver = show("driver: insert_many of 1,000", ROWS, raw_push(&raw).await, None);
    let begin = Instant::now();
    for from in (0..ROWS).step_by(BATCH as usize) {
        apply(&source, commit(Writes::Inline(writes(&zone(1), from, BATCH)))).await;
    }
    show("commits of 1,000", ROWS, begin.elapsed(), Some(driver));

    let begin = Instant::now();
    let staged = commit(Writes::Staged { overrides: Vec::new() });
    for from in (0..ROWS).step_by(BATCH as usize) {
        source.stage(staged.session, from, writes(&zone(2), from, BATCH)).await.unwrap();
    }
    let staging = begin.elapsed();
    apply(&source, staged).await;
    show("one commit of 100,000, staged", ROWS, begin.elapsed(), Some(driver));
    println!("    of which the commit {:.1} s", (begin.elapsed() - staging).as_secs_f64());

    let driver = show("driver: find", ROWS, raw_pull(&raw).await, None);
    show("changes in pages of 1,000", ROWS, pull(&source, &zone(1)).await, Some(driver));

    for zones in [16, 1] {
        let (count, took) = pushers(std::slice::from_ref(&source), zones, seconds).await;
        show(&format!("16 pushers, {zones} zone(s), sessions of 20"), count, took, None);
    }
    let second = MongoDataSource::connect(&url, &name).await.unwrap();
    second.prepare(&[schema()]).await.unwrap();
    for zones in [32, 2] {
        let (count, took) = pushers(&[source.clone(), second.clone()], zones / 2, seconds).await;
        show(&format!("8 + 8 pushers on two handles, {} zone(s)", zones / 2), count, took, None);
    }
    client.database(&name).drop().await.unwrap();
}
