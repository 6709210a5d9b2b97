//! What data sources over SQL databases decide alike.
//!
//! Each type is a table of the user's, with a column for each field; the sync data lies beside them in tables of its own.
//! Texts here are pure: nothing in this module knows a driver.
//!
//! - [`Dialect`]: how a database spells what all of them can do, as plain data.
//! - [`Sql`]: a statement and what is bound to it, which goes straight into the driver's own [`Arguments`].
//! - [`Type`]: a prepared type with the statements of its table. [`push_filter`] and [`order_by`] write queries over it.
//! - [`Step`] makes and changes a table; [`adopt`] compares one that is there with its type, from the facts in [`Column`].
//! - [`rows_at_once`], [`split_rows`] and [`MAX_ROWS`]: how large statements about many rows are.

mod adopt;
mod attempt;
mod audit;
mod chunk;
mod column;
mod commit;
mod ddl;
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
mod staging;
mod statement;
mod store;
mod swap;
#[cfg(test)]
mod tests;
mod unnoticed;
mod upgrade;
mod walk;

pub use adopt::{Finding, Found, adopt};
pub use chunk::{MAX_ROWS, rows_at_once, split_rows};
pub use column::{Column, Digits, Holds, is_text};
pub use ddl::Step;
pub use dialect::{ColumnTypes, Defaults, Dialect, Forms, Literals, Marks, Numbers, Upsert};
pub use driver::{Access, Database, Done, Link, Row, Table, Uniques};
pub use fail::{Fail, Meaning, Native, Run};
pub use filter::{after_prefix, order_by, push_filter};
pub use hot::hot_statements;
pub use kind::Type;
pub use retry::Attempts;
pub use source::SqlDataSource;
pub use statement::{Arguments, Bind, Sql, marks, quoted, rows_of_marks};
pub use unnoticed::{foreign_key_problems, trigger_problems};
pub use upgrade::{Upgrade, statements};
