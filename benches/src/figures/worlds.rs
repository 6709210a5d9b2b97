//! Servers with a client in step each, on SQLite, side by side.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use benches::ours::{self, PER_SESSION};
use benches::process::{Server, run};
use benches::records::{Item, Shape};
use benches::role::{Records, Role, Side, Task, Took};
use benches::scratch::{Scratch, copy_database};
use benches::stores::StoreKind;
use benches::time::{now, since};
use fastsync_core::{Client, SyncManager};

const WARM_UP: usize = 20;

/// Where they are made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Worlds<'a> {
    pub(crate) scratch: &'a Scratch,
    pub(crate) workers: usize,
}

/// A server and a client in step.
pub(crate) struct World {
    pub(crate) records: u64,
    pub(crate) sessions: u64,
    server: Server,
    client: SyncManager<Client>,
    /// What its syncs took.
    pub(crate) millis: Vec<f64>,
}

impl Worlds<'_> {
    fn role(&self, task: Task, database: PathBuf) -> Role {
        Role {
            task,
            side: Side::Ours,
            store: StoreKind::Sqlite,
            shape: Shape::Items,
            database,
            workers: self.workers,
            encoding: None,
        }
    }

    fn database(&self, name: &str, end: &str) -> PathBuf {
        self.scratch.path(&format!("{name}-{end}.db"))
    }

    /// Makes a server and a client in step by a push, and closes both.
    pub(crate) fn fill(&self, name: &str, count: u64) -> Result<()> {
        let [server, client] = ["server", "client"].map(|end| self.database(name, end));
        let records = Records { first: 0, count, per_session: PER_SESSION };
        run::<Took>(&self.role(Task::FillClient(records), client.clone()))?;
        let server = Server::start(&self.role(Task::Serve, server))?;
        run::<Took>(&self.role(Task::Push { port: server.port(), count }, client))?;
        server.stop()
    }

    /// Copies a closed world, and has the server of the copy write more.
    pub(crate) fn add_sessions(&self, from: &str, to: &str, records: Records) -> Result<()> {
        for end in ["server", "client"] {
            copy_database(&self.database(from, end), &self.database(to, end))?;
        }
        run::<Took>(&self.role(Task::FillServer(records), self.database(to, "server")))?;
        Ok(())
    }

    /// Opens a world and brings its client in step; it must receive exactly `new` records.
    pub(crate) async fn open(&self, name: &str, records: u64, sessions: u64, new: u64) -> Result<World> {
        let server = Server::start(&self.role(Task::Serve, self.database(name, "server")))?;
        let store = ours::client_store::<Item>(StoreKind::Sqlite, &self.database(name, "client")).await?;
        let client = ours::client::<Item>(&store, server.port())?;
        ours::pull(&client, new).await?;
        Ok(World { records, sessions, server, client, millis: Vec::new() })
    }
}

impl World {
    /// Ends both ends.
    pub(crate) fn close(self) -> Result<()> {
        drop(self.client);
        self.server.stop()
    }
}

/// Syncs each world in turn, with nothing to do, so that whatever the machine does meanwhile meets all of them.
pub(crate) async fn sync_in_turn(worlds: &mut [World], runs: usize) -> Result<()> {
    for n in 0..WARM_UP + runs {
        for world in &mut *worlds {
            let start = now();
            let report = world.client.sync().await?;
            let millis = since(start) * 1e3;
            ensure!(report.push.sessions == 0 && report.pull.received == 0, "there was something to do");
            if n >= WARM_UP {
                world.millis.push(millis);
            }
        }
    }
    Ok(())
}
