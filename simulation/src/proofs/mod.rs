//! The proofs by name, as the program `simulation` runs them.
//!
//! One program, because each further one is linked with every database driver anew.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that reports")]

mod convergence;
mod crash;
mod differential;
mod failover;
mod writers;

use std::process::ExitCode;

use crate::args::{Args, USAGE};

/// A proof: a name, and what runs it.
#[derive(Debug)]
pub struct Proof {
    /// Its first argument.
    pub name: &'static str,
    run: fn(&Args) -> ExitCode,
}

/// All of them. A new one is a line here and one in `xtask/src/prove.rs`.
pub const PROOFS: &[Proof] = &[
    Proof { name: convergence::NAME, run: convergence::run },
    Proof { name: crash::CLIENT, run: crash::client },
    Proof { name: crash::SERVER, run: crash::server },
    Proof { name: writers::NAME, run: writers::run },
    Proof { name: differential::NAME, run: differential::run },
    Proof { name: failover::NAME, run: failover::run },
];

/// Runs the proof that the first argument names with the others as its options.
#[must_use]
pub fn main(mut args: impl Iterator<Item = String>) -> ExitCode {
    let parsed = named(args.next().as_deref()).and_then(|proof| Ok((proof, Args::parse(args)?)));
    match parsed {
        Ok((proof, args)) => (proof.run)(&args),
        Err(message) => {
            eprintln!("{message}\nusage: simulation NAME {USAGE}");
            ExitCode::from(2)
        }
    }
}

/// The proof of this name.
///
/// # Errors
/// The names that there are.
pub fn named(name: Option<&str>) -> Result<&'static Proof, String> {
    let name = name.unwrap_or_default();
    PROOFS.iter().find(|proof| proof.name == name).ok_or_else(|| {
        let known = PROOFS.iter().map(|proof| proof.name).collect::<Vec<_>>().join(", ");
        format!("there is no proof {name:?}; there are {known}")
    })
}

/// Runs a proof that works on so many threads.
fn block_on(threads: usize, proof: impl Future<Output = ExitCode>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(proof),
        Err(error) => refused(&format!("no runtime: {error}")),
    }
}

/// A run that cannot begin.
fn refused(problem: &str) -> ExitCode {
    println!("{problem}");
    ExitCode::FAILURE
}

/// How a process ends that its proof has started; `prefix` marks what it says to its parent.
fn end_of_child(outcome: Result<(), String>, say: impl Fn(&str) -> String) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => refused(&say(&problem)),
    }
}

/// How a proof ends on a storage that is not here.
const fn skipped(is_failure: bool) -> ExitCode {
    if is_failure { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
