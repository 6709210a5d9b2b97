//! `cargo xtask prove`: the proofs, by name.

use anyhow::Result;

use crate::registry::{self, Entry, Form, Repeat};
use crate::workspace::{Build, Workspace};

/// The package and the program that the proofs live in.
pub(crate) const PACKAGE: &str = "simulation";

const SQLITE: &str = "fastsync-dao-sqlite";
const KIT: &str = "fastsync-dao-kit";
const REDB: &str = "fastsync-dao-redb";
const SLED: &str = "fastsync-dao-sled";
const MYSQL: &str = "fastsync-dao-mysql";
const POSTGRES: &str = "fastsync-dao-postgres";
const MONGO: &str = "fastsync-dao-mongo";

/// A proof of the program `simulation`: it takes `--long`, `--seed N` and `--store NAME` after its name, prints its seed,
/// and fails by its exit code.
const fn proof(
    name: &'static str,
    about: &'static str,
    servers: &'static [&'static str],
    [short, long]: [&'static [&'static str]; 2],
) -> Entry {
    Entry {
        name,
        about,
        package: PACKAGE,
        binary: PACKAGE,
        build: Build::Checked,
        short,
        long,
        servers,
        on: &[],
    }
}

/// The arguments of the short form, which goes on for some seconds, and of the long form, which goes by its own count or
/// by this one.
macro_rules! forms {
    ([$($both:literal),*], $seconds:literal) => {
        forms!(@ [$($both),*], $seconds, ["--long"])
    };
    ([$($both:literal),*], $seconds:literal, $count:literal) => {
        forms!(@ [$($both),*], $seconds, ["--count", $count])
    };
    (@ [$($both:literal),*], $seconds:literal, [$($long:literal),*]) => {
        [&[$($both,)* "--seconds", $seconds], &[$($both,)* $($long),*]]
    };
}

/// Every proof but those of [`APART`]; the whole check runs the short form of each, which together take four minutes on
/// two calm cores. A new one is a proof of `simulation`
/// and a line here.
pub(crate) const PROOFS: &[Entry] = &[
    proof(
        "convergence",
        "replicas end equal: model-based property test, cases of up to 200 steps, 3 to 5 clients, 2 zones, \
         3 types, every rule, every data source",
        &["mysql", "postgres", "mongo"],
        forms!(["convergence"], "20"),
    ),
    proof(
        "client-crash",
        "kill -9 of the client, again and again: no half-applied session, no lost edit, no cursor ahead of its data",
        &[],
        forms!(["client-crash"], "8"),
    )
    .on(&[KIT, SQLITE]),
    proof(
        "client-crash-redb",
        "the same of a client on redb",
        &[],
        forms!(["client-crash", "--store", "redb"], "6", "700"),
    )
    .on(&[KIT, REDB, SQLITE]),
    proof(
        "client-crash-sled",
        "the same of a client on sled",
        &[],
        forms!(["client-crash", "--store", "sled"], "6", "700"),
    )
    .on(&[KIT, SLED, SQLITE]),
    proof(
        "server-crash",
        "kill -9 of the server: nothing acknowledged is lost, nothing is visible in part, retries change nothing",
        &[],
        forms!(["server-crash"], "8"),
    )
    .on(&[KIT, SQLITE]),
    proof(
        "server-crash-redb",
        "the same of a server on redb",
        &[],
        forms!(["server-crash", "--store", "redb"], "6", "100"),
    )
    .on(&[KIT, REDB]),
    proof(
        "server-crash-sled",
        "the same of a server on sled",
        &[],
        forms!(["server-crash", "--store", "sled"], "6", "100"),
    )
    .on(&[KIT, SLED]),
    proof(
        "server-crash-mysql",
        "the same of a server on MariaDB",
        &["mysql"],
        forms!(["server-crash", "--store", "mysql"], "7", "100"),
    )
    .on(&[KIT, MYSQL]),
    proof(
        "server-crash-postgres",
        "the same of a server on PostgreSQL",
        &["postgres"],
        forms!(["server-crash", "--store", "postgres"], "7", "100"),
    )
    .on(&[POSTGRES]),
    proof(
        "server-crash-mongo",
        "the same of a server on MongoDB",
        &["mongo"],
        forms!(["server-crash", "--store", "mongo"], "10", "100"),
    )
    .on(&[MONGO]),
    proof(
        "database-crash-mysql",
        "the same with kill -9 of MariaDB itself, under a server that lives on",
        &["mysql"],
        forms!(["server-crash", "--store", "mysql", "--database"], "9", "15"),
    )
    .on(&[KIT, MYSQL]),
    proof(
        "database-crash-postgres",
        "the same with kill -9 of PostgreSQL itself, under a server that lives on",
        &["postgres"],
        forms!(["server-crash", "--store", "postgres", "--database"], "9", "15"),
    )
    .on(&[POSTGRES]),
    proof(
        "database-crash-mongo",
        "the same with kill -9 of MongoDB itself, under a server that lives on",
        &["mongo"],
        forms!(["server-crash", "--store", "mongo", "--database"], "9", "15"),
    )
    .on(&[MONGO]),
    proof(
        "concurrency",
        "8 pushers, 2 pullers and a process that is killed again and again, on one SQLite file: none missed, none twice; \
         a broken data source fails it",
        &[],
        forms!(["concurrency"], "5"),
    )
    .on(&[KIT, SQLITE]),
    proof(
        "concurrency-redb",
        "8 pushers and 2 pullers in one process on one redb store",
        &[],
        forms!(["concurrency", "--store", "redb"], "5"),
    )
    .on(&[KIT, REDB]),
    proof(
        "concurrency-sled",
        "8 pushers and 2 pullers in one process on one sled store",
        &[],
        forms!(["concurrency", "--store", "sled"], "5"),
    )
    .on(&[KIT, SLED]),
    proof(
        "concurrency-mysql",
        "16 pushers, 4 pullers and a process that is killed, on one MariaDB, with pauses inside \
         transactions, cut connections and an idle stranger",
        &["mysql"],
        forms!(["concurrency", "--store", "mysql"], "5"),
    )
    .on(&[KIT, MYSQL]),
    proof(
        "concurrency-postgres",
        "16 pushers, 4 pullers and a process that is killed, on one PostgreSQL, with pauses inside \
         transactions, cut connections and an idle stranger",
        &["postgres"],
        forms!(["concurrency", "--store", "postgres"], "5"),
    )
    .on(&[POSTGRES]),
    proof(
        "concurrency-mongo",
        "16 pushers, 4 pullers and a process that is killed, on one MongoDB",
        &["mongo"],
        forms!(["concurrency", "--store", "mongo"], "5"),
    )
    .on(&[MONGO]),
    proof(
        "failover-postgres",
        "the primary of a PostgreSQL dies under load and its standby is promoted: nothing acknowledged is lost behind a \
         synchronous one; what an asynchronous one lacked, devices are told of and send again",
        &["postgres"],
        forms!(["failover"], "1", "20"),
    )
    .on(&[POSTGRES]),
    proof(
        "differential",
        "the same random operations on every data source: equal outcomes, equal contents at every checkpoint",
        &["mysql", "postgres", "mongo"],
        forms!(["differential"], "5"),
    ),
];

/// Proofs that need a server in the place of another, and so a run of their own: a step of the whole check, and not meant by
/// `all`.
pub(crate) const APART: &[Entry] = &[proof(
    "concurrency-galera",
    "16 pushers, 4 pullers and a process that is killed, spread over the nodes of a Galera cluster, one of which is killed \
     and joins again",
    &["galera"],
    forms!(["concurrency", "--store", "mysql"], "5"),
)
.on(&[KIT, MYSQL])];

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
    /// Repeat one case of that run alone: the number that the failure printed.
    #[arg(long, value_name = "N", requires = "seed")]
    case: Option<u64>,
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
    let repeat = args.seed.map(|seed| Repeat { seed, case: args.case });
    registry::run(workspace, &entries, names, args.form, repeat)
}
