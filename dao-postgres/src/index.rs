//! The index rows of a commit: looked up under their locks, and written at its end.

use fastsync_core::source::rules::{acknowledged, change_of_put};
use fastsync_core::source::{Action, Expect, Write};
use fastsync_core::{Incarnation, ObjectId, Record, RecordKey, Revision};
use sqlx::PgConnection;

use fastsync_dao_kit::sql::{Fail, Run};
use std::collections::HashMap;

use crate::codec::{ENTRY_COLUMNS, Entry, read_id};
use crate::plan::Item;
use crate::sql::MAX_ROWS;
use crate::store::Store;

/// What the column of sizes holds at most.
const MAX_SIZE: u64 = i32::MAX as u64;

/// What the index has for each item, in their order. The rows that are there are locked until the commit ends.
///
/// A row that is not there is not locked: who inserts it finds out whether somebody else did. That goes for every row that
/// is to be inserted, so with `trusts` these are taken for what they are expected to be.
pub(crate) async fn look_up(
    store: &Store,
    connection: &mut PgConnection,
    items: &[Item],
    trusts: bool,
) -> Run<Vec<Option<Entry>>> {
    let mut found = Vec::with_capacity(items.len());
    for group in items.chunk_by(|a, b| (a.zone, a.kind.n) == (b.zone, b.kind.n)) {
        let Some(first) = group.first() else { continue };
        let asked = group.iter().filter(|item| !trusts || !inserts(&item.write));
        let ids: Vec<_> = asked.map(|item| &item.key().id).collect();
        let known = entries(store, connection, (first.zone, first.kind.n), &ids).await?;
        found.extend(group.iter().map(|item| known.get(&item.key().id).copied()));
    }
    Ok(found)
}

/// What the index has of a zone and type for these ids, locked.
pub(crate) async fn entries(
    store: &Store,
    connection: &mut PgConnection,
    (zone, kind): (u64, u64),
    ids: &[&ObjectId],
) -> Run<HashMap<ObjectId, Entry>> {
    let mut found = HashMap::with_capacity(ids.len());
    for ids in ids.chunks(MAX_ROWS) {
        let mut sql = store.schema.sql(LOOK_UP).bind(zone).bind(kind);
        sql.add_array(ids.iter().map(|id| id.as_str()));
        for row in sql.all(connection).await? {
            found.insert(read_id(&row, ENTRY_COLUMNS)?, Entry::read(&row, 0)?);
        }
    }
    Ok(found)
}

/// Whether a write inserts an index row or fails. (An acknowledgement of what is not there writes nothing.)
pub(crate) fn inserts(write: &Write) -> bool {
    write.expect == Expect::Absent && matches!(write.action, Action::Put { .. })
}

/// Locks in the order of the ids, as everybody does. Parameters: zone, type, ids.
pub(crate) const LOOK_UP: &str = "SELECT r.position, r.change, r.deleted, r.modified_by, r.modified_at, r.revision, \
     r.incarnation, r.bytes, r.id FROM @records AS r WHERE r.zone = ? AND r.type = ? AND r.id = ANY (?) \
     ORDER BY r.id FOR UPDATE";

const INSERT: &str = "INSERT INTO @records (zone, type, id, position, change, deleted, modified_by, modified_at, \
     revision, incarnation, bytes) SELECT * FROM UNNEST(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT";

const NEW: &str = " DO NOTHING";

const REPLACE: &str = " (zone, type, id) DO UPDATE SET position = EXCLUDED.position, change = EXCLUDED.change, \
     deleted = EXCLUDED.deleted, modified_by = EXCLUDED.modified_by, modified_at = EXCLUDED.modified_at, \
     revision = EXCLUDED.revision, incarnation = EXCLUDED.incarnation, bytes = EXCLUDED.bytes";

/// What a commit gives to the rows that it writes.
#[derive(Debug, Default)]
pub(crate) struct Given {
    /// The number of the local commit.
    pub(crate) change: u64,
    /// The new position of each zone, if the commit takes any.
    pub(crate) positions: HashMap<u64, u64>,
}

/// An index row before and after a write.
struct Row<'a> {
    item: &'a Item,
    before: Option<Entry>,
    after: Entry,
}

/// Writes the index rows of items that were looked up.
pub(crate) async fn write(
    store: &Store,
    connection: &mut PgConnection,
    items: &[(&Item, Option<Entry>)],
    given: &Given,
) -> Run<()> {
    let rows: Vec<_> = items
        .iter()
        .filter_map(|(item, before)| Some(Row { item, before: *before, after: after(item, *before, given)? }))
        .collect();
    let (there, new): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.before.is_some());
    put(store, connection, &new, NEW).await?;
    put(store, connection, &there, REPLACE).await
}

/// Fails with `Moved` if not every row was written: somebody else has inserted it.
async fn put(store: &Store, connection: &mut PgConnection, rows: &[&Row<'_>], end: &str) -> Run<()> {
    for rows in rows.chunks(MAX_ROWS) {
        let mut sql = store.schema.sql(INSERT);
        sql.push(end);
        sql.add_array(rows.iter().map(|row| row.item.zone));
        sql.add_array(rows.iter().map(|row| row.item.kind.n));
        sql.add_array(rows.iter().map(|row| row.item.key().id.as_str()));
        sql.add_array(rows.iter().map(|row| row.after.position));
        sql.add_array(rows.iter().map(|row| row.after.change));
        sql.add_array(rows.iter().map(|row| row.after.deleted));
        sql.add_array(rows.iter().map(|row| row.after.modified_by));
        sql.add_array(rows.iter().map(|row| row.after.modified_at.cast_signed()));
        sql.add_array(rows.iter().map(|row| row.after.revision.cast_signed()));
        sql.add_array(rows.iter().map(|row| row.after.incarnation.cast_signed()));
        sql.add_array(rows.iter().map(|row| row.after.bytes));
        let written = sql.execute(connection).await?.rows_affected();
        if u64::try_from(rows.len()) != Ok(written) {
            return Err(Fail::Moved);
        }
    }
    Ok(())
}

/// The index row that a write leaves; `None` if it leaves none.
fn after(item: &Item, before: Option<Entry>, given: &Given) -> Option<Entry> {
    match &item.write.action {
        Action::Put { record, pending } => {
            let Record { key: RecordKey { .. }, body, metadata } = record;
            let position = given.positions.get(&item.zone).copied().or(before.map(|before| before.position));
            Some(Entry {
                position: position.unwrap_or(0),
                change: change_of_put(*pending, metadata.change, given.change),
                deleted: body.is_none(),
                modified_by: item.device,
                modified_at: metadata.modified_at.to_bits(),
                revision: metadata.revision.to_bits(),
                incarnation: metadata.incarnation.to_bits(),
                bytes: u64::try_from(record.approximate_bytes()).unwrap_or(MAX_SIZE).min(MAX_SIZE),
            })
        }
        Action::Acknowledge { change, revision, incarnation, .. } => before.map(|before| {
            let life = Incarnation::from_bits(before.incarnation);
            let there = (life, Revision::from_bits(before.revision), before.change);
            let (revision, change) = acknowledged(there, (*incarnation, *revision, *change));
            Entry { revision: revision.to_bits(), change, ..before }
        }),
    }
}
