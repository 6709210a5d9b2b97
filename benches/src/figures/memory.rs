//! Peak memory of client and server in the first pull of as many records as the cities of the world, and of twice
//! as many.

use std::process::ExitCode;

use anyhow::Result;
use benches::records::{City, Shape};
use benches::report::{Report, Table, megabytes, thousands};
use benches::scratch::Scratch;
use benches::settings::Settings;
use benches::stats::rate;
use serde_json::json;

use super::first_pull::{FirstPull, Peaks};

/// The most megabytes of an end.
const LIMIT_MB: f64 = 150.0;

/// The most that an end may need for twice the data, in parts of what it needs for the data.
const LIMIT_GROWTH: f64 = 1.2;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    settings: Settings,
    /// How many records.
    #[arg(long, default_value_t = 171_075)]
    n: u64,
}

pub(crate) fn figure(args: &Args) -> Result<ExitCode> {
    let scratch = Scratch::new(args.settings.dir.as_deref())?;
    let rounds = args.settings.of(1, 3);
    println!("first pull of {} and {} cities, each end in a process of its own\n", args.n, args.n * 2);
    let mut table = Table::new(&["records", "client MB", "server MB", "records/s"]);
    let mut report = Report::new(
        "memory",
        json!({ "records": args.n, "rounds": rounds, "workers": args.settings.workers }),
    );
    let pulls = FirstPull { scratch: &scratch, shape: Shape::Cities, workers: args.settings.workers };
    let mut peaks = Vec::new();
    for count in [args.n, args.n * 2] {
        let mut worst = Peaks::default();
        let server = pulls.prepare(count)?;
        for _ in 0..rounds {
            let peak = pulls.pull::<City>(&server, count)?;
            worst = Peaks {
                client: worst.client.max(peak.client),
                server: worst.server.max(peak.server),
                seconds: peak.seconds,
            };
        }
        let (client, server) = (megabytes(worst.client), megabytes(worst.server));
        let pulled = rate(count, worst.seconds);
        table.row([count.to_string(), format!("{client:.1}"), format!("{server:.1}"), thousands(pulled)]);
        report.figure(
            format!("pull_of_{count}"),
            json!({ "client_mb": client, "server_mb": server, "records_per_s": pulled.round() }),
        );
        peaks.push([("client", client), ("server", server)]);
    }
    table.print();
    if let [single, double] = peaks.as_slice() {
        for ((end, single), (_, double)) in single.iter().zip(double) {
            report.at_most(&format!("{end}, MB for {} records", args.n), *single, LIMIT_MB);
            report.at_most(&format!("{end}, MB for {} records", args.n * 2), *double, LIMIT_MB);
            report.at_most(&format!("{end}, growth by twice the data"), double / single, LIMIT_GROWTH);
        }
    }
    Ok(report.finish())
}
