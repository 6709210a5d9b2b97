//! sled data source for FastSync: an embedded key-value store.
#![cfg_attr(
    not(test),
    warn(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::panic,
        clippy::unreachable
    )
)]

mod aside;
mod commit;
mod config;
mod disk;
mod error;
mod feed;
mod key;
mod mark;
mod query;
mod read;
mod record;
mod registry;
mod rows;
mod source;
mod staging;
mod store;
#[cfg(test)]
mod tests;
mod tree;
mod workers;

pub use config::{SledConfig, Synchronous};
pub use source::SledDataSource;
