//! Client B, a process of its own: each run does one thing and ends. What has to last is in its store.

use std::path::Path;

use fastsync_core::{SessionLimits, SettledConflict};

use crate::edits;
use crate::events::{Event, Told, peak_memory};
use crate::replica::{Remote, Replica};

/// A client on the move pushes little at once: when it is cut off, little is sent again.
const SMALL_PUSHES: SessionLimits = SessionLimits::new(1_000, 256 << 10);

/// Edits the local store. There is no server in sight.
pub(crate) async fn edit(db: &Path) -> anyhow::Result<()> {
    let replica = Replica::with_limits(db, SMALL_PUSHES).await?;
    let edited = edits::by_client_b(&replica).await?;
    Event::Edited(edited).send()?;
    finish()
}

/// Synchronises: `manager.sync()`, in its two halves so that the first can be told of before the second begins.
pub(crate) async fn sync(db: &Path, remote: &Remote) -> anyhow::Result<()> {
    let replica = Replica::with_limits(db, SMALL_PUSHES).await?;
    let manager = replica.manager(remote, |progress| {
        // Nobody listens any more if this fails, and then nobody waits for the end of this either.
        let _ = Event::from(progress).send();
    })?;
    let status = manager.status().await?;
    Event::Opened { waiting: status.pending, unanswered: status.push_in_flight }.send()?;
    let pushed = manager.push().await?;
    Event::Pushed { applied: pushed.applied, conflicts: told(&pushed.conflicts) }.send()?;
    let pulled = manager.pull().await?;
    Event::Pulled { received: pulled.received, conflicts: told(&pulled.conflicts) }.send()?;
    finish()
}

fn told(conflicts: &[SettledConflict]) -> Vec<Told> {
    conflicts.iter().map(Told::from).collect()
}

fn finish() -> anyhow::Result<()> {
    Event::Finished { peak_memory: peak_memory("self") }.send()?;
    Ok(())
}
