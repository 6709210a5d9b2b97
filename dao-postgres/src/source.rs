//! The data source.

use std::fmt;

use fastsync_core::source::upgrade::Upgrades;
use fastsync_core::{Result, TypeName};
use fastsync_dao_kit::sql::{AdoptedRows, Attempts, Database as _, Fail, RowZones, SqlDataSource, Upgrade};
use sqlx::postgres::{PgPool, PgPoolOptions};

use crate::config::{PostgresConfig, Warning};
use crate::error::failed;
use crate::server::{Server, UPGRADES};

/// Records in a PostgreSQL database. A cheap handle: clones share the pool.
///
/// Several processes may use one database; they are coordinated by nothing but the database.
#[derive(Clone)]
pub struct PostgresDataSource(SqlDataSource<Server>);

fastsync_dao_kit::data_source!(PostgresDataSource);

// The pool's own form would name the server and its user.
impl fmt::Debug for PostgresDataSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresDataSource").finish_non_exhaustive()
    }
}

impl PostgresDataSource {
    /// Connects to a database with the default settings, for example `postgres://user:password@host/database`.
    ///
    /// Add `?sslmode=verify-full` where the network is not yours: otherwise TLS (rustls) is used if the server has it, and
    /// its certificate is not checked.
    ///
    /// # Errors
    /// As [`Self::with_config`]; `Config` if the URL is invalid. No error has the URL in its text.
    pub async fn connect(url: &str) -> Result<Self> {
        let pool = PgPoolOptions::new().connect(url).await;
        let pool = pool.map_err(|error| opening(failed(error)))?;
        Self::new(pool).await
    }

    /// Uses a pool of yours, with the default settings.
    ///
    /// # Errors
    /// As [`Self::with_config`].
    pub async fn new(pool: PgPool) -> Result<Self> {
        Self::with_config(pool, PostgresConfig::new()).await
    }

    /// Uses a pool of yours with these settings, and checks that the server keeps what it acknowledges.
    ///
    /// Nothing is created: [`prepare`](fastsync_core::SyncableDataSource::prepare) does that. The types of a database that was
    /// prepared before are known without it. Sync tables that an earlier release made are upgraded by it, and every
    /// other call is `Config` until then.
    ///
    /// # Errors
    /// `Config` that names every setting of the server that breaks a promise; `Unsupported` if a newer release wrote
    /// the sync tables; `Unavailable` if the server cannot be reached.
    pub async fn with_config(pool: PgPool, config: PostgresConfig) -> Result<Self> {
        Self::open_as(pool, config, UPGRADES).await
    }

    /// Opens a database as a release with these steps would.
    pub(crate) async fn open_as(
        pool: PgPool,
        config: PostgresConfig,
        upgrades: Upgrades<Upgrade<Server>>,
    ) -> Result<Self> {
        let mut attempts = Attempts::new(config.attempts);
        loop {
            let open = async {
                SqlDataSource::open(Server::open(pool.clone(), config.clone()).await?, upgrades).await
            };
            match open.await {
                Ok(source) => return Ok(Self(source)),
                Err(fail) => {
                    let pause = attempts.after(fail).map_err(opening)?;
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn server(&self) -> &Server {
        self.0.database()
    }

    /// Makes objects of the rows of an adopted table that no method has returned so far, because they were there before
    /// it was adopted or were inserted past this library, with SQL.
    ///
    /// They are committed as they are, in sessions of up to 10,000, by the author `adoption`: with positions, so that
    /// clients pull them, and with audit entries. Call it after [`prepare`](fastsync_core::SyncableDataSource::prepare) and
    /// before the store is opened, which does not hear of it. A row that is changed with SQL meanwhile may get back what it
    /// had.
    ///
    /// Calling it again is fine, at any time and from several processes at once: a row becomes an object once, and
    /// what a crash cut off goes on. A row whose id was deleted through this library stays as it is.
    ///
    /// ```no_run
    /// # async fn run(source: fastsync_dao_postgres::PostgresDataSource) -> fastsync_core::Result<()> {
    /// use fastsync_dao_postgres::RowZones;
    /// use fastsync_core::{TypeName, Zone};
    ///
    /// let adopted = source.adopt_rows(&TypeName::new("items")?, &RowZones::In(Zone::Global)).await?;
    /// println!("{} rows in {} sessions", adopted.rows, adopted.sessions);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `UnknownType` if the type is not prepared; `InvalidInput` if its objects cannot be in the zone, or if a row
    /// cannot be read as the type says, with its id: what came before it is adopted; `Constraint` if a rule of the table
    /// refuses a row as it is; those of a commit.
    pub async fn adopt_rows(&self, type_name: &TypeName, zones: &RowZones) -> Result<AdoptedRows> {
        self.0.adopt_rows(type_name, zones).await
    }

    /// The pool.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.0.database().pool
    }

    /// The settings of the server that weaken a promise; show or log them.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.0.database().warnings
    }
}

fn opening(fail: Fail) -> fastsync_core::Error {
    fail.into_error(Server::NAME, "open")
}
