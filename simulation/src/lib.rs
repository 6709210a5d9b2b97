//! Whole-system runs of FastSync: a model-based property test, crash runs with real processes, and a concurrency
//! run on a real database.
//!
//! Each is a proof of the program `simulation`, started by `cargo xtask prove NAME`. Every randomised run prints its seed,
//! takes `--seed`, counts what happened, and goes on until enough did: a run without conflicts, lost answers and
//! kills proves nothing. A run of cases names the one that fails, and repeats it alone with `--case`.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "this crate is a test: a broken expectation ends the run"
)]

pub mod args;
pub mod concurrency;
pub mod convergence;
pub mod counts;
pub mod crash;
pub mod differential;
pub mod failover;
pub mod following;
pub mod model;
pub mod pace;
pub mod proofs;
pub mod random;
pub mod report;
pub mod storage;

/// What an error says.
pub(crate) fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
