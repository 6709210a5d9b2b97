//! The floor: what a patient person writes by hand to move rows from one database to another over HTTP.
//!
//! Rows as JSON in batches of 1,000 over one keep-alive connection of hyper; each batch is parsed and upserted by
//! [what its database has for that](crate::raw), durably. Nothing else: no conflicts, no deletions, no sessions, no
//! retries, no zones, and one thing after the other.

mod client;
mod server;

pub use client::{pull, push};
pub use server::serve;
