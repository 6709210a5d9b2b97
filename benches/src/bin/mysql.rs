//! A server on MariaDB: push and pull over HTTP beside bare statements, many pushers beside one.
#![allow(clippy::print_stdout)] // a program that prints its figures

use std::convert::Infallible;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use benches::ours;
use benches::records::{Item, make_many};
use benches::report::{Report, Table, thousands};
use benches::stats::{median, rate};
use benches::time::{now, since};
use bytes::Bytes;
use clap::Parser;
use fastsync_core::{MemoryDataSource, Store};
use fastsync_dao_mysql::MySqlDataSource;
use fastsync_dao_mysql::sqlx::mysql::{MySqlConnectOptions, MySqlPool, MySqlPoolOptions};
use fastsync_dao_mysql::sqlx::{self, AssertSqlSafe, ConnectOptions, raw_sql};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};

/// The least rate of ours, in parts of the bare program's.
const REQUIRED: f64 = 0.4;

const BATCH: usize = 1_000;

const PUSHERS: u64 = 16;

#[derive(Debug, Parser)]
struct Args {
    /// 3 rounds instead of 1.
    #[arg(long)]
    long: bool,
    /// How many records.
    #[arg(long, default_value_t = 100_000)]
    n: u64,
}

/// The seconds of one round.
#[derive(Debug, Default)]
struct Round {
    push: f64,
    floor_push: f64,
    pull: f64,
    floor_pull: f64,
    many: f64,
    one: f64,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<ExitCode> {
    let args = Args::parse();
    let Ok(url) = std::env::var("FASTSYNC_MYSQL_URL") else {
        println!("SKIPPED: FASTSYNC_MYSQL_URL is not set");
        return Ok(ExitCode::SUCCESS);
    };
    let options: MySqlConnectOptions = url.parse()?;
    let mut rounds = Vec::new();
    for n in 0..if args.long { 3 } else { 1 } {
        rounds.push(round(&options, args.n, n).await?);
    }
    let mut report =
        Report::new("mysql", json!({ "records": args.n, "rounds": rounds.len(), "batch": BATCH }));
    let mut table = Table::new(&["records/s (median)", "ours", "bare", "ratio", "required"]);
    let contended = PUSHERS * BATCH as u64;
    for (what, count, ours, bare, required) in [
        (
            "push",
            args.n,
            (|r| r.push) as fn(&Round) -> f64,
            (|r| r.floor_push) as fn(&Round) -> f64,
            REQUIRED,
        ),
        ("pull", args.n, |r| r.pull, |r| r.floor_pull, REQUIRED),
        ("16 pushers, one pusher", contended, |r| r.many, |r| r.one, 1.0),
    ] {
        let middle = |of: fn(&Round) -> f64| median(&rounds.iter().map(of).collect::<Vec<_>>());
        let ratio = median(&rounds.iter().map(|round| bare(round) / ours(round)).collect::<Vec<_>>());
        let (mine, theirs) = (rate(count, middle(ours)), rate(count, middle(bare)));
        table.row([
            what.to_owned(),
            thousands(mine),
            thousands(theirs),
            format!("{ratio:.3}"),
            format!("{required:.3}"),
        ]);
        report.figure(format!("{what}_ratio"), ratio);
        report.at_least(what, ratio, required);
    }
    table.print();
    Ok(report.finish())
}

async fn round(options: &MySqlConnectOptions, count: u64, n: u64) -> Result<Round> {
    let mut round = Round::default();
    // Neither side always goes first.
    for side in [n % 2, 1 - n % 2] {
        let database = format!("fastsync_bench_{}_{n}_{side}", std::process::id());
        let mut admin = options.connect().await?;
        raw_sql(AssertSqlSafe(format!("DROP DATABASE IF EXISTS {database}; CREATE DATABASE {database}")))
            .execute(&mut admin)
            .await?;
        let pool = MySqlPoolOptions::new()
            .max_connections(20)
            .connect_lazy_with(options.clone().database(&database));
        if side == 0 {
            (round.push, round.pull) = ours_alone(&pool, count).await?;
            round.many = pushers(&pool, PUSHERS, BATCH as u64, count).await?;
            round.one = pushers(&pool, 1, PUSHERS * BATCH as u64, count + PUSHERS * BATCH as u64).await?;
        } else {
            round.floor_push = floor_push(&pool, count).await?;
            round.floor_pull = floor_pull(&pool, count).await?;
        }
        pool.close().await;
        raw_sql(AssertSqlSafe(format!("DROP DATABASE {database}"))).execute(&mut admin).await?;
    }
    Ok(round)
}

async fn memory_client() -> Result<Store> {
    Ok(Store::client(MemoryDataSource::new()).register::<Item>().open().await?)
}

/// A server on the pool; gives its port.
async fn serve(pool: &MySqlPool) -> Result<u16> {
    let source = MySqlDataSource::new(pool.clone()).await?;
    let store = Store::server(source).register::<Item>().open().await?;
    let manager = ours::server::<Item>(&store).await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(ours::serve_until(listener, manager, std::future::pending()));
    Ok(port)
}

async fn ours_alone(pool: &MySqlPool, count: u64) -> Result<(f64, f64)> {
    let port = serve(pool).await?;
    let store = memory_client().await?;
    ours::fill::<Item>(&store, 0, count, ours::PER_SESSION).await?;
    let push = ours::push(&ours::client::<Item>(&store, port)?, count).await?;
    let pull = ours::pull(&ours::client::<Item>(&memory_client().await?, port)?, count).await?;
    Ok((push, pull))
}

/// So many pushers with so many records each, at once; the seconds until the last is done.
async fn pushers(pool: &MySqlPool, pushers: u64, each: u64, first: u64) -> Result<f64> {
    let port = serve(pool).await?;
    let mut clients = Vec::new();
    for n in 0..pushers {
        let store = memory_client().await?;
        ours::fill::<Item>(&store, first + n * each, each, ours::PER_SESSION).await?;
        clients.push(ours::client::<Item>(&store, port)?);
    }
    let start = now();
    let tasks: Vec<_> = clients
        .into_iter()
        .map(|client| tokio::spawn(async move { ours::push(&client, each).await }))
        .collect();
    for task in tasks {
        task.await??;
    }
    Ok(since(start))
}

/// Upserts in one statement per thousand, each committed by itself.
async fn floor_push(pool: &MySqlPool, count: u64) -> Result<f64> {
    sqlx::query(
        "CREATE TABLE items (id VARCHAR(36) CHARACTER SET ascii COLLATE ascii_bin PRIMARY KEY, name LONGTEXT NOT NULL, \
         description LONGTEXT NOT NULL, quantity BIGINT NOT NULL, updated_at BIGINT NOT NULL) \
         CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
    )
    .execute(pool)
    .await?;
    let items = make_many::<Item>(0, count);
    let mut connection = pool.acquire().await?;
    let start = now();
    for batch in items.chunks(BATCH) {
        let marks = vec!["(?, ?, ?, ?, ?)"; batch.len()].join(", ");
        let sql = format!(
            "INSERT INTO items VALUES {marks} ON DUPLICATE KEY UPDATE name = VALUES(name), \
             description = VALUES(description), quantity = VALUES(quantity), updated_at = VALUES(updated_at)"
        );
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for item in batch {
            query = query.bind(&item.id).bind(&item.name).bind(&item.description);
            query = query.bind(item.quantity).bind(item.updated_at);
        }
        query.execute(&mut *connection).await?;
    }
    Ok(since(start))
}

/// Pages of a thousand by id: a `SELECT`, JSON, HTTP, and the JSON read.
async fn floor_pull(pool: &MySqlPool, count: u64) -> Result<f64> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let pool = pool.clone();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let service = service_fn(move |request| answer(pool.clone(), request));
        http1::Builder::new().serve_connection(TokioIo::new(stream), service).await?;
        anyhow::Ok(())
    });
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let start = now();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let (mut after, mut received) = (String::new(), 0);
    loop {
        let request =
            Request::get(format!("/?{after}")).header("host", "localhost").body(Full::<Bytes>::default())?;
        let body = sender.send_request(request).await?.into_body().collect().await?.to_bytes();
        let items: Vec<Item> = serde_json::from_slice(&body)?;
        let Some(last) = items.last() else { break };
        after.clone_from(&last.id);
        received += items.len() as u64;
    }
    let seconds = since(start);
    ensure!(received == count, "{received} of {count} items were pulled");
    Ok(seconds)
}

async fn answer(pool: MySqlPool, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let page = async {
        let after = request.uri().query().context("where does the page begin?")?;
        let select = "SELECT id, name, description, quantity, updated_at FROM items WHERE id > ? ORDER BY id LIMIT 1000";
        let rows: Vec<(String, String, String, i64, i64)> =
            sqlx::query_as(select).bind(after).fetch_all(&pool).await?;
        let items: Vec<_> = rows
            .into_iter()
            .map(|(id, name, description, quantity, updated_at)| Item {
                id,
                name,
                description,
                quantity,
                updated_at,
            })
            .collect();
        anyhow::Ok(serde_json::to_vec(&items)?)
    };
    // Whatever goes wrong is no JSON, and the client says so.
    Ok(Response::new(Full::from(page.await.unwrap_or_default())))
}
