//! The end of a run: what happened, whether it was enough, and how to repeat it.
#![allow(clippy::print_stdout, reason = "programs report with it")]

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use crate::counts::Counts;

/// A run that goes on.
#[derive(Debug)]
pub struct Report {
    name: &'static str,
    seed: u64,
    began: Duration,
}

impl Report {
    /// Begins a run.
    #[must_use]
    pub fn begin(name: &'static str, seed: u64) -> Self {
        Self { name, seed, began: now() }
    }

    /// Prints how it ended. It passed if nothing was wrong and enough happened.
    #[must_use]
    pub fn end(&self, outcome: Result<Counts, String>, minimum: &[(&'static str, u64)]) -> ExitCode {
        let took = now().saturating_sub(self.began).as_secs_f64();
        let problem = match outcome {
            Err(problem) => problem,
            Ok(counts) => {
                print!("{counts}");
                let missing = counts.missing(minimum);
                if missing.is_empty() {
                    println!("{}: passed in {took:.1} s", self.name);
                    return ExitCode::SUCCESS;
                }
                format!("too little happened: {}", missing.join(", "))
            }
        };
        println!("{}: FAILED after {took:.1} s: {problem}", self.name);
        // The proof has another name than its program where it is about a particular data source.
        println!("repeat: the same `cargo xtask prove` with --seed {}", self.seed);
        ExitCode::FAILURE
    }
}

#[allow(clippy::disallowed_methods, reason = "measures its own running time")]
fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}
