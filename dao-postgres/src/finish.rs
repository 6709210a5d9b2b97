//! The end of a commit: state entries, the session, and its position in each zone.

use fastsync_core::source::rules::Tally;
use fastsync_core::source::{Commit, ExpectState, StateWrite};
use fastsync_dao_kit::sql::{Fail, Run};
use sqlx::PgConnection;

use crate::index::Given;
use crate::sql::{BYTEA, MAX_BYTES, MAX_ROWS, number};
use crate::store::Store;

/// What was put, by the numbers of zones and types.
pub(crate) type Written = Tally<u64, u64>;

/// Writes state entries and the session, and takes its positions: from here to the end of the transaction nobody
/// else commits to these zones. `None` if the session is there already.
pub(crate) async fn finish(
    store: &Store,
    connection: &mut PgConnection,
    commit: &Commit,
    device: u64,
    written: &Written,
) -> Run<Option<Given>> {
    let schema = &store.schema;
    write_state(store, connection, commit).await?;
    let mut given = Given::default();
    if written.has_edits() {
        let next = schema.sql("UPDATE @meta SET value = value + 1 WHERE name = 'change' RETURNING value");
        given.change = next.first(connection).await?.map_or(Ok(0), |row| number(&row, 0))?;
    }
    let counts = serde_json::to_string(&written.by_type());
    let session = commit.session.as_uuid();
    // Of two that commit one session at once, the second waits here for the first.
    let mut sql = schema.sql(
        "INSERT INTO @sessions (id, kind, \"user\", device, number, committed_at, change, counts) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
    );
    sql.add(session).add(commit.kind.name());
    sql.add_bytes(BYTEA.0, commit.author.user.as_ref().map(|user| user.as_bytes().to_vec()));
    sql.add(device).add(commit.author.number.cast_signed()).add(commit.at.as_millis()).add(given.change);
    sql.add(counts.map_err(|_| Fail::invalid("commit", "a summary cannot be stored"))?);
    if sql.execute(connection).await?.rows_affected() == 0 {
        return Ok(None);
    }
    if !commit.positioned {
        return Ok(Some(given));
    }
    // In the order of their numbers, so that two sessions over the same zones do not wait for each other.
    for zone in written.zones() {
        let next = schema.sql("UPDATE @zones SET head = head + 1, tag = ? WHERE n = ? RETURNING head");
        let row = next.bind(commit.tag.0.cast_signed()).bind(zone).first(connection).await?;
        let row = row.ok_or_else(|| Fail::corrupt("a zone is not there any more"))?;
        given.positions.insert(zone, number(&row, 0)?);
    }
    let insert = "INSERT INTO @positions (zone, position, session, tag, device, number) \
                  SELECT x.zone, x.position, ?, ?, ?, ? FROM UNNEST(?, ?) AS x (zone, position)";
    let mut sql = schema.sql(insert).bind(session).bind(commit.tag.0.cast_signed());
    sql.add(device).add(commit.author.number.cast_signed());
    sql.add_array(given.positions.keys().copied()).add_array(given.positions.values().copied());
    sql.execute(connection).await?;
    Ok(Some(given))
}

/// Sets and removes state entries, in the order of their keys.
async fn write_state(store: &Store, connection: &mut PgConnection, commit: &Commit) -> Run<()> {
    let mut writes: Vec<_> = commit.state.iter().collect();
    writes.sort_by_key(|write| &write.key);
    let (set, removed): (Vec<_>, Vec<_>) =
        writes.into_iter().partition(|write: &&StateWrite| write.value.is_some());
    let (new, replaced): (Vec<_>, Vec<_>) =
        set.into_iter().partition(|write: &&StateWrite| write.expect == ExpectState::Absent);
    // An entry that was not there could not be locked, so its insert finds out whether somebody else was faster.
    set_state(store, connection, &new, " DO NOTHING").await?;
    set_state(store, connection, &replaced, " (name) DO UPDATE SET value = EXCLUDED.value").await?;
    for removed in removed.chunks(MAX_ROWS) {
        let mut sql = store.schema.sql("DELETE FROM @state WHERE name = ANY (?)");
        sql.add_array(removed.iter().map(|write| write.key.as_bytes()));
        sql.execute(connection).await?;
    }
    Ok(())
}

async fn set_state(
    store: &Store,
    connection: &mut PgConnection,
    writes: &[&StateWrite],
    end: &str,
) -> Run<()> {
    let mut rest = writes;
    while !rest.is_empty() {
        let mut held = 0_usize;
        let fit = rest.iter().take(MAX_ROWS).take_while(|write| {
            held =
                held.saturating_add(write.key.len()).saturating_add(write.value.as_ref().map_or(0, Vec::len));
            held <= MAX_BYTES
        });
        let (now, later) = rest.split_at(fit.count().max(1));
        rest = later;
        let insert = "INSERT INTO @state (name, value) SELECT * FROM UNNEST(?, ?) ON CONFLICT";
        let mut sql = store.schema.sql(insert);
        sql.push(end).add_array(now.iter().map(|write| write.key.as_bytes()));
        sql.add_array(now.iter().map(|write| write.value.as_deref().unwrap_or_default()));
        if Ok(sql.execute(connection).await?.rows_affected()) != u64::try_from(now.len()) {
            return Err(Fail::Moved);
        }
    }
    Ok(())
}
