//! One open store: its lock, its tree, and the order of "applied, durable, visible".

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fastsync_core::ErrorKind;
use fastsync_dao_kit::kv::{
    Changes, Engine, Fail, Range, Run, Steps, View, folder_of, guarded, retry, sync_folder, written,
};
use parking_lot::{RwLock, RwLockWriteGuard};
use sled::IVec;

use crate::config::{SledConfig, Synchronous};
use crate::disk::Disk;
use crate::error::native;
use crate::mark::Mark;

/// The folder of sled's files within the store's.
const SLED: &str = "sled";

/// What is locked as long as the store is open.
const LOCK: &str = "lock";

/// How long sled may hold its own lock after it was closed.
const SLED_LINGERS: Duration = Duration::from_secs(5);

pub(crate) struct Sled {
    pub(crate) path: PathBuf,
    rows: Rows,
    /// To be synced by us, unless the user does without.
    disk: Option<Disk>,
    mark: Mark,
    /// Readers hold it for one committed state. The writer holds it from the first changed row until the change is
    /// durable.
    visible: RwLock<()>,
    /// Dropped last: whoever has the lock finds everything closed.
    _lock: File,
}

/// Everything is in sled's default tree, so that one batch is one commit.
pub(crate) struct Rows(sled::Db);

impl Sled {
    pub(crate) fn open(config: &SledConfig) -> Run<Self> {
        make_folder(&config.path)?;
        let lock = lock(&config.path, config.lock_timeout)?;
        let folder = config.path.join(SLED);
        let rows = Rows(guarded(|| open_sled(&folder, config))?);
        let sound = guarded(|| {
            let mark = Mark::open(&config.path, written(&rows)?)?;
            let disk = match config.synchronous {
                Synchronous::Full => Some(Disk::open(&folder)?),
                Synchronous::Normal => None,
            };
            Ok((mark, disk))
        });
        match sound {
            Ok((mark, disk)) => {
                let (path, visible) = (config.path.clone(), RwLock::new(()));
                Ok(Self { path, rows, disk, mark, visible, _lock: lock })
            }
            Err(fail) => {
                // sled panics if it cannot sync its file when it is closed.
                drop(guarded(|| {
                    drop(rows);
                    Ok(())
                }));
                Err(fail)
            }
        }
    }

    fn apply(&self, changes: Changes) -> Run<()> {
        let mut batch = sled::Batch::default();
        for (key, change) in changes {
            match change {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        self.rows.0.apply_batch(batch).map_err(native)
    }

    fn make_durable(&self) -> Run<()> {
        if let Some(disk) = &self.disk {
            disk.sync_blobs()?;
        }
        self.rows.0.flush().map_err(native)?;
        match &self.disk {
            Some(disk) => Ok(disk.sync_log()?),
            None => Ok(()),
        }
    }
}

impl Engine for Sled {
    const NAME: &'static str = "sled";

    type View = Rows;

    fn read<T>(&self, work: impl FnOnce(&Rows) -> Run<T>) -> Run<T> {
        let _one_state = self.visible.read();
        work(&self.rows)
    }

    // What the steps write can be done again, so it may be lost until all of it is durable.
    fn write(&self, changes: Changes, number: u64, steps: &mut Steps) -> Run<()> {
        self.apply(changes)?;
        self.make_durable()?;
        self.mark.set(number)?;
        let mut has_stepped = false;
        while let Some(changes) = steps.next(&self.rows)? {
            self.apply(changes)?;
            has_stepped = true;
        }
        if has_stepped { self.make_durable() } else { Ok(()) }
    }

    fn exclusively<T>(&self, write: impl FnOnce() -> T) -> T {
        let hidden = self.visible.write();
        let written = write();
        // Readers that waited come first: a writer that never rests must not shut them out.
        RwLockWriteGuard::unlock_fair(hidden);
        written
    }
}

impl View for Rows {
    type Bytes<'a> = IVec;

    fn get(&self, key: &[u8]) -> Run<Option<IVec>> {
        self.0.get(key).map_err(native)
    }

    fn scan(&self, range: Range) -> impl Iterator<Item = Run<(IVec, IVec)>> {
        self.0.range::<&[u8], _>(range.bounds()).map(|row| row.map_err(native))
    }

    fn last(&self, range: Range) -> Run<Option<(IVec, IVec)>> {
        self.0.range::<&[u8], _>(range.bounds()).next_back().transpose().map_err(native)
    }
}

/// Makes the folder of a new store. With its name the store would be lost, so that is made durable too.
fn make_folder(path: &Path) -> io::Result<()> {
    let made =
        path.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists()).count();
    std::fs::create_dir_all(path)?;
    if Mark::is_in(path) {
        return Ok(());
    }
    // A process that made the folder and died may have left its name to the next one.
    for folder in path.ancestors().take(made.max(1)) {
        match sync_folder(folder_of(folder)) {
            // Who may not open it did not make the folder in it.
            Err(error) if error.kind() != io::ErrorKind::PermissionDenied => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Takes the store's lock, which goes with the process.
pub(crate) fn lock(path: &Path, timeout: Duration) -> Run<File> {
    let file = File::options().create(true).truncate(false).write(true).open(path.join(LOCK))?;
    let locked = retry(timeout, || match file.try_lock() {
        Ok(()) => Ok(Some(())),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error.into()),
    })?;
    match locked {
        Some(()) => Ok(file),
        None => Err(Fail::new(
            ErrorKind::Unavailable,
            "the store is open already, here or in another process: one at a time",
        )),
    }
}

fn open_sled(folder: &Path, config: &SledConfig) -> Run<sled::Db> {
    let sled = sled::Config::new()
        .path(folder)
        .mode(sled::Mode::HighThroughput)
        .cache_capacity(config.cache_bytes)
        // Every write is flushed by us before it is acknowledged.
        .flush_every_ms(None);
    let opened = retry(SLED_LINGERS, || match sled.open() {
        Ok(db) => Ok(Some(db)),
        // We have the store's lock, so this is sled's thread of a handle that was just dropped.
        Err(sled::Error::Io(error)) if is_lock(&error) => Ok(None),
        Err(error) => Err(native(error)),
    })?;
    opened.ok_or_else(|| Fail::new(ErrorKind::Unavailable, "sled has not let go of its file yet"))
}

/// sled tells it by the text alone.
fn is_lock(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock || error.to_string().contains("could not acquire lock")
}
