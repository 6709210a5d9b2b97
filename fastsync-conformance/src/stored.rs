//! A store with some of everything, for fixtures: what one release stores, every later one reads.
//!
//! Write it once with [`fill`] when a form of your storage is finished, keep the files, and run [`check`] on a copy of
//! them in every later release. A later form gets a fixture of its own beside the earlier ones.
//!
//! ```
//! use fastsync_conformance::stored;
//! use fastsync_core::MemoryDataSource;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let source = MemoryDataSource::new(); // yours: of a new folder, to be copied to `tests/fixtures/1`
//! stored::fill(&source).await;
//!
//! let source = source.snapshot(); // yours: of a copy of `tests/fixtures/1`
//! stored::check(&source).await;
//! # }
//! ```
#![allow(clippy::unwrap_used, reason = "a helper of tests fails by panicking")]

use fastsync_core::source::*;
use fastsync_core::*;

use crate::samples::{device, id, ids, name, page, put, request};

const UUID: &str = "0192f0c1-2b3a-7c4d-8e5f-a6b7c8d9e0f1";

/// As many digits as there may be.
const PRICE: &str = "-12345678901234.56789012345678";

/// The session that is staged and not committed.
const STAGED: u128 = 99;

fn team() -> Zone {
    Zone::restricted("team").unwrap()
}

fn session(n: u128) -> SessionId {
    SessionId::from_uuid(uuid::Uuid::from_u128(n))
}

/// A global type as it is prepared first.
fn first_labels() -> TypeSchema {
    let labels = TypeSchema::builder("labels", "id").field("title", FieldKind::Text);
    labels.field("old", FieldKind::Integer).build().unwrap()
}

/// The types as they are prepared last: `labels`, of which a field has another name now, one is gone and one is new, and
/// `things`, in zones, with fields of several kinds.
#[must_use]
#[allow(clippy::missing_panics_doc, reason = "the schemas are well formed")]
pub fn types() -> [TypeSchema; 2] {
    let labels = TypeSchema::builder("labels", "id")
        .version(2)
        .field("size", FieldKind::Integer)
        .default_value("size", 3_i64)
        .field("text", FieldKind::Text)
        .was("text", "title");
    let things = TypeSchema::builder("things", "key")
        .priority(5)
        .version(2)
        .min_version(1)
        .restricted()
        .field("name", FieldKind::Text)
        .field("count", FieldKind::Integer)
        .field("is_open", FieldKind::Boolean)
        .field("image", FieldKind::Bytes)
        .field("share", FieldKind::Real)
        .field("owner", FieldKind::Uuid)
        .field("at", FieldKind::Instant)
        .field("local", FieldKind::LocalDateTime)
        .field("day", FieldKind::Date)
        .field("time", FieldKind::Time)
        .field("price", FieldKind::Decimal)
        .field("small", FieldKind::I32)
        .nullable_field("data", FieldKind::Json);
    [labels.build().unwrap(), things.build().unwrap()]
}

/// Of type, zone and id. `number` is that of the record: of its revision, its life and its time.
fn record(type_name: &str, zone: Zone, key: &str, number: u64, body: Option<Vec<Value>>) -> Record {
    Record {
        key: RecordKey { zone, type_name: name(type_name), id: id(key) },
        body,
        metadata: SyncMetadata {
            // Beyond the signed range, too.
            revision: Revision::from_bits(u64::MAX - number),
            incarnation: Incarnation::from_bits(number),
            modified_at: Hlc::new(Timestamp::from_millis(1_763_700_000_000 + number), 3),
            modified_by: device(),
            change: 0,
        },
    }
}

fn first_label(key: &str, number: u64, title: &str) -> Record {
    record("labels", Zone::Global, key, number, Some(vec![title.into(), 8_i64.into()]))
}

fn label(key: &str, number: u64, body: Option<(i64, &str)>) -> Record {
    let body = body.map(|(size, text)| vec![size.into(), text.into()]);
    record("labels", Zone::Global, key, number, body)
}

fn thing(key: &str, number: u64, text: Option<&str>) -> Record {
    let body = text.map(|text| {
        let data = Value::Json(r#"{"a":[1.0,null,"é"]}"#.to_owned());
        vec![
            text.into(),
            i64::MIN.into(),
            true.into(),
            vec![0_u8, 39, 255].into(),
            Value::Real(0.1),
            UUID.into(),
            "2026-11-30T23:59:59.000000001Z".into(),
            "0000-01-01T00:00:00.000000000".into(),
            "9999-12-31".into(),
            "12:00:00.500000000".into(),
            Value::Decimal(PRICE.parse().unwrap()),
            i64::from(i32::MIN).into(),
            data,
        ]
    });
    record("things", team(), key, number, body)
}

fn commit(n: u128, positioned: bool, writes: Vec<Write>) -> Commit {
    let number = u64::try_from(n).unwrap();
    Commit {
        session: session(n),
        kind: if positioned { SessionKind::Push } else { SessionKind::Edit },
        author: Author { user: Some("ann".to_owned()), device: device(), number },
        at: Timestamp::from_millis(1_763_700_000_000 + number),
        tag: Tag(u64::MAX - number),
        positioned,
        clears: Vec::new(),
        writes: Writes::Inline(writes),
        state: vec![StateWrite::set("fixture/last", Some(vec![0, 255, u8::try_from(n).unwrap()]))],
    }
}

fn edit(record: Record) -> Write {
    let mut write = put(record);
    if let Action::Put { pending, .. } = &mut write.action {
        *pending = true;
    }
    write
}

async fn apply(source: &dyn SyncableDataSource, commit: Commit) -> Receipt {
    match source.commit_alone(commit).await.unwrap() {
        CommitOutcome::Applied(receipt) => receipt,
        other => panic!("the commit is applied, not {other:?}"),
    }
}

fn first_commit() -> Commit {
    commit(1, true, vec![put(first_label(UUID, 1, "uuid")), put(first_label("007", 2, "seven"))])
}

/// Writes the contents to an empty storage: types that have grown, live records and tombstones in two zones, edits that
/// wait and one that is acknowledged, state entries, the audit trail, a horizon, and batches of a session that is not
/// committed.
///
/// # Panics
/// If the data source refuses any of it.
pub async fn fill(source: &dyn SyncableDataSource) {
    source.prepare(&[first_labels()], Preparation::Apply).await.unwrap();
    apply(source, first_commit()).await;
    source.prepare(&types(), Preparation::Apply).await.unwrap();
    let [stays, hello, bye] = [("n0", 14, "stays"), ("n1", 3, "hello"), ("n2", 4, "bye")]
        .map(|(key, number, text)| put(thing(key, number, Some(text))));
    let things = vec![stays, hello, bye];
    apply(source, commit(2, true, things)).await;
    let gone = label("gone", 6, Some((0, "x")));
    apply(source, commit(3, true, vec![put(thing("n2", 5, None)), put(gone)])).await;
    apply(source, commit(4, true, vec![put(label("gone", 7, None))])).await;
    let acknowledged = label("é", 9, Some((1, "local")));
    let edits = vec![
        edit(label("007", 8, Some((-1, "edited")))),
        edit(thing("n1", 3, None)),
        edit(acknowledged.clone()),
    ];
    let change = apply(source, commit(5, false, edits)).await.change;
    let action = Action::Acknowledge {
        key: acknowledged.key,
        change,
        revision: Revision::from_bits(77),
        incarnation: acknowledged.metadata.incarnation,
    };
    let done = Write { action, expect: Expect::Anything, on_mismatch: OnMismatch::Abort };
    apply(source, commit(6, false, vec![done])).await;
    source.stage(session(STAGED), 1, vec![put(label("late", 10, Some((9, "staged"))))]).await.unwrap();
    source.stage(session(STAGED), 2, vec![put(thing("late", 11, Some("staged")))]).await.unwrap();
    assert_eq!(source.purge_tombstones(&Zone::Global, Position(1)).await.unwrap(), 0);
}

/// Reads all that [`fill`] wrote, with whatever release, and goes on writing. It is for a copy: it changes the storage.
///
/// # Panics
/// If anything is missing or is read as something else.
pub async fn check(source: &dyn SyncableDataSource) {
    let upgrades = |change: &PlannedChange| matches!(change, PlannedChange::UpgradeSyncTables { .. });
    let planned = source.plan(&types()).await.unwrap();
    assert!(planned.iter().all(upgrades), "the types are as they were prepared: {planned:?}");
    source.prepare(&types(), Preparation::Apply).await.unwrap();
    assert_eq!(source.plan(&types()).await.unwrap(), []);
    check_records(source).await;
    check_trail(source).await;
    go_on(source).await;
}

async fn check_records(source: &dyn SyncableDataSource) {
    let edited = label("007", 8, Some((-1, "edited")));
    let global = [edited.clone(), label(UUID, 1, Some((3, "uuid"))), label("gone", 7, None)];
    let restricted = [thing("n0", 14, Some("stays")), thing("n1", 3, None), thing("n2", 5, None)];
    let plain = |record: &Record| {
        let metadata = SyncMetadata { change: 0, ..record.metadata };
        Record { metadata, ..record.clone() }
    };
    for (zone, records) in [(Zone::Global, &global[..]), (team(), &restricted[..])] {
        let found = page(source, &request(&zone)).await;
        assert_eq!(found.records.iter().map(plain).collect::<Vec<_>>(), records, "the history of {zone}");
        let head = if zone == Zone::Global { (3, 4) } else { (2, 3) };
        assert_eq!((found.head.position, found.head.tag), (Position(head.0), Tag(u64::MAX - head.1)));
        let keys: Vec<_> = records.iter().map(|record| record.key.id.clone()).collect();
        let by_id = source.get(&records[0].key.type_name, &zone, &keys).await.unwrap();
        assert_eq!(by_id.iter().map(plain).collect::<Vec<_>>(), records);
    }
    let mut local = label("é", 9, Some((1, "local")));
    local.metadata.revision = Revision::from_bits(77);
    assert_eq!(source.get(&name("labels"), &Zone::Global, &[id("é")]).await.unwrap(), [local]);

    let mut query = Query::all(name("labels"), Zone::Global);
    assert_eq!(ids(&source.find(&query).await.unwrap().records), ["007", UUID, "é"]);
    query.filter = Filter::equal("size", 3_i64).unwrap();
    assert_eq!(ids(&source.find(&query).await.unwrap().records), [UUID], "a new field has its default");
    let mut query = Query::all(name("things"), team());
    query.filter = Filter::compare("price", Comparison::Less, "-12345678901234.5678901234567").unwrap();
    assert_eq!(
        source.find(&query).await.unwrap().records,
        [thing("n0", 14, Some("stays"))],
        "decimals by size"
    );

    let pending = source.pending_after(0, 10).await.unwrap();
    assert_eq!(pending.iter().map(plain).collect::<Vec<_>>(), [edited, thing("n1", 3, None)]);
    let change = pending[0].metadata.change;
    assert!(change > 0 && pending[1].metadata.change == change, "both were edited by one commit");
    assert_eq!(source.count_pending().await.unwrap(), 2);
}

async fn check_trail(source: &dyn SyncableDataSource) {
    let last = ("fixture/last".to_owned(), vec![0, 255, 6]);
    assert_eq!(source.entries("fixture/").await.unwrap(), [last]);
    let summary = source.session(session(3)).await.unwrap().unwrap();
    assert_eq!(summary.positions, [(Zone::Global, Position(2)), (team(), Position(2))]);
    assert_eq!(summary.counts, [(name("labels"), 1), (name("things"), 1)]);
    assert_eq!(summary.author, commit(3, true, Vec::new()).author);
    assert_eq!(summary.committed_at, commit(3, true, Vec::new()).at);
    let trail = source.sessions_of(&Zone::Global, Position::START, 10).await.unwrap();
    assert_eq!(trail.iter().map(|summary| summary.id).collect::<Vec<_>>(), [1, 3, 4].map(session));
    assert!(matches!(source.commit_alone(first_commit()).await.unwrap(), CommitOutcome::Duplicate(_)));
    // The horizon was moved to 1: a reader in the middle of that position has to start over.
    let within = Some((name("labels"), id("007")));
    let after = Point { position: Position(1), tag: Tag(u64::MAX - 1), within, ..Point::START };
    let request = ChangesRequest { after: after.into(), ..request(&Zone::Global) };
    let reset = Changes::ResetRequired(ResetReason::Horizon);
    assert_eq!(source.changes(&request).await.unwrap(), reset);
}

/// What was staged is committed, and the numbers go on where they were.
async fn go_on(source: &dyn SyncableDataSource) {
    let writes = Writes::Staged { overrides: Vec::new() };
    let receipt = apply(source, Commit { writes, ..commit(STAGED, true, Vec::new()) }).await;
    assert_eq!(receipt.positions, [(Zone::Global, Position(4)), (team(), Position(3))]);
    let staged = thing("late", 11, Some("staged"));
    let found = source.get(&name("things"), &team(), &[id("late")]).await.unwrap();
    assert_eq!(found, std::slice::from_ref(&staged));

    let before = source.pending_after(0, 1).await.unwrap()[0].metadata.change;
    let next = label("next", 12, Some((4, "new")));
    let receipt = apply(source, commit(100, false, vec![edit(next), edit(thing("late", 12, None))])).await;
    assert!(receipt.change > before, "edit {} is not after {before}", receipt.change);
    let expects = Write { expect: Expect::Revision(staged.metadata.revision), ..put(staged) };
    let outcome = source.commit_alone(commit(101, true, vec![expects])).await.unwrap();
    assert!(matches!(outcome, CommitOutcome::Conflicts { .. }), "{outcome:?}");
    let receipt = apply(source, commit(101, true, vec![put(label("gone", 13, Some((5, "back"))))])).await;
    assert_eq!(receipt.positions, [(Zone::Global, Position(5))]);
    let found = page(source, &request(&Zone::Global)).await;
    assert_eq!(ids(&found.records), ["007", UUID, "late", "gone"]);
    assert_eq!(source.count_pending().await.unwrap(), 4);
}
