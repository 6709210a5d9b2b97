//! Nothing that this program starts outlives it, however it ends: not by Ctrl-C, SIGTERM or SIGKILL either.
//!
//! A process carries a mark in its environment and hands it down to all that it starts, whatever group or session they
//! move to. A watcher beside it waits until the program is gone; unless that was the orderly end, it kills what still has
//! the mark and removes the folders of the servers. A signal handler would not run on SIGKILL, and the kernel's parent-death
//! signal follows the thread that started a child, which for a server that was started anew is a thread that may end.
//!
//! This works on Linux, where the environment of a process can be read. Elsewhere the orderly end alone stops the servers.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};

/// The variable with the mark.
pub(crate) const MARK: &str = "FASTSYNC_RUN";

/// What the watcher says to itself: `$1` is the mark, `$2` how the names of the folders begin.
const WATCH: &str = r#"
read -r word && [ "$word" = done ] && exit
for attempt in $(seq 100); do
    found=$(grep -lsz "^FASTSYNC_RUN=$1\$" /proc/[0-9]*/environ)
    [ -n "$found" ] || break
    for file in $found; do
        process=${file#/proc/}
        kill -KILL "${process%/environ}" 2>/dev/null
    done
    sleep 0.1
done
rm -rf "$2"*
"#;

/// The watcher; dropping this is the orderly end.
#[derive(Debug)]
pub(crate) struct Guard {
    watcher: Option<Child>,
}

impl Guard {
    /// Begins to watch over everything that this process starts from now on. Call it first: it replaces the process by
    /// itself with the mark.
    pub(crate) fn begin() -> Result<Self> {
        if !cfg!(target_os = "linux") {
            return Ok(Self { watcher: None });
        }
        let mark = match own_mark() {
            Some(mark) => mark,
            None => start_anew()?,
        };
        let mut command = Command::new("sh");
        command.args(["-c", WATCH, "watcher", &mark]).arg(folder("")).env_remove(MARK);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // A group of its own: Ctrl-C is meant for the others.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        Ok(Self { watcher: Some(command.spawn().context("`sh` could not be started")?) })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        use std::io::Write as _;
        if let Some(mut watcher) = self.watcher.take() {
            if let Some(mut word) = watcher.stdin.take() {
                let _ = word.write_all(b"done\n");
            }
            let _ = watcher.wait();
        }
    }
}

/// The folder of this process for a server's data; the watcher removes it if nobody else does.
pub(crate) fn folder(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("fastsync-{}-{name}", std::process::id()))
}

/// The mark, if this process was started anew with it; one of a process further up is not ours.
fn own_mark() -> Option<String> {
    let own = format!("{}-", std::process::id());
    std::env::var(MARK).ok().filter(|mark| mark.starts_with(&own))
}

/// Replaces this process by the same program with the mark; comes back only with an error.
#[cfg(unix)]
fn start_anew() -> Result<String> {
    use std::os::unix::process::CommandExt as _;
    use std::time::{SystemTime, UNIX_EPOCH};
    // Numbers of processes are used again.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    let program = std::env::current_exe().context("where is this program?")?;
    let mut command = Command::new(program);
    command.args(std::env::args_os().skip(1)).env(MARK, format!("{}-{now}", std::process::id()));
    Err(anyhow::Error::new(command.exec()).context("this program could not be started anew"))
}

#[cfg(not(unix))]
fn start_anew() -> Result<String> {
    anyhow::bail!("there are no marks here")
}
