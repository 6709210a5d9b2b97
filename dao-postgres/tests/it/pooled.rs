//! The suite through pgbouncer in transaction mode, which gives each transaction whatever connection is free.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fastsync_conformance::{Case, Harness, Outcome, cases};
use fastsync_core::SyncableDataSource;
use fastsync_dao_postgres::sqlx::ConnectOptions;
use fastsync_dao_postgres::sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use fastsync_dao_postgres::{PostgresConfig, PostgresDataSource};

use crate::common::server::{self, Database};

/// A pooler of this test's own, in front of the server that all tests use.
struct Pooler {
    process: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Pooler {
    fn start() -> Self {
        let server: PgConnectOptions = std::env::var(server::URL).unwrap().parse().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let users = folder.path().join("users");
        std::fs::write(&users, format!("\"{}\" \"\"\n", server.get_username())).unwrap();
        let settings = format!(
            "[databases]\n* = host={} port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = trust\nauth_file = {}\npool_mode = transaction\ndefault_pool_size = 6\nmax_client_conn = 200\n\
             ignore_startup_parameters = extra_float_digits\n",
            server.get_host(),
            server.get_port(),
            users.display()
        );
        let file = folder.path().join("pgbouncer.ini");
        std::fs::write(&file, settings).unwrap();
        let is_root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout.trim_ascii() == b"0");
        let mut command = Command::new(program());
        if is_root {
            // It refuses to run as root, and has to read its files.
            assert!(
                Command::new("chmod").args(["-R", "a+rX"]).arg(folder.path()).status().unwrap().success()
            );
            command.args(["-u", "nobody"]);
        }
        let process = command.arg(&file).stderr(Stdio::null()).spawn().unwrap();
        let pooler = Self { process, port, _folder: folder };
        for _ in 0..500 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return pooler;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("pgbouncer does not answer");
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Debian puts it where not everyone looks.
fn program() -> &'static str {
    const DEBIAN: &str = "/usr/sbin/pgbouncer";
    if std::path::Path::new(DEBIAN).is_file() { DEBIAN } else { "pgbouncer" }
}

/// Why there is no pooler. Where `FASTSYNC_REQUIRE` names it, that is a failure.
fn missing() -> Option<String> {
    if let Some(reason) = server::skip() {
        return Some(reason);
    }
    let is_there = Command::new(program()).arg("--version").stdout(Stdio::null()).status().is_ok();
    let required = std::env::var("FASTSYNC_REQUIRE").unwrap_or_default();
    let is_required = required.split(',').any(|name| name.trim() == "pgbouncer");
    assert!(is_there || !is_required, "pgbouncer is required, and not installed");
    (!is_there).then(|| "pgbouncer is not installed; `cargo xtask test` installs it where it can".to_owned())
}

struct Pooled {
    database: Database,
    pooler: Arc<Pooler>,
    /// Whether the data source knows of the pooler.
    told: bool,
}

impl Pooled {
    fn new(pooler: &Arc<Pooler>, told: bool) -> Self {
        Self { database: Database::new(), pooler: Arc::clone(pooler), told }
    }
}

#[async_trait]
impl Harness for Pooled {
    async fn open(&self) -> Arc<dyn SyncableDataSource> {
        let options = self.database.options().port(self.pooler.port).disable_statement_logging();
        let pool = PgPoolOptions::new().max_connections(10).connect_lazy_with(options);
        let config = PostgresConfig::new().pooled(self.told);
        Arc::new(PostgresDataSource::with_config(pool, config).await.unwrap())
    }
}

/// Every how many cases of the suite one is run. All of them take minutes, since each has a database, to which the pooler has to
/// connect anew: `FASTSYNC_POOLED_CASES=1` runs them.
const EVERY: usize = 8;

/// Fails if anything needs the connection that a statement or a setting before it had.
#[test]
fn the_suite_passes_through_a_pooler() {
    if let Some(reason) = missing() {
        eprintln!("SKIPPED: {reason}");
        return;
    }
    let every =
        std::env::var("FASTSYNC_POOLED_CASES").ok().and_then(|every| every.parse().ok()).unwrap_or(EVERY);
    let pooler = Arc::new(Pooler::start());
    let is_chosen = |case: &&Case| case.name().contains("concurrency");
    let chosen = cases().iter().step_by(every).chain(cases().iter().filter(is_chosen));
    let outcomes: Vec<_> =
        chosen.map(|case| (case.name(), case.run(Arc::new(Pooled::new(&pooler, true))))).collect();
    let failed: Vec<_> =
        outcomes.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Failed(_))).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    let passed = outcomes.iter().filter(|(_, outcome)| *outcome == Outcome::Passed).count();
    assert!(passed > outcomes.len() / 2, "{outcomes:#?}");
}

/// Fails if the suite would pass without the setting: then the pooler is none, or does not switch connections.
#[test]
fn without_the_setting_it_does_not() {
    if let Some(reason) = missing() {
        eprintln!("SKIPPED: {reason}");
        return;
    }
    let pooler = Arc::new(Pooler::start());
    let some = cases().iter().filter(|case| case.name().contains("concurrency"));
    let fails = some
        .map(|case| case.run(Arc::new(Pooled::new(&pooler, false))))
        .any(|outcome| outcome != Outcome::Passed);
    assert!(fails, "prepared statements of one connection were found on another");
}
