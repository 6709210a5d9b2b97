//! Runs on MySQL or MariaDB: a database of the run's own.

use std::sync::Arc;
use std::time::Duration;

use fastsync_core::SyncableDataSource;
use fastsync_dao_mysql::MySqlDataSource;
use fastsync_dao_mysql::sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlPoolOptions};
use fastsync_dao_mysql::sqlx::{AssertSqlSafe, ConnectOptions, raw_sql};

use crate::text;

pub(super) const URL: &str = "FASTSYNC_MYSQL_URL";

/// The nodes of a cluster, with commas between their URLs, where the server of [`URL`] is one of them.
const NODES: &str = "FASTSYNC_MYSQL_NODES";

/// How to reach the server.
pub(crate) fn options() -> Result<MySqlConnectOptions, String> {
    std::env::var(URL).map_err(|_| format!("{URL} is not set"))?.parse().map_err(text)
}

/// How the `seat`th user of a storage reaches its server: where there are nodes, they are given out in turn.
fn options_at(seat: usize) -> Result<MySqlConnectOptions, String> {
    let Ok(nodes) = std::env::var(NODES) else { return options() };
    let nodes: Vec<&str> = nodes.split(',').collect();
    nodes.get(seat % nodes.len().max(1)).copied().unwrap_or_default().parse().map_err(text)
}

/// Runs statements.
pub(crate) async fn run(connection: &mut MySqlConnection, sql: impl Into<String>) -> Result<(), String> {
    raw_sql(AssertSqlSafe(sql.into())).execute(connection).await.map(|_| ()).map_err(text)
}

/// Makes a database and gives its name.
pub(super) async fn create() -> Result<String, String> {
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let name = format!("fastsync_run_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let mut connection = options()?.connect().await.map_err(text)?;
    run(&mut connection, format!("DROP DATABASE IF EXISTS {name}; CREATE DATABASE {name}")).await?;
    Ok(name)
}

pub(super) async fn remove(database: &str) -> Result<(), String> {
    let mut connection = options()?.connect().await.map_err(text)?;
    run(&mut connection, format!("DROP DATABASE {database}")).await
}

pub(super) async fn open(database: &str, seat: usize) -> Result<Arc<dyn SyncableDataSource>, String> {
    let options = options_at(seat)?.database(database);
    let pool = MySqlPoolOptions::new().max_connections(16).acquire_timeout(Duration::from_secs(60));
    let source = MySqlDataSource::new(pool.connect_lazy_with(options)).await.map_err(text)?;
    Ok(Arc::new(source))
}
