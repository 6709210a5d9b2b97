//! Two users share a list on PostgreSQL, served by two processes' worth of engines on one database.

#[path = "../../axum-server/tests/common/mod.rs"]
mod common;
#[path = "../../../dao-postgres/tests/it/common/server.rs"]
#[allow(dead_code, unreachable_pub, clippy::unwrap_used)]
mod server;

use std::process::Stdio;

use fastsync_dao_postgres::PostgresDataSource;
use fastsync_dao_postgres::sqlx::{self, ConnectOptions as _};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

#[tokio::test]
async fn two_users_share_a_list() {
    if let Some(reason) = server::skip() {
        #[allow(clippy::print_stderr, reason = "a test that does not run says so")]
        {
            eprintln!("SKIPPED: {reason}");
        }
        return;
    }
    let database = server::Database::new();
    let open = || PostgresDataSource::new(database.pool());
    let one = common::start(axum_server::engine(open().await.unwrap()).await.unwrap()).await;
    let two = common::start(axum_server::engine(open().await.unwrap()).await.unwrap()).await;
    common::share_a_list(one, two).await;
}

/// Fails if the program does not start on its own pool, or if its own tables and the synced ones do not stand side by side.
#[tokio::test]
async fn the_application_keeps_its_own_tables_beside_them() {
    if server::skip().is_some() {
        return;
    }
    let database = server::Database::new();
    let mut program = Command::new(env!("CARGO_BIN_EXE_axum-postgres"))
        .args(["--port", "0", "--tokens", "ada=secret"])
        .env("DATABASE_URL", database.options().to_url_lossy().as_str())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(program.stdout.take().unwrap()).lines();
    let first = tokio::time::timeout(server::PATIENCE, lines.next_line()).await.unwrap().unwrap().unwrap();
    assert!(first.contains("127.0.0.1"), "{first}");
    let tasks: Vec<i64> =
        sqlx::query_scalar("SELECT tasks FROM public.starts").fetch_all(&database.pool()).await.unwrap();
    assert_eq!(tasks, [0]);
    program.kill().await.unwrap();
}
