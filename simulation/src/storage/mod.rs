//! The storages that a run can be made on.

mod database;
mod disk;
mod mongo;
pub(crate) mod mysql;
pub(crate) mod postgres;

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use fastsync_core::{MemoryDataSource, SyncableDataSource};

use crate::text;

pub(crate) use database::DatabaseServer;
pub use disk::OnDisk;

/// Which data source a run is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageKind {
    /// A file or a folder on this machine.
    Disk(OnDisk),
    /// A database on the server of `FASTSYNC_MYSQL_URL`.
    MySql,
    /// A database on the server of `FASTSYNC_POSTGRES_URL`.
    Postgres,
    /// A database on the server of `FASTSYNC_MONGO_URL`.
    Mongo,
}

impl FromStr for StorageKind {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == name);
        found.ok_or_else(|| format!("{name} is none of {}", Self::ALL.map(Self::name).join(", ")))
    }
}

impl StorageKind {
    /// Every one that there is.
    pub const ALL: [Self; 6] = [
        Self::Disk(OnDisk::Sqlite),
        Self::Disk(OnDisk::Redb),
        Self::Disk(OnDisk::Sled),
        Self::MySql,
        Self::Postgres,
        Self::Mongo,
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Disk(disk) => disk.name(),
            Self::MySql => "mysql",
            Self::Postgres => "postgres",
            Self::Mongo => "mongo",
        }
    }

    /// Why a run cannot be made here, if so.
    #[must_use]
    pub fn missing(self) -> Option<String> {
        let variable = match self {
            Self::Disk(_) => return None,
            Self::MySql => mysql::URL,
            Self::Postgres => postgres::URL,
            Self::Mongo => mongo::URL,
        };
        std::env::var_os(variable).is_none().then(|| format!("{variable} is not set"))
    }

    /// Says aloud that a run cannot be made, if so: `Some(true)` if that is a failure, because `FASTSYNC_REQUIRE` names
    /// the store.
    #[must_use]
    #[allow(clippy::print_stdout, reason = "a skip is never silent")]
    pub fn skip(self, run: &str) -> Option<bool> {
        let reason = self.missing()?;
        println!("SKIPPED {run} on {}: {reason}", self.name());
        let required = std::env::var("FASTSYNC_REQUIRE").unwrap_or_default();
        Some(required.split(',').any(|name| name.trim() == self.name()))
    }

    /// Whether its server is a cluster, one of whose nodes may be killed.
    #[must_use]
    pub fn is_cluster(self) -> bool {
        DatabaseServer::node_of(self).is_some()
    }

    /// Whether one process at a time may open a storage.
    pub(crate) fn takes_one_process(self) -> bool {
        matches!(self, Self::Disk(OnDisk::Redb | OnDisk::Sled))
    }
}

/// A storage of a run, empty at first. It is named by a line that another process understands.
#[derive(Debug)]
pub(crate) struct Storage {
    kind: StorageKind,
    name: String,
    _folder: Option<tempfile::TempDir>,
}

impl Storage {
    /// Makes one.
    pub(crate) async fn new(kind: StorageKind) -> Result<Self, String> {
        let (place, folder) = match kind {
            StorageKind::Disk(_) => {
                let folder = tempfile::tempdir().map_err(text)?;
                (folder.path().join("store").display().to_string(), Some(folder))
            }
            StorageKind::MySql => (mysql::create().await?, None),
            StorageKind::Postgres => (postgres::create().await?, None),
            StorageKind::Mongo => (mongo::create(), None),
        };
        Ok(Self { kind, name: format!("{}:{place}", kind.name()), _folder: folder })
    }

    /// What it is.
    pub(crate) const fn kind(&self) -> StorageKind {
        self.kind
    }

    /// What another process opens it by.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What its `seat`th user opens it by, all of whom get another node where the server is a cluster. Seat 0 is that of
    /// [`Self::name`].
    pub(crate) fn name_at(&self, seat: usize) -> String {
        format!("{}@{seat}", self.name)
    }

    /// The file, the folder or the name of the database.
    pub(crate) fn place(&self) -> &str {
        self.name.split_once(':').map_or("", |(_, place)| place)
    }

    /// A handle.
    pub(crate) async fn open(&self) -> Result<Arc<dyn SyncableDataSource>, String> {
        open(&self.name).await
    }

    /// A handle for a run in which nothing need outlive a power cut.
    pub(crate) async fn open_light(&self) -> Result<Arc<dyn SyncableDataSource>, String> {
        match self.kind {
            StorageKind::Disk(disk) => disk.open_light(Path::new(self.place())).map_err(text),
            StorageKind::MySql | StorageKind::Postgres | StorageKind::Mongo => self.open().await,
        }
    }

    /// As [`Self::open_light`], for a run that no other process sees either.
    pub(crate) async fn open_alone(&self) -> Result<Arc<dyn SyncableDataSource>, String> {
        match self.kind {
            StorageKind::Disk(OnDisk::Sqlite) => Ok(Arc::new(MemoryDataSource::new())),
            _ => self.open_light().await,
        }
    }

    /// The storage is sound, asked of the engine itself where it can be asked.
    pub(crate) fn check(&self) -> Result<(), String> {
        match self.kind {
            StorageKind::Disk(disk) => disk.check(Path::new(self.place())),
            StorageKind::MySql | StorageKind::Postgres | StorageKind::Mongo => Ok(()),
        }
    }

    /// Removes it. A run that fails leaves its database to be looked at.
    pub(crate) async fn remove(self) -> Result<(), String> {
        match self.kind {
            StorageKind::Disk(_) => Ok(()),
            StorageKind::MySql => mysql::remove(self.place()).await,
            StorageKind::Postgres => postgres::remove(self.place()).await,
            StorageKind::Mongo => mongo::remove(self.place()).await,
        }
    }
}

/// A handle to the storage of this name.
pub(crate) async fn open(name: &str) -> Result<Arc<dyn SyncableDataSource>, String> {
    let (kind, place) = name.split_once(':').ok_or_else(|| format!("{name} names no storage"))?;
    let (place, seat) = match place.rsplit_once('@') {
        Some((place, seat)) => (place, seat.parse().map_err(|_| format!("{name} names no seat"))?),
        None => (place, 0),
    };
    match kind.parse()? {
        StorageKind::Disk(disk) => disk.open(Path::new(place)).map_err(text),
        StorageKind::MySql => mysql::open(place, seat).await,
        StorageKind::Postgres => postgres::open(place).await,
        StorageKind::Mongo => mongo::open(place).await,
    }
}
