//! `cargo xtask prove concurrency`, and the same on other stores: pushers and pullers in two processes on one storage, or
//! in one where a store takes one only.
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
    let kind = match args.storage() {
        Ok(kind) => kind,
        Err(problem) => {
            println!("{problem}");
            return ExitCode::FAILURE;
        }
    };
    if let Some(is_failure) = kind.skip("concurrency") {
        return if is_failure { ExitCode::FAILURE } else { ExitCode::SUCCESS };
    }
    let sessions = args.target(2_000, 20_000);
    println!("concurrency on {}: {sessions} sessions, seed {}", kind.name(), args.seed);
    let report = Report::begin("concurrency", args.seed);
    let outcome = run::run(kind, args.seed, sessions).await;
    if let Ok(counts) = &outcome {
        let missed = counts.of("records that the broken source lost");
        println!("broken source: caught ({missed} records missed)");
    }
    report.end(outcome, &run::minimum(kind, sessions))
}
