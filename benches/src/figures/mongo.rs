//! A server on MongoDB: push and pull over HTTP beside the driver alone, many pushers into one zone beside as many zones.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Result, ensure};
use benches::http::runtime;
use benches::raw::BATCH;
use benches::raw::mongo::Items;
use benches::records::{Item, Made, make_many};
use benches::remote::{self, Fetch, PUSHERS, Required, Round, bare_pull, measure};
use benches::report::{Report, Table, thousands};
use benches::stats::rate;
use benches::time::{now, since};
use fastsync_core::source::{
    Action, Commit, CommitOutcome, Expect, OnMismatch, Preparation, StateWrite, SyncableDataSourceExt as _,
    Write, Writes,
};
use fastsync_core::{
    Author, DeviceId, FieldKind, Hlc, Incarnation, ObjectId, Record, RecordKey, Revision, SessionId,
    SessionKind, SyncMetadata, SyncableDataSource, Tag, Timestamp, TypeName, TypeSchema, Zone,
};
use fastsync_dao_mongo::MongoDataSource;
use fastsync_dao_mongo::mongodb::Client;
use fastsync_dao_mongo::mongodb::bson::oid::ObjectId as Unique;
use uuid::Uuid;

const REQUIRED: Required = Required { push: 0.35, pull: 0.35, many: None };

/// The least sessions of [`SMALL`] records per second from [`PUSHERS`] pushers into one zone, or, if less, this part of
/// what the same pushers reach in a zone each.
const SESSIONS: f64 = 250.0;
const OF_MANY_ZONES: f64 = 0.8;
const SMALL: u64 = 20;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// 5 rounds instead of 3.
    #[arg(long)]
    long: bool,
    /// How many records.
    #[arg(long, default_value_t = 100_000)]
    n: u64,
    /// How many seconds many pushers push.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
}

pub(crate) fn figure(args: &Args) -> Result<ExitCode> {
    runtime(2)?.block_on(measured(args))
}

async fn measured(args: &Args) -> Result<ExitCode> {
    let Ok(url) = std::env::var("FASTSYNC_MONGO_URL") else {
        println!("SKIPPED: FASTSYNC_MONGO_URL is not set");
        return Ok(ExitCode::SUCCESS);
    };
    let client = Client::with_uri_str(&url).await?;
    let mut rounds = Vec::new();
    for n in 0..if args.long { 5 } else { 3 } {
        rounds.push(round(&client, args.n, n).await?);
    }
    let mut report = remote::new_report("mongo", args.n, rounds.len());
    remote::report(&mut report, &rounds, args.n, REQUIRED);
    zones(&client, args.seconds, &mut report).await?;
    Ok(report.finish())
}

async fn round(client: &Client, count: u64, n: u64) -> Result<Round> {
    let mut round = Round::default();
    // Neither side always goes first.
    for side in [n % 2, 1 - n % 2] {
        let database = client.database(&format!("fastsync_bench_{}", Unique::new()));
        if side == 0 {
            measure(MongoDataSource::open(&database).await?, count, &mut round).await?;
        } else {
            let items = Items::of(&database);
            round.bare_push = bare_push(&items, count).await?;
            let page = move |after: String| -> Fetch {
                let items = items.clone();
                Box::pin(async move { items.page(&after).await })
            };
            round.bare_pull = bare_pull(count, page).await?;
        }
        database.drop().await?;
    }
    Ok(round)
}

/// The seconds of all upserts.
async fn bare_push(items: &Items, count: u64) -> Result<f64> {
    let all = make_many::<Item>(0, count);
    let start = now();
    for batch in all.chunks(BATCH) {
        items.upsert(batch).await?;
    }
    Ok(since(start))
}

/// Many pushers into one zone, beside as many zones.
async fn zones(client: &Client, seconds: f64, report: &mut Report) -> Result<()> {
    let database = client.database(&format!("fastsync_bench_{}", Unique::new()));
    let source = MongoDataSource::open(&database).await?;
    let schema = TypeSchema::builder("items", "id")
        .restricted()
        .field("name", FieldKind::Text)
        .field("description", FieldKind::Text)
        .field("quantity", FieldKind::Integer)
        .field("updated_at", FieldKind::Integer)
        .build()?;
    source.prepare(&[schema], Preparation::Apply).await?;
    let numbers = Arc::new(AtomicU64::new(1));
    let many = pushers(&source, PUSHERS, seconds, &numbers).await?;
    let one = pushers(&source, 1, seconds, &numbers).await?;
    database.drop().await?;
    let mut table = Table::new(&["sessions/s of 20 records, 16 pushers", "rate"]);
    table.row(["16 zones".to_owned(), thousands(many)]);
    table.row(["1 zone".to_owned(), thousands(one)]);
    table.print();
    report.figure("sessions_16_zones", many);
    report.figure("sessions_one_zone", one);
    report.at_least("sessions into one zone", one, SESSIONS.min(many * OF_MANY_ZONES));
    Ok(())
}

/// Sessions per second of the pushers.
async fn pushers(
    source: &MongoDataSource,
    zones: u64,
    seconds: f64,
    numbers: &Arc<AtomicU64>,
) -> Result<f64> {
    let start = now();
    let mut tasks = Vec::new();
    for pusher in 0..PUSHERS {
        let (source, numbers) = (source.clone(), Arc::clone(numbers));
        let zone = Zone::restricted(format!("zones{zones}:{}", pusher % zones))?;
        tasks.push(tokio::spawn(async move {
            let mut done = 0;
            while since(start) < seconds {
                let outcome =
                    source.commit_alone(session(&zone, numbers.fetch_add(1, Ordering::Relaxed))?).await?;
                ensure!(matches!(outcome, CommitOutcome::Applied(_)), "{outcome:?}");
                done += 1;
            }
            Ok(done)
        }));
    }
    let mut all = 0;
    for task in tasks {
        all += task.await??;
    }
    Ok(rate(all, since(start)))
}

/// A push of [`SMALL`] new objects, as the engine makes it.
fn session(zone: &Zone, number: u64) -> Result<Commit> {
    let device = DeviceId::from_uuid(Uuid::from_u128(1));
    let type_name = TypeName::new("items")?;
    let mut writes = Vec::new();
    for n in number * SMALL..(number + 1) * SMALL {
        let item = Item::make((1 << 40) + n);
        let body =
            vec![item.name.into(), item.description.into(), item.quantity.into(), item.updated_at.into()];
        let record = Record {
            key: RecordKey { zone: zone.clone(), type_name: type_name.clone(), id: ObjectId::new(item.id)? },
            body: Some(body),
            metadata: SyncMetadata {
                revision: Revision::from_bits(n + 1),
                incarnation: Incarnation::from_bits(n + 1),
                modified_at: Hlc::new(Timestamp::from_millis(1_700_000_000_000 + n), 0),
                modified_by: device,
                change: 0,
            },
        };
        let action = Action::Put { record, pending: false };
        writes.push(Write { action, expect: Expect::Absent, on_mismatch: OnMismatch::Abort });
    }
    Ok(Commit {
        session: SessionId::from_uuid(Uuid::from_u64_pair(number, 1)),
        kind: SessionKind::Push,
        author: Author { user: None, device, number },
        at: Timestamp::from_millis(number),
        tag: Tag(number),
        positioned: true,
        clears: Vec::new(),
        writes: Writes::Inline(writes),
        state: vec![StateWrite::set(format!("push/{number}"), Some(number.to_le_bytes().to_vec()))],
    })
}
