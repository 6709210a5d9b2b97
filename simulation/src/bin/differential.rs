//! `cargo xtask prove differential`: the same random operations on every data source lead to the same.
#![allow(clippy::print_stdout, reason = "a program that reports")]

use std::process::ExitCode;

use simulation::args::Args;
use simulation::differential::{Subject, minimum, run};
use simulation::on_disk::OnDisk;
use simulation::report::Report;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let args = Args::read();
    let operations = args.target(4_000, 50_000);
    let folder = match tempfile::tempdir() {
        Ok(folder) => folder,
        Err(error) => {
            println!("no folder: {error}");
            return ExitCode::FAILURE;
        }
    };
    // A further data source is a line here.
    let subjects = vec![
        Subject::memory(),
        Subject::on_disk(OnDisk::Sqlite, folder.path()),
        Subject::on_disk(OnDisk::Sled, folder.path()),
    ];
    println!("differential: {operations} operations, seed {}", args.seed);
    let report = Report::begin("differential", args.seed);
    let outcome = run(args.seed, operations, subjects).await;
    report.end(outcome, &minimum(operations))
}
