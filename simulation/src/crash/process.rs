//! A child process that is the same program: it says what it has done, line by line, until it is killed.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// How long a process may take for what is done in a moment, on however busy a machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

/// A running child.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    /// Starts this program as a child of this proof, with these arguments.
    pub(crate) fn start(proof: &str, args: &[String]) -> std::io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args([proof, "--child"])
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = child.stdout.take().ok_or_else(|| std::io::Error::other("no output of the child"))?;
        Ok(Self { child, lines: BufReader::new(stdout).lines() })
    }

    /// The next line of it; an error if it ended, or says nothing for [`PATIENCE`].
    pub(crate) async fn line(&mut self) -> std::io::Result<String> {
        self.line_within(PATIENCE).await
    }

    /// The next line of a child that may take so long.
    pub(crate) async fn line_within(&mut self, patience: Duration) -> std::io::Result<String> {
        let line = tokio::time::timeout(patience, self.lines.next_line()).await;
        let line =
            line.map_err(|_| std::io::Error::other(format!("the child says nothing for {patience:?}")))??;
        line.ok_or_else(|| std::io::Error::other("the child ended by itself"))
    }

    /// Kills it (SIGKILL) and gives what it had said up to then.
    pub(crate) async fn kill(mut self) -> std::io::Result<Vec<String>> {
        self.child.start_kill()?;
        self.child.wait().await?;
        let mut said = Vec::new();
        while let Some(line) = self.lines.next_line().await? {
            said.push(line);
        }
        Ok(said)
    }

    /// Closes its input, which tells it to come to an end.
    pub(crate) fn close_input(&mut self) {
        drop(self.child.stdin.take());
    }

    /// Waits until it has ended by itself, and says whether well.
    pub(crate) async fn finish(mut self) -> std::io::Result<bool> {
        let end = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        let end =
            end.map_err(|_| std::io::Error::other(format!("the child does not end within {PATIENCE:?}")))?;
        Ok(end?.success())
    }
}

/// Says a line to the parent, at once.
#[allow(clippy::print_stdout, reason = "the pipe to the parent")]
pub(crate) fn say(line: &str) {
    use std::io::Write as _;
    println!("{line}");
    // If the parent is gone, so is the reason to go on; the next line notices.
    let _ = std::io::stdout().flush();
}
