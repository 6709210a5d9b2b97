//! What sled leaves to the operating system: its flush is no `fsync` on Linux, and its largest pages, which are files
//! of their own, are never synced.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};

use fastsync_dao_kit::kv::sync_folder;

/// sled's files.
pub(crate) struct Disk {
    log: File,
    blobs: PathBuf,
    /// The place in sled's log that names the newest synced blob.
    synced: AtomicI64,
}

impl Disk {
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        // A sync needs a handle that can write on some systems.
        let log = File::options().write(true).open(folder.join("db"))?;
        sync_folder(folder)?;
        let disk = Self { log, blobs: folder.join("blobs"), synced: AtomicI64::new(-1) };
        disk.sync_blobs()?;
        disk.sync_log()?;
        Ok(disk)
    }

    /// The blobs are on the disk afterwards. That comes before sled's flush, which writes what names them: if the disk
    /// kept that and lost a blob, sled would leave out the page, and half a batch would be there.
    pub(crate) fn sync_blobs(&self) -> io::Result<()> {
        let last = self.synced.load(Ordering::Relaxed);
        let mut newest = last;
        for blob in std::fs::read_dir(&self.blobs)? {
            let blob = blob?;
            let Some(place) = blob.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            if place > last {
                match File::options().write(true).open(blob.path()) {
                    Ok(file) => file.sync_all()?,
                    // sled removes blobs that it has replaced.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(error),
                }
                newest = newest.max(place);
            }
        }
        if newest > last {
            sync_folder(&self.blobs)?;
            self.synced.store(newest, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Everything that sled has flushed is on the disk afterwards.
    pub(crate) fn sync_log(&self) -> io::Result<()> {
        self.log.sync_data()
    }
}
