//! The database servers that the tests need: found, installed where that is possible, started, stopped.
//!
//! A new server is one entry of [`SERVERS`]. Its `start` gets an empty folder for its data and returns the keeper of its
//! process and the environment variables that tell the tests where it listens; let it take a [`free_port`].

mod galera;
mod keeper;
mod mongo;
mod mysql;
mod postgres;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use keeper::Keeper;

use crate::guard;
use crate::summary::{Outcome, Skips};
use crate::workspace::{Workspace, succeeds};

/// What the tests need, and how to get it.
#[derive(Debug)]
struct Server {
    /// The name that `FASTSYNC_REQUIRE` uses.
    name: &'static str,
    about: &'static str,
    /// The packages whose tests need it; if none is in the workspace, it is not asked for.
    needed_by: &'static [&'static str],
    /// Whether it is started only for what names it.
    on_demand: bool,
    /// The variable that tells the tests where it listens. If it is set already, that server is used.
    variable: Option<&'static str>,
    /// The program or file that must be there: one of several if `|` stands between them, and `$NAME` is a variable that
    /// names one.
    program: &'static str,
    /// Commands that bring it to a Debian system, as root.
    install: &'static [&'static [&'static str]],
    /// Starts a private instance with its data in the folder.
    start: fn(&Path) -> Result<Running>,
}

/// The commands that install Debian's packages of these names.
macro_rules! apt {
    ($($package:literal),+) => {
        &[
            &["apt-get", "update", "-qq"],
            &["apt-get", "install", "-y", "-qq", "--no-install-recommends", $($package),+],
        ]
    };
}

const SERVERS: &[Server] = &[
    Server {
        name: "sqlite",
        about: "no server: SQLite is compiled into the tests, which takes a C compiler",
        needed_by: &["fastsync-dao-sqlite"],
        on_demand: false,
        variable: None,
        program: "cc",
        install: apt!["gcc", "libc6-dev"],
        start: |_| Ok(Running::default()),
    },
    Server {
        name: "valgrind",
        about: "no server: it counts the instructions of the hot paths",
        needed_by: &["benches"],
        on_demand: false,
        variable: None,
        program: "valgrind",
        install: apt!["valgrind"],
        start: |_| Ok(Running::default()),
    },
    Server {
        name: "strace",
        about: "no server: it records what reaches the disk, and makes a disk fail",
        needed_by: &["fastsync-dao-sqlite", "fastsync-dao-redb", "fastsync-dao-sled"],
        on_demand: false,
        variable: None,
        program: "strace",
        install: apt!["strace"],
        start: |_| Ok(Running::default()),
    },
    Server {
        name: "mysql",
        about: "MariaDB; FASTSYNC_MYSQL_URL names another server, of a user who may make databases",
        needed_by: &["fastsync-dao-mysql"],
        on_demand: false,
        variable: Some(mysql::VARIABLE),
        program: "mariadbd",
        install: apt!["mariadb-server-core", "mariadb-client-core"],
        start: mysql::start,
    },
    Server {
        name: "galera",
        about: "three MariaDB servers as one cluster, in the place of MariaDB",
        needed_by: &["fastsync-dao-mysql"],
        on_demand: true,
        variable: Some("FASTSYNC_MYSQL_NODES"),
        program: galera::LIBRARY,
        install: apt![
            "mariadb-server-core",
            "mariadb-client-core",
            "galera-4",
            "rsync",
            "lsof",
            "iproute2",
            "procps"
        ],
        start: galera::start,
    },
    Server {
        name: "postgres",
        about: "PostgreSQL; FASTSYNC_POSTGRES_URL names another server, of a user who may make databases, and \
                FASTSYNC_POSTGRES_BIN a folder with the programs of one",
        needed_by: &["fastsync-dao-postgres"],
        on_demand: false,
        variable: Some(postgres::VARIABLE),
        program: postgres::PROGRAM,
        install: apt!["postgresql-15", "util-linux"],
        start: postgres::start,
    },
    Server {
        name: "pgbouncer",
        about: "a pooler that a test of PostgreSQL starts",
        needed_by: &["fastsync-dao-postgres"],
        on_demand: false,
        variable: None,
        program: "pgbouncer|/usr/sbin/pgbouncer",
        install: apt!["pgbouncer"],
        start: |_| Ok(Running::default()),
    },
    Server {
        name: "postgres-18",
        about: "PostgreSQL 18, in the place of Debian's",
        needed_by: &["fastsync-dao-postgres"],
        on_demand: true,
        variable: Some(postgres::VARIABLE),
        program: "pip3",
        install: apt!["python3-pip", "util-linux"],
        start: postgres::start_later,
    },
    Server {
        name: "mongo",
        about: "MongoDB, a replica set of one; FASTSYNC_MONGO_URL names another server, of a user who may make databases",
        needed_by: &["fastsync-dao-mongo", "axum-mongo"],
        on_demand: false,
        variable: Some(mongo::VARIABLE),
        program: mongo::PROGRAM,
        install: apt!["python3-pip", "libcurl4", "libssl3", "liblzma5"],
        start: mongo::start,
    },
];

/// A started server. Dropping it stops it and throws its data away.
#[derive(Debug, Default)]
pub(crate) struct Running {
    /// What its tests must know, such as its URL.
    pub(super) env: Vec<(String, String)>,
    pub(super) kept: Vec<Keeper>,
    folder: Option<PathBuf>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kept.clear();
        let Some(folder) = &self.folder else { return };
        // A server of several processes writes until the last of them has seen that the first is gone.
        for _ in 0..50 {
            if std::fs::remove_dir_all(folder).is_ok() || !folder.exists() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    }
}

/// How a missing server is treated.
#[derive(Debug)]
pub(crate) struct Policy {
    /// Install nothing.
    pub(crate) no_install: bool,
    /// The servers that must be there, such as those of `FASTSYNC_REQUIRE`.
    required: Vec<String>,
}

impl Policy {
    /// Reads `FASTSYNC_REQUIRE`: names with commas between them.
    pub(crate) fn from_env(no_install: bool) -> Self {
        let required = std::env::var("FASTSYNC_REQUIRE").unwrap_or_default();
        Self { no_install, required: names(&required) }
    }

    /// These servers must be there.
    pub(crate) fn requiring(names: &[&str], no_install: bool) -> Self {
        Self { no_install, required: names.iter().map(|&name| name.to_owned()).collect() }
    }

    /// An error if a server is required that nobody knows.
    pub(crate) fn check(&self) -> Result<()> {
        let is_unknown = |name: &&String| SERVERS.iter().all(|server| server.name != **name);
        let Some(name) = self.required.iter().find(is_unknown) else { return Ok(()) };
        let known = SERVERS.iter().map(|server| server.name).collect::<Vec<_>>().join(", ");
        bail!("{name} is required, which no test here needs; known: {known}")
    }

    fn requires(&self, server: &Server) -> bool {
        self.required.iter().any(|name| name == server.name)
    }
}

/// Starts every server that the workspace needs; what the tests must know goes into the workspace's environment.
pub(crate) fn start(
    workspace: &mut Workspace,
    policy: &Policy,
    skips: &mut Skips,
) -> Result<(Outcome, Vec<Running>)> {
    start_all(SERVERS.iter().filter(|server| !server.on_demand), workspace, policy, skips)
}

/// The same for the servers of these names only.
pub(crate) fn start_named(
    names: &[&str],
    workspace: &mut Workspace,
    policy: &Policy,
    skips: &mut Skips,
) -> Result<(Outcome, Vec<Running>)> {
    let named = SERVERS.iter().filter(|server| names.contains(&server.name));
    start_all(named, workspace, policy, skips)
}

fn start_all<'a>(
    servers: impl Iterator<Item = &'a Server>,
    workspace: &mut Workspace,
    policy: &Policy,
    skips: &mut Skips,
) -> Result<(Outcome, Vec<Running>)> {
    let mut running = Vec::new();
    for server in servers {
        if !server.needed_by.iter().any(|package| workspace.package(package).is_some()) {
            println!("  {}: not needed, no {} in this workspace", server.name, server.needed_by.join(" or "));
            continue;
        }
        println!("  {}: {} (needed by {})", server.name, server.about, server.needed_by.join(", "));
        match provide(server, workspace, policy) {
            Ok(started) => {
                // One would be used where the other is meant.
                if let Some((name, _)) =
                    started.env.iter().find(|(name, _)| workspace.env.iter().any(|(other, _)| other == name))
                {
                    bail!(
                        "{} sets {name}, which another server has set: run what needs them apart",
                        server.name
                    );
                }
                workspace.env.extend(started.env.iter().cloned());
                running.push(started);
            }
            Err(error) if policy.requires(server) => {
                return Err(error.context(format!("{} is required", server.name)));
            }
            Err(error) => skips.add(server.name, &format!("{error:#}")),
        }
    }
    Ok((Outcome::Passed, running))
}

/// One server, installed if need be, and started.
fn provide(server: &Server, workspace: &Workspace, policy: &Policy) -> Result<Running> {
    if let Some(variable) = server.variable.filter(|variable| std::env::var_os(variable).is_some()) {
        println!("  {}: {variable} is set, so nothing is started", server.name);
        return Ok(Running::default());
    }
    let shown = server.program.replace('|', " or ");
    if !is_there(server.program) {
        let how = server.install.iter().map(|command| command.join(" ")).collect::<Vec<_>>().join(" && ");
        let how = format!("as root on Debian: {how}");
        if policy.no_install {
            bail!("{shown} is not installed, and --no-install forbids to install it; {how}");
        }
        if !is_debian_root() {
            bail!("{shown} is not installed, and only root on Debian can have it installed; {how}");
        }
        for command in server.install {
            if let [program, args @ ..] = command {
                workspace.program(program, args)?;
            }
        }
        if !is_there(server.program) {
            bail!("{shown} is still missing after it was installed");
        }
    }
    let folder = guard::folder(server.name);
    std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let started = (server.start)(&folder);
    if started.is_err() {
        let _ = std::fs::remove_dir_all(&folder);
    }
    let mut running = started?;
    running.folder = Some(folder);
    Ok(running)
}

fn names(list: &str) -> Vec<String> {
    list.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// Whether one of the programs is there.
fn is_there(programs: &str) -> bool {
    programs.split('|').any(|program| match program.strip_prefix('$') {
        Some(variable) => std::env::var_os(variable).is_some(),
        None => is_on_path(program),
    })
}

fn is_on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// A port of the loopback address that nobody listens on now.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn is_debian_root() -> bool {
    is_root()
        && Path::new("/etc/debian_version").exists()
        && succeeds(Command::new("apt-get").arg("--version"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::workspace::tests::package;

    const ABSENT: Server = Server {
        name: "absent",
        about: "a server that nobody can have",
        needed_by: &["p"],
        on_demand: false,
        variable: None,
        program: "no-such-program-anywhere",
        install: &[&["apt-get", "install", "no-such-package"]],
        start: |_| Ok(Running::default()),
    };

    fn workspace() -> Workspace {
        Workspace {
            root: PathBuf::from("."),
            packages: vec![package("p", "", &[])],
            ci: false,
            env: Vec::new(),
            target: PathBuf::new(),
            done: Arc::default(),
        }
    }

    fn policy(required: &str) -> Policy {
        Policy { no_install: true, required: names(required) }
    }

    #[test]
    fn a_list_of_names_may_have_spaces_and_be_empty() {
        assert_eq!(names(" mariadb, mongod,"), ["mariadb", "mongod"]);
        assert!(names("").is_empty());
    }

    #[test]
    fn a_missing_server_is_a_loud_skip_that_says_how() {
        let mut skips = Skips::default();
        let (_, running) =
            start_all([&ABSENT].into_iter(), &mut workspace(), &policy(""), &mut skips).unwrap();
        assert!(running.is_empty());
        let said = format!("{skips:?}");
        assert!(said.contains("SKIPPED absent: no-such-program-anywhere is not installed"), "{said}");
        assert!(said.contains("apt-get install no-such-package"), "{said}");
    }

    #[test]
    fn a_missing_server_that_is_required_fails() {
        let mut skips = Skips::default();
        let error =
            start_all([&ABSENT].into_iter(), &mut workspace(), &policy("absent"), &mut skips).unwrap_err();
        assert!(format!("{error:#}").starts_with("absent is required: no-such"));
    }

    #[test]
    fn a_required_server_that_nobody_knows_fails() {
        assert!(policy("oracle").check().unwrap_err().to_string().contains("oracle"));
        policy("mysql,sqlite").check().unwrap();
    }

    #[test]
    fn a_server_that_no_package_needs_is_not_asked_for() {
        let mut workspace = workspace();
        workspace.packages.clear();
        let (_, running) =
            start_all([&ABSENT].into_iter(), &mut workspace, &policy("absent"), &mut Skips::default())
                .unwrap();
        assert!(running.is_empty());
    }

    #[cfg(unix)]
    #[test]
    fn a_started_server_tells_the_tests_where_it_is_and_is_stopped_at_the_end() {
        let sleeper = Server {
            name: "sleeper",
            about: "a process that waits",
            needed_by: &["p"],
            on_demand: false,
            variable: None,
            program: "sleep",
            install: &[],
            start: |folder| {
                assert!(folder.is_dir());
                let mut command = Command::new("sleep");
                command.arg("600");
                let kept = vec![Keeper::start(command, folder.join("pid"))?];
                let env = vec![("SLEEPER_URL".to_owned(), folder.display().to_string())];
                Ok(Running { env, kept, folder: None })
            },
        };
        let mut workspace = workspace();
        let (_, running) =
            start_all([&sleeper].into_iter(), &mut workspace, &policy("sleeper"), &mut Skips::default())
                .unwrap();
        let folder = PathBuf::from(&workspace.env[0].1);
        let id = std::fs::read_to_string(folder.join("pid")).unwrap();
        let alive = || succeeds(Command::new("kill").args(["-0", &id]));
        assert!(folder.is_dir() && alive());
        drop(running);
        assert!(!folder.exists() && !alive());
    }
}
