//! `cargo xtask prove concurrency`, and the same on other stores: pushers and pullers in two processes on one storage, or
//! in one where a store takes one only.
#![allow(clippy::print_stdout, reason = "a program that reports")]

use std::process::ExitCode;

use simulation::args::Args;
use simulation::concurrency::{StorageKind, run};
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
    let store = args.store.clone().unwrap_or_else(|| "sqlite".to_owned());
    let kind = match store.parse::<StorageKind>() {
        Ok(kind) => kind,
        Err(problem) => {
            println!("{problem}");
            return ExitCode::FAILURE;
        }
    };
    if let Some(reason) = kind.missing() {
        let required = std::env::var("FASTSYNC_REQUIRE").unwrap_or_default();
        println!("SKIPPED concurrency on {store}: {reason}");
        let is_required = required.split(',').any(|name| name.trim() == store);
        return if is_required { ExitCode::FAILURE } else { ExitCode::SUCCESS };
    }
    let sessions = args.target(2_000, 20_000);
    println!("concurrency on {store}: {sessions} sessions, seed {}", args.seed);
    let report = Report::begin("concurrency", args.seed);
    let outcome = run::run(kind, &store, args.seed, sessions).await;
    if let Ok(counts) = &outcome {
        let missed = counts.of("records that the broken source lost");
        println!("broken source: caught ({missed} records missed)");
    }
    report.end(outcome, &run::minimum(kind, sessions))
}
