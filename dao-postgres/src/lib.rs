//! PostgreSQL data source for FastSync.
#![cfg_attr(
    not(test),
    warn(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unreachable
    )
)]

// The tests share a file with those outside, which know this crate by its name.
#[cfg(test)]
extern crate self as fastsync_dao_postgres;

mod adopt;
mod attempt;
mod audit;
mod checks;
mod codec;
mod columns;
mod commit;
mod config;
mod error;
mod feed;
mod finish;
mod index;
mod load;
mod native;
mod plan;
mod prepare;
mod query;
mod read;
mod registry;
mod retry;
mod rows;
mod source;
mod sql;
mod staging;
mod store;
mod swap;
#[cfg(test)]
mod tests;
mod unnoticed;
mod upgrade;
#[cfg(test)]
mod upgrade_tests;
mod walk;

pub use config::{Durability, PostgresConfig, Warning};
pub use source::PostgresDataSource;
pub use sqlx;
