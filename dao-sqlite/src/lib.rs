//! SQLite data source for FastSync.
//!
//! ```
//! use fastsync_core::source::Preparation;
//! use fastsync_core::{FieldKind, Query, SyncableDataSource, SyncableDataSourceExt as _, TypeName, TypeSchema, Zone};
//! use fastsync_dao_sqlite::SqliteDataSource;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> fastsync_core::Result<()> {
//! # let folder = tempfile::tempdir().unwrap();
//! # let path = folder.path().join("app.db");
//! let source = SqliteDataSource::open(path)?;
//! let items = TypeSchema::builder("items", "id").field("name", FieldKind::Text).build()?;
//! source.prepare(&[items], Preparation::Apply).await?;
//!
//! let all = Query::all(TypeName::new("items")?, Zone::Global);
//! assert_eq!(source.count(&all).await?, 0);
//! # Ok(())
//! # }
//! ```
//!
//! # Your tables
//!
//! Each type is a table with its name: a typed column per field, the id column as primary key (with a `zone` column
//! for restricted types). Query, index and join them with plain SQL. The sync data lies beside them in tables whose
//! names begin with `fastsync_`; a deleted object leaves your table at once.
//!
//! [`prepare`](fastsync_core::SyncableDataSource::prepare) makes the tables, or adopts a table that is there: it
//! adds the columns that are missing and refuses, with all reasons at once, what contradicts: another primary key,
//! a column of another affinity or without nulls where the field has them, a generated column, a further column
//! that needs a value. Your further columns, indexes, foreign keys and triggers stay, and a write that they refuse
//! is a conflict of that write. A foreign key with `CASCADE`, `SET NULL` or `SET DEFAULT` on a type's table, and a trigger that writes
//! to one, are refused: no client would hear of what they change. In tables of your own that refer to a type's they are fine. Foreign
//! keys are checked at the end of a commit. A column whose field becomes nullable is replaced by one without `NOT NULL`, with its indexes; one with a constraint of yours is refused.
//!
//! Rows that were in an adopted table before are not tracked: until they are written through this library or
//! [`adopt_rows`](SqliteDataSource::adopt_rows) makes objects of them, no method returns, counts, sends or clears them. A tracked row that is deleted past this library, with SQL, is passed over in
//! the same way, and its deletion is not sent. Rows that are inserted or changed with SQL
//! are not sent either.
//!
//! # Threads, processes, durability
//!
//! One thread writes and a few read, each with a connection of its own, so no runtime is needed and no call blocks
//! its caller's thread. Reads do not wait for the writer. A call that was started runs to its end, also if its
//! future is dropped. Other processes may use the same file; a call waits for their locks up to the busy timeout and
//! answers `Unavailable` then.
//!
//! The file is in WAL mode. With [`Synchronous::Full`], the default, a commit is on the disk before anybody sees it.
//!
//! A staged commit reads one batch at a time, and keeps 16 bytes per key to know the keys that were staged twice.
#![cfg_attr(docsrs, feature(doc_cfg))]
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

mod acknowledge;
mod adoption;
mod alter;
mod apply;
mod catalog;
mod codec;
mod commit;
mod config;
mod connection;
mod dialect;
mod error;
mod feed;
mod finish;
mod foreign;
mod key;
mod merge;
mod names;
mod plan;
mod prepare;
mod put;
mod query;
mod read;
mod registry;
mod schema;
mod source;
mod staging;
mod statements;
mod swap;
/// The examples of the README, tested.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod upgrade_tests;
mod write;

pub use config::{SqliteConfig, Synchronous};
pub use fastsync_dao_kit::sql::{AdoptedRows, RowZones};
pub use rusqlite;
pub use source::SqliteDataSource;
