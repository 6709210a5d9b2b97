//! A private MariaDB.

use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::Running;

pub(super) const VARIABLE: &str = "FASTSYNC_MYSQL_URL";

/// How long the server may take to answer for the first time.
const PATIENCE: Duration = Duration::from_secs(60);

/// Starts a server on a free port of the loopback address; its user may make databases.
pub(super) fn start(folder: &Path) -> Result<Running> {
    let data = folder.join("data");
    let socket = folder.join("socket");
    // As root, it has to be told that this is meant.
    let is_root =
        Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0");
    let user: &[&str] = if is_root { &["--user=root"] } else { &[] };
    let log = || File::create(folder.join("install.log")).map_or_else(|_| Stdio::null(), Stdio::from);
    let installed = Command::new("mariadb-install-db")
        .args([
            "--no-defaults",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            "--skip-name-resolve",
        ])
        .args(user)
        .arg(format!("--datadir={}", data.display()))
        .stdout(log())
        .stderr(Stdio::null())
        .status()
        .context("mariadb-install-db cannot be run")?;
    if !installed.success() {
        bail!("mariadb-install-db failed; see {}", folder.join("install.log").display());
    }
    let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
    let mut child = Command::new("mariadbd")
        .args(["--no-defaults", "--bind-address=127.0.0.1", "--skip-name-resolve"])
        .args(["--innodb-buffer-pool-size=256M", "--innodb-log-file-size=128M", "--max-connections=400"])
        .args(user)
        .arg(format!("--datadir={}", data.display()))
        .arg(format!("--socket={}", socket.display()))
        .arg(format!("--port={port}"))
        .arg(format!("--pid-file={}", folder.join("pid").display()))
        .arg(format!("--log-error={}", folder.join("error.log").display()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("mariadbd cannot be run")?;
    let url = format!("mysql://fastsync:fastsync@127.0.0.1:{port}/fastsync");
    let begin = Instant::now();
    let ready = loop {
        if has_taken(&socket) {
            break Ok(());
        }
        if let Some(status) = child.try_wait()? {
            break Err(format!("mariadbd ended ({status})"));
        }
        if begin.elapsed() > PATIENCE {
            break Err(format!("mariadbd did not answer within {PATIENCE:?}"));
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    let mut running = Running::default();
    running.env.push((VARIABLE.to_owned(), url));
    running.children.push(child);
    match ready {
        Ok(()) => Ok(running),
        Err(problem) => {
            let log = std::fs::read_to_string(folder.join("error.log")).unwrap_or_default();
            let end: Vec<_> = log.lines().rev().take(5).collect();
            bail!("{problem}; the end of its log, backwards: {}", end.join(" | "))
        }
    }
}

/// Whether the server answers and has made the user and the database.
fn has_taken(socket: &Path) -> bool {
    let sql = "CREATE USER IF NOT EXISTS fastsync@'127.0.0.1' IDENTIFIED BY 'fastsync'; \
               CREATE DATABASE IF NOT EXISTS fastsync; GRANT ALL ON *.* TO fastsync@'127.0.0.1'";
    Command::new("mariadb")
        .args(["--no-defaults", "-uroot", "-e", sql])
        .arg(format!("--socket={}", socket.display()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
