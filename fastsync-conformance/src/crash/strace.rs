//! Running a process under `strace`.

use std::path::Path;
use std::process::{Command, Stdio};

/// The calls that change files, and those that tell where. What is not among them and changes files (`io_uring`) is not
/// seen.
const CALLS: &str = "open,openat,openat2,creat,lseek,read,readv,write,pwrite64,writev,pwritev,pwritev2,\
     ftruncate,truncate,fallocate,copy_file_range,sendfile,rename,renameat,renameat2,link,linkat,symlink,symlinkat,\
     unlink,unlinkat,mkdir,mkdirat,rmdir,fsync,fdatasync,sync_file_range,sync,syncfs,mmap,dup,dup2,dup3,fcntl,\
     io_uring_setup";

/// Longer than any write.
const LONGEST: &str = "67108864";

/// Why nothing can be recorded here, if so. Where `strace` must be there, that is a failure.
pub(super) fn missing() -> Result<Option<String>, String> {
    let reason = if cfg!(target_os = "linux") {
        let status = Command::new("strace")
            .args(["-o", "/dev/null", "true"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        match status {
            Ok(status) if status.success() => return Ok(None),
            Ok(status) => format!("strace cannot be used here: {status}"),
            Err(_) => "strace is not installed; as root on Debian: apt-get install strace".to_owned(),
        }
    } else {
        "strace is a program of Linux".to_owned()
    };
    let required = std::env::var("FASTSYNC_REQUIRE").unwrap_or_default();
    let is_required = required.split(',').any(|name| name.trim() == "strace");
    let is_ci = std::env::var("CI").is_ok_and(|value| value == "true") && cfg!(target_os = "linux");
    if is_required || is_ci { Err(reason) } else { Ok(Some(reason)) }
}

/// A failure of the disk: calls that fail instead of doing what they do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fault {
    /// The calls, with commas between them.
    pub(super) calls: &'static str,
    pub(super) error: &'static str,
    /// Which one of a thread's calls fails: `3` the third, `3+` all from the third on.
    pub(super) when: &'static str,
}

/// The command that runs a program and records what it does.
pub(super) fn command(log: &Path, fault: Option<Fault>) -> Command {
    let mut command = Command::new("strace");
    command.args(["-f", "-y", "-xx", "-s", LONGEST, "-e", "signal=none"]).arg("-o").arg(log);
    command.arg("-e").arg(format!("trace={CALLS}"));
    if let Some(Fault { calls, error, when }) = fault {
        command.arg("-e").arg(format!("inject={calls}:error={error}:when={when}"));
    }
    command
}
