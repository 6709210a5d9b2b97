//! A sync with nothing to do: whatever the number of records, and of sessions ever made.

use std::process::ExitCode;

use anyhow::Result;
use benches::http::runtime;
use benches::ours::PER_SESSION;
use benches::report::{Report, Table};
use benches::role::Records;
use benches::scratch::Scratch;
use benches::settings::Settings;
use benches::stats::{median, quantile};
use serde_json::json;

use super::worlds::{World, Worlds, sync_in_turn};

/// The most milliseconds.
const LIMIT_MS: f64 = 5.0;

/// The most that more data may cost, in parts of what less costs, and what the clock's noise is granted on top.
const LIMIT_GROWTH: f64 = 1.5;
const NOISE_MS: f64 = 0.5;

/// Records of the small store, and tiny sessions of the long history.
const FEW: u64 = 1_000;
const SESSIONS: u64 = 10_000;

const WHAT: [&str; 3] = ["few records", "many records", "many records, long history"];

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    settings: Settings,
    /// How many records.
    #[arg(long, default_value_t = 100_000)]
    n: u64,
}

pub(crate) fn figure(args: &Args) -> Result<ExitCode> {
    let runs = args.settings.of(200, 1_000);
    let scratch = Scratch::new(args.settings.dir.as_deref())?;
    let make = Worlds { scratch: &scratch, workers: args.settings.workers };
    for (name, count) in [("few", FEW), ("many", args.n)] {
        make.fill(name, count)?;
    }
    make.add_sessions("many", "long", Records { first: args.n, count: SESSIONS, per_session: 1 })?;
    let runtime = runtime(args.settings.workers)?;
    let sessions = args.n.div_ceil(PER_SESSION);
    let mut worlds = vec![
        runtime.block_on(make.open("few", FEW, FEW.div_ceil(PER_SESSION), 0))?,
        runtime.block_on(make.open("many", args.n, sessions, 0))?,
        runtime.block_on(make.open("long", args.n + SESSIONS, sessions + SESSIONS, SESSIONS))?,
    ];
    runtime.block_on(sync_in_turn(&mut worlds, runs))?;

    let report = print(args, runs, &worlds);
    for world in worlds {
        world.close()?;
    }
    Ok(report.finish())
}

fn print(args: &Args, runs: usize, worlds: &[World]) -> Report {
    println!("{runs} syncs with nothing to do in each world, in turn, over HTTP\n");
    let mut report = Report::new(
        "noop",
        json!({ "records": args.n, "runs": runs, "workers": args.settings.workers, "noise_ms": NOISE_MS }),
    );
    let mut table = Table::new(&["world", "records", "sessions", "median ms", "p95 ms", "least ms"]);
    for (what, World { records, sessions, millis, .. }) in WHAT.into_iter().zip(worlds) {
        let (middle, p95, least) = (median(millis), quantile(millis, 0.95), quantile(millis, 0.0));
        table.row([
            what.to_owned(),
            records.to_string(),
            sessions.to_string(),
            format!("{middle:.3}"),
            format!("{p95:.3}"),
            format!("{least:.3}"),
        ]);
        report.figure(
            what,
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
