//! The conformance suite of FastSync: every [`SyncableDataSource`](fastsync_core::SyncableDataSource) passes it.
//!
//! Each case checks one sentence of the contract in [`fastsync_core::source`] against a storage of its own. One that
//! fails, or takes longer than [`Harness::time_limit`], says the sentence, what was done and what was found. A
//! data source joins with a [`Harness`] and one line, which makes one named `#[test]` per case:
//!
//! ```
//! use std::sync::Arc;
//!
//! use async_trait::async_trait;
//! use fastsync_conformance::Harness;
//! use fastsync_core::{MemoryDataSource, SyncableDataSource};
//!
//! #[derive(Default)]
//! struct MemoryHarness {
//!     storage: MemoryDataSource,
//! }
//!
//! #[async_trait]
//! impl Harness for MemoryHarness {
//!     async fn open(&self) -> Arc<dyn SyncableDataSource> {
//!         Arc::new(self.storage.clone())
//!     }
//! }
//!
//! fastsync_conformance::conformance_tests!(MemoryHarness::default());
//! # fn main() {
//! #     use fastsync_conformance::{Outcome, cases};
//! #     assert_eq!(cases()[0].run(Arc::new(MemoryHarness::default())), Outcome::Passed);
//! # }
//! ```
//!
//! The crate that uses it needs no async runtime of its own. [`run_all`] runs the same cases from a program and
//! reports them, [`cases()`] lists them, and [`FaultSource`] makes any data source fail on demand.

mod cases;
pub mod crash;
pub mod evolution;
mod fault;
mod fixture;
mod harness;
mod list;
mod macros;
mod records;
mod run;
pub mod samples;
mod steps;
pub mod stored;
mod walk;

pub use fault::{Fault, FaultSource, Method, When};
pub use fixture::Fixture;
pub use harness::{Constraint, Harness};
pub use records::{WriteExt, acknowledge, acme, birch, key, name, put, put_pending, schemas};
pub use run::{Case, Outcome, cases, run_all, run_case, run_single};
pub use walk::Walk;

/// The examples of the README, tested.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
