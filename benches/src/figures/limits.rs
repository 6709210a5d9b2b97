//! What limits every library of this sort, in one run: each database alone, JSON alone, HTTP alone.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use benches::http::{connect, exchange, runtime};
use benches::raw::{BATCH, Table as Rows};
use benches::records::{City, Item, Made, make_many};
use benches::report::{Report, Table, thousands};
use benches::scratch::Scratch;
use benches::settings::Settings;
use benches::stats::{median, rate};
use benches::stores::{StoreKind, server_versions};
use benches::time::{now, since};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::net::TcpListener;

const STORES: [StoreKind; 6] = [
    StoreKind::Sqlite,
    StoreKind::Redb,
    StoreKind::Sled,
    StoreKind::Mysql,
    StoreKind::Postgres,
    StoreKind::Mongo,
];

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    settings: Settings,
}

/// The seconds of each thing that was done, by what it is.
type Took = BTreeMap<String, Vec<f64>>;

pub(crate) fn figure(args: &Args) -> Result<ExitCode> {
    let (rounds, n) = args.settings.of((1, 10_000), (5, 100_000));
    let scratch = Scratch::new(args.settings.dir.as_deref())?;
    let sync_millis = scratch.sync_millis()?;
    let runtime = runtime(args.settings.workers)?;
    println!("{n} records in {BATCH}s, {rounds} rounds; 4 KiB reach this disk in {sync_millis:.2} ms\n");
    let mut took = Took::new();
    for round in 0..rounds {
        for kind in STORES {
            match kind.missing() {
                Some(why) => println!("SKIPPED: {}: {why}", kind.name()),
                None => {
                    let place = scratch.path(&format!("limit-{}-{round}", kind.name().to_lowercase()));
                    runtime.block_on(store(kind, &place, n, &mut took))?;
                }
            }
        }
        runtime.block_on(wire::<Item>("items", n, &mut took))?;
        runtime.block_on(wire::<City>("cities", n, &mut took))?;
    }
    let mut report = Report::new(
        "limits",
        json!({ "records": n, "rounds": rounds, "batch": BATCH, "fdatasync_ms": sync_millis,
            "servers": runtime.block_on(server_versions())? }),
    );
    let mut table = Table::new(&["what", "records/s (median)"]);
    let mut lines = Vec::new();
    for (what, seconds) in &took {
        let rate = rate(n, median(seconds));
        table.row([what.clone(), thousands(rate)]);
        lines.push(json!({ "what": what, "records_per_second": rate, "seconds": seconds }));
    }
    table.print();
    report.figure("lines", lines);
    Ok(report.finish())
}

fn note(took: &mut Took, what: String, seconds: f64) {
    took.entry(what).or_default().push(seconds);
}

/// Items into a database by what it has for that, durable after each batch, and out again.
async fn store(kind: StoreKind, place: &Path, n: u64, took: &mut Took) -> Result<()> {
    let items = make_many::<Item>(0, n);
    let mut rows = Rows::open(kind, place).await?;
    let start = now();
    for batch in items.chunks(BATCH) {
        rows.upsert(batch).await?;
    }
    note(took, format!("{}: upserts", kind.name()), since(start));
    let start = now();
    let found = rows.all().await?.len();
    note(took, format!("{}: reads by id", kind.name()), since(start));
    ensure!(found as u64 == n, "{}: {found} of {n} rows were read", kind.name());
    drop(rows);
    kind.remove(place).await
}

/// Records to JSON and back, and these bytes over HTTP.
async fn wire<T: Made + Serialize + DeserializeOwned>(name: &str, n: u64, took: &mut Took) -> Result<()> {
    let records = make_many::<T>(0, n);
    let start = now();
    let bodies = records.chunks(BATCH).map(serde_json::to_vec).collect::<serde_json::Result<Vec<_>>>()?;
    note(took, format!("serde_json: {name} written"), since(start));
    let start = now();
    for body in &bodies {
        serde_json::from_slice::<Vec<T>>(body)?;
    }
    note(took, format!("serde_json: {name} read"), since(start));
    let seconds = posts(bodies.into_iter().map(Bytes::from).collect()).await?;
    note(took, format!("hyper on loopback: {name} as JSON"), seconds);
    Ok(())
}

/// Posts bodies one after the other to a server that counts their bytes and keeps nothing; gives the seconds.
async fn posts(bodies: Vec<Bytes>) -> Result<f64> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let service = service_fn(|request: Request<Incoming>| async {
            // A body that broke off is short, and the client sees it.
            let length = request.into_body().collect().await.map_or(0, |body| body.to_bytes().len());
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(length.to_string())))
        });
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await?;
        anyhow::Ok(())
    });
    let start = now();
    let mut connection = connect(port).await?;
    for body in bodies {
        let length = body.len().to_string();
        let request = Request::post("/").header("host", "localhost").body(Full::from(body))?;
        let reply = exchange(&mut connection, request).await?;
        ensure!(reply == length.as_bytes(), "a body of {length} bytes did not arrive whole");
    }
    Ok(since(start))
}
