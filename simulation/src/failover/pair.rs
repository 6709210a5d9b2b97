//! A PostgreSQL server and its standby, both of this run's own.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use fastsync_dao_postgres::sqlx::postgres::{PgConnectOptions, PgConnection};
use fastsync_dao_postgres::sqlx::{self, ConnectOptions as _, raw_sql};
use tokio::process::{Child, Command};

use crate::text;

/// Where the programs of the server are, and for root the user that runs them, who must be able to reach the run's folder.
const PROGRAMS: &str = "FASTSYNC_POSTGRES_PROGRAMS";
const RUN_AS: &str = "FASTSYNC_POSTGRES_RUN_AS";

/// How long a server may take to answer, and how long it takes between two looks.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);

/// When a commit is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standby {
    /// When it is on the disk of both.
    Synchronous,
    /// When it is on the primary's disk.
    Asynchronous,
}

/// The two servers. Dropping them kills both.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) primary: Node,
    pub(super) standby: Node,
    folder: tempfile::TempDir,
}

/// One server.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) port: u16,
    process: Child,
}

/// Why the proof cannot be run here.
pub(super) fn missing() -> Option<String> {
    std::env::var_os(PROGRAMS)
        .is_none()
        .then(|| format!("{PROGRAMS} is not set; `cargo xtask prove` sets it"))
}

impl Pair {
    /// Starts a new primary, and a standby that is a copy of it and follows it.
    pub(super) async fn start(standby: Standby) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(text)?;
        let [first, second] = ["primary", "standby"].map(|name| folder.path().join(name));
        for data in [&first, &second] {
            tokio::fs::DirBuilder::new().mode(0o700).create(data).await.map_err(text)?;
        }
        give_away(folder.path()).await?;
        let install = ["-A", "trust", "-U", "fastsync", "--locale=C", "-E", "UTF8", "--no-sync"];
        done(program("initdb")?.arg("-D").arg(&first).args(install)).await?;
        let primary = Node::start(&first, &[]).await?;
        let port = primary.port.to_string();
        let copy = [
            "-h",
            "127.0.0.1",
            "-p",
            &port,
            "-U",
            "fastsync",
            "-R",
            "-X",
            "stream",
            "-c",
            "fast",
            "--no-sync",
        ];
        done(program("pg_basebackup")?.arg("-D").arg(&second).args(copy)).await?;
        let second = Node::start(&second, &["-c", "hot_standby=on"]).await?;
        let this = Self { primary, standby: second, folder };
        this.until(&this.primary, "SELECT COUNT(*) FROM pg_stat_replication WHERE state = 'streaming'", 1)
            .await?;
        if standby == Standby::Synchronous {
            // From now on a commit is acknowledged when the standby has it on disk.
            let mut primary = this.primary.connect().await?;
            for sql in ["ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()"] {
                raw_sql(sql).execute(&mut primary).await.map_err(text)?;
            }
            let names = "SELECT COUNT(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
            this.until(&this.primary, names, 1).await?;
        }
        Ok(this)
    }

    /// The standby follows no more: what the primary commits from now on, it lacks.
    pub(super) async fn part(&self) -> Result<(), String> {
        let mut standby = self.standby.connect().await?;
        for sql in ["ALTER SYSTEM SET primary_conninfo = ''", "SELECT pg_reload_conf()"] {
            raw_sql(sql).execute(&mut standby).await.map_err(text)?;
        }
        self.until(&self.standby, "SELECT COUNT(*) FROM pg_stat_wal_receiver", 0).await
    }

    /// Kills the primary (SIGKILL). It does not come back.
    pub(super) async fn kill_primary(&mut self) -> Result<(), String> {
        self.primary.process.kill().await.map_err(text)
    }

    /// Ends both and removes their files.
    pub(super) async fn end(mut self) -> Result<(), String> {
        for node in [&mut self.primary, &mut self.standby] {
            node.process.kill().await.map_err(text)?;
        }
        // Processes of a killed server write until they have seen that it is gone.
        let mut tries = 0;
        while std::fs::remove_dir_all(self.folder.path()).is_err() && tries < 100 {
            tries += 1;
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Makes the standby the primary.
    pub(super) async fn promote(&self) -> Result<(), String> {
        let mut standby = self.standby.connect().await?;
        raw_sql("SELECT pg_promote(true, 60)").execute(&mut standby).await.map_err(text)?;
        self.until(&self.standby, "SELECT CASE WHEN pg_is_in_recovery() THEN 1 ELSE 0 END::bigint", 0).await
    }

    async fn until(&self, node: &Node, count: &'static str, wanted: i64) -> Result<(), String> {
        let mut connection = node.connect().await?;
        let looks = async {
            loop {
                let found: i64 = sqlx::query_scalar(count).fetch_one(&mut connection).await.map_err(text)?;
                if found == wanted {
                    return Ok(());
                }
                tokio::time::sleep(PAUSE).await;
            }
        };
        let looks = tokio::time::timeout(PATIENCE, looks).await;
        looks.unwrap_or_else(|_| Err(format!("{count} is not {wanted} within {PATIENCE:?}")))
    }
}

impl Node {
    async fn start(data: &Path, settings: &[&str]) -> Result<Self, String> {
        let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let port = port.map_err(text)?.port();
        let mut command = program("postgres")?;
        command.arg("-D").arg(data).args(["-p", &port.to_string(), "-h", "127.0.0.1", "-k"]).arg(data);
        command.args(["-c", "max_connections=60", "-c", "shared_buffers=32MB"]).args(settings);
        let log = std::fs::File::create(data.with_extension("log")).map_err(text)?;
        command.current_dir(data).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let process = command.kill_on_drop(true).spawn().map_err(text)?;
        let node = Self { port, process };
        let looks = async {
            while node.connect().await.is_err() {
                tokio::time::sleep(PAUSE).await;
            }
        };
        let looks = tokio::time::timeout(PATIENCE, looks).await;
        looks.map_err(|_| {
            let log = std::fs::read_to_string(data.with_extension("log")).unwrap_or_default();
            format!(
                "postgres does not answer within {PATIENCE:?}: {}",
                log.lines().next_back().unwrap_or_default()
            )
        })?;
        Ok(node)
    }

    async fn connect(&self) -> Result<PgConnection, String> {
        options(self.port).connect().await.map_err(text)
    }
}

/// How to reach a server at this port.
pub(super) fn options(port: u16) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .host("127.0.0.1")
        .port(port)
        .username("fastsync")
        .database("postgres")
}

/// A program of the server.
fn program(name: &str) -> Result<Command, String> {
    let folder = std::env::var_os(PROGRAMS).ok_or_else(|| format!("{PROGRAMS} is not set"))?;
    let program = PathBuf::from(folder).join(name);
    let Ok(user) = std::env::var(RUN_AS) else { return Ok(Command::new(program)) };
    let mut command = Command::new("setpriv");
    command.args(["--reuid", &user, "--regid", "nogroup", "--clear-groups"]).arg(program);
    Ok(command)
}

/// Lets the user of the servers into the run's folder.
async fn give_away(folder: &Path) -> Result<(), String> {
    let Ok(user) = std::env::var(RUN_AS) else { return Ok(()) };
    done(Command::new("chown").arg("-R").arg(user).arg(folder)).await
}

async fn done(command: &mut Command) -> Result<(), String> {
    let output =
        command.stdin(Stdio::null()).output().await.map_err(|error| format!("{command:?}: {error}"))?;
    let said = || String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(format!("{command:?}: {}", said())) }
}
