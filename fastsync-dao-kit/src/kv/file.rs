//! What embedded engines ask of the file system.

use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::kv::fail::Run;

/// Makes the names in a folder durable, where the system has that.
///
/// # Errors
/// Those of the file system.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { std::fs::File::open(folder)?.sync_all() } else { Ok(()) }
}

/// The folder that a path is in.
#[must_use]
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Tries until there is something or the time is over: a lock that another handle or process holds is often free soon.
///
/// # Errors
/// Those of `attempt`.
pub fn retry<T>(timeout: Duration, mut attempt: impl FnMut() -> Run<Option<T>>) -> Run<Option<T>> {
    const STEP: Duration = Duration::from_millis(5);
    let mut waited = Duration::ZERO;
    loop {
        let found = attempt()?;
        if found.is_some() || waited >= timeout {
            return Ok(found);
        }
        thread::sleep(STEP);
        waited = waited.saturating_add(STEP);
    }
}
