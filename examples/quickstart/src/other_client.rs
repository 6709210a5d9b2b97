//! Client B, as the first process sees it: started, listened to, and killed.

use std::path::Path;

use anyhow::{Context, ensure};
use indicatif::HumanCount;

use crate::edits::Edited;
use crate::events::{Event, Told};
use crate::processes::Process;
use crate::replica::Remote;
use crate::screen::Screen;

/// Where client B's process is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KillWhile {
    Sending,
    Receiving,
}

/// What a run of client B told.
#[derive(Debug, Default)]
pub(crate) struct Synced {
    pub(crate) changed: u64,
    pub(crate) conflicts: Vec<Told>,
    pub(crate) peak_memory: Option<u64>,
}

/// Runs client B's process until it ends, or kills it in the middle.
pub(crate) async fn sync(
    db: &Path,
    remote: &Remote,
    screen: &Screen,
    kill: Option<KillWhile>,
) -> anyhow::Result<Synced> {
    let mut process = Process::client_sync(db, remote)?;
    let mut synced = Synced::default();
    while let Some(event) = process.next().await? {
        match event {
            Event::Opened { waiting, unanswered: true } => {
                screen.say(format!(
                    "B starts again: {} edits wait, and a push is without an answer",
                    HumanCount(waiting)
                ));
            }
            Event::Progress { sending, done, total } => {
                screen.progress(done, total);
                let here = if sending { KillWhile::Sending } else { KillWhile::Receiving };
                if kill == Some(here) && done >= total.unwrap_or(0) / 3 && done > 0 {
                    process.kill().await?;
                    let verb = if sending { "sending" } else { "receiving" };
                    let all = total.map(|total| format!(" of {}", HumanCount(total))).unwrap_or_default();
                    screen
                        .say(format!("B is killed (SIGKILL) while {verb}, after {}{all}", HumanCount(done)));
                    return Ok(synced);
                }
            }
            Event::Pushed { applied: changed, conflicts }
            | Event::Pulled { received: changed, conflicts } => {
                synced.changed += changed;
                synced.conflicts.extend(conflicts);
            }
            Event::Finished { peak_memory } => synced.peak_memory = peak_memory,
            Event::Opened { .. } | Event::Edited(_) | Event::Listening { .. } => {}
        }
    }
    ensure!(kill.is_none(), "client B was to be killed while {kill:?}, and was done before");
    Ok(synced)
}

pub(crate) async fn edit(db: &Path) -> anyhow::Result<Edited> {
    let mut process = Process::client_edit(db)?;
    let mut edited = None;
    while let Some(event) = process.next().await? {
        if let Event::Edited(what) = event {
            edited = Some(what);
        }
    }
    edited.context("client B did not say what it edited")
}
