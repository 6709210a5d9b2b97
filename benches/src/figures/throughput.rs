//! Push and pull of 100,000 records over HTTP, SQLite to SQLite, durable at both ends, beside a hand-written loop.

use std::process::ExitCode;

use anyhow::Result;
use benches::report::{Report, Table, megabytes, or_na, thousands};
use benches::role::Side;
use benches::scratch::Scratch;
pub(crate) use benches::settings::Repeated as Args;
use benches::stats::{median, rate};
use benches::stores::StoreKind;
use serde_json::json;

use super::rounds::{Bench, Pick, Round, Rounds, seconds};

/// The least rate of ours, in parts of the floor's.
const REQUIRED: f64 = 0.45;

/// How many records the bytes on the wire are counted with.
const COUNTED: u64 = 10_000;

pub(crate) fn figure(args: &Args) -> Result<ExitCode> {
    let rounds = args.rounds(3, 5);
    let scratch = Scratch::new(args.settings.dir.as_deref())?;
    let sync_millis = scratch.sync_millis()?;
    let bench = Bench {
        scratch: &scratch,
        stores: (StoreKind::Sqlite, StoreKind::Sqlite),
        count: args.n.max(1),
        workers: args.settings.workers,
        encoding: None,
    };
    println!(
        "{} items, {rounds} rounds, ours and the floor in turn; 4 KiB reach this disk in {sync_millis:.2} ms\n",
        bench.count
    );
    let mut measured = Rounds::default();
    for _ in 0..rounds {
        measured.add(&bench)?;
    }
    let mut report = Report::new(
        "throughput",
        json!({
            "records": bench.count, "rounds": rounds, "batch": 1000, "synchronous": "full",
            "workers": bench.workers, "fdatasync_ms": sync_millis,
        }),
    );
    compare(&mut report, bench.count, &measured);
    ends(&mut report, &measured);
    wire(&mut report, &Bench { count: bench.count.min(COUNTED), ..bench })?;
    println!(
        "The floor pushes rows from memory, has no index of its own, checks no conflict, and applies a pull page by\n\
         page. Ours reads from its local store what it pushes, notes there what the server confirmed, keeps sessions\n\
         and receipts, and makes a pull visible in one commit at its end.\n"
    );
    for (what, pick) in PHASES {
        report.at_least(&format!("{what}, ours / floor"), measured.ratio(pick), REQUIRED);
    }
    Ok(report.finish())
}

const PHASES: [(&str, Pick); 2] = [("push", |round| &round.push), ("pull", |round| &round.pull)];

fn compare(report: &mut Report, count: u64, measured: &Rounds) {
    let mut table = Table::new(&["records/s (median)", "ours", "floor", "ratio", "required"]);
    let Rounds { ours, floor } = measured;
    let add: Vec<f64> = ours.iter().filter_map(|round| round.add_seconds).collect();
    let add = rate(count, median(&add));
    table.row(["add locally, 1,000 at a time", &thousands(add), "", "", ""].map(str::to_owned));
    report.figure("add_per_s", add.round());
    for (what, pick) in PHASES {
        let (mine, theirs) = (rate(count, seconds(ours, pick)), rate(count, seconds(floor, pick)));
        let ratio = measured.ratio(pick);
        table.row([
            what.to_owned(),
            thousands(mine),
            thousands(theirs),
            format!("{ratio:.3}"),
            format!("{REQUIRED:.3}"),
        ]);
        report.figure(format!("{what}_per_s"), mine.round());
        report.figure(format!("floor_{what}_per_s"), theirs.round());
        report.figure(format!("{what}_ratio"), ratio);
    }
    table.print();
}

/// What each process took: the middle round for time, the largest for memory.
fn ends(report: &mut Report, Rounds { ours, floor }: &Rounds) {
    let mut table = Table::new(&["process", "CPU s", "peak RSS MB"]);
    for (side, rounds) in [("ours", ours as &[Round]), ("floor", floor)] {
        for (phase, pick) in PHASES {
            for end in ["client", "server"] {
                let phases = rounds.iter().map(pick);
                let usages = phases.map(|phase| match end {
                    "client" => (phase.client.cpu_seconds, phase.client.peak_rss),
                    _ => (phase.server.cpu_seconds, phase.server.peak_rss),
                });
                let (cpu, rss): (Vec<_>, Vec<_>) = usages.unzip();
                let cpu: Option<Vec<f64>> = cpu.into_iter().collect();
                let cpu = cpu.map(|seconds| median(&seconds));
                let rss = rss.into_iter().max().flatten().map(megabytes);
                table.row([
                    format!("{side}, {phase}, {end}"),
                    or_na(cpu.map(|seconds| format!("{seconds:.2}"))),
                    or_na(rss.map(|megabytes| format!("{megabytes:.1}"))),
                ]);
                report.figure(format!("{side}_{phase}_{end}"), json!({ "cpu_s": cpu, "peak_rss_mb": rss }));
            }
        }
    }
    table.print();
}

/// The bytes on the wire, in runs of their own that are not timed.
fn wire(report: &mut Report, bench: &Bench<'_>) -> Result<()> {
    let (ours, floor) = (bench.on_wire(Side::Ours)?, bench.on_wire(Side::Floor)?);
    let mut table = Table::new(&["bytes per record, uncompressed", "ours", "floor"]);
    for (what, mine, theirs) in [
        ("push, sent", ours.push.0, floor.push.0),
        ("push, received", ours.push.1, floor.push.1),
        ("pull, sent", ours.pull.0, floor.pull.0),
        ("pull, received", ours.pull.1, floor.pull.1),
    ] {
        table.row([what.to_owned(), format!("{mine:.1}"), format!("{theirs:.1}")]);
        let name = what.replace(", ", "_");
        report.figure(format!("{name}_bytes_per_record"), json!({ "ours": mine, "floor": theirs }));
    }
    table.print();
    Ok(())
}
