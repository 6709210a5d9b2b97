//! `cargo xtask prove differential`: the same random operations on every data source lead to the same.
#![allow(clippy::print_stdout, reason = "a program that reports")]

use std::process::ExitCode;

use simulation::args::Args;
use simulation::differential::{Subject, minimum, run};
use simulation::report::Report;
use simulation::storage::StorageKind;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let args = Args::read();
    let operations = args.target(2_000, 50_000);
    let mut subjects = vec![Subject::memory()];
    for kind in StorageKind::ALL {
        match kind.skip("differential") {
            None => match Subject::new(kind).await {
                Ok(subject) => subjects.push(subject),
                Err(problem) => {
                    println!("{}: {problem}", kind.name());
                    return ExitCode::FAILURE;
                }
            },
            Some(true) => return ExitCode::FAILURE,
            Some(false) => {}
        }
    }
    println!("differential: {operations} operations, seed {}", args.seed);
    let report = Report::begin("differential", args.seed);
    let outcome = run(args.seed, operations, subjects).await;
    report.end(outcome, &minimum(operations))
}
