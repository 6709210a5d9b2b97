//! PostgreSQL data source for FastSync.
//!
//! ```no_run
//! use fastsync_core::source::Preparation;
//! use fastsync_core::{FieldKind, SyncableDataSource, TypeSchema};
//! use fastsync_dao_postgres::PostgresDataSource;
//!
//! # async fn run() -> fastsync_core::Result<()> {
//! let source = PostgresDataSource::connect("postgres://user:password@localhost/shop").await?;
//! for warning in source.warnings() {
//!     eprintln!("{warning}");
//! }
//! let items = TypeSchema::builder("items", "id").field("name", FieldKind::Text).build()?;
//! source.prepare(&[items], Preparation::Apply).await?;
//! # Ok(())
//! # }
//! ```
//!
//! It takes a URL or a pool of yours ([`PostgresDataSource::new`]); [`sqlx`] is re-exported for that. PostgreSQL
//! from 14 is supported; the tests run on 15 and 18.
//!
//! # Your tables
//!
//! Each type is a table with its name, in the schema of [`PostgresConfig::schema`]: a typed column per field, the id
//! column as primary key (with a `zone` column before it for restricted types). Query, index and join them with plain
//! SQL. The sync data lies beside them in tables whose names begin with `fastsync_`; a deleted object leaves your table
//! at once. All names are qualified, so `search_path` means nothing.
//!
//! | kind | column |
//! |---|---|
//! | `Boolean`, `Real` | `boolean`, `double precision` |
//! | `I8`, `U8`, `I16`; `U16`, `I32`; `U32`, `Integer` | `smallint`; `integer`; `bigint` |
//! | `Decimal` | `numeric` |
//! | `Text` | `text COLLATE "C"` |
//! | `Uuid`, `Date` | `uuid`, `date` |
//! | `Instant`, `LocalDateTime`, `Time` | `text COLLATE "C"`: they have nine digits of a second, the server's types six |
//! | `Bytes`, `Json` | `bytea`, `json`, which keeps its text as it is |
//! | ids of kind `Text`, `Uuid`, `Integer` | `text COLLATE "C"`, `uuid`, `bigint` |
//!
//! A text in UTC sorts and compares as the moment that it is, and `at::timestamptz` makes it one in a query of yours. A
//! table of yours may have `timestamptz`, `timestamp` and `time` columns: a moment that is finer than they are is refused.
//! Filters and orders are those of every other data source: text goes by its bytes, null comes first.
//!
//! [`prepare`](fastsync_core::SyncableDataSource::prepare) makes the tables, or adopts a table that is there: it adds
//! the columns that are missing and refuses, with all reasons at once, what contradicts: another primary key, an id
//! that does not compare by bytes, a column that cannot hold the kind exactly (`jsonb`, `real`, `char`), a generated
//! column, a further column that needs a value, an `UNLOGGED` table, rules, row-level security that is active for this
//! role. It is one transaction: all of it is done, or nothing. Any number of processes may call it at once.
//!
//! Your further columns, indexes, foreign keys and triggers stay. A write that they refuse is a conflict of that write,
//! which names the constraint; so is a text that is too long for your `varchar(20)`, a number beyond your `smallint`, and
//! one with more digits than your `numeric(10,2)`, and a moment that is finer than your `timestamptz`, which the server would
//! round without an error. A refused
//! write never takes the place of another object's row. Constraints that are `DEFERRABLE` may be broken within a commit, and name the row that breaks them at
//! its end. A foreign key with `CASCADE`, `SET NULL` or `SET DEFAULT` on a type's table, and a trigger that writes to one
//! or assigns to `NEW`, are refused: no client would hear of what they change. In tables of your own that refer to a
//! type's they are fine.
//!
//! Rows of one commit may exchange unique values. Only a unique column that refers to another table and cannot be null
//! cannot be exchanged: let it be null, or its constraint be `DEFERRABLE INITIALLY DEFERRED`.
//!
//! Rows that were in an adopted table before are not tracked: until they are written through this library, or
//! [`adopt_rows`](PostgresDataSource::adopt_rows) makes objects of them, no method returns, counts, sends or clears them. A tracked row that is deleted past this library, with SQL, is
//! passed over in the same way, and its deletion is not sent. Rows that are inserted or changed with SQL are not sent
//! either.
//!
//! # Processes, locks, durability
//!
//! Any number of processes may use one schema; nothing but the database coordinates them. A commit locks the
//! records that it is about, and at its very end the row of its zone, under which it takes its position. Reads lock
//! nothing and wait for nobody: those of several statements see one snapshot. A transaction that loses to another one (a
//! deadlock, a serialization failure, `lock_timeout`) is tried again after a random pause,
//! [`PostgresConfig::attempts`] times, then the caller gets `Contention`. A write that was started runs to its end, also
//! if its future is dropped. It needs a tokio runtime with IO and time.
//!
//! When it starts, a data source checks the server: its version, `fsync`, `synchronous_commit`, `full_page_writes`, the
//! encodings, whether it is a standby or read-only, timeouts of statements. What breaks a promise is refused by name; what
//! weakens one is in [`PostgresDataSource::warnings`].
//!
//! A staged commit keeps 16 bytes per key to know the keys that were staged twice, and reads one part of about a
//! megabyte at a time. A state value can have 8 MiB.
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

// The tests share a file with those outside, which know this crate by its name.
/// The examples of the README, tested.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(test)]
extern crate self as fastsync_dao_postgres;

mod catalog;
mod checks;
mod config;
mod dialect;
mod driver;
mod error;
mod native;
mod parameters;
mod server;
mod source;
#[cfg(test)]
mod tests;
mod unnoticed;
#[cfg(test)]
mod upgrade_tests;

pub use config::{Durability, PostgresConfig, Warning};
pub use fastsync_dao_kit::sql::{AdoptedRows, RowZones};
pub use source::PostgresDataSource;
pub use sqlx;
