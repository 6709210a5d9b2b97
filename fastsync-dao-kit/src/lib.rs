//! What FastSync data sources of one family share.
//!
//! You write a data source for an embedded key-value engine? Take the feature `kv` and implement [`kv::Engine`], which is
//! two methods (a third has a default), a name and a type, and [`kv::View`], which is three methods. Everything else is in
//! [`kv`] once: keys and rows, commits and their conditions, the feed, staging, queries, types and their growth, upgrades,
//! threads.
//!
//! You write one for an SQL server? Take the feature `sql`: fill in a [`sql::Dialect`], and implement [`sql::Link`], a
//! connection, and [`sql::Database`], what the catalog says of tables. [`sql`] has the rest.
//!
//! [`retry`] and [`text`] are for every family, and need no feature. [`workers`], behind the feature of that name, are the
//! threads of a driver that blocks.
//!
//! [`data_source!`] gives the result a name of its own. There is no driver and no runtime here, and nothing for applications:
//! they use `fastsync-dao-redb`, `fastsync-dao-sled`, `fastsync-dao-mysql` or a data source of your own.
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

mod forward;
#[cfg(feature = "kv")]
pub mod kv;
pub mod retry;
#[cfg(feature = "sql")]
pub mod sql;
pub mod text;
#[cfg(feature = "workers")]
pub mod workers;

#[doc(hidden)]
pub use async_trait::async_trait;

/// The examples of the README, tested.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
