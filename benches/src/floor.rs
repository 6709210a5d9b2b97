//! The floor: what a patient person writes by hand to move rows from one SQLite file to another over HTTP.
//!
//! Rows as JSON in batches of 1,000 over one keep-alive connection of hyper; each batch is parsed and upserted by a
//! prepared statement in one durable transaction. Nothing else: no conflicts, no deletions, no sessions, no retries,
//! no zones, and one thing after the other.

mod client;
mod database;
mod server;

pub use client::{pull, push};
pub use server::serve;

/// How many rows a request carries.
pub const BATCH: usize = 1_000;
