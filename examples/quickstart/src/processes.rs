//! The other processes: this program again, with another command.

use std::{env, path::Path, process::Stdio};

use anyhow::{Context, bail};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::events::{Event, peak_memory};
use crate::replica::Remote;

/// The variable in which the token is handed on: unlike an argument, other users cannot see it.
pub(crate) const TOKEN: &str = "QUICKSTART_TOKEN";

/// A running process that tells what it does. It ends with this one.
pub(crate) struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    events: Lines<BufReader<ChildStdout>>,
}

impl Process {
    pub(crate) fn server(db: &Path, token: &str) -> anyhow::Result<Self> {
        Self::start(Command::new(env::current_exe()?).arg("server").arg(db).env(TOKEN, token))
    }

    pub(crate) fn client_edit(db: &Path) -> anyhow::Result<Self> {
        Self::start(Command::new(env::current_exe()?).arg("client-edit").arg(db))
    }

    pub(crate) fn client_sync(db: &Path, remote: &Remote) -> anyhow::Result<Self> {
        let mut command = Command::new(env::current_exe()?);
        Self::start(command.arg("client-sync").arg(db).arg(&remote.url).env(TOKEN, &remote.token))
    }

    fn start(command: &mut Command) -> anyhow::Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("another process of this program cannot be started")?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().context("a child process has an output")?;
        Ok(Self { child, stdin, events: BufReader::new(stdout).lines() })
    }

    /// The next thing that it tells; `None` once it has ended as it should.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Option<Event>> {
        if let Some(line) = self.events.next_line().await? {
            return Ok(Some(serde_json::from_str(&line)?));
        }
        let status = self.child.wait().await?;
        if !status.success() {
            bail!("another process of this program failed: {status}");
        }
        Ok(None)
    }

    /// Ends it as a power cut would: `SIGKILL`, which it can neither see nor delay.
    pub(crate) async fn kill(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }

    /// The most memory that it has had so far, in KiB.
    pub(crate) fn peak_memory(&self) -> Option<u64> {
        peak_memory(&self.child.id()?.to_string())
    }

    /// Lets it end by itself.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        drop(self.stdin.take());
        while self.next().await?.is_some() {}
        Ok(())
    }
}
