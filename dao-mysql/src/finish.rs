//! The end of a commit: state entries, the session, and its position in each zone.

use fastsync_core::source::rules::Tally;
use fastsync_core::source::{Commit, ExpectState, StateWrite};
use sqlx::MySqlConnection;

use crate::error::{Fail, Run};
use crate::index::Given;
use crate::sql::{MAX_ROWS, Sql, marks, rows_at_once, rows_of_marks};
use crate::store::Store;

/// What was put, by the numbers of zones and types.
pub(crate) type Written = Tally<u64, u64>;

/// Writes state entries and the session, and takes its positions: from here to the end of the transaction nobody
/// else commits to these zones. `None` if the session is there already.
pub(crate) async fn finish(
    store: &Store,
    connection: &mut MySqlConnection,
    commit: &Commit,
    device: u64,
    written: &Written,
) -> Run<Option<Given>> {
    write_state(store, connection, commit).await?;
    let mut given = Given::default();
    if written.has_edits() {
        let next = "UPDATE fastsync_meta SET value = LAST_INSERT_ID(value + 1) WHERE name = 'change'";
        given.change = Sql::new(next).execute(connection).await?.last_insert_id();
    }
    let counts = serde_json::to_vec(&written.by_type());
    let session = commit.session.as_uuid();
    let inserted = Sql::new(
        "INSERT INTO fastsync_sessions (id, kind, user, device, number, committed_at, `change`, counts) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&session.as_bytes()[..])
    .bind(commit.kind.name().as_bytes())
    .bind(commit.author.user.as_deref().map(str::as_bytes))
    .bind(device)
    .bind(commit.author.number)
    .bind(commit.at.as_millis())
    .bind(given.change)
    .bind(counts.map_err(|_| Fail::invalid("commit", "a summary cannot be stored"))?)
    .execute(connection)
    .await;
    match inserted {
        // Of two that commit one session at once, the second waits here for the first.
        Err(fail) if fail.is_duplicate() => return Ok(None),
        inserted => inserted?,
    };
    if !commit.positioned {
        return Ok(Some(given));
    }
    // In the order of their numbers, so that two sessions over the same zones do not wait for each other.
    let zones = written.zones();
    for zone in &zones {
        let next = "UPDATE fastsync_zones SET head = LAST_INSERT_ID(head + 1), tag = ? WHERE n = ?";
        let taken = Sql::new(next).bind(commit.tag.0).bind(*zone).execute(connection).await?;
        given.positions.insert(*zone, taken.last_insert_id());
    }
    let mut rest: Vec<_> = given.positions.iter().collect();
    rest.sort();
    let mut rest = rest.as_slice();
    while !rest.is_empty() {
        let (now, later) = rest.split_at(rows_at_once(rest.len(), 6));
        rest = later;
        let insert = "INSERT INTO fastsync_positions (zone, position, session, tag, device, number) VALUES ";
        let mut sql = Sql::new(insert);
        sql.push(&rows_of_marks(now.len(), 6));
        for (zone, position) in now {
            sql.add(**zone).add(**position).add(&session.as_bytes()[..]).add(commit.tag.0);
            sql.add(device).add(commit.author.number);
        }
        sql.execute(connection).await?;
    }
    Ok(Some(given))
}

/// Sets and removes state entries, in the order of their keys.
async fn write_state(store: &Store, connection: &mut MySqlConnection, commit: &Commit) -> Run<()> {
    let mut writes: Vec<_> = commit.state.iter().collect();
    writes.sort_by_key(|write| &write.key);
    let (set, removed): (Vec<_>, Vec<_>) =
        writes.into_iter().partition(|write: &&StateWrite| write.value.is_some());
    let (new, replaced): (Vec<_>, Vec<_>) =
        set.into_iter().partition(|write: &&StateWrite| write.expect == ExpectState::Absent);
    // An entry that was not there could not be locked, so its insert finds out whether somebody else was faster.
    let inserted = set_state(store, connection, &new, "").await;
    inserted.map_err(|fail| if fail.is_duplicate() { Fail::Moved } else { fail })?;
    set_state(store, connection, &replaced, " ON DUPLICATE KEY UPDATE value = VALUES(value)").await?;
    for removed in removed.chunks(MAX_ROWS) {
        let mut sql = Sql::new(format!("DELETE FROM fastsync_state WHERE name IN {}", marks(removed.len())));
        sql.add_all(removed.iter().map(|write| write.key.as_bytes()));
        sql.execute(connection).await?;
    }
    Ok(())
}

async fn set_state(
    store: &Store,
    connection: &mut MySqlConnection,
    writes: &[&StateWrite],
    end: &str,
) -> Run<()> {
    let mut rest = writes;
    while !rest.is_empty() {
        let mut held = 0_usize;
        let fit = rest.iter().take_while(|write| {
            held =
                held.saturating_add(write.key.len()).saturating_add(write.value.as_ref().map_or(0, Vec::len));
            held <= store.server.packet
        });
        let (now, later) = rest.split_at(rows_at_once(fit.count().max(1), 2));
        rest = later;
        let mut sql = Sql::new("INSERT INTO fastsync_state (name, value) VALUES ");
        sql.push(&rows_of_marks(now.len(), 2)).push(end);
        for write in now {
            sql.add(write.key.as_bytes()).add(write.value.as_deref().unwrap_or_default());
        }
        sql.execute(connection).await?;
    }
    Ok(())
}
