//! The server's process is killed, while clients push and pull.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fastsync_core::protocol::PushReply;
use fastsync_core::{MemoryDataSource, Result, Store, StoreRole, Transport as _};
use tokio::sync::watch;

use super::client::is_absence;
use super::process::{Process, say};
use super::site::{Moving, listen, open_server, serve_on};
use super::verify::{View, check_equal};
use super::workload::Writer;
use crate::counts::Counts;
use crate::on_disk::OnDisk;
use crate::random::Seeded;

/// How many clients push and pull.
const CLIENTS: usize = 3;

/// What must have happened in a run of so many kills.
#[must_use]
pub fn minimum(kills: u64) -> Vec<(&'static str, u64)> {
    vec![
        ("kills", kills),
        ("sessions acknowledged by the server", kills * 3),
        ("calls that the kill cut off", kills / 2),
        ("pushes cut off and answered later", kills / 10),
        ("receipts asked for again", kills),
    ]
}

/// The child: a server on a file, until it is killed.
///
/// # Errors
/// What it cannot do; it is not expected to end at all.
pub async fn child(args: &[String]) -> Result<(), String> {
    let [kind, path] = args else { return Err("a kind and a path are needed".to_owned()) };
    let source = OnDisk::named(kind)?.open(Path::new(path)).map_err(text)?;
    let (_, manager) = open_server(source).await.map_err(text)?;
    let (listener, port) = listen().await.map_err(text)?;
    say(&format!("listening {port}."));
    serve_on(listener, manager).await;
    Ok(())
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
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
    kind: OnDisk,
    random: Seeded,
    path: PathBuf,
    peers: Vec<Peer>,
    counts: Counts,
}

/// Kills a server whose store is of this kind so many times.
///
/// # Errors
/// What does not hold.
pub async fn run(kind: OnDisk, seed: u64, kills: u64) -> Result<Counts, String> {
    let folder = tempfile::tempdir().map_err(text)?;
    let mut peers = Vec::new();
    for client in 0..CLIENTS {
        let name = format!("client{client}");
        let way = Arc::new(Moving::new(&name));
        let writer = Writer::open(&name, MemoryDataSource::new(), Arc::clone(&way)).await.map_err(text)?;
        peers.push(Peer { writer, way, done: 0, acknowledged: 0 });
    }
    let path = folder.path().join("server");
    let mut run = Run { kind, random: Seeded::new(seed), path, peers, counts: Counts::default() };
    for kill in 0..kills {
        run.cycle().await.map_err(|problem| format!("kill {kill}: {problem}"))?;
        run.counts.note("kills");
    }
    run.finish().await?;
    Ok(run.counts)
}

impl Run {
    async fn start(&self) -> Result<Process, String> {
        let mut process =
            Process::start(&[self.kind.name().to_owned(), self.path.display().to_string()]).map_err(text)?;
        let line = process.line().await.map_err(text)?;
        let port = line.strip_prefix("listening ").and_then(|line| line.strip_suffix('.'));
        let port =
            port.and_then(|port| port.parse().ok()).ok_or_else(|| format!("the server says {line:?}"))?;
        for peer in &self.peers {
            peer.way.to(port).map_err(text)?;
        }
        Ok(process)
    }

    /// Starts the server, lets everyone work, kills it, and looks at what it left.
    async fn cycle(&mut self) -> Result<(), String> {
        let process = self.start().await?;
        self.ask_again().await?;
        let (stop, stopped) = watch::channel(());
        let works: Vec<_> =
            self.peers.drain(..).map(|peer| tokio::spawn(work(peer, stopped.clone()))).collect();
        drop(stopped);
        let life = 5_000 + self.random.below(495_000);
        tokio::time::sleep(Duration::from_micros(life)).await;
        process.kill().await.map_err(text)?;
        drop(stop);
        for work in works {
            let (peer, counts) = work.await.map_err(text)??;
            self.counts.merge(&counts);
            self.peers.push(peer);
        }
        self.look().await
    }

    /// The push that a client sent last, sent again: the same receipt, also from the server's next life.
    async fn ask_again(&mut self) -> Result<(), String> {
        for peer in &self.peers {
            let Some((request, first)) = peer.way.last() else { continue };
            let again = peer.way.way().map_err(text)?.push(&request).await.map_err(text)?;
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
        self.kind.check(&self.path)?;
        let store = open_store(self.kind, &self.path).await?;
        let view = View::of(&store).await.map_err(text)?;
        view.check_whole("the server")?;
        for peer in &self.peers {
            view.check_sessions("the server", &peer.writer.name, peer.acknowledged, peer.done)?;
            view.check_tallies("the server", &peer.writer.name, peer.acknowledged)?;
        }
        Ok(())
    }

    async fn finish(&mut self) -> Result<(), String> {
        let process = self.start().await?;
        for _ in 0..3 {
            for peer in &self.peers {
                peer.writer.manager.sync().await.map_err(text)?;
            }
        }
        process.kill().await.map_err(text)?;
        let server = open_store(self.kind, &self.path).await?;
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

async fn open_store(kind: OnDisk, path: &Path) -> Result<Store, String> {
    let (store, _) = open_server(kind.open(path).map_err(text)?).await.map_err(text)?;
    debug_assert_eq!(store.role(), StoreRole::Server);
    Ok(store)
}

/// Edits and synchronises until the server is gone.
async fn work(mut peer: Peer, stopped: watch::Receiver<()>) -> Result<(Peer, Counts), String> {
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
            }
            Err(error) if is_absence(error.kind()) => {
                counts.note("calls that the kill cut off");
                // What was pushed before the pull failed is acknowledged too.
                if peer.writer.manager.status().await.map_err(text)?.pending == 0 {
                    peer.acknowledged = peer.done;
                }
                if stopped.has_changed().is_err() {
                    return Ok((peer, counts));
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            Err(error) => return Err(format!("{}: {error}", peer.writer.name)),
        }
    }
}
