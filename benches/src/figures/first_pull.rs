//! The first pull of a client, each end in a process of its own, and what memory it takes.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use benches::contents::Contents;
use benches::ours::PER_SESSION;
use benches::process::{Server, run};
use benches::records::{Made, Shape};
use benches::role::{Records, Role, Side, Task, Took};
use benches::scratch::Scratch;
use benches::stores::StoreKind;

/// First pulls from SQLite to SQLite.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FirstPull<'a> {
    pub(crate) scratch: &'a Scratch,
    pub(crate) shape: Shape,
    pub(crate) workers: usize,
}

/// Peaks in bytes, and how long it took.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Peaks {
    pub(crate) client: u64,
    pub(crate) server: u64,
    pub(crate) seconds: f64,
}

impl FirstPull<'_> {
    fn role(&self, task: Task, database: PathBuf) -> Role {
        Role {
            task,
            side: Side::Ours,
            store: StoreKind::Sqlite,
            shape: self.shape,
            database,
            workers: self.workers,
            encoding: None,
        }
    }

    /// Fills a server's database, in a process that ends before anything is measured.
    pub(crate) fn prepare(&self, count: u64) -> Result<PathBuf> {
        let database = self.scratch.path(&format!("server-{count}.db"));
        let records = Records { first: 0, count, per_session: PER_SESSION };
        run::<Took>(&self.role(Task::FillServer(records), database.clone()))?;
        Ok(database)
    }

    /// Pulls from it; `T` is the type of the records.
    pub(crate) fn pull<T: Made>(&self, database: &Path, count: u64) -> Result<Peaks> {
        let client = self.scratch.path("client.db");
        let server = Server::start(&self.role(Task::Serve, database.to_path_buf()))?;
        let took: Took = run(&self.role(Task::Pull { port: server.port(), count }, client.clone()))?;
        let served = server.usage();
        server.stop()?;
        let (pulled, stored) = (Contents::of::<T>(&client)?, Contents::of::<T>(database)?);
        ensure!(pulled.rows == count && pulled == stored, "the client has other rows than the server");
        std::fs::remove_file(client)?;
        let unknown = "this system does not tell the peak memory of a process";
        Ok(Peaks {
            client: took.peak_rss.context(unknown)?,
            server: served.peak_rss.context(unknown)?,
            seconds: took.seconds,
        })
    }
}
