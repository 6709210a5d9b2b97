//! The server's process is killed, or the server of its database is, while clients push and pull.

use std::sync::Arc;
use std::time::Duration;

use fastsync_core::protocol::PushReply;
use fastsync_core::{ErrorKind, MemoryDataSource, Result, Store, StoreRole, Transport as _};
use tokio::sync::watch;

use super::client::is_absence;
use super::process::{PATIENCE, Process, say};
use super::site::{Moving, listen, open_server, serve_on};
use super::verify::{View, check_equal};
use super::workload::Writer;
use crate::counts::Counts;
use crate::pace::Pace;
use crate::random::Seeded;
use crate::storage::{self, DatabaseServer, Storage, StorageKind};
use crate::text;

/// The name of the proof.
pub const PROOF: &str = "server-crash";

/// How many clients push and pull.
const CLIENTS: usize = 3;

/// What must have happened in a run of so many kills.
#[must_use]
pub fn minimum(kind: StorageKind, victim: Victim, kills: u64) -> Vec<(&'static str, u64)> {
    // A server on MongoDB waits for a database that it outlives: the push under way is answered late, and not cut off.
    let settled = match (kind, victim) {
        (StorageKind::Mongo, Victim::Database) => ("calls answered after the kill", kills / 2),
        _ => ("pushes cut off and answered later", kills / 10),
    };
    vec![
        ("kills", kills),
        ("sessions acknowledged by the server", kills * 3),
        ("calls that the kill cut off", kills / 2),
        settled,
        ("receipts asked for again", kills),
    ]
}

/// The child: a server on a file, until it is killed.
///
/// # Errors
/// What it cannot do; it is not expected to end at all.
pub async fn child(args: &[String]) -> Result<(), String> {
    let [storage] = args else { return Err("the name of a storage is needed".to_owned()) };
    let (_, manager) = open_server(storage::open(storage).await?).await.map_err(text)?;
    let (listener, port) = listen().await.map_err(text)?;
    say(&format!("listening {port}."));
    serve_on(listener, manager).await;
    Ok(())
}

/// In microseconds. What a killed process leaves open in MongoDB holds up the next one for three seconds.
const fn longest_life(kind: StorageKind) -> u64 {
    match kind {
        StorageKind::Mongo => 6_000_000,
        StorageKind::Disk(_) | StorageKind::MySql | StorageKind::Postgres => 495_000,
    }
}

/// What is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Victim {
    /// The process that serves the clients.
    Server,
    /// The server of its database, which starts anew by itself; the process that serves lives on.
    Database,
}

/// A client and what it knows to be stored by the server.
struct Peer {
    writer: Writer,
    way: Arc<Moving>,
    /// Its own sessions.
    done: u64,
    /// Those that the server has acknowledged.
    acknowledged: u64,
}

struct Run {
    storage: Storage,
    /// Killed instead of the process that serves.
    database: Option<DatabaseServer>,
    random: Seeded,
    peers: Vec<Peer>,
    counts: Counts,
}

/// Kills what is to be killed again and again; the server's store is of this kind.
///
/// # Errors
/// What does not hold.
pub async fn run(kind: StorageKind, victim: Victim, seed: u64, pace: &Pace) -> Result<Counts, String> {
    let database = match victim {
        Victim::Server => None,
        Victim::Database => Some(DatabaseServer::of(kind)?),
    };
    let storage = Storage::new(kind).await?;
    let mut peers = Vec::new();
    for client in 0..CLIENTS {
        let name = format!("client{client}");
        let way = Arc::new(Moving::new(&name));
        let writer = Writer::open(&name, MemoryDataSource::new(), Arc::clone(&way)).await.map_err(text)?;
        peers.push(Peer { writer, way, done: 0, acknowledged: 0 });
    }
    let mut run = Run { storage, database, random: Seeded::new(seed), peers, counts: Counts::default() };
    let mut process = run.start().await?;
    let mut kill = 0;
    while pace.goes_on(kill, &run.counts) {
        process = run.cycle(process).await.map_err(|problem| format!("kill {kill}: {problem}"))?;
        run.counts.note("kills");
        kill += 1;
    }
    run.finish(process).await?;
    run.storage.remove().await?;
    Ok(run.counts)
}

impl Run {
    async fn start(&self) -> Result<Process, String> {
        let mut process = Process::start(PROOF, &[self.storage.name().to_owned()]).map_err(text)?;
        let line = process.line().await.map_err(text)?;
        let port = line.strip_prefix("listening ").and_then(|line| line.strip_suffix('.'));
        let port =
            port.and_then(|port| port.parse().ok()).ok_or_else(|| format!("the server says {line:?}"))?;
        for peer in &self.peers {
            peer.way.to(port).map_err(text)?;
        }
        Ok(process)
    }

    /// Lets everyone work, kills, and looks at what is left; gives the process that serves from then on.
    async fn cycle(&mut self, process: Process) -> Result<Process, String> {
        self.ask_again().await?;
        let (stop, stopped) = watch::channel(());
        let outlives = self.database.is_some();
        let works: Vec<_> =
            self.peers.drain(..).map(|peer| tokio::spawn(work(peer, outlives, stopped.clone()))).collect();
        drop(stopped);
        let life = 5_000 + self.random.below(longest_life(self.storage.kind()));
        tokio::time::sleep(Duration::from_micros(life)).await;
        let process = match &self.database {
            Some(database) => {
                database.kill().await?;
                Some(process)
            }
            None => {
                process.kill().await.map_err(text)?;
                None
            }
        };
        drop(stop);
        for work in works {
            let work = tokio::time::timeout(PATIENCE, work).await;
            let work = work
                .map_err(|_| format!("a client does not come to an end within {PATIENCE:?} of the kill"))?;
            let (peer, counts) = work.map_err(text)??;
            self.counts.merge(&counts);
            self.peers.push(peer);
        }
        if let Some(database) = &self.database {
            database.wait(self.storage.name()).await?;
        }
        self.look().await?;
        match process {
            Some(process) => Ok(process),
            None => self.start().await,
        }
    }

    /// Calls a server that runs. A database that was killed may leave a zone to whoever had it before for a while, and
    /// then the server says to come again.
    async fn patiently<T, F>(&self, call: impl Fn() -> F + Send + Sync) -> Result<T, String>
    where
        T: Send,
        F: Future<Output = Result<T>> + Send,
    {
        let outlives = self.database.is_some();
        let calls = async {
            loop {
                match call().await {
                    Err(error) if outlives && error.is_retryable() => {
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                    outcome => return outcome.map_err(text),
                }
            }
        };
        let outcome = tokio::time::timeout(PATIENCE, calls).await;
        outcome.map_err(|_| format!("the server says for {PATIENCE:?} to come again"))?
    }

    /// The push that a client sent last, sent again: the same receipt, also from the server's next life.
    async fn ask_again(&mut self) -> Result<(), String> {
        for peer in &self.peers {
            let Some((request, first)) = peer.way.last() else { continue };
            let way = peer.way.way().map_err(text)?;
            let request = request.into();
            let again = self.patiently(|| way.push(&request)).await?;
            let (PushReply::Processed(first), PushReply::Processed(again)) = (&first, &again) else {
                // A later push of the device may have been committed and its answer cut off.
                self.counts.note("receipts superseded by a later push");
                continue;
            };
            let same = first.session == again.session
                && first.revision == again.revision
                && first.exceptions == again.exceptions;
            if !same {
                return Err(format!("a push is answered {again:?} after it was answered {first:?}"));
            }
            self.counts.note("receipts asked for again");
        }
        Ok(())
    }

    /// What the killed server left: everything acknowledged, nothing half.
    async fn look(&mut self) -> Result<(), String> {
        self.storage.check()?;
        let store = open_store(&self.storage).await?;
        let view = View::of(&store).await.map_err(text)?;
        view.check_whole("the server")?;
        for peer in &self.peers {
            view.check_sessions("the server", &peer.writer.name, peer.acknowledged, peer.done)?;
            view.check_tallies("the server", &peer.writer.name, peer.acknowledged)?;
        }
        Ok(())
    }

    async fn finish(&mut self, process: Process) -> Result<(), String> {
        for _ in 0..3 {
            for peer in &self.peers {
                self.patiently(|| async { Ok(peer.writer.manager.sync().await?) }).await?;
            }
        }
        process.kill().await.map_err(text)?;
        let server = open_store(&self.storage).await?;
        for peer in &self.peers {
            let name = peer.writer.name.as_str();
            check_equal(name, &peer.writer.store, &server).await?;
            let view = View::of(&peer.writer.store).await.map_err(text)?;
            view.check_whole(name)?;
            for other in &self.peers {
                view.check_sessions(name, &other.writer.name, other.done, other.done)?;
                view.check_tallies(name, &other.writer.name, other.done)?;
            }
        }
        Ok(())
    }
}

async fn open_store(storage: &Storage) -> Result<Store, String> {
    let (store, _) = open_server(storage.open().await?).await.map_err(text)?;
    debug_assert_eq!(store.role(), StoreRole::Server);
    Ok(store)
}

/// Edits and synchronises until the server is gone, or the database that it outlives.
async fn work(
    mut peer: Peer,
    outlives: bool,
    stopped: watch::Receiver<()>,
) -> Result<(Peer, Counts), String> {
    let mut counts = Counts::default();
    let mut cut_off = peer.writer.manager.status().await.map_err(text)?.push_in_flight;
    loop {
        let next = peer.done + 1;
        peer.writer.edit(next).await.map_err(text)?;
        peer.done = next;
        match peer.writer.manager.sync().await {
            Ok(_) => {
                counts.add("sessions acknowledged by the server", peer.done - peer.acknowledged);
                counts.add("pushes cut off and answered later", u64::from(cut_off));
                cut_off = false;
                peer.acknowledged = peer.done;
                if stopped.has_changed().is_err() {
                    counts.note("calls answered after the kill");
                    return Ok((peer, counts));
                }
            }
            Err(error) if is_absence(error.kind()) => {
                counts.note("calls that the kill cut off");
                let status = peer.writer.manager.status().await.map_err(text)?;
                // What was pushed before the pull failed is acknowledged too.
                if status.pending == 0 {
                    peer.acknowledged = peer.done;
                }
                cut_off |= status.push_in_flight;
                if stopped.has_changed().is_err() {
                    return Ok((peer, counts));
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            // A database that comes back may leave a zone to whoever had it before for a while: come again, says the
            // server that outlived it. One that starts anew has no such answer.
            Err(error) if outlives && error.kind() == ErrorKind::Contention => {
                counts.note("calls told to come again");
            }
            Err(error) => return Err(format!("{}: {error}", peer.writer.name)),
        }
    }
}
