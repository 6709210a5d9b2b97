//! redb data source for FastSync: an embedded key-value store with durable transactions.
//!
//! ```
//! use fastsync_core::source::Preparation;
//! use fastsync_core::{FieldKind, Query, SyncableDataSource, SyncableDataSourceExt as _, TypeName, TypeSchema, Zone};
//! use fastsync_dao_redb::RedbDataSource;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> fastsync_core::Result<()> {
//! # let folder = tempfile::tempdir().unwrap();
//! # let path = folder.path().join("app.redb");
//! let source = RedbDataSource::open(path)?;
//! let items = TypeSchema::builder("items", "id").field("name", FieldKind::Text).build()?;
//! source.prepare(&[items], Preparation::Apply).await?;
//!
//! let all = Query::all(TypeName::new("items")?, Zone::Global);
//! assert_eq!(source.count(&all).await?, 0);
//! # Ok(())
//! # }
//! ```
//!
//! # What is stored
//!
//! Everything is in one table of one file. How records lie in it, and what a query costs, is the kit's:
//! [`fastsync_dao_kit::kv`].
//!
//! # Threads, processes, durability
//!
//! One thread writes and a few read, so no runtime is needed and no call blocks its caller's thread. A call that was
//! started runs to its end, also if its future is dropped. One handle and its clones have a store to themselves.
//!
//! A commit is a transaction of redb's and is on the disk before anybody sees it. Commits that come at the same time share
//! one. A reader keeps to the state that it began with, so neither waits for the other. A commit of staged batches is one
//! transaction too: redb writes its pages to the file as they come, so it takes no more memory than
//! [`cache_bytes`](RedbConfig::cache_bytes) and 24 bytes per key.
//!
//! # Damage
//!
//! A file that is cut off, or is not redb's, is `Corrupt` when the store is opened. After a crash, opening the store checks
//! the whole file by its checksums, which takes time in proportion to its size. A bit that flips in a file which was closed
//! properly is noticed only where it makes a record unreadable, unless you set
//! [`check_on_open`](RedbConfig::check_on_open).
#![cfg_attr(docsrs, feature(doc_cfg))]
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

mod config;
mod engine;
mod error;
mod source;

pub use config::RedbConfig;
pub use source::RedbDataSource;

/// The examples of the README, tested.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
