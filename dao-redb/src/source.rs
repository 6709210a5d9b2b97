//! The data source.

use std::path::{Path, PathBuf};

use fastsync_core::Result;
use fastsync_dao_kit::kv::KvDataSource;

use crate::config::RedbConfig;
use crate::engine::Redb;

/// Records in a file of redb's. A cheap handle: clones share the store.
///
/// One handle and its clones have the store to themselves: opening it a second time, here or in another process, is
/// `Unavailable`.
#[derive(Debug, Clone)]
pub struct RedbDataSource(KvDataSource<Redb>);

fastsync_dao_kit::data_source!(RedbDataSource);

impl RedbDataSource {
    /// Opens a store with the default settings; it is made if it is not there.
    ///
    /// The types of an existing store are known without [`prepare`](fastsync_core::SyncableDataSource::prepare), as they
    /// were prepared last. What an earlier release wrote in another form is upgraded by `prepare`, and every other call is
    /// `Config` until then. After a crash, opening reads the whole file; it blocks for that long.
    ///
    /// # Errors
    /// `Unavailable` if the store is open already; `Corrupt` if it is damaged; `Config` if the settings do not hold or the
    /// file cannot be used; `Unsupported` if a newer release, or an earlier major version of redb, wrote
    /// the store.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        Self::open_with(&RedbConfig::new(path))
    }

    /// Opens a store with these settings.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with(config: &RedbConfig) -> Result<Self> {
        let source = KvDataSource::open(config.readers, || Redb::open(config));
        source.map(Self).map_err(|error| error.with_context("path", config.path.display()))
    }

    /// The file of the store.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.engine().path
    }
}
