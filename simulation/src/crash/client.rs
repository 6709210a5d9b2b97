//! The client's process is killed: while it opens its store, edits, pushes and pulls.

use std::path::{Path, PathBuf};
use std::time::Duration;

use fastsync_core::source::SyncableDataSourceExt as _;
use fastsync_core::{ErrorKind, MemoryDataSource, Result, Store};

use super::process::{Process, say};
use super::site::{connect, listen, open_file, serve_on};
use super::verify::{View, check_equal};
use super::workload::Writer;
use crate::counts::Counts;
use crate::pace::Pace;
use crate::random::Seeded;
use crate::storage::OnDisk;
use crate::text;

/// The name of the proof.
pub const PROOF: &str = "client-crash";

/// The user and writer of the child, and those of the client in the parent.
const VICTIM: &str = "victim";
const OTHER: &str = "other";

/// One in so many kills happens while a new store is opened for the first time.
const FIRST_OPENINGS: u64 = 10;

/// What must have happened in a run of so many kills.
#[must_use]
pub fn minimum(kills: u64) -> Vec<(&'static str, u64)> {
    vec![
        ("kills", kills),
        ("kills during a first opening", kills / 20),
        ("sessions acknowledged by the child", kills),
        ("kills with edits left to push", kills / 10),
        ("stores compared after a kill", kills / 10),
        ("sessions of the other client", kills / 2),
    ]
}

/// The child: opens its store, then edits and synchronises at once, until it is killed.
///
/// # Errors
/// What it cannot do; it is not expected to end at all.
pub async fn child(args: &[String]) -> Result<(), String> {
    let [kind, path, port, next] = args else { return Err("four arguments are needed".to_owned()) };
    let kind = OnDisk::named(kind)?;
    let port: u16 = port.parse().map_err(|_| "the port is not a number".to_owned())?;
    let mut next: u64 = next.parse().map_err(|_| "the number is not a number".to_owned())?;
    let victim = open_victim(kind, Path::new(path), port).await.map_err(|error| error.to_string())?;
    say("ready.");
    let synchronise = async {
        loop {
            // It may be told to come again; what matters is what is stored.
            if let Err(error) = victim.manager.sync().await {
                say(&format!("failed {error}."));
            }
            tokio::task::yield_now().await;
        }
    };
    let edit = async {
        loop {
            victim.edit(next).await.map_err(|error| error.to_string())?;
            say(&format!("ack {next}."));
            next += 1;
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        outcome = edit => outcome,
        () = synchronise => Ok(()),
    }
}

async fn open_victim(kind: OnDisk, path: &Path, port: u16) -> Result<Writer> {
    Writer::open(VICTIM, kind.open(path)?, connect(VICTIM, port)?).await
}

/// The parent: serves, kills, and looks.
struct Run {
    kind: OnDisk,
    random: Seeded,
    folder: PathBuf,
    port: u16,
    server: Store,
    other: Writer,
    /// The sessions of the other client.
    other_done: u64,
    /// The sessions of the child that are known to be committed.
    done: u64,
    counts: Counts,
}

/// Kills a client whose store is of this kind again and again.
///
/// # Errors
/// What does not hold.
pub async fn run(kind: OnDisk, seed: u64, pace: &Pace) -> Result<Counts, String> {
    let folder = tempfile::tempdir().map_err(text)?;
    let (server, manager) = open_file(&folder.path().join("server.db")).await.map_err(text)?;
    let (listener, port) = listen().await.map_err(text)?;
    tokio::spawn(serve_on(listener, manager));
    let other = Writer::open(OTHER, MemoryDataSource::new(), connect(OTHER, port).map_err(text)?)
        .await
        .map_err(text)?;
    let mut run = Run {
        kind,
        random: Seeded::new(seed),
        folder: folder.path().to_owned(),
        port,
        server,
        other,
        other_done: 0,
        done: 0,
        counts: Counts::default(),
    };
    let mut kill = 0;
    while pace.goes_on(kill, &run.counts) {
        let outcome =
            if kill % FIRST_OPENINGS == 0 { run.first_opening(kill).await } else { run.cycle().await };
        outcome.map_err(|problem| format!("kill {kill}: {problem}"))?;
        run.counts.note("kills");
        kill += 1;
    }
    run.finish().await?;
    Ok(run.counts)
}

impl Run {
    fn path(&self) -> PathBuf {
        self.folder.join("victim.db")
    }

    fn start(&self, path: &Path, next: u64) -> Result<Process, String> {
        let (kind, path) = (self.kind.name().to_owned(), path.display().to_string());
        let args = [kind, path, self.port.to_string(), next.to_string()];
        Process::start(PROOF, &args).map_err(text)
    }

    /// A kill while the store is opened for the first time: opening it again works.
    async fn first_opening(&mut self, kill: u64) -> Result<(), String> {
        let path = self.folder.join(format!("new-{kill}.db"));
        let process = self.start(&path, 1_000_000)?;
        tokio::time::sleep(Duration::from_micros(self.random.below(30_000))).await;
        process.kill().await.map_err(text)?;
        let victim = open_victim(self.kind, &path, self.port).await.map_err(text)?;
        self.kind.check(&path)?;
        victim.manager.pull().await.map_err(text)?;
        View::of(&victim.store).await.map_err(text)?.check_whole("the new client")?;
        check_equal("the new client", &victim.store, &self.server).await?;
        self.counts.note("kills during a first opening");
        Ok(())
    }

    /// A kill at work, beside another client that edits the same objects.
    async fn cycle(&mut self) -> Result<(), String> {
        let path = self.path();
        let mut process = self.start(&path, self.done + 1)?;
        let mut line = process.line().await.map_err(text)?;
        while line != "ready." {
            if line.starts_with("failed ") {
                return Err(format!("the child {line}"));
            }
            line = process.line().await.map_err(text)?;
        }
        let life = Duration::from_micros(self.random.below(60_000));
        let edits = self.random.below(3);
        let first = self.other_done + 1;
        let other = self.other.clone();
        let work = async {
            for number in first..first + edits {
                other.edit(number).await?;
                other.manager.sync().await?;
            }
            Ok::<(), fastsync_core::Error>(())
        };
        let (worked, ()) = tokio::join!(work, tokio::time::sleep(life));
        worked.map_err(text)?;
        self.other_done += edits;
        self.counts.add("sessions of the other client", edits);
        let said = process.kill().await.map_err(text)?;
        let acknowledged =
            said.iter().filter_map(|line| line.strip_prefix("ack ")?.strip_suffix('.')?.parse().ok());
        let last = acknowledged.max().unwrap_or(self.done);
        self.counts.add("sessions acknowledged by the child", last - self.done);
        if let Some(failed) = said.iter().find(|line| line.starts_with("failed ")) {
            return Err(format!("the child {failed}"));
        }
        self.look(&path, last).await
    }

    /// Opens what the killed process left.
    async fn look(&mut self, path: &Path, last: u64) -> Result<(), String> {
        self.kind.check(path)?;
        let victim = open_victim(self.kind, path, self.port).await.map_err(text)?;
        let view = View::of(&victim.store).await.map_err(text)?;
        view.check_whole("the client")?;
        view.check_sessions("the client", VICTIM, last, last + 1)?;
        view.check_tallies("the client", VICTIM, last)?;
        // The session that was under way is there as a whole, or not at all.
        self.done = if victim.has(last + 1).await.map_err(text)? { last + 1 } else { last };
        let status = victim.manager.status().await.map_err(text)?;
        self.counts.add("kills with edits left to push", u64::from(status.pending > 0));
        self.counts.add("kills with a push in flight", u64::from(status.push_in_flight));
        if self.random.percent(25) {
            // If the cursor were ahead of its data, this pull would leave a difference.
            victim.manager.pull().await.map_err(text)?;
            View::of(&victim.store).await.map_err(text)?.check_whole("the client that caught up")?;
            check_equal("the client", &victim.store, &self.server).await?;
            self.counts.note("stores compared after a kill");
        }
        Ok(())
    }

    /// Everyone synchronises until nothing moves; then everything of both is everywhere.
    async fn finish(&mut self) -> Result<(), String> {
        let victim = open_victim(self.kind, &self.path(), self.port).await.map_err(text)?;
        for _ in 0..3 {
            for client in [&victim, &self.other] {
                client.manager.sync().await.map_err(text)?;
            }
        }
        for (whose, store) in [
            ("the client", &victim.store),
            ("the other client", &self.other.store),
            ("the server", &self.server),
        ] {
            let view = View::of(store).await.map_err(text)?;
            view.check_whole(whose)?;
            view.check_sessions(whose, VICTIM, self.done, self.done)?;
            view.check_sessions(whose, OTHER, self.other_done, self.other_done)?;
            // Not those of the other client: the child reads, changes and writes back an object while a pull may
            // replace it, and an update is a replacement of the whole object.
            view.check_tallies(whose, VICTIM, self.done)?;
            check_equal(whose, store, &self.server).await?;
            let pending = store.source().count_pending().await.map_err(text)?;
            if pending > 0 {
                return Err(format!("{whose} still has {pending} edits to push"));
            }
        }
        let writes = View::of(&self.server).await.map_err(text)?.pair_writes();
        self.counts.add("highest counters of the pairs, summed", writes.unsigned_abs());
        Ok(())
    }
}

/// Whether an error is one of a server that is not there.
pub(crate) fn is_absence(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Unavailable | ErrorKind::Timeout)
}
