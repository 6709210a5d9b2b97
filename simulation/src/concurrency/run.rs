//! The run: two processes on one file, or one where a store takes one only; then the broken data source, which has to
//! fail.

use std::path::Path;
use std::sync::Arc;

use fastsync_core::{MemoryDataSource, SyncableDataSource};
use fastsync_dao_sqlite::SqliteDataSource;
use tokio::io::AsyncReadExt;

use super::audit::{self, Expected};
use super::broken::{Numbered, Taken};
use super::worker::{Plan, open, work};
use crate::counts::Counts;
use crate::crash::process::{Process, say};
use crate::on_disk::OnDisk;
use crate::random::Seeded;

/// How many pushers there are, half of them in each process.
const PUSHERS: u64 = 8;

/// The page size of the puller of each process.
const PAGES: [u32; 2] = [73, 1_000];

/// The most records of a session.
const MOST: u64 = 200;

/// How often the broken data source may get away with it.
const BROKEN_TRIES: u64 = 20;

/// What must have happened in a run of so many sessions.
#[must_use]
pub fn minimum(sessions: u64) -> Vec<(&'static str, u64)> {
    vec![
        ("sessions pushed", sessions),
        ("records pushed", sessions * 5),
        ("conflicts settled", sessions),
        ("caught-up pulls", sessions / 20),
        ("pages pulled", sessions / 10),
        ("records that the broken source lost", 1),
    ]
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// One of the two processes.
///
/// # Errors
/// What it cannot do.
pub async fn child(args: &[String]) -> Result<(), String> {
    let [path, seed, half, sessions] = args else { return Err("four arguments are needed".to_owned()) };
    let number = |text: &str| text.parse::<u64>().map_err(|_| format!("{text} is not a number"));
    let half = number(half)?;
    let server = open(SqliteDataSource::open(path.as_str()).map_err(text)?).await.map_err(text)?;
    let plan = Plan {
        seed: number(seed)?,
        pushers: half * PUSHERS / 2..(half + 1) * PUSHERS / 2,
        sessions: number(sessions)?,
        most: MOST,
        pages: vec![PAGES[usize::try_from(half).unwrap_or(0) % PAGES.len()]],
    };
    let stop = async {
        // The parent closes this when the pushers of both processes are done.
        let mut nothing = Vec::new();
        let _ = tokio::io::stdin().read_to_end(&mut nothing).await;
    };
    let (done, seen) = work(&server, plan, || say("pushed."), stop).await?;
    say(&format!("pusher {} {} {} {}", done.sessions, done.records, done.conflicts, done.retries));
    for seen in seen {
        say(&format!("puller {} {} {} {}", seen.walks, seen.pages, seen.records, seen.missed));
        for problem in seen.problems.iter().take(5) {
            say(&format!("problem {problem}"));
        }
    }
    say("end.");
    Ok(())
}

/// Runs everything on a store of this kind, with so many sessions in all.
///
/// # Errors
/// What does not hold.
pub async fn run(kind: OnDisk, seed: u64, sessions: u64) -> Result<Counts, String> {
    let folder = tempfile::tempdir().map_err(text)?;
    let path = folder.path().join("shared.db");
    let each = sessions.div_ceil(PUSHERS);
    let mut counts = match kind {
        OnDisk::Sqlite => two_processes(&path, seed, each).await?,
        OnDisk::Sled => one_process(kind, &path, seed, each).await?,
    };
    let server = open(kind.open(&path).map_err(text)?).await.map_err(text)?;
    let expected = Expected {
        pushers: PUSHERS,
        sessions_each: each,
        sessions: counts.of("sessions pushed"),
        records: counts.of("records pushed"),
    };
    audit::check(&server, expected).await?;
    let inner = |name: &str| -> Result<Arc<dyn SyncableDataSource>, String> {
        match kind {
            OnDisk::Sqlite => Ok(Arc::new(MemoryDataSource::new())),
            OnDisk::Sled => kind.open_light(&folder.path().join(name)).map_err(text),
        }
    };
    let sound = numbered(inner("sound")?, Taken::AtCommit, seed).await?;
    if sound != 0 {
        return Err(format!("the run finds {sound} records missed with a sound data source"));
    }
    // It loses by chance, and on some stores not at every try.
    let mut missed = 0;
    for attempt in 0..BROKEN_TRIES {
        let inner = inner(&format!("broken-{attempt}"))?;
        missed = numbered(inner, Taken::BeforeCommit, seed.wrapping_add(attempt)).await?;
        if missed > 0 {
            break;
        }
    }
    if missed == 0 {
        return Err("broken source: NOT caught".to_owned());
    }
    counts.add("records that the broken source lost", missed);
    Ok(counts)
}

/// All pushers and pullers on one handle: they meet in the data source's queue and not in its lock.
async fn one_process(kind: OnDisk, path: &Path, seed: u64, each: u64) -> Result<Counts, String> {
    let server = open(kind.open(path).map_err(text)?).await.map_err(text)?;
    let plan = Plan { seed, pushers: 0..PUSHERS, sessions: each, most: MOST, pages: PAGES.to_vec() };
    let (done, seen) = work(&server, plan, || (), std::future::ready(())).await?;
    let mut counts = Counts::default();
    counts.add("sessions pushed", done.sessions);
    counts.add("records pushed", done.records);
    counts.add("conflicts settled", done.conflicts);
    counts.add("pushes told to come again", done.retries);
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

async fn two_processes(path: &Path, seed: u64, each: u64) -> Result<Counts, String> {
    let start = |half: u64| {
        let args = [path.display().to_string(), seed.to_string(), half.to_string(), each.to_string()];
        Process::start(&args).map_err(text)
    };
    let mut children = [start(0)?, start(1)?];
    for child in &mut children {
        let line = child.line().await.map_err(text)?;
        if line != "pushed." {
            return Err(line);
        }
    }
    for child in &mut children {
        child.close_input();
    }
    let mut counts = Counts::default();
    let mut problems = Vec::new();
    for mut child in children {
        loop {
            let line = child.line().await.map_err(text)?;
            let numbers: Vec<u64> = line.split(' ').skip(1).filter_map(|word| word.parse().ok()).collect();
            match (line.split(' ').next(), numbers.as_slice()) {
                (Some("end."), _) => break,
                (Some("pusher"), [sessions, records, conflicts, retries]) => {
                    counts.add("sessions pushed", *sessions);
                    counts.add("records pushed", *records);
                    counts.add("conflicts settled", *conflicts);
                    counts.add("pushes told to come again", *retries);
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
    if problems.is_empty() { Ok(counts) } else { Err(problems.join("\n")) }
}

/// The same workers on a data source with positions of its own; gives how many records the pullers missed.
async fn numbered(inner: Arc<dyn SyncableDataSource>, taken: Taken, seed: u64) -> Result<u64, String> {
    let source = Numbered::new(inner, taken, Seeded::stream(seed, 77));
    let server = open(source).await.map_err(text)?;
    let plan = Plan { seed, pushers: 0..PUSHERS, sessions: 20, most: 16, pages: PAGES.to_vec() };
    let (_, seen) = work(&server, plan, || (), std::future::ready(())).await?;
    Ok(seen.iter().map(|seen| seen.missed).sum())
}
