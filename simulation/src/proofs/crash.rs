//! `cargo xtask prove client-crash` and `server-crash`: a process is killed at any moment, the client's, the server's
//! or that of the server's database, and nothing is lost or half there.

use std::process::ExitCode;

use super::{block_on, end_of_child, refused, skipped};
use crate::args::Args;
use crate::crash::server::Victim;
use crate::crash::{client, server};
use crate::pace::Pace;
use crate::report::{Failure, Report};
use crate::storage::OnDisk;

pub(super) const CLIENT: &str = client::PROOF;
pub(super) const SERVER: &str = server::PROOF;

const THREADS: usize = 2;

/// Why a kill cannot be repeated alone.
const NO_CASE: &str = "kills follow each other on one store, and the moment of each decides what it meets";

fn say(problem: &str) -> String {
    format!("failed {problem}.")
}

pub(super) fn client(args: &Args) -> ExitCode {
    block_on(THREADS, async {
        if let Some(told) = &args.child {
            return end_of_child(client::child(told).await, say);
        }
        let store = match args.no_case(NO_CASE).and_then(|()| args.on_disk()) {
            Ok(store) => store,
            Err(problem) => return refused(&problem),
        };
        // The others take longer to open.
        let least = if store != OnDisk::Sqlite { 20 } else { 60 };
        let budget = args.budget(200, 2_000);
        println!("{CLIENT}: {budget} of kills on {}, seed {}", store.name(), args.seed);
        let report = Report::begin(CLIENT, args.seed);
        let pace = Pace::begin(budget, client::minimum(budget.least(least)));
        let outcome = client::run(store, args.seed, &pace).await;
        report.end(outcome.map_err(Failure::from), pace.minimum())
    })
}

pub(super) fn server(args: &Args) -> ExitCode {
    block_on(THREADS, async {
        if let Some(told) = &args.child {
            return end_of_child(server::child(told).await, say);
        }
        let store = match args.no_case(NO_CASE).and_then(|()| args.storage()) {
            Ok(store) => store,
            Err(problem) => return refused(&problem),
        };
        let (victim, what, least) = match args.database {
            true => (Victim::Database, "database-crash", 3),
            false => (Victim::Server, SERVER, 5),
        };
        if let Some(is_failure) = store.skip(what) {
            return skipped(is_failure);
        }
        let budget = args.budget(40, 200);
        println!("{what}: {budget} of kills on {}, seed {}", store.name(), args.seed);
        let report = Report::begin(what, args.seed);
        let pace = Pace::begin(budget, server::minimum(store, victim, budget.least(least)));
        let outcome = server::run(store, victim, args.seed, &pace).await;
        report.end(outcome.map_err(Failure::from), pace.minimum())
    })
}
