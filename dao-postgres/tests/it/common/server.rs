//! A fresh database on the server of `FASTSYNC_POSTGRES_URL`.

use std::time::Duration;

use fastsync_core::{Random, SystemRandom};
use fastsync_dao_postgres::sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use fastsync_dao_postgres::sqlx::{AssertSqlSafe, ConnectOptions, Connection, query_scalar, raw_sql};

/// The server that the tests use: `cargo xtask test` sets it.
pub const URL: &str = "FASTSYNC_POSTGRES_URL";

/// How long a test waits for what must come.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Why there is no server. Where `FASTSYNC_REQUIRE` names it, that is a failure.
pub fn skip() -> Option<String> {
    if std::env::var_os(URL).is_some() {
        return None;
    }
    let required = std::env::var("FASTSYNC_REQUIRE").unwrap_or_default();
    assert!(
        !required.split(',').any(|name| name.trim() == "postgres"),
        "postgres is required, and {URL} is not set"
    );
    Some(format!("{URL} is not set; `cargo xtask test` starts a server and sets it"))
}

fn pool(options: PgConnectOptions) -> PgPool {
    PgPoolOptions::new().max_connections(10).connect_lazy_with(options)
}

/// A pool for the database of this name, which another process has.
pub fn pool_of(name: &str) -> PgPool {
    pool(std::env::var(URL).unwrap().parse::<PgConnectOptions>().unwrap().database(name))
}

/// A database of its own name; dropping it removes it.
pub struct Database {
    name: String,
    options: PgConnectOptions,
}

impl Database {
    pub fn new() -> Self {
        let options: PgConnectOptions = std::env::var(URL).unwrap().parse().unwrap();
        let name = format!("fastsync_test_{:016x}", SystemRandom.next_u64());
        let database = Self { name, options };
        database.on_server(format!("CREATE DATABASE {}", database.name));
        database
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn options(&self) -> PgConnectOptions {
        self.options.clone().database(&self.name)
    }

    /// A pool that few tests at once can have without using the server's connections up.
    pub fn pool(&self) -> PgPool {
        pool(self.options())
    }

    /// Runs SQL on the database.
    pub async fn sql(&self, sql: impl Into<String>) {
        let mut connection = self.options().connect().await.unwrap();
        raw_sql(AssertSqlSafe(sql.into())).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    /// A connection of somebody else, who holds locks or looks on.
    pub async fn stranger(&self) -> PgConnection {
        self.options().connect().await.unwrap()
    }

    /// Waits until such a statement waits for a lock on the database, and gives its process. What it needs is locked
    /// by the test, so it goes no further.
    ///
    /// # Panics
    /// If none does within [`PATIENCE`].
    pub async fn until_waits(&self, like: &str) -> i32 {
        let mut connection = self.stranger().await;
        let select = "SELECT pid FROM pg_stat_activity WHERE datname = $1 AND query LIKE $2 AND wait_event_type = 'Lock' \
                      AND pid <> pg_backend_pid()";
        let look = async {
            loop {
                let found = query_scalar::<_, i32>(select).bind(&self.name).bind(like);
                if let Some(id) = found.fetch_optional(&mut connection).await.unwrap() {
                    return id;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(PATIENCE, look).await.unwrap_or_else(|_| panic!("nothing waits like {like}"))
    }

    /// On a thread and a runtime of its own, since a case's runtime may be gone or busy.
    fn on_server(&self, sql: String) {
        let options = self.options.clone();
        let done = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut connection = options.connect().await?;
                raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await?;
                connection.close().await
            })
        });
        done.join().unwrap().unwrap();
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // Whoever still has a connection loses it.
        self.on_server(format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}
