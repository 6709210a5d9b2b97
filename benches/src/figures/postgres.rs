//! A server on PostgreSQL: push and pull over HTTP beside bare statements, many pushers beside one, and reads after a short
//! and after a long history.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use benches::http::runtime;
use benches::raw::BATCH;
use benches::raw::postgres::Items;
use benches::records::{Item, make_many};
use benches::remote::{self, Fetch, Required, Round, bare_pull, measure};
use benches::report::Report;
use benches::time::{now, since};
use fastsync_dao_postgres::PostgresDataSource;
use fastsync_dao_postgres::sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use fastsync_dao_postgres::sqlx::{AssertSqlSafe, ConnectOptions, Connection, raw_sql};
use tokio::sync::Mutex;

const REQUIRED: Required = Required { push: 0.5, pull: 0.55, many: Some(1.0) };

/// How much more 16 pushers of sessions of one record reach than one.
const SMALL_MANY: f64 = 3.0;

/// As the guide advises: with more of them, pushers into one zone are in each other's way.
const CONNECTIONS: u32 = 8;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A history of 200,000 sessions instead of 20,000.
    #[arg(long)]
    long: bool,
    /// How many records.
    #[arg(long, default_value_t = 100_000)]
    n: u64,
}

pub(crate) fn figure(args: &Args) -> Result<ExitCode> {
    runtime(2)?.block_on(measured(args))
}

async fn measured(args: &Args) -> Result<ExitCode> {
    let Ok(url) = std::env::var("FASTSYNC_POSTGRES_URL") else {
        println!("SKIPPED: FASTSYNC_POSTGRES_URL is not set");
        return Ok(ExitCode::SUCCESS);
    };
    let options: PgConnectOptions = url.parse()?;
    let mut rounds = Vec::new();
    for n in 0..3 {
        rounds.push(round(&options, args.n, n).await?);
    }
    let mut report = remote::new_report("postgres", args.n, rounds.len());
    remote::report(&mut report, &rounds, args.n, REQUIRED);
    let pool = database(&options, "small").await?;
    remote::small_sessions(&mut report, PostgresDataSource::new(pool.clone()).await?, SMALL_MANY).await?;
    drop_database(pool).await?;
    history(&options, if args.long { 200_000 } else { 20_000 }, &mut report).await?;
    Ok(report.finish())
}

/// A short and a long history, in two databases.
async fn history(options: &PgConnectOptions, sessions: u64, report: &mut Report) -> Result<()> {
    let [few, many] = [database(options, "few").await?, database(options, "many").await?];
    let sources = (PostgresDataSource::new(few.clone()).await?, PostgresDataSource::new(many.clone()).await?);
    remote::history(report, sources.0, sources.1, sessions).await?;
    drop_database(few).await?;
    drop_database(many).await
}

async fn round(options: &PgConnectOptions, count: u64, n: u64) -> Result<Round> {
    let mut round = Round::default();
    // Neither side always goes first.
    for side in [n % 2, 1 - n % 2] {
        let pool = database(options, &format!("{n}_{side}")).await?;
        if side == 0 {
            measure(PostgresDataSource::new(pool.clone()).await?, count, &mut round).await?;
        } else {
            let mut table = Items::open(&pool.connect_options()).await?;
            round.bare_push = bare_push(&mut table, count).await?;
            let table = Arc::new(Mutex::new(table));
            let page = move |after: String| -> Fetch {
                let table = Arc::clone(&table);
                Box::pin(async move { table.lock().await.page(&after).await })
            };
            round.bare_pull = bare_pull(count, page).await?;
        }
        drop_database(pool).await?;
    }
    Ok(round)
}

/// A pool on a new database.
async fn database(options: &PgConnectOptions, name: &str) -> Result<PgPool> {
    let database = format!("fastsync_bench_{}_{name}", std::process::id());
    let mut admin = options.connect().await?;
    // Neither is allowed beside another statement.
    for sql in [format!("DROP DATABASE IF EXISTS {database}"), format!("CREATE DATABASE {database}")] {
        raw_sql(AssertSqlSafe(sql)).execute(&mut admin).await?;
    }
    admin.close().await?;
    Ok(PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .connect_lazy_with(options.clone().database(&database)))
}

/// Drops the database of a pool.
async fn drop_database(pool: PgPool) -> Result<()> {
    let options = pool.connect_options();
    pool.close().await;
    let database = options.get_database().unwrap_or_default().to_owned();
    let mut admin = (*options).clone().database("postgres").connect().await?;
    raw_sql(AssertSqlSafe(format!("DROP DATABASE {database} WITH (FORCE)"))).execute(&mut admin).await?;
    Ok(admin.close().await?)
}

/// The seconds of all upserts.
async fn bare_push(table: &mut Items, count: u64) -> Result<f64> {
    let items = make_many::<Item>(0, count);
    let start = now();
    for batch in items.chunks(BATCH) {
        table.upsert(batch).await?;
    }
    Ok(since(start))
}
