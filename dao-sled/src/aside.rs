//! Moving a damaged store out of the way.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fastsync_core::{ErrorKind, Result};
use fastsync_dao_kit::kv::{Fail, Run, folder_of, sync_folder};

use crate::SledDataSource;
use crate::engine::lock;

impl SledDataSource {
    /// Moves a store out of the way, so that a new one can be opened in its place; gives where it is now: beside it,
    /// with `.damaged` or `.damaged-N` added to its name. Nothing is deleted.
    ///
    /// What to do when [`Self::open`] answers `Corrupt`. A client whose store is new fetches everything from the
    /// server; edits that were not sent are in the folder that was moved, as far as it can be read.
    ///
    /// # Errors
    /// `Unavailable` if the store is open; `NotFound` if there is none; `Config` if the folder cannot be renamed.
    pub fn move_aside(path: impl AsRef<Path>) -> Result<PathBuf> {
        let path = path.as_ref();
        move_aside(path)
            .map_err(|fail| fail.into_error("sled", "move_aside").with_context("path", path.display()))
    }
}

fn move_aside(path: &Path) -> Run<PathBuf> {
    let (Some(name), true) = (path.file_name(), path.is_dir()) else {
        return Err(Fail::new(ErrorKind::NotFound, "there is no store"));
    };
    let _lock = lock(path, Duration::ZERO)?;
    for number in 1..10_000_u32 {
        let mut aside = OsString::from(name);
        aside.push(".damaged");
        if number > 1 {
            aside.push(format!("-{number}"));
        }
        let aside = path.with_file_name(aside);
        if aside.symlink_metadata().is_ok() {
            continue;
        }
        match std::fs::rename(path, &aside) {
            Ok(()) => {
                sync_folder(folder_of(&aside))?;
                return Ok(aside);
            }
            // Somebody was faster with this name.
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Fail::new(ErrorKind::Config, "ten thousand damaged stores lie beside this one"))
}
