//! `cargo xtask prove`: the proofs, by name.

use anyhow::Result;

use crate::registry::{self, Entry};
use crate::workspace::Workspace;

/// A program of `simulation`: it takes `--long` and `--seed N`, prints its seed, and fails by its exit code.
const fn proof(name: &'static str, about: &'static str) -> Entry {
    Entry { name, about, package: "simulation", binary: name, short: &[], long: &["--long"], env: &[] }
}

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
    /// Names of proofs, or `all`.
    #[arg(value_name = "NAME", required_unless_present = "list")]
    names: Vec<String>,
}

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<bool> {
    if args.list {
        registry::list(PROOFS);
        return Ok(true);
    }
    registry::run(workspace, PROOFS, &args.names, args.long, args.seed)
}
