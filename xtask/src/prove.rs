//! `cargo xtask prove`: the proofs, by name.

use anyhow::Result;

use crate::registry::{self, Entry};
use crate::workspace::Workspace;

/// A program of `simulation`: it takes `--long` and `--seed N`, prints its seed, and fails by its exit code.
const fn proof(name: &'static str, about: &'static str) -> Entry {
    Entry { name, about, package: "simulation", binary: name, short: &[], long: &["--long"], env: &[] }
}

/// The same program with its stores on sled.
const fn on_sled(
    name: &'static str,
    binary: &'static str,
    about: &'static str,
    short: &'static [&'static str],
    long: &'static [&'static str],
) -> Entry {
    Entry { name, about, package: "simulation", binary, short, long, env: &[] }
}

/// The proofs that the whole check insists on. The others run on demand: those of sled and MySQL are still to be judged
/// on a calm machine.
pub(crate) const INSISTED: &[&str] = &["convergence", "client-crash", "server-crash", "concurrency"];

/// Every proof. A new one is a program of `simulation` and a line here.
pub(crate) const PROOFS: &[Entry] = &[
    proof(
        "convergence",
        "replicas end equal: model-based property test, 2,000 cases of up to 200 steps, 3 to 5 clients, 2 zones, 3 types",
    ),
    proof(
        "client-crash",
        "kill -9 of the client, 200 times: no half-applied session, no lost edit, no cursor ahead of its data",
    ),
    proof(
        "server-crash",
        "kill -9 of the server: nothing acknowledged is lost, nothing is visible in part, retries change nothing",
    ),
    proof(
        "concurrency",
        "8 pushers and 2 pullers in two processes on one SQLite file: none missed, none twice; a broken data source fails it",
    ),
    proof(
        "differential",
        "the same random operations on memory, SQLite and sled: equal outcomes, equal contents at every checkpoint",
    ),
    on_sled(
        "client-crash-sled",
        "client-crash",
        "kill -9 of a client on sled, 60 times: no half-applied session, no lost edit, no cursor ahead of its data",
        &["--store", "sled", "--count", "60"],
        &["--store", "sled", "--count", "700"],
    ),
    on_sled(
        "concurrency-sled",
        "concurrency",
        "8 pushers and 2 pullers on one sled store: none missed, none twice; a broken data source on sled fails it",
        &["--store", "sled"],
        &["--store", "sled", "--long"],
    ),
    on_sled(
        "server-crash-sled",
        "server-crash",
        "kill -9 of a server on sled: nothing acknowledged is lost, nothing is visible in part",
        &["--store", "sled", "--count", "15"],
        &["--store", "sled", "--count", "100"],
    ),
    Entry {
        short: &["--store", "mysql"],
        long: &["--store", "mysql", "--long"],
        binary: "concurrency",
        ..proof(
            "concurrency-mysql",
            "16 pushers and 4 pullers in two processes on one MariaDB, with pauses inside transactions, cut connections \
             and an idle stranger: none missed, none twice; a broken data source fails it",
        )
    },
];

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Say what there is and run nothing.
    #[arg(long)]
    list: bool,
    /// The long form instead of the short one.
    #[arg(long)]
    long: bool,
    /// Repeat a run: the seed that it printed.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// The form of a proof for this data source: `--store sled` turns `client-crash` into `client-crash-sled`.
    #[arg(long, value_name = "NAME")]
    store: Option<String>,
    /// Names of proofs, or `all`.
    #[arg(value_name = "NAME", required_unless_present = "list")]
    names: Vec<String>,
}

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<bool> {
    if args.list {
        registry::list(PROOFS);
        return Ok(true);
    }
    let names = match &args.store {
        Some(store) => &args.names.iter().map(|name| format!("{name}-{store}")).collect(),
        None => &args.names,
    };
    registry::run(workspace, PROOFS, names, args.long, args.seed)
}
