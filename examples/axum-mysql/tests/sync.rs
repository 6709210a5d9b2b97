//! Two users share a list: the same application on SQLite and on MySQL, the latter served by two processes' worth of
//! engines on one database.

#[path = "../../axum-server/tests/common/mod.rs"]
mod common;
#[path = "../../../dao-mysql/tests/it/common/server.rs"]
#[allow(dead_code, unreachable_pub, clippy::unwrap_used)]
mod server;

use fastsync_core::SyncableDataSource;
use fastsync_dao_mysql::MySqlDataSource;
use fastsync_dao_sqlite::SqliteDataSource;

/// Each user talks to a server of their own on one storage.
async fn share_a_list(one: impl SyncableDataSource, two: impl SyncableDataSource) {
    let one = common::start(axum_server::engine(one).await.unwrap()).await;
    let two = common::start(axum_server::engine(two).await.unwrap()).await;
    common::share_a_list(one, two).await;
}

#[tokio::test]
async fn two_users_share_a_list_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let open = || SqliteDataSource::open(folder.path().join("server.db")).unwrap();
    share_a_list(open(), open()).await;
}

#[tokio::test]
async fn two_users_share_a_list_on_mysql() {
    if let Some(reason) = server::skip() {
        #[allow(clippy::print_stderr, reason = "a test that does not run says so")]
        {
            eprintln!("SKIPPED: {reason}");
        }
        return;
    }
    let database = server::Database::new();
    let open = || MySqlDataSource::new(database.pool());
    share_a_list(open().await.unwrap(), open().await.unwrap()).await;
}
