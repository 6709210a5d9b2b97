//! What the tests of this crate share.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::print_stderr)]

pub mod server;

pub use fastsync_conformance::samples::*;
use fastsync_core::SyncableDataSource;
use fastsync_dao_mysql::MySqlDataSource;
pub use server::Database;

/// A database of its own; `None`, said aloud, if there is no server.
pub fn database() -> Option<Database> {
    if let Some(reason) = server::skip() {
        eprintln!("SKIPPED: {reason}");
        return None;
    }
    Some(Database::new())
}

pub async fn open(database: &Database) -> MySqlDataSource {
    MySqlDataSource::new(database.pool()).await.unwrap()
}

/// A data source with the type of [`items`].
pub async fn with_items(database: &Database) -> MySqlDataSource {
    let source = open(database).await;
    source.prepare(&[items()]).await.unwrap();
    source
}
