//! What the other processes tell the first one: one JSON object per line on standard output.

use std::io::Write;

use fastsync_core::{SettledConflict, Settlement, SyncPhase, SyncProgress};
use serde::{Deserialize, Serialize};

use crate::edits::Edited;

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Event {
    /// The server takes requests.
    Listening { url: String },
    /// A client opened its store and found this.
    Opened { waiting: u64, unanswered: bool },
    /// A synchronisation goes on.
    Progress { sending: bool, done: u64, total: Option<u64> },
    /// A push is done.
    Pushed { applied: u64, conflicts: Vec<Told> },
    /// A pull is done.
    Pulled { received: u64, conflicts: Vec<Told> },
    /// Offline edits are done.
    Edited(Edited),
    /// The last line: the most memory that the process had, in KiB, where the system tells.
    Finished { peak_memory: Option<u64> },
}

/// A conflict, as a client was told of it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) id: String,
    pub(crate) server_won: bool,
}

impl Event {
    pub(crate) fn send(&self) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        serde_json::to_writer(&mut out, self)?;
        out.write_all(b"\n")?;
        out.flush()
    }
}

impl From<&SyncProgress> for Event {
    fn from(progress: &SyncProgress) -> Self {
        let sending = progress.phase == SyncPhase::Pushing;
        Self::Progress { sending, done: progress.done, total: progress.total }
    }
}

impl From<&SettledConflict> for Told {
    fn from(conflict: &SettledConflict) -> Self {
        let server_won = conflict.settlement == Settlement::KeptServer;
        Self { id: conflict.key.id.to_string(), server_won }
    }
}

/// The most memory that a process has had so far, in KiB, where `/proc` tells.
pub(crate) fn peak_memory(process: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches("kB").trim().parse().ok()
}
