//! A whole data source over an SQL server.
//!
//! You bring three things, as `fastsync-dao-mysql` and `fastsync-dao-postgres` do, and [`SqlDataSource`] is the rest:
//!
//! - a [`Dialect`]: how the database spells what all of them can do, as plain data;
//! - a [`Link`]: a connection, with its [`Row`]s and its [`Arguments`], which maps native errors to [`Native`] in one place;
//! - a [`Database`]: where connections come from, and what the catalog says of tables.
//!
//! The server is checked by you when it is opened: that it keeps what it acknowledges, and takes
//! text as it is.
//!
//! # What is stored
//!
//! Each type is a table of the user's with its name: a typed column per field, the id as primary
//! key (with a `zone` before it for restricted types). The sync data lies beside them in tables of
//! its own, which [`Database::sync_tables`] makes with these columns. Names of zones, types and
//! state entries, kinds of sessions, and users are kept as bytes; `id` of a session or device has
//! 16 bytes; all other columns are whole numbers, those of 64 bits without a sign.
//!
//! | table | key | further columns |
//! |---|---|---|
//! | `fastsync_meta` | `name` | `value`; with the rows `change`, 0, and `schema_version`, 1 |
//! | `fastsync_zones` | `n`, given by the database | `name`, unique; `head`, `tag`, `horizon`, all 0 in a new row |
//! | `fastsync_types` | `n`, given by the database | `name`, unique; `body`, bytes |
//! | `fastsync_devices` | `n`, given by the database | `id`, unique |
//! | `fastsync_sessions` | `id` | `kind`, `user` or null, `device`, `number`, `committed_at`, `change`, `counts`, bytes |
//! | `fastsync_positions` | `zone`, `position` | `session`, `tag`, `device`, `number`; by `session`; `fastsync_own` by `zone`, `device`, `position`, `number` |
//! | `fastsync_records` | `zone`, `type`, `id` | `position`, `change`, `deleted`, `modified_by`, `modified_at`, `revision`, `incarnation`, `bytes`; `fastsync_feed` by `zone`, `position`, `type`, `id`, with all others |
//! | `fastsync_pending` | `change`, `type`, `zone`, `id` | |
//! | `fastsync_tombstones` | `zone`, `position`, `type`, `id` | |
//! | `fastsync_staged` | `session`, `sequence`, `part` | `types` and `writes`, bytes |
//! | `fastsync_state` | `name` | `value`, bytes |
//!
//! An `id` of an object compares by bytes, here and in the user's tables. Which column is which is the statements' affair,
//! so types may be a database's own where [`Arguments`] binds and [`Row`] reads them so: text for names, `uuid`, truths, numbers
//! of 64 bits with a sign for [`Bits`]. With [`Few::Indexes`] there is no `fastsync_pending` and no `fastsync_tombstones`.
//!
//! # Commits
//!
//! One transaction: the records that it is about are looked up and locked, the rows of the users'
//! tables are written, then the state entries are locked and checked, and last, under the lock of
//! the zone's row, the session takes its position and the index rows are written with it. Any
//! number of processes may use one database.
//!
//! # Parts
//!
//! The pure parts can be used alone: [`Sql`], [`Type`], [`push_filter`] and [`order_by`] for
//! statements, [`Decision`], [`Step`] and [`adopt`] for tables, [`rows_at_once`] and [`split_rows`] for sizes,
//! [`Attempts`] for what is tried again, [`foreign_key_problems`] and [`trigger_problems`] for what
//! a database does by itself. [`hot_statements`] is for your tests.

mod adopt;
mod adoption;
mod attempt;
mod audit;
mod chunk;
mod column;
mod commit;
mod ddl;
mod decide;
mod dialect;
mod driver;
mod entry;
mod fail;
mod feed;
mod filter;
mod finish;
mod hot;
mod index;
mod kind;
mod load;
mod many;
mod plan;
mod prepare;
mod query;
mod read;
mod registry;
mod retry;
mod rows;
mod source;
mod spelling;
mod staging;
mod statement;
mod store;
mod swap;
#[cfg(test)]
mod tests;
mod unnoticed;
mod untracked;
mod upgrade;
mod walk;

pub use adopt::{Finding, Found, adopt};
pub use adoption::{AdoptedRows, Adoption, BATCH_BYTES, BATCH_ROWS, RowZones};
pub use chunk::{rows_at_once, split_rows};
pub use column::{Column, Digits, Holds, is_text};
pub use ddl::Step;
pub use decide::{Decided, Decision};
pub use dialect::{
    ColumnTypes, Defaults, Dialect, Few, Forms, Lists, Literals, Marks, Numbers, Texts, Upsert,
};
pub use driver::{Access, Database, Done, Link, Row, Table, Uniques};
pub use fail::{Fail, Meaning, Native, Run};
pub use filter::{order_by, push_filter};
pub use hot::hot_statements;
pub use kind::Type;
pub use retry::Attempts;
pub use source::SqlDataSource;
pub use statement::{Arguments, Bind, Bits, Name, Sql, marks, quoted, rows_of_marks};
pub use swap::{StandIn, Vacating};
pub use unnoticed::{foreign_key_problems, trigger_problems};
pub use upgrade::{Upgrade, statements};

pub use crate::text::after_prefix;
