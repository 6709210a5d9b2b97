//! Runs on PostgreSQL: a database of the run's own.

use std::sync::Arc;
use std::time::Duration;

use fastsync_core::SyncableDataSource;
use fastsync_dao_postgres::PostgresDataSource;
use fastsync_dao_postgres::sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use fastsync_dao_postgres::sqlx::{AssertSqlSafe, ConnectOptions, raw_sql};

use crate::text;

pub(super) const URL: &str = "FASTSYNC_POSTGRES_URL";

/// How to reach the server.
pub(crate) fn options() -> Result<PgConnectOptions, String> {
    std::env::var(URL).map_err(|_| format!("{URL} is not set"))?.parse().map_err(text)
}

/// How often statements are tried that meet the locks of others.
const TRIES: u32 = 20;

/// A connection that waits for a lock for seconds.
pub(crate) async fn connect(options: PgConnectOptions) -> Result<PgConnection, String> {
    options.options([("lock_timeout", "5s")]).connect().await.map_err(text)
}

/// Runs statements that may be run twice.
pub(crate) async fn run(connection: &mut PgConnection, sql: impl Into<String>) -> Result<(), String> {
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
fn meets_locks(error: &fastsync_dao_postgres::sqlx::Error) -> bool {
    let state = error.as_database_error().and_then(|error| error.code());
    state.is_some_and(|state| matches!(&*state, "40P01" | "55P03"))
}

/// Makes a database and gives its name.
pub(super) async fn create() -> Result<String, String> {
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let name = format!("fastsync_run_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    remove(&name).await?;
    run(&mut connect(options()?).await?, format!("CREATE DATABASE {name}")).await?;
    Ok(name)
}

pub(super) async fn remove(database: &str) -> Result<(), String> {
    let mut connection = connect(options()?).await?;
    run(&mut connection, format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)")).await
}

pub(super) async fn open(database: &str) -> Result<Arc<dyn SyncableDataSource>, String> {
    let pool = PgPoolOptions::new().max_connections(16).acquire_timeout(Duration::from_secs(60));
    let pool = pool.connect_lazy_with(options()?.database(database));
    Ok(Arc::new(PostgresDataSource::new(pool).await.map_err(text)?))
}
