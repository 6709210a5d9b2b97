//! MongoDB data source for FastSync.
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

mod attempt;
mod bulk;
mod codec;
mod commit;
mod error;
mod feed;
mod job;
mod lane;
mod orphans;
mod prepare;
mod query;
mod read;
mod registry;
mod slots;
mod source;
mod staging;
mod store;

pub use mongodb;
pub use source::MongoDataSource;
