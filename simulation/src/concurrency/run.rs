//! The run: two processes on one storage, or one where a store takes one only; and the broken data source, which has to
//! fail.

use std::time::Duration;

use fastsync_core::{Server, SyncManager};
use tokio::io::AsyncReadExt;

use super::audit::{self, Expected};
use super::broken::{Numbered, Taken};
use super::outage::Outage;
use super::puller::Seen;
use super::pusher::Done;
use super::victims::{self, Least, Life, Victims};
use super::worker::{Plan, open, open_beside, work};
use super::{disturbance, disturbance_postgres};
use crate::counts::Counts;
use crate::crash::process::{Process, say};
use crate::random::Seeded;
use crate::storage::{Storage, StorageKind};
use crate::text;

/// The name of the proof.
pub const PROOF: &str = "concurrency";

/// How often the broken data source may get away with it.
const BROKEN_TRIES: u64 = 5;

/// How many work on a storage at once.
/// What disturbs a run, by the server.
enum Disturbance {
    MySql(disturbance::Disturbance),
    Postgres(disturbance_postgres::Disturbance),
}

#[derive(Debug, Clone, Copy)]
struct Scale {
    /// Half of them in each process.
    pushers: u64,
    /// The page sizes of the pullers of each process.
    pages: [&'static [u32]; 2],
    /// The most records of a session.
    most: u64,
}

const fn scale(kind: StorageKind) -> Scale {
    match kind {
        StorageKind::Disk(_) => Scale { pushers: 8, pages: [&[73], &[1_000]], most: 200 },
        StorageKind::MySql | StorageKind::Postgres | StorageKind::Mongo => {
            Scale { pushers: 16, pages: [&[73, 500], &[1_000, 7_000]], most: 500 }
        }
    }
}

/// What must have happened in a run of so many sessions.
#[must_use]
pub fn minimum(kind: StorageKind, sessions: u64) -> Vec<(&'static str, u64)> {
    let mut minimum = vec![
        ("sessions pushed", sessions),
        ("records pushed", sessions * 5),
        ("conflicts settled", sessions),
        ("caught-up pulls", sessions / 50),
        ("pages pulled", sessions / 20),
    ];
    minimum.push(("pushes abandoned", sessions / 50));
    if !kind.takes_one_process() {
        let least = Least::of(sessions);
        minimum.push(("pushing processes killed", least.lives));
        minimum.push(("sessions of the killed", least.sessions));
    }
    if matches!(kind, StorageKind::MySql | StorageKind::Postgres) {
        minimum.push(("connections cut", sessions / 100));
    }
    if kind.is_cluster() {
        minimum.push(("outages of a node", 1));
    }
    minimum
}

/// One of the two processes.
///
/// # Errors
/// What it cannot do.
pub async fn child(args: &[String]) -> Result<(), String> {
    if let [what, told @ ..] = args
        && what == victims::CHILD
    {
        return victims::child(told).await;
    }
    let [kind, name, seed, half, sessions] = args else { return Err("five arguments are needed".to_owned()) };
    let Scale { pushers, pages, most } = scale(kind.parse()?);
    let number = |text: &str| text.parse::<u64>().map_err(|_| format!("{text} is not a number"));
    let half = number(half)?;
    let server = open_beside(name).await?;
    let plan = Plan {
        seed: number(seed)?,
        pushers: half * pushers / 2..(half + 1) * pushers / 2,
        sessions: number(sessions)?,
        most,
        pages: pages[usize::try_from(half).unwrap_or(0) % pages.len()].to_vec(),
    };
    let stop = async {
        // The parent closes this when the pushers of both processes are done.
        let mut nothing = Vec::new();
        let _ = tokio::io::stdin().read_to_end(&mut nothing).await;
    };
    let (done, seen) = work(&server, plan, || say("pushed."), stop).await?;
    let numbers = [done.sessions, done.records, done.conflicts, done.retries, done.abandoned, done.untold];
    say(&format!("pusher {}", numbers.map(|number| number.to_string()).join(" ")));
    for seen in seen {
        say(&format!("puller {} {} {} {}", seen.walks, seen.pages, seen.records, seen.missed));
        for problem in seen.problems.iter().take(5) {
            say(&format!("problem {problem}"));
        }
    }
    say("end.");
    Ok(())
}

/// Runs everything on a storage of this kind, with so many sessions in all.
///
/// # Errors
/// What does not hold.
pub async fn run(kind: StorageKind, seed: u64, sessions: u64) -> Result<Counts, String> {
    let storage = Storage::new(kind).await?;
    let Scale { pushers, .. } = scale(kind);
    let each = sessions.div_ceil(pushers);
    // Here the tables are made.
    let server = open(storage.open().await?).await.map_err(text)?;
    let disturbance = match kind {
        StorageKind::MySql => {
            Some(Disturbance::MySql(disturbance::Disturbance::start(storage.place()).await?))
        }
        StorageKind::Postgres => {
            Some(Disturbance::Postgres(disturbance_postgres::Disturbance::start(storage.place()).await?))
        }
        _ => None,
    };
    let outage = Outage::start(&storage);
    let mut killed = Vec::new();
    let mut counts = if kind.takes_one_process() {
        one_process(kind, &server, seed, each).await?
    } else {
        let counts;
        (counts, killed) = two_processes(&storage, seed, each, Least::of(sessions)).await?;
        counts
    };
    counts.add("pushing processes killed", killed.len() as u64);
    counts.add("sessions of the killed", killed.iter().map(|life| life.acknowledged).sum());
    if let Some(outage) = outage {
        counts.add("outages of a node", outage.end().await?);
    }
    if let Some(disturbance) = disturbance {
        let cuts = match disturbance {
            Disturbance::MySql(disturbance) => disturbance.end().await?,
            Disturbance::Postgres(disturbance) => disturbance.end().await?,
        };
        counts.add("connections cut", cuts);
    }
    let expected = Expected {
        pushers,
        sessions_each: each,
        sessions: counts.of("sessions pushed"),
        records: counts.of("records pushed"),
        untold: counts.of("sessions of which no report came"),
    };
    audit::check(&server, expected, &killed).await?;
    drop(server);
    storage.remove().await?;
    Ok(counts)
}

/// Shows that the run can fail: workers on a data source that takes its positions before the commit miss records, and
/// workers on one that takes them with it miss none. Gives how many were missed.
///
/// # Errors
/// If it is otherwise.
pub async fn broken(kind: StorageKind, seed: u64) -> Result<u64, String> {
    let sound = numbered(kind, Taken::AtCommit, seed).await?;
    if sound != 0 {
        return Err(format!("the run finds {sound} records missed with a sound data source"));
    }
    for attempt in 0..BROKEN_TRIES {
        let missed = numbered(kind, Taken::BeforeCommit, seed.wrapping_add(attempt)).await?;
        if missed > 0 {
            return Ok(missed);
        }
    }
    Err("broken source: NOT caught".to_owned())
}

/// All pushers and pullers on one handle: they meet in the data source's queue and not in its lock.
async fn one_process(
    kind: StorageKind,
    server: &SyncManager<Server>,
    seed: u64,
    each: u64,
) -> Result<Counts, String> {
    let Scale { pushers, pages, most } = scale(kind);
    let plan = Plan { seed, pushers: 0..pushers, sessions: each, most, pages: pages.concat() };
    let (done, seen) = alone(server, plan).await?;
    let mut counts = Counts::default();
    let numbers = [done.sessions, done.records, done.conflicts, done.retries, done.abandoned, done.untold];
    add(&mut counts, numbers);
    for seen in seen {
        counts.add("caught-up pulls", seen.walks);
        counts.add("pages pulled", seen.pages);
        counts.add("records pulled", seen.records);
        if seen.missed > 0 {
            return Err(format!("a puller missed {} records\n{}", seen.missed, seen.problems.join("\n")));
        }
        if let Some(problem) = seen.problems.first() {
            return Err(problem.clone());
        }
    }
    Ok(counts)
}

/// How long so many sessions may take, on however busy a machine: calm ones do hundreds in a second.
const fn longest(sessions: u64) -> Duration {
    Duration::from_millis(300_000 + 100 * sessions)
}

/// Workers that nobody else works beside.
async fn alone(server: &SyncManager<Server>, plan: Plan) -> Result<(Done, Vec<Seen>), String> {
    let longest = longest(plan.sessions * (plan.pushers.end - plan.pushers.start));
    let worked = tokio::time::timeout(longest, work(server, plan, || (), std::future::ready(()))).await;
    worked.map_err(|_| format!("the workers are not done within {longest:?}"))?
}

/// What pushers have done, in the order in which a process says it.
fn add(counts: &mut Counts, [sessions, records, conflicts, retries, abandoned, untold]: [u64; 6]) {
    counts.add("sessions pushed", sessions + untold);
    counts.add("records pushed", records);
    counts.add("conflicts settled", conflicts);
    counts.add("pushes told to come again", retries);
    counts.add("pushes abandoned", abandoned);
    counts.add("sessions of which no report came", untold);
}

async fn two_processes(
    storage: &Storage,
    seed: u64,
    each: u64,
    least: Least,
) -> Result<(Counts, Vec<Life>), String> {
    let start = |half: u64| {
        let numbers = [seed, half, each].map(|number| number.to_string());
        let name = storage.name_at(usize::try_from(half).unwrap_or(0));
        let args = [&[storage.kind().name().to_owned(), name][..], &numbers].concat();
        Process::start(PROOF, &args).map_err(text)
    };
    let mut children = [start(0)?, start(1)?];
    let victims = Victims::start(storage, seed, least);
    for child in &mut children {
        let line = child.line_within(longest(each * scale(storage.kind()).pushers)).await.map_err(text)?;
        if line != "pushed." {
            return Err(line);
        }
    }
    // Nothing is committed any more when the pullers compare.
    let killed = victims.end().await?;
    for child in &mut children {
        child.close_input();
    }
    let mut counts = Counts::default();
    let mut problems = Vec::new();
    for mut child in children {
        loop {
            let line = match child.line().await {
                Ok(line) => line,
                Err(error) => {
                    problems.push(format!("a process that pulls: {error}"));
                    break;
                }
            };
            let numbers: Vec<u64> = line.split(' ').skip(1).filter_map(|word| word.parse().ok()).collect();
            match (line.split(' ').next(), numbers.as_slice()) {
                (Some("end."), _) => break,
                (Some("pusher"), &[sessions, records, conflicts, retries, abandoned, untold]) => {
                    add(&mut counts, [sessions, records, conflicts, retries, abandoned, untold]);
                }
                (Some("puller"), [walks, pages, records, missed]) => {
                    counts.add("caught-up pulls", *walks);
                    counts.add("pages pulled", *pages);
                    counts.add("records pulled", *records);
                    if *missed > 0 {
                        problems.push(format!("a puller missed {missed} records"));
                    }
                }
                _ => problems.push(line),
            }
        }
        if !child.finish().await.map_err(text)? {
            problems.push("a process failed".to_owned());
        }
    }
    if problems.is_empty() { Ok((counts, killed)) } else { Err(problems.join("\n")) }
}

/// The same workers on a data source with positions of its own over the same kind of storage; gives how many records
/// the pullers missed.
async fn numbered(kind: StorageKind, taken: Taken, seed: u64) -> Result<u64, String> {
    let storage = Storage::new(kind).await?;
    let source = Numbered::new(storage.open_alone().await?, taken, Seeded::stream(seed, 77));
    let server = open(source).await.map_err(text)?;
    let plan = Plan { seed, pushers: 0..8, sessions: 20, most: 16, pages: vec![73, 1_000] };
    let (_, seen) = alone(&server, plan).await?;
    drop(server);
    storage.remove().await?;
    Ok(seen.iter().map(|seen| seen.missed).sum())
}
