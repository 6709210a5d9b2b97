//! The data source.

use std::path::{Path, PathBuf};

use fastsync_core::Result;
use fastsync_dao_kit::kv::KvDataSource;

use crate::config::SledConfig;
use crate::engine::Sled;

/// Records in a folder of sled's. A cheap handle: clones share the store.
///
/// One handle and its clones have the store to themselves: opening it a second time, here or in another process, is
/// `Unavailable`.
#[derive(Debug, Clone)]
pub struct SledDataSource(KvDataSource<Sled>);

fastsync_dao_kit::data_source!(SledDataSource);

impl SledDataSource {
    /// Opens a store with the default settings; it is made if it is not there.
    ///
    /// The types of an existing store are known without [`prepare`](fastsync_core::SyncableDataSource::prepare), as they
    /// were prepared last. What an earlier release wrote in another form is upgraded by `prepare`, and every other call is
    /// `Config` until then. Opening reads sled's snapshot and the log since then; it blocks for that long.
    ///
    /// # Errors
    /// `Unavailable` if the store is open already; `Corrupt` if it is damaged (see [`Self::move_aside`]); `Config` if
    /// the settings do not hold or the folder cannot be used; `Unsupported` if a newer release wrote the store.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        Self::open_with(&SledConfig::new(path))
    }

    /// Opens a store with these settings.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with(config: &SledConfig) -> Result<Self> {
        let source = KvDataSource::open(config.readers, || Sled::open(config));
        source.map(Self).map_err(|error| error.with_context("path", config.path.display()))
    }

    /// The folder of the store.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.engine().path
    }
}
