//! `cargo xtask prove client-crash` and `server-crash`: a process is killed at any moment, the client's, the server's
//! or that of the server's database, and nothing is lost or half there.

use std::process::ExitCode;

use super::{block_on, end_of_child, refused, skipped};
use crate::args::Args;
use crate::crash::server::Victim;
use crate::crash::{client, server};
use crate::report::Report;

pub(super) const CLIENT: &str = client::PROOF;
pub(super) const SERVER: &str = server::PROOF;

const THREADS: usize = 2;

fn say(problem: &str) -> String {
    format!("failed {problem}.")
}

pub(super) fn client(args: Args) -> ExitCode {
    block_on(THREADS, async {
        if let Some(told) = args.child {
            return end_of_child(client::child(&told).await, say);
        }
        let kills = args.target(200, 2_000);
        let store = match args.on_disk() {
            Ok(store) => store,
            Err(problem) => return refused(&problem),
        };
        println!("{CLIENT}: {kills} kills on {}, seed {}", store.name(), args.seed);
        let report = Report::begin(CLIENT, args.seed);
        let outcome = client::run(store, args.seed, kills).await;
        report.end(outcome, &client::minimum(kills))
    })
}

pub(super) fn server(args: Args) -> ExitCode {
    block_on(THREADS, async {
        if let Some(told) = args.child {
            return end_of_child(server::child(&told).await, say);
        }
        let kills = args.target(40, 200);
        let store = match args.storage() {
            Ok(store) => store,
            Err(problem) => return refused(&problem),
        };
        let (victim, what) = match args.database {
            true => (Victim::Database, "database-crash"),
            false => (Victim::Server, SERVER),
        };
        if let Some(is_failure) = store.skip(what) {
            return skipped(is_failure);
        }
        println!("{what}: {kills} kills on {}, seed {}", store.name(), args.seed);
        let report = Report::begin(what, args.seed);
        let outcome = server::run(store, victim, args.seed, kills).await;
        report.end(outcome, &server::minimum(store, victim, kills))
    })
}
