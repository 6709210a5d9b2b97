//! One open store: its lock, its tree, and the order of "applied, durable, visible".

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use fastsync_core::ErrorKind;
use fastsync_core::source::PlannedChange;
use fastsync_core::source::upgrade::Upgrades;
use parking_lot::{RwLock, RwLockWriteGuard};

use crate::config::{SledConfig, Synchronous};
use crate::disk::{Disk, sync_folder};
use crate::error::{Fail, Run, guarded};
use crate::key::{self, Range};
use crate::mark::Mark;
use crate::registry::Registry;
use crate::staged::carry_out;
use crate::tree::{self, Changes, Draft, Rows};
use crate::upgrade::{Upgrade, read_meta, write_meta};

/// The folder of sled's files within the store's.
const SLED: &str = "sled";

/// What is locked as long as the store is open.
const LOCK: &str = "lock";

/// How long sled may hold its own lock after it was closed.
const SLED_LINGERS: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct Store {
    db: sled::Db,
    /// To be synced by us, unless the user does without.
    disk: Option<Disk>,
    mark: Mark,
    upgrades: Upgrades<Upgrade>,
    version: AtomicU32,
    number: AtomicU64,
    flushes: AtomicU64,
    /// Readers hold it for one committed state. The writer holds it from the first changed row until the change is
    /// durable.
    visible: RwLock<()>,
    registry: RwLock<Arc<Registry>>,
    /// Why nothing can be done any more: a write failed half-way.
    broken: OnceLock<(ErrorKind, String)>,
    /// Dropped last: whoever has the lock finds everything closed.
    _lock: File,
}

impl Store {
    pub(crate) fn open(config: &SledConfig, upgrades: Upgrades<Upgrade>) -> Run<Self> {
        make_folder(&config.path)?;
        let lock = lock(&config.path, config.lock_timeout)?;
        let folder = config.path.join(SLED);
        let db = guarded(|| open_sled(&folder, config))?;
        let opened = Self::over(db.clone(), config, &folder, lock, upgrades);
        if opened.is_err() {
            // sled panics if it cannot sync its file when it is closed.
            drop(guarded(|| {
                drop(db);
                Ok(())
            }));
        }
        opened
    }

    fn over(
        db: sled::Db,
        config: &SledConfig,
        folder: &Path,
        lock: File,
        upgrades: Upgrades<Upgrade>,
    ) -> Run<Self> {
        let (version, number) = match guarded(|| Rows::get(&*db, key::META))? {
            Some(value) => read_meta(&value)?,
            None => (upgrades.version(), 0),
        };
        let is_current = upgrades.due(version)?.is_empty();
        let mark = Mark::open(&config.path, number)?;
        let registry = guarded(|| Registry::load(&*db))?;
        if is_current {
            // A process may have died between a decision and its end.
            guarded(|| carry_out(&registry, &db))?;
        }
        let disk = match config.synchronous {
            Synchronous::Full => Some(Disk::open(folder)?),
            Synchronous::Normal => None,
        };
        Ok(Self {
            db,
            disk,
            mark,
            upgrades,
            version: AtomicU32::new(version),
            number: AtomicU64::new(number),
            flushes: AtomicU64::new(0),
            visible: RwLock::new(()),
            registry: RwLock::new(Arc::new(registry)),
            broken: OnceLock::new(),
            _lock: lock,
        })
    }

    /// Runs reads on one committed state.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Registry, &dyn Rows) -> Run<T>) -> Run<T> {
        let _one_state = self.visible.read();
        self.check()?;
        let registry = self.registry();
        guarded(|| work(&registry, &*self.db))
    }

    pub(crate) fn registry(&self) -> Arc<Registry> {
        Arc::clone(&self.registry.read())
    }

    /// What the writer fills. Only the writer changes the tree, so it reads without the lock.
    pub(crate) fn draft(&self) -> Draft<'_> {
        Draft::new(&self.db, self.number.load(Ordering::Relaxed))
    }

    /// Refuses everything after a write that failed half-way.
    pub(crate) fn check(&self) -> Run<()> {
        match self.broken.get() {
            Some((kind, why)) => {
                Err(Fail::new(*kind, format!("an earlier write failed; open the store again: {why}")))
            }
            None => Ok(()),
        }
    }

    /// Applies what was drafted as one batch, makes it durable, and shows it to readers then.
    pub(crate) fn apply(&self, changes: Changes, number: u64) -> Run<()> {
        if changes.is_empty() {
            return Ok(());
        }
        self.apply_in_steps(changes, number, |_| Ok(()))
    }

    /// Applies what was drafted, makes it durable, and does what follows from it before readers see anything. What
    /// follows can be done again, so it may be lost until all of it is durable.
    pub(crate) fn apply_in_steps(
        &self,
        changes: Changes,
        number: u64,
        rest: impl FnOnce(&sled::Tree) -> Run<()>,
    ) -> Run<()> {
        self.apply_as(self.version.load(Ordering::Relaxed), changes, number, rest)
    }

    /// The same in a store that has this version from then on.
    fn apply_as(
        &self,
        version: u32,
        changes: Changes,
        number: u64,
        rest: impl FnOnce(&sled::Tree) -> Run<()>,
    ) -> Run<()> {
        let prepares = tree::within(&changes, &Range::prefix(key::types()))
            .is_some_and(|mut rows| rows.next().is_some());
        let has_rest = changes.contains_key(key::DECISION);
        let mut batch = batch(changes);
        batch.insert(key::META, write_meta(version, number)?);
        let hidden = self.visible.write();
        let applied = guarded(|| {
            self.db.apply_batch(batch)?;
            self.make_durable()?;
            self.mark.set(number)?;
            if has_rest {
                rest(&self.db)?;
                self.make_durable()?;
            }
            if prepares {
                *self.registry.write() = Arc::new(Registry::load(&*self.db)?);
            }
            Ok(())
        });
        match &applied {
            Ok(()) => {
                self.number.store(number, Ordering::Relaxed);
                self.version.store(version, Ordering::Release);
            }
            Err(fail) => drop(self.broken.set(fail.summary())),
        }
        self.flushes.fetch_add(1, Ordering::Relaxed);
        // Readers that waited come first: a writer that never rests must not shut them out.
        RwLockWriteGuard::unlock_fair(hidden);
        applied
    }

    /// Refuses to work with rows that `prepare` has not upgraded yet.
    pub(crate) fn check_version(&self) -> Run<()> {
        Ok(self.upgrades.check(self.version.load(Ordering::Acquire))?)
    }

    /// What [`Self::upgrade`] would do.
    pub(crate) fn planned(&self) -> Run<Vec<PlannedChange>> {
        Ok(self.upgrades.planned(self.version.load(Ordering::Acquire))?)
    }

    /// Does the steps that are due, each in a batch with its version: what is not done yet is done when this is called
    /// again. For the writer.
    pub(crate) fn upgrade(&self) -> Run<()> {
        let due = self.upgrades.due(self.version.load(Ordering::Acquire))?;
        for step in due {
            let mut draft = self.draft();
            let done = guarded(|| (step.action)(&mut draft));
            draft.end_job(done)?;
            let (changes, number) = draft.finish();
            self.apply_as(step.to(), changes, number, |_| Ok(()))?;
        }
        if !due.is_empty() {
            let registry = guarded(|| Registry::load(&*self.db))?;
            // What was decided by the release before, and not carried out.
            guarded(|| carry_out(&registry, &self.db))?;
            *self.registry.write() = Arc::new(registry);
        }
        Ok(())
    }

    fn make_durable(&self) -> Run<()> {
        if let Some(disk) = &self.disk {
            disk.sync_blobs()?;
        }
        self.db.flush()?;
        match &self.disk {
            Some(disk) => Ok(disk.sync_log()?),
            None => Ok(()),
        }
    }

    /// How many groups of writes were made durable.
    #[cfg(test)]
    pub(crate) fn flushes(&self) -> u64 {
        self.flushes.load(Ordering::Relaxed)
    }
}

pub(crate) fn batch(changes: Changes) -> sled::Batch {
    let mut batch = sled::Batch::default();
    for (key, change) in changes {
        match change {
            Some(value) => batch.insert(key, value),
            None => batch.remove(key),
        }
    }
    batch
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
        let above =
            folder.parent().map(|above| if above.as_os_str().is_empty() { Path::new(".") } else { above });
        match above.map_or(Ok(()), sync_folder) {
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
    retry(timeout, || match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error.into()),
    })?
    .ok_or_else(|| {
        Fail::new(
            ErrorKind::Unavailable,
            "the store is open already, here or in another process: one at a time",
        )
    })?;
    Ok(file)
}

fn open_sled(folder: &Path, config: &SledConfig) -> Run<sled::Db> {
    let sled = sled::Config::new()
        .path(folder)
        .mode(sled::Mode::HighThroughput)
        .cache_capacity(config.cache_bytes)
        // Every write is flushed by us before it is acknowledged.
        .flush_every_ms(None);
    let mut opened = None;
    retry(SLED_LINGERS, || match sled.open() {
        Ok(db) => {
            opened = Some(db);
            Ok(true)
        }
        // We have the store's lock, so this is sled's thread of a handle that was just dropped.
        Err(sled::Error::Io(error)) if is_lock(&error) => Ok(false),
        Err(error) => Err(error.into()),
    })?;
    opened.ok_or_else(|| Fail::new(ErrorKind::Unavailable, "sled has not let go of its file yet"))
}

/// sled tells it by the text alone.
fn is_lock(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock || error.to_string().contains("could not acquire lock")
}

/// Tries until it works or the time is over; `None` if it did not.
fn retry(timeout: Duration, mut attempt: impl FnMut() -> Run<bool>) -> Run<Option<()>> {
    const STEP: Duration = Duration::from_millis(5);
    let mut waited = Duration::ZERO;
    loop {
        if attempt()? {
            return Ok(Some(()));
        }
        if waited >= timeout {
            return Ok(None);
        }
        thread::sleep(STEP);
        waited = waited.saturating_add(STEP);
    }
}
