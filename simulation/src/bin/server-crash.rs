//! `cargo xtask prove server-crash`: the server's process is killed at any moment, or that of its database is, and nothing
//! is lost or half there.
#![allow(clippy::print_stdout, reason = "a program that reports")]

use std::process::ExitCode;

use simulation::args::Args;
use simulation::crash::server::{self, Victim};
use simulation::report;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let args = Args::read();
    if let Some(told) = args.child {
        return match server::child(&told).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(problem) => {
                println!("failed {problem}.");
                ExitCode::FAILURE
            }
        };
    }
    let kills = args.target(40, 200);
    let store = match args.storage() {
        Ok(store) => store,
        Err(problem) => {
            println!("{problem}");
            return ExitCode::FAILURE;
        }
    };
    let (victim, what) = match args.database {
        true => (Victim::Database, "database-crash"),
        false => (Victim::Server, "server-crash"),
    };
    if let Some(is_failure) = store.skip(what) {
        return if is_failure { ExitCode::FAILURE } else { ExitCode::SUCCESS };
    }
    println!("{what}: {kills} kills on {}, seed {}", store.name(), args.seed);
    let report = report::Report::begin(what, args.seed);
    let outcome = server::run(store, victim, args.seed, kills).await;
    report.end(outcome, &server::minimum(store, victim, kills))
}
