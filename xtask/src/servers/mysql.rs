//! A private MariaDB.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::{Keeper, Running, free_port, is_root};

pub(super) const VARIABLE: &str = "FASTSYNC_MYSQL_URL";

/// How long the server may take to answer for the first time.
const PATIENCE: Duration = Duration::from_secs(60);

/// Starts a server on a free port of the loopback address; its user may make databases.
pub(super) fn start(folder: &Path) -> Result<Running> {
    // As root, it has to be told that this is meant.
    let server = MariaDb::install(folder, is_root().then_some("root"))?;
    let mut keeper = server.start(|_| {})?;
    keeper.watch();
    let mut running = Running::default();
    running.env.push((VARIABLE.to_owned(), server.url()));
    running.env.push(("FASTSYNC_MYSQL_PID_FILE".to_owned(), server.pid_file().display().to_string()));
    running.kept.push(keeper);
    Ok(running)
}

/// A server of our own, in a folder of its own.
pub(super) struct MariaDb {
    folder: PathBuf,
    user: Option<&'static str>,
    port: u16,
}

impl MariaDb {
    /// Makes its data, which belong to the user of this name: whoever calls this if there is none.
    pub(super) fn install(folder: &Path, user: Option<&'static str>) -> Result<Self> {
        let server = Self { folder: folder.to_owned(), user, port: free_port()? };
        let log = || File::create(folder.join("install.log")).map_or_else(|_| Stdio::null(), Stdio::from);
        let installed = Command::new("mariadb-install-db")
            .args([
                "--no-defaults",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                "--skip-name-resolve",
            ])
            .args(server.own())
            .stdout(log())
            .stderr(Stdio::null())
            .status()
            .context("mariadb-install-db cannot be run")?;
        if !installed.success() {
            bail!("mariadb-install-db failed; see {}", folder.join("install.log").display());
        }
        Ok(server)
    }

    /// Starts it with more options, and waits until it has taken our user.
    pub(super) fn start(&self, more: impl Fn(&mut Command)) -> Result<Keeper> {
        let keeper = Keeper::start(self.command(more), self.pid_file())?;
        let begin = Instant::now();
        let problem = loop {
            if self.has_taken() {
                return Ok(keeper);
            }
            if let Err(problem) = keeper.check() {
                break format!("mariadbd: {problem}");
            }
            if begin.elapsed() > PATIENCE {
                break format!("mariadbd did not answer within {PATIENCE:?}");
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        let log = std::fs::read_to_string(self.folder.join("error.log")).unwrap_or_default();
        let end: Vec<_> = log.lines().rev().take(5).collect();
        bail!("{problem}; the end of its log, backwards: {}", end.join(" | "))
    }

    /// How it is started.
    fn command(&self, more: impl Fn(&mut Command)) -> Command {
        let mut command = Command::new("mariadbd");
        command.args(["--no-defaults", "--bind-address=127.0.0.1", "--skip-name-resolve"]).args([
            "--innodb-buffer-pool-size=256M",
            "--innodb-log-file-size=128M",
            "--max-connections=400",
        ]);
        command
            .args(self.own())
            .arg(format!("--socket={}", self.socket().display()))
            .arg(format!("--port={}", self.port))
            .arg(format!("--pid-file={}", self.folder.join("own-pid").display()))
            .arg(format!("--log-error={}", self.folder.join("error.log").display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        more(&mut command);
        command
    }

    /// Where its data are and whose they are.
    fn own(&self) -> impl Iterator<Item = String> {
        let data = format!("--datadir={}", self.folder.join("data").display());
        std::iter::once(data).chain(self.user.map(|user| format!("--user={user}")))
    }

    fn socket(&self) -> PathBuf {
        self.folder.join("socket")
    }

    /// Where the number of its process stands.
    pub(super) fn pid_file(&self) -> PathBuf {
        self.folder.join("pid")
    }

    pub(super) const fn port(&self) -> u16 {
        self.port
    }

    /// How our user reaches it.
    pub(super) fn url(&self) -> String {
        format!("mysql://fastsync:fastsync@127.0.0.1:{}/fastsync", self.port)
    }

    /// Whether the server answers and has made the user and the database.
    fn has_taken(&self) -> bool {
        let sql = "CREATE USER IF NOT EXISTS fastsync@'127.0.0.1' IDENTIFIED BY 'fastsync'; \
                   CREATE DATABASE IF NOT EXISTS fastsync; GRANT ALL ON *.* TO fastsync@'127.0.0.1'";
        Command::new("mariadb")
            .args(["--no-defaults", "-uroot", "-e", sql])
            .arg(format!("--socket={}", self.socket().display()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }
}
