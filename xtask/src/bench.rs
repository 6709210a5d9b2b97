//! `cargo xtask bench`: the figures, by name.

use anyhow::Result;

use crate::registry::{self, Entry, Form};
use crate::workspace::{Build, Workspace};

/// The package that the figures live in.
pub(crate) const PACKAGE: &str = "benches";

/// A figure of the program `benches`: it takes `--long`, prints a table and one JSON line, and fails by its exit code
/// where a stated limit is missed.
const fn figure(
    name: &'static str,
    about: &'static str,
    [short, long]: [&'static [&'static str]; 2],
) -> Entry {
    Entry {
        name,
        about,
        package: PACKAGE,
        binary: PACKAGE,
        build: Build::Release,
        short,
        long,
        servers: &[],
        on: &[],
    }
}

/// The arguments of the short and of the long form.
macro_rules! forms {
    ($name:literal) => {
        [&[$name], &[$name, "--long"]]
    };
}

/// What every required ratio takes.
const RATIOS: &str = "ratios";

/// The figures with a bound to miss: `--check`. `layout`, `workloads`, `limits` and `growth` have none. The whole check runs
/// `memory` alone: on a machine with other load, bounds of time are either loose or missed by chance.
const CHECKED: &[&str] = &["throughput", "noop", "memory", "sled", "mysql", "postgres", "mongo", RATIOS];

/// Every figure. A new one is a program of `benches` and a line here.
pub(crate) const FIGURES: &[Entry] = &[
    figure(
        "throughput",
        "push and pull of 100,000 records over HTTP, SQLite to SQLite: at least 45 % of a hand-written loop's rate",
        forms!("throughput"),
    ),
    figure(
        "noop",
        "a sync with nothing to do: at most 5 ms, whatever the number of records and of sessions ever made",
        forms!("noop"),
    ),
    figure(
        "memory",
        "peak memory of the first pull: at most 150 MB at each end, and the same within 20 % for twice the data",
        forms!("memory"),
    ),
    figure(
        "sled",
        "push and pull of 100,000 records, sled to sled: at least 40 % of raw batches of sled with the same flushes",
        forms!("sled"),
    ),
    Entry {
        servers: &["mysql"],
        ..figure(
            "mysql",
            "a server on MariaDB over HTTP: push and pull at least 40 % of bare statements, 16 pushers no slower than \
             one, and reads as fast after many sessions as after few",
            forms!("mysql"),
        )
    },
    Entry {
        servers: &["postgres"],
        ..figure(
            "postgres",
            "a server on PostgreSQL over HTTP: push at least 50 % and pull 55 % of bare statements, 16 pushers no slower than \
             one, three times as fast in sessions of one record, and reads as fast after many sessions as after few",
            forms!("postgres"),
        )
    },
    Entry {
        servers: &["mongo"],
        ..figure(
            "mongo",
            "a server on MongoDB over HTTP: push and pull at least 35 % of the driver alone, 16 pushers into one zone",
            forms!("mongo"),
        )
    },
    figure(
        "layout",
        "SQLite: the index table beside the user's tables against sync columns in the row",
        forms!("layout"),
    ),
    Entry {
        servers: &["mysql", "postgres", "mongo"],
        ..figure(
            "workloads",
            "W1 to W5 on every pair of data sources, and the floor beside",
            forms!("workloads"),
        )
    },
    Entry {
        servers: &["mysql", "postgres", "mongo"],
        ..figure(
            "limits",
            "what limits every library of this sort: each database alone, JSON alone, HTTP alone",
            forms!("limits"),
        )
    },
    figure(
        "growth",
        "what a page, an empty pull and a commit cost a server on SQLite as its sessions and devices grow",
        forms!("growth"),
    ),
    // After `workloads`, whose figures it compares with those of the peers.
    Entry {
        servers: &["mysql", "postgres", "mongo"],
        ..figure(
            RATIOS,
            "every required ratio: push and pull against the floor on each database, no-op syncs, bytes and memory",
            forms!("ratios"),
        )
    },
    // Last, so that `all` makes it of what the others have just measured.
    figure("page", "docs/performance.md, made of what the last runs have kept", [&["page"], &["page"]]),
];

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Say what there is and run nothing.
    #[arg(long)]
    list: bool,
    /// Every figure with a stated bound, failing where one is missed.
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    form: Form,
    /// Names of figures, or `all`.
    #[arg(value_name = "NAME", required_unless_present_any = ["list", "check"])]
    names: Vec<String>,
}

pub(crate) fn run(workspace: Workspace, args: &Args) -> Result<bool> {
    if args.list {
        registry::list(FIGURES.iter().map(|entry| (entry.name, entry.about)));
        return Ok(true);
    }
    let mut names = args.names.clone();
    if args.check {
        names.extend(CHECKED.iter().map(|&name| name.to_owned()));
    }
    registry::run(workspace, FIGURES, &names, args.form, None)
}
