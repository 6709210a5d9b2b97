//! Runs on MySQL or MariaDB: a database of the run's own.

use std::sync::Arc;
use std::time::Duration;

use fastsync_core::SyncableDataSource;
use fastsync_dao_mysql::MySqlDataSource;
use fastsync_dao_mysql::sqlx::mysql::{
    MySqlConnectOptions, MySqlConnection, MySqlDatabaseError, MySqlPoolOptions,
};
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

/// How often statements are tried that meet the locks of others: what a killed process or a cut connection has left open
/// ends some time later.
const TRIES: u32 = 20;

/// A connection that waits for a lock for seconds, not for most of a minute.
pub(crate) async fn connect(options: MySqlConnectOptions) -> Result<MySqlConnection, String> {
    let mut connection = options.connect().await.map_err(text)?;
    run(&mut connection, "SET SESSION innodb_lock_wait_timeout = 5, lock_wait_timeout = 5").await?;
    Ok(connection)
}

/// Runs statements that may be run twice.
pub(crate) async fn run(connection: &mut MySqlConnection, sql: impl Into<String>) -> Result<(), String> {
    let sql = sql.into();
    let mut tries = 0;
    loop {
        tries += 1;
        match raw_sql(AssertSqlSafe(sql.clone())).execute(&mut *connection).await {
            Ok(_) => return Ok(()),
            Err(error) if tries < TRIES && meets_locks(&error) => {}
            Err(error) => return Err(format!("{sql}, {tries}. time: {error}")),
        }
    }
}

/// A deadlock, or a lock that was waited for too long.
fn meets_locks(error: &fastsync_dao_mysql::sqlx::Error) -> bool {
    let database = error.as_database_error();
    let number = database.and_then(|error| error.try_downcast_ref::<MySqlDatabaseError>());
    number.is_some_and(|error| matches!(error.number(), 1205 | 1213))
}

/// Makes a database and gives its name.
pub(super) async fn create() -> Result<String, String> {
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let name = format!("fastsync_run_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let mut connection = connect(options()?).await?;
    run(&mut connection, format!("DROP DATABASE IF EXISTS {name}; CREATE DATABASE {name}")).await?;
    Ok(name)
}

pub(super) async fn remove(database: &str) -> Result<(), String> {
    let mut connection = connect(options()?).await?;
    run(&mut connection, format!("DROP DATABASE IF EXISTS {database}")).await
}

pub(super) async fn open(database: &str, seat: usize) -> Result<Arc<dyn SyncableDataSource>, String> {
    let options = options_at(seat)?.database(database);
    let pool = MySqlPoolOptions::new().max_connections(16).acquire_timeout(Duration::from_secs(60));
    let source = MySqlDataSource::new(pool.connect_lazy_with(options)).await.map_err(text)?;
    Ok(Arc::new(source))
}
