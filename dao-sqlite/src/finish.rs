//! The end of a commit: state entries, positions and the session's own row.

use fastsync_core::source::{Commit, Receipt};
use fastsync_core::{Position, Tag};

use crate::apply::Writer;
use crate::codec::{signed, unsigned};
use crate::connection::Store;
use crate::error::{Fail, Run};

/// Writes state entries, positions and the session itself.
pub(crate) fn finish(store: &Store, commit: &Commit, session: i64, writer: &Writer<'_>) -> Run<Receipt> {
    for write in &commit.state {
        match &write.value {
            Some(value) => {
                let put = "INSERT INTO fastsync_state (key, value) VALUES (?1, ?2) \
                           ON CONFLICT (key) DO UPDATE SET value = excluded.value";
                store.run(put, (&write.key, value))?
            }
            None => store.run("DELETE FROM fastsync_state WHERE key = ?1", [&write.key])?,
        };
    }
    let mut positions = Vec::new();
    if commit.positioned {
        for zone in writer.tally.zones() {
            positions.push((zone, assign(store, zone, session, commit.tag)?));
        }
    }
    let change = if writer.tally.has_edits() { session } else { 0 };
    let device = store.device_or_new(commit.author.device.as_uuid())?;
    let unwritable = |_| Fail::invalid("commit", "a summary cannot be stored");
    let sql = "INSERT INTO fastsync_sessions \
               (n, id, kind, user, device, number, committed_at, change, positions, counts) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    let row = (
        session,
        *commit.session.as_uuid().as_bytes(),
        commit.kind.name(),
        &commit.author.user,
        device,
        signed(commit.author.number),
        signed(commit.at.as_millis()),
        change,
        serde_json::to_string(&positions).map_err(unwritable)?,
        serde_json::to_string(&writer.tally.by_type()).map_err(unwritable)?,
    );
    store.run(sql, row)?;
    let mut named = Vec::with_capacity(positions.len());
    for (zone, position) in positions {
        named.push((store.zone_of(zone)?, Position(unsigned(position))));
    }
    named.sort();
    Ok(Receipt { positions: named, change: unsigned(change), skipped: Vec::new() })
}

/// Gives the session the next position of a zone.
fn assign(store: &Store, zone: i64, session: i64, tag: Tag) -> Run<i64> {
    let sql = "SELECT max(position) FROM fastsync_positions WHERE zone = ?1";
    let last: Option<Option<i64>> = store.one(sql, [zone], |row| row.get(0))?;
    let position = last.flatten().unwrap_or(0) + 1;
    let sql = "INSERT INTO fastsync_positions (zone, position, session, tag) VALUES (?1, ?2, ?3, ?4)";
    store.run(sql, (zone, position, session, signed(tag.0)))?;
    Ok(position)
}
