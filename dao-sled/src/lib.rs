//! sled data source for FastSync: an embedded key-value store.
//!
//! ```
//! use fastsync_core::source::Preparation;
//! use fastsync_core::{FieldKind, Query, SyncableDataSource, SyncableDataSourceExt as _, TypeName, TypeSchema, Zone};
//! use fastsync_dao_sled::SledDataSource;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> fastsync_core::Result<()> {
//! # let folder = tempfile::tempdir().unwrap();
//! # let path = folder.path().join("app.store");
//! let source = SledDataSource::open(path)?;
//! let items = TypeSchema::builder("items", "id").field("name", FieldKind::Text).build()?;
//! source.prepare(&[items], Preparation::Apply).await?;
//!
//! let all = Query::all(TypeName::new("items")?, Zone::Global);
//! assert_eq!(source.count(&all).await?, 0);
//! # Ok(())
//! # }
//! ```
//!
//! How records lie in it, and what a query costs, is the kit's: [`fastsync_dao_kit::kv`].
//!
//! # Threads, processes, durability
//!
//! One thread writes and a few read, so no runtime is needed and no call blocks its caller's thread. A call that was
//! started runs to its end, also if its future is dropped. One handle and its clones have a store to themselves.
//!
//! Commits that come at the same time are written as one batch and flushed once. sled's flush is no `fsync` on Linux, so
//! with [`Synchronous::Full`], the default, the files are synced as well: a commit is on the disk before anybody sees
//! it. Readers wait while a batch is applied, flushed and synced; a long query holds up commits as long.
//!
//! A commit of staged batches is decided at once and carried out in steps of a few megabytes, while readers wait. If the
//! process dies on the way, opening the store finishes it.
//!
//! # Damage
//!
//! A file that is cut off or altered, and one that is missing, is `Corrupt` when the store is opened or when what is
//! damaged is read. Beside sled's files lies the number of the last durable write, since sled drops a damaged end of its
//! log without a word. [`SledDataSource::move_aside`] makes room for a new store and deletes nothing.
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

mod aside;
mod config;
mod disk;
mod engine;
mod error;
mod mark;
mod source;

pub use config::{SledConfig, Synchronous};
pub use source::SledDataSource;

/// The examples of the README, tested.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
