//! What was acknowledged survives a killed process, a power cut and a failing disk.
//!
//! The cases of the suite close a storage before they open it again, which writes out what a crash would lose. Here
//! nothing is closed: a process of its own works on the storage and is stopped from outside.
//!
//! - **A killed process** (SIGKILL) at some moment of its commits, again and again.
//! - **A power cut**: `strace` records what the process writes and syncs, and the folder is built anew as a disk holds
//!   it that loses what was not synced: all of it, all but one file's, or the contents under the new names.
//! - **A failing disk**: a write, a sync or a rename fails with an error that `strace` puts in its place.
//! - **A killed server**, for a storage that lives in one.
//!
//! After each, the storage is opened, and everything acknowledged is there: whole commits or nothing, with the state
//! written in the same commit, positions without gaps, and the pending edits. A data source joins with a
//! [`CrashHarness`] and one line in its tests:
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use async_trait::async_trait;
//! use fastsync_conformance::crash::CrashHarness;
//! use fastsync_core::{MemoryDataSource, Result, SyncableDataSource};
//!
//! struct MyCrashHarness;
//!
//! #[async_trait]
//! impl CrashHarness for MyCrashHarness {
//!     async fn open(&self, place: &str) -> Result<Arc<dyn SyncableDataSource>> {
//!         # let open = |_: &str| MemoryDataSource::new();
//!         Ok(Arc::new(open(place)))
//!     }
//! }
//!
//! fastsync_conformance::crash_tests!(MyCrashHarness);
//! # fn main() {}
//! ```
//!
//! The process that is stopped is the test program itself, started again with `--exact` and the name of the test; so the
//! line stands in a program of libtest's. Power cuts and failing disks take Linux and `strace`; without it they say
//! `SKIPPED`, and fail where `CI` is `true` or `FASTSYNC_REQUIRE` names `strace`.

mod child;
mod disk;
mod kill;
mod recording;
mod strace;
mod trial;
mod verify;
mod workload;

use std::any::Any;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use fastsync_core::{Result, SyncableDataSource};

/// What a data source's author writes to have its storage crashed.
#[async_trait]
pub trait CrashHarness: Send + Sync + 'static {
    /// Opens the storage at a place, as a program that starts would: in the test and in the process that is stopped,
    /// each of which has a harness of its own. The place is that of [`Self::storage`], or a copy of its folder.
    ///
    /// # Errors
    /// Those of the data source.
    async fn open(&self, place: &str) -> Result<Arc<dyn SyncableDataSource>>;

    /// Makes an empty storage: a new place in a folder, unless the storage lives in a server.
    fn storage(&self) -> Storage {
        Storage::in_folder()
    }

    /// Why nothing can be checked here, if that is so: the server that the storage lives in is not there.
    fn skip(&self) -> Option<String> {
        None
    }

    /// Whether the engine makes the file of this name anew after a crash, whatever is in it. Such a file is in no image
    /// of the folder. Every other file that is written through memory (`mmap`) fails the check: what is written so
    /// cannot be recorded.
    fn is_scratch(&self, file_name: &str) -> bool {
        let _ = file_name;
        false
    }
}

/// An empty storage of a check. Dropping it removes it.
pub struct Storage {
    place: String,
    /// The folder that holds everything there is of it.
    folder: Option<PathBuf>,
    pid_file: Option<PathBuf>,
    _owned: Box<dyn Any + Send>,
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Storage").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Storage {
    /// What stands at the place of a storage in a folder: nothing yet. It may become a file or a folder.
    const NAME: &str = "store";

    /// The path of a file or a folder to be, in a folder of its own.
    ///
    /// # Panics
    /// If there can be no folder.
    #[must_use]
    pub fn in_folder() -> Self {
        let owned = tempfile::tempdir().expect("a folder for the storage");
        // Recorded paths have no links in them.
        let folder = owned.path().canonicalize().expect("a folder has a path");
        Self { place: Self::place_in(&folder), folder: Some(folder), pid_file: None, _owned: Box::new(owned) }
    }

    /// A place in a server; `owned` removes it when it is dropped.
    #[must_use]
    pub fn in_server(place: impl Into<String>, owned: impl Any + Send) -> Self {
        Self { place: place.into(), folder: None, pid_file: None, _owned: Box::new(owned) }
    }

    /// The number of the server's process stands in this file; somebody starts it anew when it is killed.
    #[must_use]
    pub fn with_pid_file(self, pid_file: impl Into<PathBuf>) -> Self {
        Self { pid_file: Some(pid_file.into()), ..self }
    }

    fn place_in(folder: &Path) -> String {
        folder.join(Self::NAME).display().to_string()
    }
}

/// A way to crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Crash {
    /// The process is killed.
    KilledProcess,
    /// The server that the storage lives in is killed. Others may be using it, so this takes the variable
    /// `FASTSYNC_KILL_SERVERS` beside a file with its process's number.
    KilledServer,
    /// What was not synced is lost.
    PowerCut,
    /// A write, a sync or a rename fails.
    FailingDisk,
}

/// What came of a check that found nothing wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Checked {
    /// Everything acknowledged was there; what was done.
    Survived(String),
    /// Nothing was checked, and why.
    Skipped(String),
}

/// Crashes a storage of the harness and looks at what is there afterwards. `test` is the path of the calling test
/// (`crate::module::name`): the process that is stopped is this program, started again to run that test alone, and gets
/// no further than this call.
///
/// # Errors
/// What was lost, or what else is wrong.
pub fn check(crash: Crash, test: &str, harness: &impl CrashHarness) -> std::result::Result<Checked, String> {
    child::work_if_asked(harness);
    if let Some(reason) = harness.skip() {
        return Ok(Checked::Skipped(reason));
    }
    match crash {
        Crash::KilledProcess => kill::process(test, harness),
        Crash::KilledServer => kill::server(test, harness),
        Crash::PowerCut => trial::power_cut(test, harness),
        Crash::FailingDisk => trial::failing_disk(test, harness),
    }
}

/// As [`check`], for the tests of [`crash_tests`](crate::crash_tests).
///
/// # Panics
/// If something was lost.
#[allow(clippy::print_stderr, reason = "what was done, and a check that does not run says so")]
pub fn run(crash: Crash, test: &str, harness: &impl CrashHarness) {
    match check(crash, test, harness) {
        Ok(Checked::Survived(what)) => eprintln!("{crash:?}: {what}"),
        Ok(Checked::Skipped(reason)) => eprintln!("SKIPPED {crash:?}: {reason}"),
        Err(problem) => panic!("{crash:?}: {problem}"),
    }
}

/// Makes the tests of [`crash`](crate::crash), in a module `crash` (or of the name given first). The expression makes
/// the harness. For a storage in a server write `server` before it: its process is killed in the place of a power cut
/// and a failing disk.
#[macro_export]
macro_rules! crash_tests {
    (server $make:expr $(,)?) => {
        $crate::__crash_tests!(crash [$make]
            killed_process KilledProcess, killed_server KilledServer);
    };
    ($module:ident, $make:expr $(,)?) => {
        $crate::__crash_tests!($module [$make]
            killed_process KilledProcess, power_cut PowerCut, failing_disk FailingDisk);
    };
    ($make:expr $(,)?) => {
        $crate::crash_tests!(crash, $make);
    };
}

/// The tests of [`crash_tests`].
#[doc(hidden)]
#[macro_export]
macro_rules! __crash_tests {
    ($module:ident [$make:expr] $($test:ident $crash:ident),*) => {
        mod $module {
            #[allow(unused_imports)]
            use super::*;

            $(
                #[test]
                fn $test() {
                    let test = concat!(module_path!(), "::", stringify!($test));
                    $crate::crash::run($crate::crash::Crash::$crash, test, &$make);
                }
            )*
        }
    };
}
