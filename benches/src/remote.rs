//! A server whose records are in the database of another process: clients in memory over HTTP, and what a bare program
//! does on the same database.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;

use anyhow::{Result, bail, ensure};
use bytes::Bytes;
use fastsync_core::source::{Changes, ChangesRequest, PageLimits};
use fastsync_core::{
    MemoryDataSource, Position, Repository, Store, SyncableDataSource, SyncableRepositoryExt, Zone,
};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;

use crate::http::{connect, exchange};
use crate::ours;
use crate::raw::BATCH;
use crate::records::{Item, make_many};
use crate::report::{Report, Table, thousands};
use crate::stats::{median, rate};
use crate::time::{now, since};

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
    // The first time for the connections to the database, each of which prepares its statements: one pusher finds its own
    // warm as well.
    pushers(port, PUSHERS, each, count).await?;
    round.many = pushers(port, PUSHERS, each, count + PUSHERS * each).await?;
    round.one = pushers(port, 1, PUSHERS * each, count + 2 * PUSHERS * each).await?;
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

/// How many sessions of one record each of many pushers makes.
const SMALL_SESSIONS: u64 = 100;

/// Sessions of one record: what [`PUSHERS`] pushers reach together, in parts of what one does. Three times; the best counts, since
/// what else the machine does can only slow it down.
///
/// # Errors
/// What goes wrong.
pub async fn small_sessions(
    report: &mut Report,
    source: impl SyncableDataSource,
    required: f64,
) -> Result<()> {
    let port = serve(source).await?;
    let mut first = 0;
    let mut best: (f64, f64, f64) = (0.0, 0.0, 0.0);
    for _ in 0..3 {
        let mut rates = [0.0; 2];
        for (rate_of, pushers) in rates.iter_mut().zip([1, PUSHERS]) {
            let seconds = one_by_one(port, pushers, first).await?;
            first += pushers * SMALL_SESSIONS;
            *rate_of = rate(pushers * SMALL_SESSIONS, seconds);
        }
        let ratio = rates[1] / rates[0];
        if ratio > best.2 {
            best = (rates[0], rates[1], ratio);
        }
    }
    let mut table =
        Table::new(&["sessions of one record/s", "one pusher", "16 pushers", "ratio", "required"]);
    table.row([
        "push".to_owned(),
        thousands(best.0),
        thousands(best.1),
        format!("{:.3}", best.2),
        format!("{required:.3}"),
    ]);
    table.print();
    report.figure("small_sessions_ratio", best.2);
    report.at_least("16 pushers of sessions of one record", best.2, required);
    Ok(())
}

/// So many pushers at once, each of which commits a record and pushes it, again and again; the seconds until the last is done.
async fn one_by_one(port: u16, pushers: u64, first: u64) -> Result<f64> {
    let mut clients = Vec::new();
    for n in 0..pushers {
        let store = memory_client().await?;
        let client = ours::client::<Item>(&store, port)?;
        clients.push((store, client, first + n * SMALL_SESSIONS));
    }
    let start = now();
    let tasks: Vec<_> = clients
        .into_iter()
        .map(|(store, client, first)| {
            tokio::spawn(async move {
                for n in 0..SMALL_SESSIONS {
                    ours::fill::<Item>(&store, first + n, 1, 1).await?;
                    ours::push(&client, 1).await?;
                }
                anyhow::Ok(())
            })
        })
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
    let port = listener.local_addr()?.port();
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
    let start = now();
    let mut connection = connect(port).await?;
    let (mut after, mut received) = (String::new(), 0);
    loop {
        let request = Request::get(format!("/?{after}")).header("host", "localhost");
        let body = exchange(&mut connection, request.body(Full::default())?).await?;
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
    /// Of push.
    pub push: f64,
    /// Of pull.
    pub pull: f64,
    /// Of many pushers against one, if anything is.
    pub many: Option<f64>,
}

/// How many sessions a short history has.
const FEW: u64 = 1_000;

/// The most that a read may cost after a long history, in parts of what it costs after [`FEW`] sessions.
const HISTORY: f64 = 1.2;

/// What an empty pull and a page of [`BATCH`] records cost where as many records came in few sessions, and where each
/// came in one of its own, in two empty databases. The two take turns, so that what else the machine does meets both.
///
/// # Errors
/// What goes wrong.
pub async fn history<S: SyncableDataSource + Clone>(
    report: &mut Report,
    few: S,
    many: S,
    sessions: u64,
) -> Result<()> {
    let ends = [fill_sessions(&few, FEW, sessions / FEW).await?, fill_sessions(&many, sessions, 1).await?];
    let sources = [few, many];
    let mut costs = [[0.0; 2]; 2];
    let mut ratios = [f64::INFINITY; 2];
    for _ in 0..3 {
        // By kind of read, then by source.
        let mut seconds: [[Vec<f64>; 2]; 2] = Default::default();
        for turn in 0..200 {
            for (kind, seconds) in seconds.iter_mut().enumerate() {
                for side in [turn % 2, 1 - turn % 2] {
                    let begin = if kind == 0 { ends[side].1 } else { ends[side].0 };
                    let expected = if kind == 0 { 0 } else { BATCH };
                    // A page takes far longer than an empty read.
                    if kind == 0 || turn < 40 {
                        seconds[side].push(read(&sources[side], begin, expected).await?);
                    }
                }
            }
        }
        for (kind, seconds) in seconds.iter().enumerate() {
            let [few, many] = [median(&seconds[0]), median(&seconds[1])];
            if many / few < ratios[kind] {
                (costs[kind], ratios[kind]) = ([few, many], many / few);
            }
        }
        if ratios.iter().all(|ratio| *ratio <= HISTORY) {
            break;
        }
    }
    let head = format!("after {sessions} sessions");
    let mut table = Table::new(&["ms (median)", "after 1000 sessions", &head, "ratio", "allowed"]);
    for (kind, what) in ["empty pull", "page of 1000"].into_iter().enumerate() {
        let [few, many] = costs[kind].map(|seconds| format!("{:.3}", seconds * 1e3));
        let (ratio, allowed) = (format!("{:.3}", ratios[kind]), format!("{HISTORY:.3}"));
        table.row([what.to_owned(), few, many, ratio, allowed]);
        report.figure(format!("{what}, history_ratio"), ratios[kind]);
        report.at_most(&format!("{what} after {sessions} sessions"), ratios[kind], HISTORY);
    }
    table.print();
    Ok(())
}

/// So many sessions of `size` records each; gives the points a page before the last of them, and after it.
async fn fill_sessions<S: SyncableDataSource + Clone>(
    source: &S,
    sessions: u64,
    size: u64,
) -> Result<(Position, Position)> {
    let store = Store::server(source.clone()).register::<Item>().open().await?;
    let writers = (0..PUSHERS).map(|first| {
        let repository = Repository::<Item>::new(&store);
        tokio::spawn(async move {
            for n in (first..sessions).step_by(usize::try_from(PUSHERS)?) {
                repository.add_many(&make_many(n * size, size)).await?;
            }
            anyhow::Ok(())
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await??;
    }
    Ok((Position(sessions - BATCH as u64 / size), Position(sessions)))
}

/// The seconds of one read of at most [`BATCH`] records.
async fn read(source: &impl SyncableDataSource, after: Position, expected: usize) -> Result<f64> {
    let request = ChangesRequest {
        zone: Zone::Global,
        after: after.into(),
        types: None,
        skip_own: None,
        limits: PageLimits { records: BATCH, bytes: 8 << 20 },
        count_remaining: false,
    };
    let start = now();
    let changes = source.changes(&request).await?;
    let seconds = since(start);
    let Changes::Page(page) = changes else { bail!("a reader is told to start over") };
    ensure!(page.records.len() == expected, "{} of {expected} records were read", page.records.len());
    Ok(seconds)
}

/// Prints the rounds as a table, and notes their figures.
pub fn report(report: &mut Report, rounds: &[Round], count: u64, required: Required) {
    let mut table = Table::new(&["records/s (median)", "ours", "bare", "ratio", "required"]);
    let contended = PUSHERS * BATCH as u64;
    type Seconds = fn(&Round) -> f64;
    let rows: [(&str, u64, Seconds, Seconds, Option<f64>); 3] = [
        ("push", count, |r| r.push, |r| r.bare_push, Some(required.push)),
        ("pull", count, |r| r.pull, |r| r.bare_pull, Some(required.pull)),
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
            required.map(|required| format!("{required:.3}")).unwrap_or_default(),
        ]);
        report.figure(format!("{what}_ratio"), ratio);
        if let Some(required) = required {
            report.at_least(what, ratio, required);
        }
    }
    table.print();
}

/// A report with what every such run has in common.
#[must_use]
pub fn new_report(name: &'static str, count: u64, rounds: usize) -> Report {
    Report::new(name, json!({ "records": count, "rounds": rounds, "batch": BATCH }))
}
