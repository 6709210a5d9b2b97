//! Settings of a [`RedbDataSource`](crate::RedbDataSource).

use std::{path::PathBuf, time::Duration};

/// Settings of a [`RedbDataSource`](crate::RedbDataSource).
///
/// ```
/// use fastsync_dao_redb::RedbConfig;
/// let config = RedbConfig::new("app.redb").cache_bytes(16 << 20).readers(4);
/// assert_eq!(config.readers, 4);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedbConfig {
    /// The file of the store; it is made if it is not there. Its folder exists.
    pub path: PathBuf,
    /// How long opening waits for another handle that has the store open (1 second unless set).
    pub lock_timeout: Duration,
    /// How many threads read beside the writer, 1 to 64 (2 unless set).
    pub readers: usize,
    /// redb's page cache in bytes (64 MiB unless set).
    pub cache_bytes: usize,
    /// Whether opening checks the whole file by its checksums, which redb else does only after a crash (it does not unless
    /// set). It takes time in proportion to the file's size.
    pub check_on_open: bool,
}

impl RedbConfig {
    /// The default settings for this file.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            lock_timeout: Duration::from_secs(1),
            readers: 2,
            cache_bytes: 64 << 20,
            check_on_open: false,
        }
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
    pub fn cache_bytes(mut self, bytes: usize) -> Self {
        self.cache_bytes = bytes;
        self
    }

    /// Sets whether opening checks the whole file.
    #[must_use]
    pub fn check_on_open(mut self, check: bool) -> Self {
        self.check_on_open = check;
        self
    }
}
