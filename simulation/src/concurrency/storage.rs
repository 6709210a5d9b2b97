//! The storages that a run can be made on, and what is done to them meanwhile.

use std::str::FromStr;
use std::sync::Arc;

use fastsync_core::SyncableDataSource;
use fastsync_dao_sqlite::SqliteDataSource;

use super::mysql;

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Which data source a run is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageKind {
    /// One SQLite file.
    Sqlite,
    /// A database on the server of `FASTSYNC_MYSQL_URL`.
    MySql,
}

impl FromStr for StorageKind {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "sqlite" => Ok(Self::Sqlite),
            "mysql" => Ok(Self::MySql),
            other => Err(format!("{other} is no store; sqlite and mysql are")),
        }
    }
}

/// How many work on a storage at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    /// Half of them in each process.
    pub(super) pushers: u64,
    /// The page sizes of the pullers of each process.
    pub(super) pages: [&'static [u32]; 2],
    /// The most records of a session.
    pub(super) most: u64,
}

impl StorageKind {
    pub(super) const fn scale(self) -> Scale {
        match self {
            Self::Sqlite => Scale { pushers: 8, pages: [&[73], &[1_000]], most: 200 },
            Self::MySql => Scale { pushers: 16, pages: [&[73, 500], &[1_000, 7_000]], most: 500 },
        }
    }

    /// Why a run cannot be made here, if so.
    #[must_use]
    pub fn missing(self) -> Option<String> {
        match self {
            Self::Sqlite => None,
            Self::MySql => mysql::missing(),
        }
    }
}

/// A storage of a run, empty at first. It is named by a line that another process understands.
pub(super) struct Storage {
    pub(super) name: String,
    _folder: Option<tempfile::TempDir>,
}

impl Storage {
    pub(super) async fn new(kind: StorageKind) -> Result<Self, String> {
        match kind {
            StorageKind::Sqlite => {
                let folder = tempfile::tempdir().map_err(text)?;
                let name = format!("sqlite:{}", folder.path().join("shared.db").display());
                Ok(Self { name, _folder: Some(folder) })
            }
            StorageKind::MySql => {
                let database = mysql::create().await?;
                Ok(Self { name: format!("mysql:{database}"), _folder: None })
            }
        }
    }

    pub(super) async fn open(&self) -> Result<Arc<dyn SyncableDataSource>, String> {
        open(&self.name).await
    }

    /// Starts what disturbs a run, where the storage has such a thing; it ends when this is dropped.
    pub(super) async fn disturb(&self) -> Result<Option<mysql::Disturbance>, String> {
        match self.name.strip_prefix("mysql:") {
            Some(database) => mysql::Disturbance::start(database).await.map(Some),
            None => Ok(None),
        }
    }

    /// Removes it. A run that fails leaves its storage to be looked at.
    pub(super) async fn remove(self) -> Result<(), String> {
        match self.name.strip_prefix("mysql:") {
            Some(database) => mysql::remove(database).await,
            None => Ok(()),
        }
    }
}

/// A handle to the storage of this name.
pub(super) async fn open(name: &str) -> Result<Arc<dyn SyncableDataSource>, String> {
    match name.split_once(':') {
        Some(("sqlite", path)) => Ok(Arc::new(SqliteDataSource::open(path).map_err(text)?)),
        Some(("mysql", database)) => mysql::open(database).await,
        _ => Err(format!("{name} names no storage")),
    }
}
