//! `cargo xtask prove concurrency`: 8 pushers and 2 pullers in two processes on one SQLite file, or in one on sled.
#![allow(clippy::print_stdout, reason = "a program that reports")]

use std::process::ExitCode;

use simulation::args::Args;
use simulation::concurrency::run;
use simulation::report::Report;

#[tokio::main(flavor = "multi_thread", worker_threads = 4)]
async fn main() -> ExitCode {
    let args = Args::read();
    if let Some(told) = args.child {
        return match run::child(&told).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(problem) => {
                println!("problem {problem}");
                ExitCode::FAILURE
            }
        };
    }
    let sessions = args.target(2_000, 20_000);
    println!("concurrency: {sessions} sessions on {}, seed {}", args.store.name(), args.seed);
    let report = Report::begin("concurrency", args.seed);
    let outcome = run::run(args.store, args.seed, sessions).await;
    if let Ok(counts) = &outcome {
        let missed = counts.of("records that the broken source lost");
        println!("broken source: caught ({missed} records missed)");
    }
    report.end(outcome, &run::minimum(sessions))
}
