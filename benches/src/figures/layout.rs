//! SQLite: the index table beside the user's table (two forms of it) against sync columns in the user's row.
//!
//! Plain SQL on one connection, durable; no limit is stated.

use std::process::ExitCode;

use anyhow::Result;
use benches::layout::{Figures, LAYOUTS, measure};
use benches::report::{Report, Table, megabytes, or_na, thousands};
use benches::scratch::Scratch;
use benches::settings::Settings;
use benches::stats::{median, rate};
use serde_json::json;

/// Rows in all, and rows in a session.
const SIZES: [(u64, usize); 4] = [(100_000, 7_500), (100_000, 1_000), (20_000, 10), (2_000, 1)];

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    settings: Settings,
}

pub(crate) fn figure(args: &Args) -> Result<ExitCode> {
    let rounds = args.settings.of(1, 3);
    let scratch = Scratch::new(args.settings.dir.as_deref())?;
    let sync_millis = scratch.sync_millis()?;
    println!("{rounds} rounds, layouts in turn; 4 KiB reach this disk in {sync_millis:.2} ms\n");
    let mut report = Report::new(
        "layout",
        json!({ "rounds": rounds, "synchronous": "full", "fdatasync_ms": sync_millis, "sizes": SIZES }),
    );
    for (rows, per_session) in SIZES {
        let mut runs: Vec<Vec<Figures>> = LAYOUTS.iter().map(|_| Vec::new()).collect();
        for _ in 0..rounds {
            for (layout, runs) in LAYOUTS.iter().zip(&mut runs) {
                let [server, client] = ["server.db", "client.db"].map(|name| scratch.path(name));
                runs.push(measure(layout, &server, &client, rows, per_session)?);
                for database in [server, client] {
                    std::fs::remove_file(database)?;
                }
            }
        }
        print(&mut report, rows, per_session, &runs);
    }
    println!(
        "write: a server's commits; pull: its feed, read whole. edit: a client's commits; confirm: reading what is\n\
         pending and noting its confirmation. In brackets: parts of the rate of columns in the row. MB: written by\n\
         the process, the log and its copying into the file included.\n"
    );
    Ok(report.finish())
}

type Pick = (&'static str, fn(&Figures) -> f64);

const PICKS: [Pick; 4] = [
    ("write", |run| run.write_seconds),
    ("pull", |run| run.pull_seconds),
    ("edit", |run| run.edit_seconds),
    ("confirm", |run| run.confirm_seconds),
];

fn print(report: &mut Report, rows: u64, per_session: usize, runs: &[Vec<Figures>]) {
    let heading = format!("rows/s, {per_session} in a session");
    let mut columns = vec![heading.as_str()];
    columns.extend(PICKS.map(|(name, _)| name));
    columns.extend(["write MB", "confirm MB"]);
    let mut table = Table::new(&columns);
    let rate_of = |runs: &[Figures], pick: fn(&Figures) -> f64| {
        rate(rows, median(&runs.iter().map(pick).collect::<Vec<_>>()))
    };
    let in_row = runs.last().map(Vec::as_slice).unwrap_or_default();
    for (layout, runs) in LAYOUTS.iter().zip(runs) {
        let mut cells = vec![layout.name.to_owned()];
        let mut figures = serde_json::Map::new();
        for (name, pick) in PICKS {
            let (own, base) = (rate_of(runs, pick), rate_of(in_row, pick));
            cells.push(format!("{} ({:.2})", thousands(own), own / base));
            figures.insert(format!("{name}_per_s"), json!(own.round()));
            figures.insert(format!("{name}_ratio"), json!(own / base));
        }
        let last = runs.last();
        for (name, bytes) in [
            ("write_mb", last.and_then(|run| run.write_bytes)),
            ("confirm_mb", last.and_then(|run| run.confirm_bytes)),
        ] {
            let megabytes = bytes.map(megabytes);
            cells.push(or_na(megabytes.map(|megabytes| format!("{megabytes:.0}"))));
            figures.insert(name.to_owned(), json!(megabytes));
        }
        table.row(cells);
        report.figure(format!("{}, {per_session} in a session", layout.name), figures);
    }
    table.print();
}
