//! Processes of this program, and what the system knows of them.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;

use crate::role::Role;

/// What a process has used so far. `None` where the system does not tell (`/proc` is Linux's).
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// Seconds of processor time, in user and system mode, over all threads.
    pub cpu_seconds: Option<f64>,
    /// The most memory that was resident at once, in bytes.
    pub peak_rss: Option<u64>,
}

impl Usage {
    /// Of the process with this id.
    #[must_use]
    pub fn of(process: u32) -> Self {
        Self { cpu_seconds: cpu_seconds(process), peak_rss: peak_rss(process) }
    }

    /// Of this process.
    #[must_use]
    pub fn own() -> Self {
        Self::of(std::process::id())
    }
}

fn cpu_seconds(process: u32) -> Option<f64> {
    // User space sees ticks of 1/100 s on every Linux, whatever the kernel's own tick is.
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name of the program may hold anything, but it ends at the last parenthesis.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / TICKS_PER_SECOND)
}

fn peak_rss(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// The bytes that this process has handed to the system to write so far, to files and elsewhere.
#[must_use]
pub fn written() -> Option<u64> {
    let io = fs::read_to_string("/proc/self/io").ok()?;
    io.lines().find_map(|line| line.strip_prefix("wchar:"))?.trim().parse().ok()
}

fn start(role: &Role) -> Result<Child> {
    Command::new(std::env::current_exe()?)
        .arg("--role")
        .arg(serde_json::to_string(role)?)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("starting this program again")
}

/// Plays a role to its end in a process of its own, and gives what it reports.
///
/// # Errors
/// It fails, or reports something else.
pub fn run<T: DeserializeOwned>(role: &Role) -> Result<T> {
    let output = start(role)?.wait_with_output()?;
    if !output.status.success() {
        bail!("{role:?} failed: {}", output.status);
    }
    let text = String::from_utf8(output.stdout)?;
    serde_json::from_str(text.trim()).with_context(|| format!("{role:?} reports {text:?}"))
}

/// A server in a process of its own; it ends with this value, and with this process.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// The server ends when this is closed.
    input: Option<ChildStdin>,
    port: u16,
}

impl Server {
    /// Starts the server of a role and waits until it listens.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(role: &Role) -> Result<Self> {
        let mut child = start(role)?;
        let input = child.stdin.take();
        let mut line = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        // Not returned with `?`: the value must be dropped so that the process ends.
        let port = line.trim().parse().with_context(|| format!("{role:?} names no port: {line:?}"));
        let mut server = Self { child, input, port: 0 };
        server.port = port?;
        Ok(server)
    }

    /// The port that it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it has used so far.
    #[must_use]
    pub fn usage(&self) -> Usage {
        Usage::of(self.child.id())
    }

    /// Ends it in order and waits, so that its database is closed.
    ///
    /// # Errors
    /// It failed.
    pub fn stop(mut self) -> Result<()> {
        drop(self.input.take());
        let status = self.child.wait()?;
        if !status.success() {
            bail!("a server failed: {status}");
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // After `stop` both fail, and there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_is_known() {
        let usage = Usage::own();
        assert!(usage.peak_rss.is_some_and(|bytes| bytes > 1 << 20 && bytes < 1 << 40));
        assert!(usage.cpu_seconds.is_some_and(|seconds| (0.0..3600.0).contains(&seconds)));
    }
}
