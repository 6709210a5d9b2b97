//! Measures commits and reads, beside a raw upsert loop and the layout alternative (sync columns in the user's row).
//!
//! `cargo bench -p fastsync-dao-sqlite`. Rates are rows per second; on a shared machine only the ratios mean much.
#![allow(clippy::print_stdout, clippy::disallowed_methods, clippy::unwrap_used, clippy::expect_used)]
#![allow(clippy::cast_possible_wrap, clippy::cast_possible_truncation, clippy::panic, missing_docs)]

mod measure;

use fastsync_core::source::*;
use fastsync_core::*;
use fastsync_dao_sqlite::SqliteDataSource;
use fastsync_dao_sqlite::rusqlite::{Connection, params};
use uuid::Uuid;

use measure::{Ids, Rate, Timer, of, uuid};

fn schema() -> TypeSchema {
    TypeSchema::builder("items", "id")
        .field("name", FieldKind::Text)
        .field("description", FieldKind::Text)
        .field("quantity", FieldKind::Integer)
        .field("updated_at", FieldKind::Integer)
        .build()
        .unwrap()
}

fn name(n: u64) -> String {
    format!("item number {n:08}")
}

fn description(n: u64) -> String {
    format!(
        "{n:08} {}",
        "a description of about one hundred and twenty characters, as objects have it ".repeat(2)
    )[..120]
        .to_owned()
}

fn writes(ids: Ids, from: u64, count: u64) -> Vec<Write> {
    let device = DeviceId::from_uuid(uuid(0));
    (from..from + count)
        .map(|n| {
            let key = RecordKey {
                zone: Zone::Global,
                type_name: TypeName::new("items").unwrap(),
                id: ObjectId::from(ids.id(n + 1)),
            };
            let body = vec![
                name(n).into(),
                description(n).into(),
                (n.cast_signed()).into(),
                (n.cast_signed() + 1_700_000_000).into(),
            ];
            let metadata = SyncMetadata {
                revision: Revision::from_bits(uuid(n).as_u64_pair().0),
                incarnation: Incarnation::from_bits(uuid(n).as_u64_pair().1),
                modified_at: Hlc::new(Timestamp::from_millis(1_700_000_000_000 + n), 0),
                modified_by: device,
                change: 0,
            };
            Write {
                action: Action::Put { record: Record { key, body: Some(body), metadata }, pending: false },
                expect: Expect::Absent,
                on_mismatch: OnMismatch::Abort,
            }
        })
        .collect()
}

fn commit(number: u64, positioned: bool, writes: Writes) -> Commit {
    Commit {
        session: SessionId::from_uuid(Uuid::from_u128((u128::from(number) << 80) | 1)),
        kind: SessionKind::Push,
        author: Author { user: None, device: DeviceId::from_uuid(uuid(0)), number },
        at: Timestamp::from_millis(number),
        tag: Tag(number),
        positioned,
        clears: Vec::new(),
        writes,
        state: Vec::new(),
    }
}

struct Rates {
    write: Rate,
    pulls: Vec<Rate>,
}

async fn ours(ids: Ids, rows: u64, per_session: u64, positioned: bool, pages: &[usize]) -> Rates {
    let folder = tempfile::tempdir_in(".").unwrap();
    let source = SqliteDataSource::open(folder.path().join("ours.db")).unwrap();
    source.prepare(&[schema()], Preparation::Apply).await.unwrap();
    let commits: Vec<_> = (0..rows / per_session)
        .map(|n| commit(n + 1, positioned, Writes::Inline(writes(ids, n * per_session, per_session))))
        .collect();
    let started = Timer::start();
    for commit in commits {
        assert!(matches!(source.commit_alone(commit).await.unwrap(), CommitOutcome::Applied(_)));
    }
    let write = started.rate(rows);
    let mut pulls = Vec::new();
    for &limit in pages {
        let started = Timer::start();
        let mut request = ChangesRequest {
            zone: Zone::Global,
            after: Point::START.into(),
            types: None,
            skip_own: None,
            limits: PageLimits { records: limit, bytes: 1 << 30 },
            count_remaining: false,
        };
        let mut read = 0;
        loop {
            let Changes::Page(page) = source.changes(&request).await.unwrap() else { panic!("reset") };
            read += page.records.len() as u64;
            request.after = page.next.into();
            if page.caught_up {
                break;
            }
        }
        assert_eq!(read, rows);
        pulls.push(started.rate(rows));
    }
    Rates { write, pulls }
}

async fn staged(ids: Ids, rows: u64, per_batch: u64) -> Rate {
    let folder = tempfile::tempdir_in(".").unwrap();
    let source = SqliteDataSource::open(folder.path().join("staged.db")).unwrap();
    source.prepare(&[schema()], Preparation::Apply).await.unwrap();
    let commit = commit(1, false, Writes::Staged { overrides: Vec::new() });
    let batches: Vec<_> = (0..rows / per_batch).map(|n| writes(ids, n * per_batch, per_batch)).collect();
    let started = Timer::start();
    for (sequence, batch) in batches.into_iter().enumerate() {
        source.stage(commit.session, sequence as u64, batch).await.unwrap();
    }
    assert!(matches!(source.commit_alone(commit).await.unwrap(), CommitOutcome::Applied(_)));
    started.rate(rows)
}

fn connect(folder: &tempfile::TempDir) -> Connection {
    let sql = Connection::open(folder.path().join("raw.db")).unwrap();
    sql.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000;
         PRAGMA cache_size = -16384;",
    )
    .unwrap();
    sql
}

/// The floor: prepared upserts into one plain table.
fn raw(ids: Ids, rows: u64, per_commit: u64) -> Rates {
    let folder = tempfile::tempdir_in(".").unwrap();
    let sql = connect(&folder);
    sql.execute_batch(
        "CREATE TABLE items (id TEXT PRIMARY KEY, name TEXT NOT NULL, description TEXT NOT NULL,
            quantity INTEGER NOT NULL, updated_at INTEGER NOT NULL) STRICT",
    )
    .unwrap();
    let data: Vec<_> =
        (0..rows).map(|n| (ids.id(n + 1).to_string(), name(n), description(n), n.cast_signed())).collect();
    let started = Timer::start();
    for chunk in data.chunks(per_commit as usize) {
        sql.execute_batch("BEGIN IMMEDIATE").unwrap();
        let mut upsert = sql
            .prepare_cached(
                "INSERT INTO items VALUES (?1, ?2, ?3, ?4, ?4) ON CONFLICT (id) DO UPDATE SET name = excluded.name,
                 description = excluded.description, quantity = excluded.quantity, updated_at = excluded.updated_at",
            )
            .unwrap();
        for (id, name, description, n) in chunk {
            upsert.execute(params![id, name, description, n]).unwrap();
        }
        sql.execute_batch("COMMIT").unwrap();
    }
    let write = started.rate(rows);
    // Another connection, as ours has for reads: the writer's cache is warm.
    let sql = connect(&folder);
    let started = Timer::start();
    let mut select = sql.prepare("SELECT * FROM items").unwrap();
    let read = select
        .query_map([], |row| {
            Ok((
                row.get::<_, String>(0)?,
                row.get::<_, String>(1)?,
                row.get::<_, String>(2)?,
                row.get::<_, i64>(3)?,
            ))
        })
        .unwrap()
        .map(|row| u64::from(!row.unwrap().0.is_empty()))
        .sum();
    Rates { write, pulls: vec![started.rate(read)] }
}

/// The alternative: sync columns in the user's row, tombstones elsewhere; the same sessions and positions.
fn in_row(ids: Ids, rows: u64, per_session: u64, page: usize) -> Rates {
    let folder = tempfile::tempdir_in(".").unwrap();
    let sql = connect(&folder);
    sql.execute_batch(
        "CREATE TABLE items (id TEXT PRIMARY KEY, name TEXT NOT NULL, description TEXT NOT NULL,
            quantity INTEGER NOT NULL, updated_at INTEGER NOT NULL, fastsync_zone INTEGER NOT NULL,
            fastsync_session INTEGER NOT NULL, fastsync_revision INTEGER NOT NULL,
            fastsync_incarnation INTEGER NOT NULL, fastsync_modified_at INTEGER NOT NULL,
            fastsync_modified_by INTEGER NOT NULL, fastsync_change INTEGER NOT NULL) STRICT;
         CREATE INDEX items_feed ON items (fastsync_zone, fastsync_session, id);
         CREATE INDEX items_pending ON items (fastsync_change) WHERE fastsync_change > 0;
         CREATE TABLE fastsync_tombstones (zone INTEGER, type INTEGER, id TEXT, session INTEGER, PRIMARY KEY (zone, type, id)) WITHOUT ROWID;
         CREATE TABLE fastsync_sessions (n INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, kind TEXT NOT NULL, user TEXT,
            device INTEGER NOT NULL, number INTEGER NOT NULL, committed_at INTEGER NOT NULL, change INTEGER NOT NULL,
            positions TEXT NOT NULL, counts TEXT NOT NULL) STRICT;
         CREATE TABLE fastsync_positions (zone INTEGER, position INTEGER, session INTEGER, tag INTEGER,
            PRIMARY KEY (zone, position)) WITHOUT ROWID;",
    )
    .unwrap();
    let data: Vec<_> = (0..rows)
        .map(|n| (uuid(n + 1), ids.id(n + 1).to_string(), name(n), description(n), n.cast_signed()))
        .collect();
    let started = Timer::start();
    for (session, chunk) in data.chunks(per_session as usize).enumerate() {
        let session = i64::try_from(session).unwrap() + 1;
        sql.prepare_cached("BEGIN IMMEDIATE").unwrap().execute([]).unwrap();
        let session_id = (u128::from(session.unsigned_abs()) << 80).to_be_bytes();
        let known = sql
            .prepare_cached("SELECT 1 FROM fastsync_sessions WHERE id = ?1")
            .unwrap()
            .exists([&session_id])
            .unwrap();
        assert!(!known);
        let mut insert = sql
            .prepare_cached(
                "INSERT INTO items VALUES (?1, ?2, ?3, ?4, ?4, 1, ?5, ?6, ?7, ?8, 1, 0) ON CONFLICT (id) DO NOTHING",
            )
            .unwrap();
        let mut tombstone = sql
            .prepare_cached("SELECT 1 FROM fastsync_tombstones WHERE zone = 1 AND type = 1 AND id = ?1")
            .unwrap();
        for (uuid, id, name, description, n) in chunk {
            assert!(!tombstone.exists([id]).unwrap());
            let (revision, incarnation) = uuid.as_u64_pair();
            let (revision, incarnation) = (revision.cast_signed(), incarnation.cast_signed());
            let time = 111_411_200_000_000_000 + n;
            let changed = insert
                .execute(params![id, name, description, n, session, revision, incarnation, time])
                .unwrap();
            assert_eq!(changed, 1);
        }
        sql.prepare_cached("INSERT INTO fastsync_positions VALUES (1, ?1, ?1, ?1)")
            .unwrap()
            .execute([session])
            .unwrap();
        sql.prepare_cached(
            "INSERT INTO fastsync_sessions VALUES (?1, ?2, 'push', NULL, 1, ?1, ?1, 0, '[[1,1]]', '[[1,1]]')",
        )
        .unwrap()
        .execute(params![session, session_id])
        .unwrap();
        sql.prepare_cached("COMMIT").unwrap().execute([]).unwrap();
    }
    let write = started.rate(rows);
    let sql = connect(&folder);
    // Live rows and tombstones would be merged; there are no tombstones here, which favours this layout a little.
    let started = Timer::start();
    let mut select = sql
        .prepare(
            "SELECT fastsync_session, id, name, description, quantity, updated_at, fastsync_revision,
                fastsync_incarnation, fastsync_modified_at, fastsync_modified_by, fastsync_change FROM items
             INDEXED BY items_feed WHERE fastsync_zone = 1 AND (fastsync_session, id) > (?1, ?2)
             ORDER BY fastsync_session, id LIMIT ?3",
        )
        .unwrap();
    let (mut session, mut last, mut read) = (0_i64, String::new(), 0);
    loop {
        let mut page_rows = Vec::new();
        let mut found = select.query(params![session, last, page as i64]).unwrap();
        while let Some(row) = found.next().unwrap() {
            let id = ObjectId::new(row.get_ref(1).unwrap().as_str().unwrap()).unwrap();
            let body = vec![
                Value::Text(row.get(2).unwrap()),
                Value::Text(row.get(3).unwrap()),
                Value::Integer(row.get(4).unwrap()),
                Value::Integer(row.get(5).unwrap()),
            ];
            let metadata: [i64; 5] = std::array::from_fn(|at| row.get(6 + at).unwrap());
            page_rows.push((row.get::<_, i64>(0).unwrap(), id, body, metadata));
        }
        let Some((at, id, ..)) = page_rows.last() else { break };
        (session, last) = (*at, id.as_str().to_owned());
        read += page_rows.len() as u64;
    }
    assert_eq!(read, rows);
    Rates { write, pulls: vec![started.rate(rows)] }
}

async fn against_raw(ids: Ids) {
    let rows = 100_000;
    let raw = raw(ids, rows, 1_000);
    let ours = ours(ids, rows, 1_000, true, &[1_000, 10_000]).await;
    let client = self::ours(ids, rows, 1_000, false, &[]).await;
    let staged = staged(ids, rows, 1_000).await;
    println!("  raw upserts        {}", raw.write);
    println!("  commit, positioned {}   {} of raw", ours.write, of(ours.write, raw.write));
    println!("  commit, client     {}   {} of raw", client.write, of(client.write, raw.write));
    println!("  stage and commit   {}   {} of raw", staged, of(staged, raw.write));
    println!("  select all         {}", raw.pulls[0]);
    println!("  changes by 1,000   {}", ours.pulls[0]);
    println!("  changes by 10,000  {}", ours.pulls[1]);
}

async fn layouts(ids: Ids) {
    for (rows, per_session) in [(100_000, 1_000), (10_000, 10), (2_000, 1)] {
        let index = ours(ids, rows, per_session, true, &[1_000]).await;
        let in_row = in_row(ids, rows, per_session, 1_000);
        println!(
            "  {per_session} rows a session: index table is {} of in-row at writing, {} at pulling",
            of(index.write, in_row.write),
            of(index.pulls[0], in_row.pulls[0])
        );
        println!("      write {} against {}", index.write, in_row.write);
        println!("      pull  {} against {}", index.pulls[0], in_row.pulls[0]);
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    // `cargo test --benches` runs this too; it is no test.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    // For a profiler: commits and pulls alone.
    if std::env::args().any(|argument| argument == "--ours") {
        let ours = ours(Ids::Random, 100_000, 1_000, true, &[1_000, 1_000, 1_000]).await;
        println!("commit {}; changes {}, {}, {}", ours.write, ours.pulls[0], ours.pulls[1], ours.pulls[2]);
        let ones = self::ours(Ids::Random, 4_000, 1, true, &[]).await;
        println!("one row a commit {}", ones.write);
        return;
    }
    println!("new records, synchronous FULL; rows a second (and a processor second)");
    for (ids, name) in [(Ids::Random, "random"), (Ids::Rising, "rising")] {
        println!("100,000 records in commits of 1,000, {name} ids");
        against_raw(ids).await;
        println!("layouts, {name} ids");
        layouts(ids).await;
    }
}
