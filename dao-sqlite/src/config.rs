//! Settings of a [`SqliteDataSource`](crate::SqliteDataSource).

use std::{path::PathBuf, time::Duration};

/// How much a commit waits for the disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Synchronous {
    /// A commit is on the disk before it is acknowledged or visible. What servers need.
    #[default]
    Full,
    /// A commit survives the death of the process; the last ones can be lost with power. Never damages the file.
    ///
    /// A server that lost commits answers `ResetRequired` to clients that saw them; a client that lost commits
    /// has lost local edits. Choose it only where that is fine.
    Normal,
}

/// Settings of a [`SqliteDataSource`](crate::SqliteDataSource).
///
/// ```
/// use fastsync_dao_sqlite::{SqliteConfig, Synchronous};
/// let config = SqliteConfig::new("app.db").readers(4).synchronous(Synchronous::Normal);
/// assert_eq!(config.readers, 4);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SqliteConfig {
    /// The database file; it is made if it is not there.
    pub path: PathBuf,
    /// How much a commit waits for the disk ([`Synchronous::Full`] unless set).
    pub synchronous: Synchronous,
    /// How long an operation waits for another process that holds the lock (5 seconds unless set).
    pub busy_timeout: Duration,
    /// How many connections read beside the writer, 1 to 64 (2 unless set).
    pub readers: usize,
    /// The page cache of the connection that writes, in bytes (32 MiB unless set); one that reads has half of it.
    pub page_cache_bytes: usize,
}

impl SqliteConfig {
    /// The default settings for this file.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            synchronous: Synchronous::Full,
            busy_timeout: Duration::from_secs(5),
            readers: 2,
            page_cache_bytes: 32 << 20,
        }
    }

    /// Sets how much a commit waits for the disk.
    #[must_use]
    pub fn synchronous(mut self, synchronous: Synchronous) -> Self {
        self.synchronous = synchronous;
        self
    }

    /// Sets how long an operation waits for another process.
    #[must_use]
    pub fn busy_timeout(mut self, busy_timeout: Duration) -> Self {
        self.busy_timeout = busy_timeout;
        self
    }

    /// Sets how many connections read beside the writer.
    #[must_use]
    pub fn readers(mut self, readers: usize) -> Self {
        self.readers = readers;
        self
    }

    /// Sets the page cache of the connection that writes.
    #[must_use]
    pub fn page_cache_bytes(mut self, bytes: usize) -> Self {
        self.page_cache_bytes = bytes;
        self
    }
}
