//! MySQL and MariaDB data source for FastSync.
//!
//! ```no_run
//! use fastsync_core::source::Preparation;
//! use fastsync_core::{FieldKind, SyncableDataSource, TypeSchema};
//! use fastsync_dao_mysql::MySqlDataSource;
//!
//! # async fn run() -> fastsync_core::Result<()> {
//! let source = MySqlDataSource::connect("mysql://user:password@localhost/shop").await?;
//! for warning in source.warnings() {
//!     eprintln!("{warning}");
//! }
//! let items = TypeSchema::builder("items", "id").field("name", FieldKind::Text).build()?;
//! source.prepare(&[items], Preparation::Apply).await?;
//! # Ok(())
//! # }
//! ```
//!
//! It takes a URL or a pool of yours ([`MySqlDataSource::new`]); [`sqlx`] is re-exported for that. MariaDB from 10.6
//! and MySQL from 8.0.17 are supported; the tests run on MariaDB 10.11.
//!
//! # Your tables
//!
//! Each type is an InnoDB table with its name: a typed column per field, the id column as primary key (with a `zone`
//! column before it for restricted types). Query, index and join them with plain SQL. The sync data lies beside them
//! in tables whose names begin with `fastsync_`; a deleted object leaves your table at once.
//!
//! | kind | column |
//! |---|---|
//! | `Boolean`, whole numbers of any width, `Real` | `TINYINT(1)`, `BIGINT`, `DOUBLE` |
//! | `Text`, `Json` | `LONGTEXT`; JSON is text, since MySQL's own type reorders members |
//! | `Decimal` | `DECIMAL(56,28)` |
//! | `Uuid` | `VARCHAR(36)` |
//! | `Instant`, `LocalDateTime`, `Date`, `Time` | `VARCHAR(30)`, `(29)`, `(10)`, `(18)`: no column depends on a time zone |
//! | `Bytes` | `LONGBLOB` |
//!
//! All text is `utf8mb4` with the collation that compares by bytes and pads nothing (`utf8mb4_nopad_bin` on MariaDB,
//! `utf8mb4_0900_bin` on MySQL): `abc`, `ABC` and `abc ` are three ids, and filters compare as every other data
//! source does.
//!
//! [`prepare`](fastsync_core::SyncableDataSource::prepare) makes the tables, or adopts a table that is there: it adds
//! the columns that are missing and refuses, with all reasons at once, what contradicts: another primary key or an id
//! that does not compare by bytes, a column that cannot hold the kind, another engine, a generated column, a further
//! column that needs a value. Your further columns, indexes, foreign keys and triggers stay, and a write that they
//! refuse (or that is too long for your column, or has more digits than your `DECIMAL(10,2)`, which the server would round
//! without an error) is a conflict of that write; it never takes the place of another object's row. A foreign key with `CASCADE`, `SET NULL` or
//! `SET DEFAULT` on a type's table, and a trigger that writes to one or changes what is written (`SET NEW`), are refused: no client
//! would hear of what they change. A user without the privilege `TRIGGER` does not see triggers, and they are not found then. In tables of your own that refer to a type's they are fine. The
//! server checks foreign keys row by row, so within one type a row must not name one that is written after it in the
//! same statement; it is tried again at the end of the commit.
//!
//! Rows that were in an adopted table before are not tracked: until they are written through this library, or
//! [`adopt_rows`](MySqlDataSource::adopt_rows) makes objects of them, no method returns, counts, sends or clears them. A tracked row that is deleted past this library, with SQL, is
//! passed over in the same way, and its deletion is not sent. Rows that are inserted or changed with SQL are not sent
//! either.
//!
//! # Processes, locks, durability
//!
//! Any number of processes may use one database; nothing but the database coordinates them. A commit locks the
//! records that it is about, and at its very end the row of its zone, under which it takes its position. Reads lock
//! nothing and wait for nobody. A transaction that loses to another one (a deadlock, a lock wait timeout) is tried
//! again after a random pause, [`MySqlConfig::attempts`] times, then the caller gets `Contention`. A write that was
//! started runs to its end, also if its future is dropped. It needs a tokio runtime with IO and time.
//!
//! When it starts, a data source checks the server: version, InnoDB, `innodb_flush_log_at_trx_commit`, a strict
//! `sql_mode`, the isolation level, character sets, `max_allowed_packet`, the format of the binary log. What breaks a
//! promise is refused by name; what weakens one is in [`MySqlDataSource::warnings`].
//!
//! A staged commit keeps 16 bytes per key to know the keys that were staged twice, and reads one part of about a
//! megabyte at a time. A state value can have half of `max_allowed_packet`, and at most 8 MiB.
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
extern crate self as fastsync_dao_mysql;

mod catalog;
mod checks;
mod config;
mod dialect;
mod driver;
mod error;
mod server;
mod source;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod upgrade_tests;

pub use config::{Durability, MySqlConfig, Warning};
pub use fastsync_dao_kit::sql::{AdoptedRows, RowZones};
pub use source::MySqlDataSource;
pub use sqlx;
