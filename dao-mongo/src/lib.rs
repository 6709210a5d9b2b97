//! MongoDB data source for FastSync.
//!
//! ```no_run
//! use fastsync_core::source::Preparation;
//! use fastsync_core::{FieldKind, Query, SyncableDataSource, SyncableDataSourceExt as _, TypeName, TypeSchema, Zone};
//! use fastsync_dao_mongo::MongoDataSource;
//!
//! # async fn open() -> fastsync_core::Result<()> {
//! let source = MongoDataSource::connect("mongodb://localhost:27017/?replicaSet=rs0", "app").await?;
//! let items = TypeSchema::builder("items", "id").field("name", FieldKind::Text).build()?;
//! source.prepare(&[items], Preparation::Apply).await?;
//!
//! let all = Query::all(TypeName::new("items")?, Zone::Global);
//! println!("{} items", source.count(&all).await?);
//! # Ok(())
//! # }
//! ```
//!
//! # Your collections
//!
//! Each type is a collection with its name, and each object a document with its fields at the top level:
//! `{ _id: { zone: "restricted:acme", id: "o-1" }, id: "o-1", customer: "c-1", quantity: 3 }`. Query and index them
//! with whatever you use. Booleans, whole numbers (64 bits), reals, texts and bytes are what BSON has for them; UUIDs
//! and dates are texts, and a JSON field is its text, since a document would not keep `1.0` apart from `1`. The sync
//! data lies beside them in collections whose names begin with `fastsync_`; a deleted object leaves your collection at
//! once.
//!
//! [`prepare`](fastsync_core::SyncableDataSource::prepare) makes the collections or adopts those that are there, and
//! refuses a view, a capped collection and one with a collation. Your own indexes, validators and further fields of a
//! document stay, and a write that a unique index or a validator refuses is a conflict of that write. Within a zone
//! an index is unique over `{ "_id.zone": 1, field: 1 }`. Documents with another kind of `_id` are not tracked: no
//! method returns, counts, sends or clears them. A tracked document that is deleted past this library is passed over,
//! and its deletion is not sent. Names of types and fields are letters, digits and `_`, so none can be an operator or a
//! path; a value of a request is always an operand.
//!
//! # What the server must be
//!
//! MongoDB 5.0 or later as a replica set; one of a single node will do. A commit spans documents of several
//! collections, and a standalone server has no transactions, so it could promise neither that sessions are visible
//! whole nor that they survive a crash whole: it is refused when connecting, with a message that says how to make it a
//! replica set. Commits are acknowledged when a majority has journaled them, whatever the concerns of your client are,
//! and nothing is read before that.
//!
//! # Transactions
//!
//! A commit is one transaction. Commits of one process into one zone wait for each other and share transactions, so
//! that many pushers into one zone are as fast as into many; what keeps the commits of different processes apart is the
//! zone's document, which a transaction writes first. A process that dies in the middle leaves a transaction that
//! others end after some seconds; nothing of it is ever seen.
//!
//! MongoDB keeps an uncommitted transaction in its cache, and for at most `transactionLifetimeLimitSeconds` (60): count
//! on 1.5 KB for each record of a staged commit, and on a tenth of the cache for all that is uncommitted. So 100,000
//! records in one session want a cache of 2 GB.
//!
//! The futures want a Tokio runtime. A call that was started runs to its end, also if its future is dropped.
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

mod attempt;
mod audit;
mod bulk;
mod codec;
mod command;
mod commit;
mod error;
mod feed;
mod job;
mod lane;
mod ledger;
mod load;
mod orphans;
mod prepare;
mod query;
mod read;
mod records;
mod registry;
mod slots;
mod source;
mod staging;
mod store;
/// The examples of the README, tested.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(test)]
mod tests;
mod tx;
mod upgrade;
#[cfg(test)]
mod upgrade_tests;
mod walk;

pub use mongodb;
pub use source::MongoDataSource;
