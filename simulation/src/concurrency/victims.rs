//! A process that pushes beside the others and is killed again and again. Each of its lives is a device of its own.

use std::time::Duration;

use fastsync_core::ErrorKind;
use tokio::sync::watch;

use super::pusher;
use super::run::PROOF;
use super::worker::open_beside;
use crate::crash::process::{Process, say};
use crate::random::Seeded;
use crate::storage::Storage;

/// What the first argument of such a child is.
pub(super) const CHILD: &str = "victim";

/// Where the children sit: neither of the two processes beside them does.
const SEAT: usize = 2;

/// The most records of a session.
const MOST: u64 = 60;

/// The longest life, in milliseconds.
const LIFE: u64 = 4_000;

/// How often it is doubled after lives in which nothing got through: a machine may be that busy.
const LONGEST: u32 = 5;

/// How many lives there are at most for the sake of [`Least`]: a child that never gets anything through has to end as a
/// failure.
const MOST_LIVES: usize = 100;

/// The longest rest between two lives, in milliseconds: what a killed process has left open holds up the others for
/// seconds on some databases, and a run is not about that alone.
const REST: u64 = 8_000;

/// Whether a user is one of the killed.
pub(super) fn is_victim(user: &str) -> bool {
    user.starts_with(CHILD)
}

/// What is known of a life.
#[derive(Debug, Clone)]
pub(super) struct Life {
    pub(super) name: String,
    /// How many sessions it was told to be committed.
    pub(super) acknowledged: u64,
}

/// How much of a run is about the killed: where the others are done sooner than that, it goes on without them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Least {
    pub(super) lives: u64,
    /// Acknowledged ones, of all lives.
    pub(super) sessions: u64,
}

impl Least {
    pub(super) fn of(sessions: u64) -> Self {
        Self { lives: sessions / 2_000, sessions: (sessions / 1_000).max(1) }
    }

    fn is_reached(self, lives: &[Life]) -> bool {
        let sessions: u64 = lives.iter().map(|life| life.acknowledged).sum();
        (lives.len() as u64 >= self.lives && sessions >= self.sessions) || lives.len() >= MOST_LIVES
    }
}

/// The child: pushes until it is killed, and says what was acknowledged.
pub(super) async fn child(args: &[String]) -> Result<(), String> {
    let [storage, name, seed] = args else { return Err("three arguments are needed".to_owned()) };
    let seed = seed.parse().map_err(|_| format!("{seed} is not a number"))?;
    let text = |error: fastsync_core::Error| error.to_string();
    let random = Seeded::stream(seed, 5_000);
    let server = open_beside(storage).await?;
    let (store, manager) = pusher::open(name, &server).await.map_err(text)?;
    for number in 1.. {
        pusher::edit(&store, name, number, 1 + random.below(MOST)).await.map_err(text)?;
        while let Err(error) = manager.push().await {
            if !matches!(error.kind(), ErrorKind::Contention | ErrorKind::Unavailable) {
                return Err(format!("{error:?}"));
            }
        }
        say(&format!("ack {number}."));
    }
    Ok(())
}

/// The task that starts and kills them.
pub(super) struct Victims {
    stop: watch::Sender<bool>,
    lives: tokio::task::JoinHandle<Result<Vec<Life>, String>>,
}

impl Victims {
    pub(super) fn start(storage: &Storage, seed: u64, least: Least) -> Self {
        let (stop, stopped) = watch::channel(false);
        let lives = tokio::spawn(kill(storage.name_at(SEAT), seed, least, stopped));
        Self { stop, lives }
    }

    /// Stops, and gives every life that there was. A database may go on with what the last one had asked of it.
    pub(super) async fn end(self) -> Result<Vec<Life>, String> {
        let _ = self.stop.send(true);
        self.lives.await.map_err(|error| error.to_string())?
    }
}

async fn kill(
    storage: String,
    seed: u64,
    least: Least,
    mut stopped: watch::Receiver<bool>,
) -> Result<Vec<Life>, String> {
    let random = Seeded::stream(seed, 6_000);
    let mut lives = Vec::new();
    let mut fruitless = 0;
    while !*stopped.borrow() || !least.is_reached(&lives) {
        let name = format!("{CHILD}{}", lives.len());
        let args = [CHILD.to_owned(), storage.clone(), name.clone(), random.below(u64::MAX >> 1).to_string()];
        let process = Process::start(PROOF, &args).map_err(|error| error.to_string())?;
        tokio::select! {
            _ = stopped.wait_for(|stop| *stop), if least.is_reached(&lives) => {}
            () = tokio::time::sleep(Duration::from_millis(100 + random.below(LIFE << fruitless))) => {}
        }
        let said = process.kill().await.map_err(|error| error.to_string())?;
        let number = |line: &String| line.strip_prefix("ack ")?.strip_suffix('.')?.parse().ok();
        if let Some(problem) = said.iter().find(|line| line.starts_with("problem ")) {
            return Err(format!("{name}: {problem}"));
        }
        let acknowledged = said.iter().filter_map(number).max().unwrap_or(0);
        fruitless = if acknowledged > 0 { 0 } else { (fruitless + 1).min(LONGEST) };
        lives.push(Life { name, acknowledged });
        tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => {}
            () = tokio::time::sleep(Duration::from_millis(random.below(REST))) => {}
        }
    }
    Ok(lives)
}
