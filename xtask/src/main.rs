//! The commands of this workspace; `cargo xtask --help` lists them.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line program talks by printing")]
#![allow(clippy::disallowed_methods, reason = "it measures how long real programs take")]

mod api;
mod bench;
mod gates;
mod guard;
mod instructions;
mod mutants;
mod package;
mod peers;
mod prove;
mod registry;
mod release;
mod serve;
mod servers;
mod slowest;
mod summary;
mod test;
mod unchanged;
mod wheel;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

use crate::guard::Guard;
use crate::workspace::Workspace;

/// The commands of this workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Cli {
    /// Run every check: formatting, lints, gates, tests, documentation, examples, proofs, figures.
    Test(test::Args),
    /// Run named proofs: long random, crash and concurrency runs.
    Prove(prove::Args),
    /// Run named figures: each prints a table and one JSON line and fails where a stated figure is missed.
    Bench(bench::Args),
    /// Compare the public interface of every published crate with the kept listing.
    Api(api::Args),
    /// Count the instructions of the hot paths.
    Instructions(instructions::Args),
    /// Change the code in one place at a time, and see whether a test notices.
    Mutants(mutants::Args),
    /// Start servers, and run a command that uses them.
    Serve(serve::Args),
    /// Measure other libraries with the workloads of the figures; they are fetched for it.
    Peers(peers::Args),
    /// Check what a release needs beside the tests: packages that build alone, features in all combinations, no break unnoticed.
    ReleaseCheck(release::Args),
    /// Write the repository's address into Cargo.toml and into every link.
    Repository(package::RepositoryArgs),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let guard = match Guard::begin() {
        Ok(guard) => guard,
        Err(error) => {
            eprintln!("error: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    let passed = Workspace::load().and_then(|workspace| match cli {
        Cli::Test(args) => test::run(workspace, &args),
        Cli::Prove(args) => prove::run(workspace, &args),
        Cli::Bench(args) => bench::run(workspace, &args),
        Cli::Api(args) => api::run(&workspace, &args),
        Cli::Instructions(args) => instructions::run(&workspace, &args),
        Cli::Mutants(args) => mutants::run(&workspace, &args),
        Cli::Serve(args) => serve::run(workspace, &args),
        Cli::Peers(args) => peers::run(&workspace, &args),
        Cli::ReleaseCheck(args) => release::run(&workspace, &args),
        Cli::Repository(args) => package::set_address(&workspace, &args),
    });
    drop(guard);
    match passed {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
