//! Where the databases of a run lie.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::stats::median;
use crate::time::{now, since};

/// A folder that is removed at the end.
///
/// It lies beside the program unless told otherwise: the system's temporary folder is in memory on many machines, where
/// "durable" costs nothing and means nothing.
#[derive(Debug)]
pub struct Scratch {
    folder: TempDir,
}

impl Scratch {
    /// A new folder within `parent`.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn new(parent: Option<&Path>) -> Result<Self> {
        let parent = match parent {
            Some(parent) => parent.to_path_buf(),
            None => {
                let program = std::env::current_exe().context("where is this program?")?;
                program.parent().map(Path::to_path_buf).unwrap_or_default()
            }
        };
        let folder = tempfile::Builder::new().prefix("bench-").tempdir_in(&parent);
        Ok(Self { folder: folder.with_context(|| format!("no folder in {}", parent.display()))? })
    }

    /// A path in the folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The milliseconds that 4 KiB take to reach the disk here: what "durable" costs.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn sync_millis(&self) -> Result<f64> {
        use std::io::Write as _;
        let path = self.path("fdatasync");
        let mut file = std::fs::File::create(&path)?;
        let mut times = Vec::new();
        for _ in 0..50 {
            file.write_all(&[7; 4096])?;
            let start = now();
            file.sync_data()?;
            times.push(since(start) * 1e3);
        }
        drop(file);
        std::fs::remove_file(path)?;
        Ok(median(&times))
    }
}

/// Copies a closed SQLite database, with a log if one was left.
///
/// # Errors
/// A file cannot be copied.
pub fn copy_database(from: &Path, to: &Path) -> Result<()> {
    for suffix in ["", "-wal"] {
        let with = |path: &Path| PathBuf::from(format!("{}{suffix}", path.display()));
        let (from, to) = (with(from), with(to));
        if suffix.is_empty() || from.exists() {
            std::fs::copy(&from, &to).with_context(|| format!("copying {}", from.display()))?;
        }
    }
    Ok(())
}
