//! What a page, an empty pull and a commit cost a server on SQLite as its sessions and its devices grow; no limit is stated.

mod watched;
mod world;

use std::process::ExitCode;

use anyhow::Result;
use benches::http::runtime;
use benches::report::{Report, Table};
use benches::scratch::Scratch;
use benches::settings::Settings;
use benches::stats::median;
use serde_json::json;

use world::{PAGE, PER_SESSION, World};

/// Sessions and devices of the worlds; a device has made one session at least.
const SHORT: [(u64, u64); 5] = [(10, 10), (1_000, 10), (1_000, 1_000), (10_000, 10), (10_000, 1_000)];
const LONG: [(u64, u64); 5] = [(10, 10), (1_000, 10), (1_000, 1_000), (100_000, 10), (100_000, 1_000)];

/// How often each world is asked, and how many commits it is given.
const READS: usize = 200;
const COMMITS: usize = 40;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    settings: Settings,
}

pub(crate) fn figure(args: &Args) -> Result<ExitCode> {
    let sizes = args.settings.of(SHORT, LONG);
    let scratch = Scratch::new(args.settings.dir.as_deref())?;
    let sync_millis = scratch.sync_millis()?;
    println!("sessions of {PER_SESSION} records, in process; 4 KiB reach this disk in {sync_millis:.2} ms\n");
    let worlds = runtime(args.settings.workers)?.block_on(measured(&scratch, &sizes))?;
    let mut report = Report::new(
        "growth",
        json!({
            "per_session": PER_SESSION, "page": PAGE, "reads": READS, "commits": COMMITS, "synchronous": "full",
            "workers": args.settings.workers, "fdatasync_ms": sync_millis,
        }),
    );
    let page = format!("page of {PAGE}, ms");
    let commit = format!("commit of {PER_SESSION}, ms");
    let mut table =
        Table::new(&["sessions, devices", &page, "ratio", "empty pull, ms", "ratio", &commit, "ratio"]);
    let costs = |world: &World| [&world.pages, &world.empty, &world.commits].map(|millis| median(millis));
    let least = worlds.first().map(costs).unwrap_or_default();
    let mut lines = Vec::new();
    for world in &worlds {
        let own = costs(world);
        let ratios: Vec<f64> = own.iter().zip(&least).map(|(own, least)| own / least).collect();
        let mut cells = vec![format!("{}, {}", world.sessions, world.devices)];
        for (own, ratio) in own.iter().zip(&ratios) {
            cells.extend([format!("{own:.3}"), format!("{ratio:.2}")]);
        }
        table.row(cells);
        lines.push(json!({
            "sessions": world.sessions, "devices": world.devices,
            "page_ms": own[0], "empty_pull_ms": own[1], "commit_ms": own[2],
            "page_ratio": ratios[0], "empty_pull_ratio": ratios[1], "commit_ratio": ratios[2],
        }));
    }
    table.print();
    println!(
        "The page holds the last sessions; ratios are to the first line. The commits come on top of the sessions.\n"
    );
    report.figure("lines", lines);
    Ok(report.finish())
}

async fn measured(scratch: &Scratch, sizes: &[(u64, u64)]) -> Result<Vec<World>> {
    let mut worlds = Vec::new();
    for &(sessions, devices) in sizes {
        println!("{sessions} sessions of {devices} devices");
        worlds.push(World::make(scratch, sessions, devices).await?);
    }
    // In turn, so that whatever the machine does meanwhile meets all of them.
    for _ in 0..READS {
        for world in &mut worlds {
            world.read().await?;
        }
    }
    for _ in 0..COMMITS {
        for world in &mut worlds {
            world.commit().await?;
        }
    }
    println!();
    Ok(worlds)
}
