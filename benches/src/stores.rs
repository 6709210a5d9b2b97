//! The data sources that an end of ours can be on.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use fastsync_core::SyncableDataSource;
use fastsync_dao_mongo::MongoDataSource;
use fastsync_dao_mongo::mongodb::bson::doc;
use fastsync_dao_mongo::mongodb::{Client, Database};
use fastsync_dao_mysql::MySqlDataSource;
use fastsync_dao_mysql::sqlx::mysql::{MySqlConnectOptions, MySqlPoolOptions};
use fastsync_dao_mysql::sqlx::{AssertSqlSafe, ConnectOptions, query_scalar, raw_sql};
use fastsync_dao_postgres::PostgresDataSource;
use fastsync_dao_postgres::sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use fastsync_dao_redb::RedbDataSource;
use fastsync_dao_sled::SledDataSource;
use fastsync_dao_sqlite::SqliteDataSource;
use serde::{Deserialize, Serialize};

/// A data source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum StoreKind {
    /// A file.
    Sqlite,
    /// A file.
    Redb,
    /// A folder.
    Sled,
    /// A database of the server that `FASTSYNC_MYSQL_URL` names.
    Mysql,
    /// A database of the server that `FASTSYNC_POSTGRES_URL` names.
    Postgres,
    /// A database of the server that `FASTSYNC_MONGO_URL` names.
    Mongo,
}

impl StoreKind {
    /// As people call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Redb => "redb",
            Self::Sled => "sled",
            Self::Mysql => "MariaDB",
            Self::Postgres => "PostgreSQL",
            Self::Mongo => "MongoDB",
        }
    }

    /// The variable that names the server, where one is needed.
    fn server(self) -> Option<&'static str> {
        match self {
            Self::Sqlite | Self::Redb | Self::Sled => None,
            Self::Mysql => Some("FASTSYNC_MYSQL_URL"),
            Self::Postgres => Some("FASTSYNC_POSTGRES_URL"),
            Self::Mongo => Some("FASTSYNC_MONGO_URL"),
        }
    }

    /// Why it cannot be had, if it cannot.
    #[must_use]
    pub fn missing(self) -> Option<String> {
        let variable = self.server().filter(|variable| std::env::var_os(variable).is_none())?;
        Some(format!("{variable} is not set"))
    }

    /// Opens the store at a path; on a server, in the database that is called as the path ends.
    ///
    /// # Errors
    /// It cannot be opened.
    pub async fn open(self, place: &Path) -> Result<Arc<dyn SyncableDataSource>> {
        Ok(match self {
            Self::Sqlite => Arc::new(SqliteDataSource::open(place)?),
            Self::Redb => Arc::new(RedbDataSource::open(place)?),
            Self::Sled => Arc::new(SledDataSource::open(place)?),
            Self::Mysql => {
                let options = mysql_database(place).await?;
                let pool = MySqlPoolOptions::new().max_connections(20).connect_lazy_with(options);
                Arc::new(MySqlDataSource::new(pool).await?)
            }
            Self::Postgres => {
                let options = postgres_database(place).await?;
                let pool = PgPoolOptions::new().max_connections(20).connect_lazy_with(options);
                Arc::new(PostgresDataSource::new(pool).await?)
            }
            Self::Mongo => Arc::new(MongoDataSource::open(&mongo_database(place).await?).await?),
        })
    }

    /// Removes what a closed store has left.
    ///
    /// # Errors
    /// The server cannot be reached.
    pub async fn remove(self, place: &Path) -> Result<()> {
        match self {
            Self::Sqlite => {
                for suffix in ["", "-wal", "-shm"] {
                    // A closed database has no log.
                    let _ = std::fs::remove_file(format!("{}{suffix}", place.display()));
                }
            }
            Self::Redb => std::fs::remove_file(place)?,
            Self::Sled => std::fs::remove_dir_all(place)?,
            Self::Mysql => {
                let drop = format!("DROP DATABASE IF EXISTS {}", database(place)?);
                raw_sql(AssertSqlSafe(drop)).execute(&mut mysql()?.connect().await?).await?;
            }
            Self::Postgres => {
                let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", database(place)?);
                raw_sql(AssertSqlSafe(drop)).execute(&mut postgres()?.connect().await?).await?;
            }
            Self::Mongo => mongo_database(place).await?.drop().await?,
        }
        Ok(())
    }
}

/// The versions of the servers that can be had, as they say it.
///
/// # Errors
/// One that is named cannot be reached.
pub async fn server_versions() -> Result<BTreeMap<&'static str, String>> {
    let mut versions = BTreeMap::new();
    if StoreKind::Mysql.missing().is_none() {
        let select = query_scalar("SELECT VERSION()");
        versions.insert(StoreKind::Mysql.name(), select.fetch_one(&mut mysql()?.connect().await?).await?);
    }
    if StoreKind::Postgres.missing().is_none() {
        let select = query_scalar("SHOW server_version");
        let version = select.fetch_one(&mut postgres()?.connect().await?).await?;
        versions.insert(StoreKind::Postgres.name(), version);
    }
    if StoreKind::Mongo.missing().is_none() {
        let info = mongo().await?.database("admin").run_command(doc! { "buildInfo": 1 }).await?;
        versions.insert(StoreKind::Mongo.name(), info.get_str("version")?.to_owned());
    }
    Ok(versions)
}

fn mysql() -> Result<MySqlConnectOptions> {
    Ok(std::env::var("FASTSYNC_MYSQL_URL").context("FASTSYNC_MYSQL_URL")?.parse()?)
}

/// The database that is called as the path ends; it is made if it is not there.
pub(crate) async fn mysql_database(place: &Path) -> Result<MySqlConnectOptions> {
    let (options, name) = (mysql()?, database(place)?);
    let create = format!("CREATE DATABASE IF NOT EXISTS {name}");
    raw_sql(AssertSqlSafe(create)).execute(&mut options.connect().await?).await?;
    Ok(options.database(&name))
}

fn postgres() -> Result<PgConnectOptions> {
    Ok(std::env::var("FASTSYNC_POSTGRES_URL").context("FASTSYNC_POSTGRES_URL")?.parse()?)
}

/// The database that is called as the path ends; it is made if it is not there.
pub(crate) async fn postgres_database(place: &Path) -> Result<PgConnectOptions> {
    let (options, name) = (postgres()?, database(place)?);
    let mut admin = options.connect().await?;
    let there = query_scalar::<_, i64>("SELECT COUNT(*) FROM pg_database WHERE datname = $1").bind(&name);
    if there.fetch_one(&mut admin).await? == 0 {
        raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut admin).await?;
    }
    Ok(options.database(&name))
}

/// The database that is called as the path ends.
pub(crate) async fn mongo_database(place: &Path) -> Result<Database> {
    Ok(mongo().await?.database(&database(place)?))
}

async fn mongo() -> Result<Client> {
    Ok(Client::with_uri_str(std::env::var("FASTSYNC_MONGO_URL").context("FASTSYNC_MONGO_URL")?).await?)
}

/// The name of a database: the folder of a run is unique, so its stores are.
fn database(place: &Path) -> Result<String> {
    let part = |path: Option<&Path>| path?.file_name()?.to_str().map(str::to_owned);
    let (run, name) = (part(place.parent()), part(Some(place)));
    let (run, name) = (run.context("no folder")?, name.context("no name")?);
    let name = format!("fastsync_{run}_{name}");
    Ok(name
        .chars()
        .map(|char| if char.is_ascii_alphanumeric() { char.to_ascii_lowercase() } else { '_' })
        .collect())
}
