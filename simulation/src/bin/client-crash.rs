//! `cargo xtask prove client-crash`: the client's process is killed at any moment, and nothing is lost or half there.
#![allow(clippy::print_stdout, reason = "a program that reports")]

use std::process::ExitCode;

use simulation::args::Args;
use simulation::crash::client;
use simulation::report;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let args = Args::read();
    if let Some(told) = args.child {
        return match client::child(&told).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(problem) => {
                println!("failed {problem}.");
                ExitCode::FAILURE
            }
        };
    }
    let kills = args.target(200, 2_000);
    let store = match args.on_disk() {
        Ok(store) => store,
        Err(problem) => {
            println!("{problem}");
            return ExitCode::FAILURE;
        }
    };
    println!("client-crash: {kills} kills on {}, seed {}", store.name(), args.seed);
    let report = report::Report::begin("client-crash", args.seed);
    let outcome = client::run(store, args.seed, kills).await;
    report.end(outcome, &client::minimum(kills))
}
