//! Push and pull of 100,000 records, sled to sled in one process, beside raw batches of sled with the same flushes.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use benches::http::runtime;
use benches::ours::{self, PER_SESSION};
use benches::raw::sled::{Items, row};
use benches::records::{Item, make_many};
use benches::report::{Report, Table, thousands};
use benches::scratch::Scratch;
pub(crate) use benches::settings::Repeated as Args;
use benches::stats::{median, rate};
use benches::time::{now, since};
use fastsync_core::source::SyncableDataSourceExt as _;
use fastsync_core::{PullLimits, Query, Store, SyncableObject, Zone};
use fastsync_dao_sled::SledDataSource;
use serde_json::json;

/// The least rate of ours, in parts of the raw one's.
const REQUIRED: f64 = 0.4;

/// Seconds of a push and a pull.
struct Round {
    push: f64,
    pull: f64,
}

pub(crate) fn figure(args: &Args) -> Result<ExitCode> {
    let rounds = args.rounds(3, 5);
    let scratch = Scratch::new(args.settings.dir.as_deref())?;
    let sync_millis = scratch.sync_millis()?;
    println!("{} items, {rounds} rounds; 4 KiB reach this disk in {sync_millis:.2} ms\n", args.n);
    let runtime = runtime(args.settings.workers)?;
    let (mut mine, mut raw) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let folder = |what: &str| scratch.path(&format!("{what}-{round}"));
        mine.push(runtime.block_on(ours(&folder("ours"), args.n))?);
        raw.push(batches(&folder("raw"), args.n)?);
        for what in ["ours", "raw"] {
            std::fs::remove_dir_all(folder(what))?;
        }
    }
    let settings =
        json!({ "records": args.n, "rounds": rounds, "batch": PER_SESSION, "fdatasync_ms": sync_millis });
    let mut report = Report::new("sled", settings);
    let mut table = Table::new(&["records/s (median)", "ours", "raw", "ratio", "required"]);
    for (what, pick) in [("push", (|round| round.push) as fn(&Round) -> f64), ("pull", |round| round.pull)] {
        let middle = |rounds: &[Round]| median(&rounds.iter().map(pick).collect::<Vec<_>>());
        let ratios: Vec<f64> = mine.iter().zip(&raw).map(|(mine, raw)| pick(raw) / pick(mine)).collect();
        let (mine, raw, ratio) = (rate(args.n, middle(&mine)), rate(args.n, middle(&raw)), median(&ratios));
        table.row([
            what.to_owned(),
            thousands(mine),
            thousands(raw),
            format!("{ratio:.3}"),
            format!("{REQUIRED:.2}"),
        ]);
        report.figure(format!("{what}_per_s"), mine.round());
        report.figure(format!("raw_{what}_per_s"), raw.round());
        report.at_least(&format!("{what}, ours / raw"), ratio, REQUIRED);
    }
    table.print();
    println!(
        "The raw side writes each record once at each place where ours has to: for a push at the server, and at the\n\
         client that notes what the server confirmed; for a pull in the pages that the client keeps, and in the\n\
         commit that shows them. It flushes and syncs as often as ours, and does nothing else.\n"
    );
    Ok(report.finish())
}

/// A client pushes to a server, and another client pulls.
async fn ours(folder: &Path, count: u64) -> Result<Round> {
    std::fs::create_dir_all(folder)?;
    let open = |name: &str| SledDataSource::open(folder.join(name));
    let server = Store::server(open("server")?).register::<Item>().open().await?;
    let manager = ours::server::<Item>(&server).await?;
    let pusher = Store::client(open("pusher")?).register::<Item>().limits(ours::SMALL_PUSHES).open().await?;
    ours::fill::<Item>(&pusher, 0, count, PER_SESSION).await?;
    let push = ours::push(&ours::client_of::<Item>(&pusher, manager.clone())?, count).await?;
    let puller = Store::client(open("puller")?).register::<Item>().open().await?;
    let pull = ours::pull(&ours::client_of::<Item>(&puller, manager)?, count).await?;
    let all = Query::all(Item::schema()?.name().clone(), Zone::Global);
    let there = puller.source().count(&all).await?;
    ensure!(there == count, "{there} of {count} records arrived");
    Ok(Round { push, pull })
}

/// sled with the same bytes in as many flushed batches.
fn batches(folder: &Path, count: u64) -> Result<Round> {
    let rows = make_many::<Item>(0, count).iter().map(row).collect::<Result<Vec<_>>>()?;
    let per_push = usize::try_from(PER_SESSION)?;
    let per_page = usize::try_from(PullLimits::default().records)?;
    let [server, pusher, puller] = ["server", "pusher", "puller"].map(|name| Items::open(&folder.join(name)));
    let (server, pusher, puller) = (server?, pusher?, puller?);
    let start = now();
    for rows in rows.chunks(per_push) {
        server.write(rows, b"")?;
        pusher.write(rows, b"")?;
    }
    let push = since(start);
    let start = now();
    for rows in rows.chunks(per_page) {
        puller.write(rows, b"staged")?;
    }
    puller.write(&rows, b"")?;
    Ok(Round { push, pull: since(start) })
}
