//! The four hot paths, for a program that counts instructions: `cargo xtask instructions`.
//!
//! Whatever is made for a run is made for [`MOST`] repetitions, however many are asked for: what two runs differ by is
//! the repetitions.

use anyhow::{Context as _, Result, bail, ensure};
use fastsync_core::protocol::{RecordGroup, Row, SyncPayload};
use fastsync_core::source::{
    Action, Changes, ChangesRequest, Commit, CommitOutcome, Expect, OnMismatch, PageLimits, Point,
    Preparation, SyncableDataSourceExt as _, Write, Writes,
};
use fastsync_core::{
    Author, DeviceId, Hlc, Incarnation, Record, RecordKey, Revision, SessionId, SessionKind, SyncMetadata,
    SyncableDataSource as _, SyncableObject, Tag, Timestamp, Zone,
};
use fastsync_dao_sqlite::SqliteDataSource;
use hot_paths::records::{Item, make_many};
use uuid::Uuid;

/// The most repetitions of a run.
const MOST: u64 = 11;

/// Records of a repetition.
const RECORDS: u64 = 1_000;

/// A hot path, with 1,000 records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Path {
    /// A payload to JSON.
    Encode,
    /// JSON to a payload.
    Decode,
    /// A commit on SQLite.
    Commit,
    /// A page of changes from SQLite.
    Page,
}

struct Args {
    path: Path,
    /// How often.
    times: u64,
}

impl Args {
    fn read() -> Result<Self> {
        let words: Vec<String> = std::env::args().skip(1).collect();
        let [path, option, times] = words.as_slice() else { bail!("usage: PATH --times N") };
        ensure!(option == "--times", "usage: PATH --times N");
        let path = match path.as_str() {
            "encode" => Path::Encode,
            "decode" => Path::Decode,
            "commit" => Path::Commit,
            "page" => Path::Page,
            other => bail!("there is no path {other}: encode, decode, commit, page"),
        };
        let times: u64 = times.parse().context("how often is no number")?;
        ensure!(times <= MOST, "at most {MOST} times");
        Ok(Self { path, times })
    }
}

fn main() -> Result<()> {
    let args = Args::read()?;
    match args.path {
        Path::Encode | Path::Decode => json(&args),
        Path::Commit | Path::Page => {
            tokio::runtime::Builder::new_current_thread().build()?.block_on(sqlite(&args))
        }
    }
}

fn json(args: &Args) -> Result<()> {
    let mut payload = SyncPayload::new(vec![device()], Vec::new());
    let mut rows = Vec::new();
    for record in records(0)? {
        let SyncMetadata { revision, incarnation, modified_at, .. } = record.metadata;
        rows.push(Row::new(record.key.id, revision, incarnation, modified_at, 0, record.body));
    }
    payload.groups.push(RecordGroup::new(Zone::Global, Item::schema()?.name().clone(), rows));
    let text = serde_json::to_vec(&payload)?;
    for _ in 0..args.times {
        match args.path {
            Path::Encode => ensure!(serde_json::to_vec(&payload)? == text, "another text"),
            _ => ensure!(serde_json::from_slice::<SyncPayload>(&text)?.len() == payload.len(), "other rows"),
        }
    }
    Ok(())
}

async fn sqlite(args: &Args) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let source = SqliteDataSource::open(folder.path().join("hot.db"))?;
    source.prepare(&[Item::schema()?], Preparation::Apply).await?;
    let commits: Vec<Commit> = (0..=MOST).map(commit).collect::<Result<_>>()?;
    let mut commits = commits.into_iter();
    let mut there = 0;
    let before = if args.path == Path::Page { 1 } else { args.times };
    for commit in commits.by_ref().take(usize::try_from(before)?) {
        let outcome = source.commit_alone(commit).await?;
        ensure!(matches!(outcome, CommitOutcome::Applied(_)), "not applied: {outcome:?}");
        there += RECORDS;
    }
    if args.path == Path::Page {
        for _ in 0..args.times {
            let limits = PageLimits { records: usize::try_from(RECORDS)?, bytes: usize::MAX };
            let request = ChangesRequest {
                zone: Zone::Global,
                after: Point::START.into(),
                types: None,
                skip_own: None,
                limits,
                count_remaining: false,
            };
            let Changes::Page(page) = source.changes(&request).await? else { anyhow::bail!("no page") };
            ensure!(page.records.len() as u64 == there, "{} of {there} records", page.records.len());
        }
    }
    Ok(())
}

/// The commit with this number, of records of its own.
fn commit(n: u64) -> Result<Commit> {
    let writes = records(n * RECORDS)?.into_iter().map(|record| Write {
        action: Action::Put { record, pending: false },
        expect: Expect::Absent,
        on_mismatch: OnMismatch::Abort,
    });
    Ok(Commit {
        session: SessionId::from_uuid(Uuid::from_u128(u128::from(n) + 1)),
        kind: SessionKind::Push,
        author: Author { user: None, device: device(), number: n + 1 },
        at: Timestamp::from_millis(1_700_000_000_000),
        tag: Tag(n + 1),
        positioned: true,
        clears: Vec::new(),
        writes: Writes::Inline(writes.collect()),
        state: Vec::new(),
    })
}

fn device() -> DeviceId {
    DeviceId::from_uuid(Uuid::from_u128(7))
}

fn records(first: u64) -> Result<Vec<Record>> {
    let type_name = Item::schema()?.name().clone();
    let metadata = SyncMetadata {
        revision: Revision::from_bits(first + 1),
        incarnation: Incarnation::from_bits(0x1234_5678_9abc_def0),
        modified_at: Hlc::new(Timestamp::from_millis(1_700_000_000_000), 0),
        modified_by: device(),
        change: 0,
    };
    let record = |item: Item| {
        let key = RecordKey { zone: Zone::Global, type_name: type_name.clone(), id: item.id()? };
        Ok(Record { key, body: Some(item.to_body()?), metadata })
    };
    make_many::<Item>(first, RECORDS).into_iter().map(record).collect()
}
