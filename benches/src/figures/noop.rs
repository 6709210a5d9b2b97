//! A sync with nothing to do: whatever the number of records, and of sessions ever made.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, ensure};
use benches::http::runtime;
use benches::ours::{self, PER_SESSION};
use benches::process::{Server, run};
use benches::records::{Item, Shape};
use benches::report::{Report, Table};
use benches::role::{Records, Role, Side, Task, Took};
use benches::scratch::{Scratch, copy_database};
use benches::settings::Settings;
use benches::stats::{median, quantile};
use benches::stores::StoreKind;
use benches::time::{now, since};
use fastsync_core::{Client, SyncManager};
use serde_json::json;

/// The most milliseconds.
const LIMIT_MS: f64 = 5.0;

/// The most that more data may cost, in parts of what less costs, and what the clock's noise is granted on top.
const LIMIT_GROWTH: f64 = 1.5;
const NOISE_MS: f64 = 0.5;

/// Records of the small store, and tiny sessions of the long history.
const FEW: u64 = 1_000;
const SESSIONS: u64 = 10_000;

const WARM_UP: usize = 20;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    settings: Settings,
    /// How many records.
    #[arg(long, default_value_t = 100_000)]
    n: u64,
}

/// A server and a client in step.
struct World {
    what: &'static str,
    records: u64,
    sessions: u64,
    server: Server,
    client: SyncManager<Client>,
    millis: Vec<f64>,
}

pub(crate) fn figure(args: &Args) -> Result<ExitCode> {
    let runs = args.settings.of(200, 1_000);
    let scratch = Scratch::new(args.settings.dir.as_deref())?;
    for (name, count) in [("few", FEW), ("many", args.n)] {
        fill(args, &scratch, name, count)?;
    }
    for end in ["server", "client"] {
        copy_database(&scratch.path(&format!("many-{end}.db")), &scratch.path(&format!("long-{end}.db")))?;
    }
    let tiny = Records { first: args.n, count: SESSIONS, per_session: 1 };
    run::<Took>(&role(args, Task::FillServer(tiny), scratch.path("long-server.db")))?;

    let runtime = runtime(args.settings.workers)?;
    let mut worlds = Vec::new();
    for (name, what, records, new, sessions) in [
        ("few", "few records", FEW, 0, FEW.div_ceil(PER_SESSION)),
        ("many", "many records", args.n, 0, args.n.div_ceil(PER_SESSION)),
        (
            "long",
            "many records, long history",
            args.n + SESSIONS,
            SESSIONS,
            args.n.div_ceil(PER_SESSION) + SESSIONS,
        ),
    ] {
        let server = Server::start(&role(args, Task::Serve, scratch.path(&format!("{name}-server.db"))))?;
        let client =
            runtime.block_on(connect(&scratch.path(&format!("{name}-client.db")), server.port(), new))?;
        worlds.push(World { what, records, sessions, server, client, millis: Vec::new() });
    }
    runtime.block_on(measure(&mut worlds, runs))?;

    let report = print(args, runs, &worlds);
    for world in worlds {
        drop(world.client);
        world.server.stop()?;
    }
    Ok(report.finish())
}

fn role(args: &Args, task: Task, database: PathBuf) -> Role {
    Role {
        task,
        side: Side::Ours,
        store: StoreKind::Sqlite,
        shape: Shape::Items,
        database,
        workers: args.settings.workers,
    }
}

/// Makes a server and a client in step by a push, and closes both.
fn fill(args: &Args, scratch: &Scratch, name: &str, count: u64) -> Result<()> {
    let [server, client] = ["server", "client"].map(|end| scratch.path(&format!("{name}-{end}.db")));
    let records = Records { first: 0, count, per_session: PER_SESSION };
    run::<Took>(&role(args, Task::FillClient(records), client.clone()))?;
    let server = Server::start(&role(args, Task::Serve, server))?;
    run::<Took>(&role(args, Task::Push { port: server.port(), count }, client))?;
    server.stop()
}

/// Opens a client and brings it in step; it must receive exactly `new` records.
async fn connect(database: &Path, port: u16, new: u64) -> Result<SyncManager<Client>> {
    let store = ours::client_store::<Item>(StoreKind::Sqlite, database).await?;
    let client = ours::client::<Item>(&store, port)?;
    ours::pull(&client, new).await?;
    Ok(client)
}

/// Syncs each world in turn, so that whatever the machine does meanwhile meets all of them.
async fn measure(worlds: &mut [World], runs: usize) -> Result<()> {
    for n in 0..WARM_UP + runs {
        for world in &mut *worlds {
            let start = now();
            let report = world.client.sync().await?;
            let millis = since(start) * 1e3;
            ensure!(report.push.sessions == 0 && report.pull.received == 0, "there was something to do");
            if n >= WARM_UP {
                world.millis.push(millis);
            }
        }
    }
    Ok(())
}

fn print(args: &Args, runs: usize, worlds: &[World]) -> Report {
    println!("{runs} syncs with nothing to do in each world, in turn, over HTTP\n");
    let mut report = Report::new(
        "noop",
        json!({ "records": args.n, "runs": runs, "workers": args.settings.workers, "noise_ms": NOISE_MS }),
    );
    let mut table = Table::new(&["world", "records", "sessions", "median ms", "p95 ms", "least ms"]);
    for World { what, records, sessions, millis, .. } in worlds {
        let (middle, p95, least) = (median(millis), quantile(millis, 0.95), quantile(millis, 0.0));
        table.row([
            (*what).to_owned(),
            records.to_string(),
            sessions.to_string(),
            format!("{middle:.3}"),
            format!("{p95:.3}"),
            format!("{least:.3}"),
        ]);
        report.figure(
            *what,
            json!({
                "records": records, "sessions": sessions,
                "median_ms": middle, "p95_ms": p95, "least_ms": least,
            }),
        );
    }
    table.print();
    let middles: Vec<f64> = worlds.iter().map(|world| median(&world.millis)).collect();
    if let [few, many, long] = middles.as_slice() {
        report.at_most(&format!("ms, {} records", args.n), *many, LIMIT_MS);
        for (what, less, more) in [("records", few, many), ("sessions", many, long)] {
            report.figure(format!("growth_by_{what}"), more / less);
            report.at_most(&format!("ms with more {what}"), *more, less * LIMIT_GROWTH + NOISE_MS);
        }
    }
    report
}
