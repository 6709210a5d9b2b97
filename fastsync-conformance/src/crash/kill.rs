//! A process that is killed, or the server that it talks to.

use fastsync_core::source::SyncableDataSourceExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tokio::runtime::Builder;

use super::child::{Job, Process, Said};
use super::verify::verify;
use super::workload::{Plan, Rounds, STREAMS, write};
use super::{Checked, CrashHarness, Storage};

/// Commits of a few megabytes, so that one takes long enough to be killed in the middle.
const PLAN: Plan = Plan { many: 4_000, last: u64::MAX, at_once: true };

const KILLS: u64 = 8;
/// Where a server holds the data: it is the one that keeps what it acknowledged, and every commit takes longer.
const CLIENT_KILLS: u64 = 3;
const SERVER_KILLS: u64 = 2;

/// Servers that others use are not killed unless this is set.
const KILL_SERVERS: &str = "FASTSYNC_KILL_SERVERS";

/// How often it is tried whether a killed server is back, and how long it takes between two looks.
const LOOKS: u32 = 600;
const PAUSE: Duration = Duration::from_millis(100);

pub(super) fn process(test: &str, harness: &impl CrashHarness) -> Result<Checked, String> {
    let storage = harness.storage();
    let kills = if storage.folder.is_some() { KILLS } else { CLIENT_KILLS };
    let rounds = kill(test, harness, &storage, kills, Process::kill)?;
    Ok(Checked::Survived(format!("killed {kills} times up to rounds {rounds:?}")))
}

pub(super) fn server(test: &str, harness: &impl CrashHarness) -> Result<Checked, String> {
    let storage = harness.storage();
    let Some(pid_file) = &storage.pid_file else {
        return Ok(Checked::Skipped("no file with the number of the server's process is given".to_owned()));
    };
    if std::env::var_os(KILL_SERVERS).is_none() {
        return Ok(Checked::Skipped(format!("{KILL_SERVERS} is not set: others may use the server")));
    }
    let rounds = kill(test, harness, &storage, SERVER_KILLS, |process| {
        kill_server(pid_file)?;
        process.kill()
    })?;
    Ok(Checked::Survived(format!("the server was killed {SERVER_KILLS} times up to rounds {rounds:?}")))
}

/// Kills at some moment of the commits, again and again; what each process had acknowledged is there.
fn kill(
    test: &str,
    harness: &impl CrashHarness,
    storage: &Storage,
    kills: u64,
    mut kill: impl FnMut(&mut Process) -> Result<(), String>,
) -> Result<Rounds, String> {
    let runtime = Builder::new_multi_thread().enable_all().build().map_err(|error| error.to_string())?;
    let place = &storage.place;
    // A server may be at a commit of the process for a moment longer.
    let looks = if storage.folder.is_some() { 1 } else { 20 };
    let mut acknowledged = [0; STREAMS];
    for round in 0..kills {
        // What was acknowledged is not written again; what was not is, whether it is there or not.
        let first = acknowledged.map(|said| said + 1);
        let job = Job { place: place.clone(), plan: PLAN, first };
        let mut process = Process::start(test, &job, None)?;
        loop {
            match process.next()? {
                Some(Said::Done(..)) => break,
                Some(Said::Ready) => {}
                other => return Err(format!("the process does nothing: {other:?}")),
            }
        }
        // It is at work; then it dies at some moment of a commit.
        std::thread::sleep(Duration::from_millis(round * 67 % 190));
        kill(&mut process)?;
        acknowledged = process.acknowledged;
        drop(process);
        runtime.block_on(async {
            wait(harness, place).await?;
            let mut looked = verify(harness, place, PLAN, &acknowledged).await;
            for _ in 1..looks {
                if looked.is_ok() {
                    break;
                }
                tokio::time::sleep(PAUSE).await;
                looked = verify(harness, place, PLAN, &acknowledged).await;
            }
            looked
        })?;
    }
    runtime.block_on(go_on(harness, place, acknowledged))?;
    Ok(acknowledged)
}

/// After the last kill the storage takes commits as before: also those for which it has to end what the killed process
/// had begun.
async fn go_on(harness: &impl CrashHarness, place: &str, acknowledged: Rounds) -> Result<(), String> {
    let source = harness.open(place).await.map_err(|error| error.to_string())?;
    for (stream, acknowledged) in acknowledged.into_iter().enumerate() {
        // The first of them may be there: its acknowledgement can have been lost.
        for round in acknowledged + 1..=acknowledged + 2 {
            write(&*source, PLAN, stream, round, &mut 0).await?;
        }
    }
    Ok(())
}

fn kill_server(pid_file: &Path) -> Result<(), String> {
    let process = std::fs::read_to_string(pid_file).map_err(|error| error.to_string())?;
    let status = Command::new("kill").args(["-9", process.trim()]).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        other => Err(format!("kill -9 {}: {other:?}", process.trim())),
    }
}

/// Waits while the storage is `Unavailable`: the server starts, or the lock of the process that was killed is not free.
async fn wait(harness: &impl CrashHarness, place: &str) -> Result<(), String> {
    let mut looks = 0;
    loop {
        let looked = match harness.open(place).await {
            Ok(source) => source.count_pending().await.map(|_| ()),
            Err(error) => Err(error),
        };
        match looked {
            Ok(()) => return Ok(()),
            Err(error) if error.is_retryable() && looks < LOOKS => {
                looks += 1;
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => return Err(format!("it cannot be opened: {error}")),
        }
    }
}
