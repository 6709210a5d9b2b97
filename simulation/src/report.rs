//! The end of a run: what happened, whether it was enough, and how to repeat it.
#![allow(clippy::print_stdout, reason = "programs report with it")]

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use crate::counts::Counts;

/// What does not hold, and in which case if the run consists of cases that can be repeated alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The number of the case.
    pub case: Option<u64>,
    /// What does not hold.
    pub problem: String,
}

impl From<String> for Failure {
    fn from(problem: String) -> Self {
        Self { case: None, problem }
    }
}

impl Failure {
    /// What does not hold in this case.
    #[must_use]
    pub fn of(case: u64, problem: String) -> Self {
        Self { case: Some(case), problem }
    }
}

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
    pub fn end(&self, outcome: Result<Counts, Failure>, minimum: &[(&'static str, u64)]) -> ExitCode {
        let took = now().saturating_sub(self.began).as_secs_f64();
        let Failure { case, problem } = match outcome {
            Err(failure) => failure,
            Ok(counts) => {
                print!("{counts}");
                let missing = counts.missing(minimum);
                if missing.is_empty() {
                    println!("{}: passed in {took:.1} s", self.name);
                    return ExitCode::SUCCESS;
                }
                format!("too little happened: {}", missing.join(", ")).into()
            }
        };
        println!("{}: FAILED after {took:.1} s: {problem}", self.name);
        let case = case.map(|case| format!(" --case {case}")).unwrap_or_default();
        // The proof has another name than its program where it is about a particular data source.
        println!("repeat: the same `cargo xtask prove` with --seed {}{case}", self.seed);
        ExitCode::FAILURE
    }
}

/// The time, to measure how long a run takes.
#[allow(clippy::disallowed_methods, reason = "measures its own running time")]
pub(crate) fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}
