//! A server whose records are in the database of another process: clients in memory over HTTP, and what a bare program
//! does on the same database.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;

use anyhow::{Result, ensure};
use bytes::Bytes;
use fastsync_core::{MemoryDataSource, Store, SyncableDataSource};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};

use crate::ours;
use crate::records::Item;
use crate::report::{Report, Table, thousands};
use crate::stats::{median, rate};
use crate::time::{now, since};

/// How many records a request of the bare program carries.
pub const BATCH: usize = 1_000;

/// How many push at once where many do.
pub const PUSHERS: u64 = 16;

/// The seconds of one round.
#[derive(Debug, Default, Clone, Copy)]
pub struct Round {
    /// Push to an empty server.
    pub push: f64,
    /// The same rows by bare statements.
    pub bare_push: f64,
    /// Pull into an empty client.
    pub pull: f64,
    /// The same rows read, sent as JSON over HTTP and parsed, by a bare program.
    pub bare_pull: f64,
    /// [`PUSHERS`] clients with [`BATCH`] records each, at once.
    pub many: f64,
    /// One client with as many.
    pub one: f64,
}

async fn memory_client() -> Result<Store> {
    let store = Store::client(MemoryDataSource::new()).register::<Item>();
    Ok(store.limits(ours::SMALL_PUSHES).open().await?)
}

/// A server on the data source; gives its port.
async fn serve(source: impl SyncableDataSource) -> Result<u16> {
    let store = Store::server(source).register::<Item>().open().await?;
    let manager = ours::server::<Item>(&store).await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(ours::serve_until(listener, manager, std::future::pending()));
    Ok(port)
}

/// Everything that is measured of ours, on an empty database.
///
/// # Errors
/// What goes wrong.
pub async fn measure(source: impl SyncableDataSource, count: u64, round: &mut Round) -> Result<()> {
    let port = serve(source).await?;
    let store = memory_client().await?;
    ours::fill::<Item>(&store, 0, count, ours::PER_SESSION).await?;
    round.push = ours::push(&ours::client::<Item>(&store, port)?, count).await?;
    round.pull = ours::pull(&ours::client::<Item>(&memory_client().await?, port)?, count).await?;
    let each = BATCH as u64;
    round.many = pushers(port, PUSHERS, each, count).await?;
    round.one = pushers(port, 1, PUSHERS * each, count + PUSHERS * each).await?;
    Ok(())
}

/// So many pushers with so many records each, at once; the seconds until the last is done.
async fn pushers(port: u16, pushers: u64, each: u64, first: u64) -> Result<f64> {
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

/// The next page of rows after an id.
pub type Fetch = Pin<Box<dyn Future<Output = Result<Vec<Item>>> + Send>>;

/// Pages of [`BATCH`] by id: fetched, JSON, HTTP, and the JSON read; gives the seconds.
///
/// # Errors
/// What goes wrong; another number of rows came than `count`.
pub async fn bare_pull(count: u64, fetch: impl Fn(String) -> Fetch + Send + Sync + 'static) -> Result<f64> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let fetch = Arc::new(fetch);
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let service = service_fn(move |request: Request<Incoming>| {
            let page = fetch(request.uri().query().unwrap_or_default().to_owned());
            async move {
                let body = async { anyhow::Ok(serde_json::to_vec(&page.await?)?) };
                // Whatever goes wrong is no JSON, and the client says so.
                Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(body.await.unwrap_or_default())))
            }
        });
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
        sender.ready().await?;
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

/// What is required of ours, in parts of the bare program's rate.
#[derive(Debug, Clone, Copy)]
pub struct Required {
    /// Of push and of pull.
    pub ratio: f64,
    /// Of many pushers against one.
    pub many: f64,
}

/// Prints the rounds as a table, and notes their figures.
pub fn report(report: &mut Report, rounds: &[Round], count: u64, required: Required) {
    let mut table = Table::new(&["records/s (median)", "ours", "bare", "ratio", "required"]);
    let contended = PUSHERS * BATCH as u64;
    type Seconds = fn(&Round) -> f64;
    let rows: [(&str, u64, Seconds, Seconds, f64); 3] = [
        ("push", count, |r| r.push, |r| r.bare_push, required.ratio),
        ("pull", count, |r| r.pull, |r| r.bare_pull, required.ratio),
        ("16 pushers, one pusher", contended, |r| r.many, |r| r.one, required.many),
    ];
    for (what, count, ours, bare, required) in rows {
        let middle = |of: Seconds| median(&rounds.iter().map(of).collect::<Vec<_>>());
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
}

/// A report with what every such run has in common.
#[must_use]
pub fn new_report(name: &'static str, count: u64, rounds: usize) -> Report {
    Report::new(name, json!({ "records": count, "rounds": rounds, "batch": BATCH }))
}
