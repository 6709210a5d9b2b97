//! Settings of a [`SledDataSource`](crate::SledDataSource).

use std::{path::PathBuf, time::Duration};

/// How much a commit waits for the disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Synchronous {
    /// A commit is on the disk before it is acknowledged or visible: sled's flush, then an `fsync` of its file.
    #[default]
    Full,
    /// sled's flush alone. On Linux that is no `fsync`: a commit survives the death of the process, but the last ones
    /// can be lost with power, and opening the store then says so with `Corrupt`.
    Normal,
}

/// Settings of a [`SledDataSource`](crate::SledDataSource).
///
/// ```
/// use fastsync_dao_sled::{SledConfig, Synchronous};
/// let config = SledConfig::new("app.store").cache_bytes(16 << 20).synchronous(Synchronous::Normal);
/// assert_eq!(config.readers, 2);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SledConfig {
    /// The folder of the store; it is made if it is not there.
    pub path: PathBuf,
    /// How much a commit waits for the disk ([`Synchronous::Full`] unless set).
    pub synchronous: Synchronous,
    /// How long opening waits for another handle that has the store open (1 second unless set).
    pub lock_timeout: Duration,
    /// How many threads read beside the writer, 1 to 64 (2 unless set).
    pub readers: usize,
    /// sled's page cache in bytes (64 MiB unless set).
    pub cache_bytes: u64,
}

impl SledConfig {
    /// The default settings for this folder.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            synchronous: Synchronous::Full,
            lock_timeout: Duration::from_secs(1),
            readers: 2,
            cache_bytes: 64 << 20,
        }
    }

    /// Sets how much a commit waits for the disk.
    #[must_use]
    pub fn synchronous(mut self, synchronous: Synchronous) -> Self {
        self.synchronous = synchronous;
        self
    }

    /// Sets how long opening waits for another handle.
    #[must_use]
    pub fn lock_timeout(mut self, lock_timeout: Duration) -> Self {
        self.lock_timeout = lock_timeout;
        self
    }

    /// Sets how many threads read beside the writer.
    #[must_use]
    pub fn readers(mut self, readers: usize) -> Self {
        self.readers = readers;
        self
    }

    /// Sets the page cache.
    #[must_use]
    pub fn cache_bytes(mut self, bytes: u64) -> Self {
        self.cache_bytes = bytes;
        self
    }
}
