//! MySQL and MariaDB data source for FastSync.
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

mod adopt;
mod audit;
mod checks;
mod codec;
mod columns;
mod commit;
mod config;
mod dialect;
mod error;
mod feed;
mod finish;
mod index;
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

pub use config::{Durability, MySqlConfig, Warning};
pub use source::MySqlDataSource;
pub use sqlx;
