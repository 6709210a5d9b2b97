//! Where a store is kept. Client and server take any data source; here the name of the file says which.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::ValueEnum;
use fastsync_core::{Result, SyncableDataSource};
use fastsync_dao_redb::RedbDataSource;
use fastsync_dao_sled::SledDataSource;
use fastsync_dao_sqlite::SqliteDataSource;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Storage {
    /// A SQLite file
    Sqlite,
    /// A file of the embedded key-value store redb
    Redb,
    /// A folder of the embedded key-value store sled
    Sled,
}

impl Storage {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Redb => "redb",
            Self::Sled => "sled",
        }
    }

    /// The path of a store with this name.
    pub(crate) fn path(self, folder: &Path, name: &str) -> PathBuf {
        folder.join(name).with_extension(match self {
            Self::Sqlite => "db",
            Self::Redb => "redb",
            Self::Sled => "sled",
        })
    }

    pub(crate) fn of(path: &Path) -> Self {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("redb") => Self::Redb,
            Some("sled") => Self::Sled,
            _ => Self::Sqlite,
        }
    }
}

/// Opens a store, or makes it.
pub(crate) fn open(path: &Path) -> Result<Arc<dyn SyncableDataSource>> {
    Ok(match Storage::of(path) {
        Storage::Sqlite => Arc::new(SqliteDataSource::open(path)?),
        Storage::Redb => Arc::new(RedbDataSource::open(path)?),
        Storage::Sled => Arc::new(SledDataSource::open(path)?),
    })
}
