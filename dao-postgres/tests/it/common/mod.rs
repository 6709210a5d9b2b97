//! What the tests of this crate share.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::print_stderr)]

pub mod server;

pub use fastsync_conformance::samples::*;
use fastsync_core::source::Preparation;
use fastsync_core::{Record, SyncableDataSource, Value};
use fastsync_dao_postgres::{PostgresDataSource, sqlx};
pub use server::{Database, PATIENCE};

/// A database of its own; `None`, said aloud, if there is no server.
pub fn database() -> Option<Database> {
    if let Some(reason) = server::skip() {
        eprintln!("SKIPPED: {reason}");
        return None;
    }
    Some(Database::new())
}

pub async fn open(database: &Database) -> PostgresDataSource {
    PostgresDataSource::new(database.pool()).await.unwrap()
}

/// A data source with the type of [`items`].
pub async fn with_items(database: &Database) -> PostgresDataSource {
    let source = open(database).await;
    source.prepare(&[items()], Preparation::Apply).await.unwrap();
    source
}

/// The number that a statement selects.
pub async fn count(source: &PostgresDataSource, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(source.pool()).await.unwrap()
}

/// What must come within [`PATIENCE`].
pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("what must come comes")
}

/// The first field of each record, which is a text.
pub fn names(records: &[Record]) -> Vec<&str> {
    let mut names = Vec::with_capacity(records.len());
    for record in records {
        let Some([Value::Text(text), ..]) = record.body.as_deref() else { panic!("{record:?}") };
        names.push(text.as_str());
    }
    names
}
