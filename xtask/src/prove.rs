//! `cargo xtask prove`: the proofs, by name.

use anyhow::Result;

use crate::registry::{self, Entry, Form};
use crate::workspace::{Build, Workspace};

/// A program of `simulation`: it takes `--long`, `--seed N` and `--store NAME`, prints its seed, and fails by its exit
/// code.
const fn proof(name: &'static str, about: &'static str) -> Entry {
    Entry {
        name,
        about,
        package: "simulation",
        binary: name,
        build: Build::Checked,
        short: &[],
        long: &["--long"],
        servers: &[],
    }
}

/// The same program about another data source.
const fn on(
    binary: &'static str,
    servers: &'static [&'static str],
    [short, long]: [&'static [&'static str]; 2],
    entry: Entry,
) -> Entry {
    Entry { binary, servers, short, long, ..entry }
}

/// Every proof but those of [`APART`]; the whole check runs the short form of each. A new one is a program of `simulation`
/// and a line here.
pub(crate) const PROOFS: &[Entry] = &[
    Entry {
        servers: &["mysql", "mongo"],
        ..proof(
            "convergence",
            "replicas end equal: model-based property test, 2,000 cases of up to 200 steps, 3 to 5 clients, 2 zones, \
             3 types, every data source",
        )
    },
    proof(
        "client-crash",
        "kill -9 of the client, 200 times: no half-applied session, no lost edit, no cursor ahead of its data",
    ),
    on(
        "client-crash",
        &[],
        [&["--store", "sled", "--count", "60"], &["--store", "sled", "--count", "700"]],
        proof("client-crash-sled", "the same of a client on sled"),
    ),
    proof(
        "server-crash",
        "kill -9 of the server: nothing acknowledged is lost, nothing is visible in part, retries change nothing",
    ),
    on(
        "server-crash",
        &[],
        [&["--store", "sled", "--count", "15"], &["--store", "sled", "--count", "100"]],
        proof("server-crash-sled", "the same of a server on sled"),
    ),
    on(
        "server-crash",
        &["mysql"],
        [&["--store", "mysql", "--count", "15"], &["--store", "mysql", "--count", "100"]],
        proof("server-crash-mysql", "the same of a server on MariaDB"),
    ),
    on(
        "server-crash",
        &["mongo"],
        [&["--store", "mongo", "--count", "15"], &["--store", "mongo", "--count", "100"]],
        proof("server-crash-mongo", "the same of a server on MongoDB"),
    ),
    on(
        "server-crash",
        &["mysql"],
        [
            &["--store", "mysql", "--database", "--count", "5"],
            &["--store", "mysql", "--database", "--count", "15"],
        ],
        proof(
            "database-crash-mysql",
            "the same with kill -9 of MariaDB itself, under a server that lives on",
        ),
    ),
    on(
        "server-crash",
        &["mongo"],
        [
            &["--store", "mongo", "--database", "--count", "5"],
            &["--store", "mongo", "--database", "--count", "15"],
        ],
        proof(
            "database-crash-mongo",
            "the same with kill -9 of MongoDB itself, under a server that lives on",
        ),
    ),
    proof(
        "concurrency",
        "8 pushers, 2 pullers and a process that is killed again and again, on one SQLite file: none missed, none twice; \
         a broken data source fails it",
    ),
    on(
        "concurrency",
        &[],
        [&["--store", "sled"], &["--store", "sled", "--long"]],
        proof("concurrency-sled", "8 pushers and 2 pullers in one process on one sled store"),
    ),
    on(
        "concurrency",
        &["mysql"],
        // As many sessions in either form: what goes wrong on a database with many writers is rare.
        [&["--store", "mysql", "--long"]; 2],
        proof(
            "concurrency-mysql",
            "20,000 sessions of 16 pushers, 4 pullers and a process that is killed, on one MariaDB, with pauses inside \
             transactions, cut connections and an idle stranger",
        ),
    ),
    on(
        "concurrency",
        &["mongo"],
        [&["--store", "mongo"], &["--store", "mongo", "--long"]],
        proof("concurrency-mongo", "16 pushers, 4 pullers and a process that is killed, on one MongoDB"),
    ),
    Entry {
        servers: &["mysql", "mongo"],
        ..proof(
            "differential",
            "the same random operations on every data source: equal outcomes, equal contents at every checkpoint",
        )
    },
];

/// Proofs that need a server in the place of another, and so a run of their own: a step of the whole check, and not meant by
/// `all`.
pub(crate) const APART: &[Entry] = &[on(
    "concurrency",
    &["galera"],
    [&["--store", "mysql"], &["--store", "mysql", "--long"]],
    proof(
        "concurrency-galera",
        "16 pushers, 4 pullers and a process that is killed, spread over the nodes of a Galera cluster, one of which is killed \
         and joins again",
    ),
)];

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Say what there is and run nothing.
    #[arg(long)]
    list: bool,
    #[command(flatten)]
    form: Form,
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

pub(crate) fn run(workspace: Workspace, args: &Args) -> Result<bool> {
    if args.list {
        registry::list(PROOFS.iter().chain(APART).map(|entry| (entry.name, entry.about)));
        return Ok(true);
    }
    let names = match &args.store {
        Some(store) => &args.names.iter().map(|name| format!("{name}-{store}")).collect(),
        None => &args.names,
    };
    let apart = if names.iter().any(|name| name == "all") { &[] } else { APART };
    let entries = [PROOFS, apart].concat();
    registry::run(workspace, &entries, names, args.form, args.seed)
}
