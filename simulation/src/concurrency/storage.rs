//! The storages that a run can be made on, and what is done to them meanwhile.

use std::str::FromStr;
use std::sync::Arc;

use fastsync_core::{MemoryDataSource, SyncableDataSource};

use super::mysql;
use crate::on_disk::OnDisk;

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Which data source a run is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageKind {
    /// A file or a folder on this machine.
    Disk(OnDisk),
    /// A database on the server of `FASTSYNC_MYSQL_URL`.
    MySql,
}

impl FromStr for StorageKind {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "mysql" => Ok(Self::MySql),
            other => OnDisk::named(other).map(Self::Disk).map_err(|problem| format!("{problem} nor mysql")),
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
            Self::Disk(_) => Scale { pushers: 8, pages: [&[73], &[1_000]], most: 200 },
            Self::MySql => Scale { pushers: 16, pages: [&[73, 500], &[1_000, 7_000]], most: 500 },
        }
    }

    /// Why a run cannot be made here, if so.
    #[must_use]
    pub fn missing(self) -> Option<String> {
        match self {
            Self::Disk(_) => None,
            Self::MySql => mysql::missing(),
        }
    }

    /// Whether one process at a time may open a storage.
    pub(super) fn takes_one_process(self) -> bool {
        self == Self::Disk(OnDisk::Sled)
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
            StorageKind::Disk(disk) => {
                let folder = tempfile::tempdir().map_err(text)?;
                let name = format!("{}:{}", disk.name(), folder.path().join("shared.db").display());
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

    /// A handle for a run in which nothing need outlive a power cut, nor be shared with another process.
    pub(super) async fn open_light(&self) -> Result<Arc<dyn SyncableDataSource>, String> {
        match self.name.split_once(':') {
            Some(("sqlite", _)) => Ok(Arc::new(MemoryDataSource::new())),
            Some(("sled", path)) => OnDisk::Sled.open_light(path.as_ref()).map_err(text),
            _ => self.open().await,
        }
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
        Some(("mysql", database)) => mysql::open(database).await,
        Some((disk, path)) => OnDisk::named(disk)?.open(path.as_ref()).map_err(text),
        None => Err(format!("{name} names no storage")),
    }
}
