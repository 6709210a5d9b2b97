//! The data sources that keep a store on this machine's disk.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fastsync_core::{Result, SyncableDataSource};
use fastsync_dao_redb::{RedbConfig, RedbDataSource};
use fastsync_dao_sled::{SledConfig, SledDataSource};
use fastsync_dao_sqlite::{SqliteConfig, SqliteDataSource};

/// How long a store is waited for that another handle is closing.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// Where a run keeps its stores.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnDisk {
    /// A SQLite file.
    #[default]
    Sqlite,
    /// A file of redb's.
    Redb,
    /// A folder of sled's.
    Sled,
}

impl OnDisk {
    /// Every one that there is.
    pub const ALL: [Self; 3] = [Self::Sqlite, Self::Redb, Self::Sled];

    /// Reads the name of one.
    ///
    /// # Errors
    /// What the names are.
    pub fn named(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == name);
        found.ok_or_else(|| format!("{name} is none of {}", Self::ALL.map(Self::name).join(", ")))
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Redb => "redb",
            Self::Sled => "sled",
        }
    }

    /// Opens a store. One that was just closed, by this process or by one that was killed, is waited for.
    ///
    /// # Errors
    /// Those of the data source.
    pub fn open(self, path: &Path) -> Result<Arc<dyn SyncableDataSource>> {
        Ok(match self {
            Self::Sqlite => Arc::new(SqliteDataSource::open(path)?),
            Self::Redb => {
                let config = RedbConfig::new(path).lock_timeout(LOCK_TIMEOUT);
                Arc::new(RedbDataSource::open_with(&config)?)
            }
            Self::Sled => {
                let config = SledConfig::new(path).lock_timeout(LOCK_TIMEOUT);
                Arc::new(SledDataSource::open_with(&config)?)
            }
        })
    }

    /// Opens a store that need not outlive a power cut, for runs in which no power is cut.
    ///
    /// # Errors
    /// Those of the data source.
    pub fn open_light(self, path: &Path) -> Result<Arc<dyn SyncableDataSource>> {
        Ok(match self {
            Self::Sqlite => {
                let config = SqliteConfig::new(path).readers(1);
                let config = config.synchronous(fastsync_dao_sqlite::Synchronous::Normal);
                Arc::new(SqliteDataSource::open_with(&config)?)
            }
            // It has no lighter form.
            Self::Redb => {
                let config = RedbConfig::new(path).readers(1).cache_bytes(4 << 20).lock_timeout(LOCK_TIMEOUT);
                Arc::new(RedbDataSource::open_with(&config)?)
            }
            Self::Sled => {
                let config = SledConfig::new(path).readers(1).cache_bytes(4 << 20).lock_timeout(LOCK_TIMEOUT);
                let config = config.synchronous(fastsync_dao_sled::Synchronous::Normal);
                Arc::new(SledDataSource::open_with(&config)?)
            }
        })
    }

    /// The store is sound, asked of the engine itself. (The others' own check is that it can be opened and
    /// read.)
    pub(crate) fn check(self, path: &Path) -> Result<(), String> {
        if self != Self::Sqlite {
            return Ok(());
        }
        let verdict: String = rusqlite::Connection::open(path)
            .and_then(|connection| connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)))
            .map_err(|error| format!("the file cannot be checked: {error}"))?;
        if verdict == "ok" { Ok(()) } else { Err(format!("the file is damaged: {verdict}")) }
    }
}
