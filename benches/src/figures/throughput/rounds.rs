//! One round of each side: fill, push, pull, and a look at whether everything arrived.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use benches::ours::PER_SESSION;
use benches::process::{Server, Usage, run};
use benches::records::{Item, Shape};
use benches::role::{Contents, Records, Role, Side, Task, Took};
use benches::scratch::Scratch;
use benches::stores::StoreKind;
use benches::wire::Counter;

/// How a round is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bench<'a> {
    pub(crate) scratch: &'a Scratch,
    pub(crate) count: u64,
    pub(crate) workers: usize,
}

/// A push or a pull.
#[derive(Debug)]
pub(crate) struct Phase {
    pub(crate) client: Took,
    pub(crate) server: Usage,
}

/// A push to an empty server and a pull into an empty client.
#[derive(Debug)]
pub(crate) struct Round {
    /// Only ours has a local store to add to.
    pub(crate) add_seconds: Option<f64>,
    pub(crate) push: Phase,
    pub(crate) pull: Phase,
}

/// Bytes sent and received by the client.
#[derive(Debug, Default)]
pub(crate) struct OnWire {
    pub(crate) push: (u64, u64),
    pub(crate) pull: (u64, u64),
}

/// The databases of a round; they are removed at its end.
struct Databases {
    pusher: PathBuf,
    server: PathBuf,
    puller: PathBuf,
}

impl Databases {
    fn new(scratch: &Scratch) -> Self {
        let [pusher, server, puller] = ["pusher.db", "server.db", "puller.db"].map(|name| scratch.path(name));
        Self { pusher, server, puller }
    }

    fn remove(self) {
        for database in [self.pusher, self.server, self.puller] {
            for suffix in ["", "-wal", "-shm"] {
                // The floor has no database to push from, and a closed one no log.
                let _ = std::fs::remove_file(format!("{}{suffix}", database.display()));
            }
        }
    }
}

impl Bench<'_> {
    pub(crate) fn ours(&self) -> Result<Round> {
        self.round(Side::Ours, None)
    }

    pub(crate) fn floor(&self) -> Result<Round> {
        self.round(Side::Floor, None)
    }

    pub(crate) fn ours_on_wire(&self) -> Result<OnWire> {
        self.on_wire(Side::Ours)
    }

    pub(crate) fn floor_on_wire(&self) -> Result<OnWire> {
        self.on_wire(Side::Floor)
    }

    fn on_wire(&self, side: Side) -> Result<OnWire> {
        let mut bytes = OnWire::default();
        self.round(side, Some(&mut bytes))?;
        Ok(bytes)
    }

    fn round(&self, side: Side, mut counted: Option<&mut OnWire>) -> Result<Round> {
        let databases = Databases::new(self.scratch);
        let add_seconds = match side {
            Side::Ours => {
                let records = Records { first: 0, count: self.count, per_session: PER_SESSION };
                Some(run::<Took>(&self.role(side, Task::FillClient(records), &databases.pusher))?.seconds)
            }
            Side::Floor => None,
        };
        let count = self.count;
        let (push, bytes) = self.phase(side, &databases.server, counted.is_some(), |port| {
            self.role(side, Task::Push { port, count }, &databases.pusher)
        })?;
        if let Some(counted) = counted.as_deref_mut() {
            counted.push = bytes;
        }
        let (pull, bytes) = self.phase(side, &databases.server, counted.is_some(), |port| {
            self.role(side, Task::Pull { port, count }, &databases.puller)
        })?;
        if let Some(counted) = counted {
            counted.pull = bytes;
        }
        self.check(side, &databases)?;
        databases.remove();
        Ok(Round { add_seconds, push, pull })
    }

    /// Runs a client against a server that was started for it.
    fn phase(
        &self,
        side: Side,
        database: &Path,
        counting: bool,
        client: impl FnOnce(u16) -> Role,
    ) -> Result<(Phase, (u64, u64))> {
        let server = Server::start(&self.role(side, Task::Serve, database))?;
        let (took, bytes) = if counting {
            let counter = Counter::start(server.port())?;
            let took = run(&client(counter.port()))?;
            (took, counter.bytes())
        } else {
            (run(&client(server.port()))?, (0, 0))
        };
        let usage = server.usage();
        server.stop()?;
        Ok((Phase { client: took, server: usage }, bytes))
    }

    fn role(&self, side: Side, task: Task, database: &Path) -> Role {
        Role {
            task,
            side,
            store: StoreKind::Sqlite,
            shape: Shape::Items,
            database: database.to_path_buf(),
            workers: self.workers,
        }
    }

    /// Every row must have arrived, with every value.
    fn check(&self, side: Side, databases: &Databases) -> Result<()> {
        let pulled = Contents::of::<Item>(&databases.puller)?;
        let stored = Contents::of::<Item>(&databases.server)?;
        ensure!(stored.rows == self.count, "{side:?}: {} of {} rows arrived", stored.rows, self.count);
        ensure!(pulled == stored, "{side:?}: the puller has other rows than the server");
        if side == Side::Ours {
            let added = Contents::of::<Item>(&databases.pusher)?;
            ensure!(added == stored, "{side:?}: the server has other rows than the pusher");
        }
        Ok(())
    }
}
