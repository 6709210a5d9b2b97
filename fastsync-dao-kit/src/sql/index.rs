//! The index rows of a commit: looked up under their locks, and written at its end.

use fastsync_core::source::rules::{acknowledged, change_of_put};
use fastsync_core::source::{Action, Expect, Write};
use fastsync_core::{Incarnation, Record, RecordKey, Revision};

use std::collections::HashMap;

use crate::sql::chunk::MAX_ROWS;
use crate::sql::dialect::Dialect;
use crate::sql::driver::{Link, Row as _};
use crate::sql::entry::{ENTRY, ENTRY_COLUMNS, Entry};
use crate::sql::fail::{Fail, Run};
use crate::sql::load::ROWS;
use crate::sql::many::Many;
use crate::sql::plan::Item;
use crate::sql::statement::Sql;
use crate::sql::walk::rows_by;

/// What the index has for each item, in their order. The rows that are there are locked until the commit ends.
///
/// A row that is not there is not locked: who inserts it finds out whether somebody else did. That goes for every row that
/// is to be inserted, so with `trusts` these are taken for what they are expected to be.
pub(crate) async fn look_up<L: Link>(link: &mut L, items: &[Item], trusts: bool) -> Run<Vec<Option<Entry>>> {
    let mut entries = Vec::with_capacity(items.len());
    for group in items.chunk_by(|a, b| (a.zone, a.kind.n) == (b.zone, b.kind.n)) {
        let asked = group.iter().filter(|item| !trusts || !inserts(&item.write));
        let asked: Vec<_> = asked.collect();
        let mut found = HashMap::with_capacity(asked.len());
        for items in asked.chunks(MAX_ROWS) {
            let Some(first) = items.first() else { continue };
            let mut sql = Sql::new(look_up_statement(link.dialect()));
            sql.add(first.zone).add(first.kind.n);
            sql.push_list(items.iter().map(|item| item.key().id.as_str())).push(" FOR UPDATE");
            for row in sql.all(link).await? {
                found.insert(row.id(ENTRY_COLUMNS)?, Entry::read(&row, 0)?);
            }
        }
        entries.extend(group.iter().map(|item| found.get(&item.key().id).copied()));
    }
    Ok(entries)
}

/// Whether a write inserts an index row or fails. (An acknowledgement of what is not there writes nothing.)
pub(crate) fn inserts(write: &Write) -> bool {
    write.expect == Expect::Absent && matches!(write.action, Action::Put { .. })
}

/// Parameters: zone, type, ids.
pub(crate) fn look_up_statement(dialect: &Dialect) -> String {
    format!(
        "SELECT {ENTRY}, r.id FROM {} \
         WHERE r.zone = ? AND r.type = ? AND r.id IN ",
        rows_by(dialect, ROWS)
    )
}

const INSERT: &str = "INSERT INTO fastsync_records (zone, type, id, position, `change`, deleted, modified_by, modified_at, \
     revision, incarnation, bytes) VALUES ";

/// What a row of the index has beside its key.
const VALUES: [&str; 8] =
    ["position", "`change`", "deleted", "modified_by", "modified_at", "revision", "incarnation", "bytes"];

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
pub(crate) async fn write<L: Link>(link: &mut L, items: &[(&Item, Option<Entry>)], given: &Given) -> Run<()> {
    let rows: Vec<_> = items
        .iter()
        .filter_map(|(item, before)| Some(Row { item, before: *before, after: after(item, *before, given)? }))
        .collect();
    let (there, new): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.before.is_some());
    // The table has one unique key, so this meets the row of the same key only.
    let replace = link.dialect().replace(&["zone", "type", "id"], &VALUES);
    put(link, &new, "").await.map_err(Fail::or_moved)?;
    put(link, &there, &replace).await?;

    let of = |row: &&Row<'_>, kept: fn(&Entry) -> Option<u64>| {
        (row.before.as_ref().and_then(kept), kept(&row.after))
    };
    for (table, column, kept) in [
        (
            "fastsync_pending",
            "`change`",
            (|entry| Some(entry.change).filter(|n| *n > 0)) as fn(&Entry) -> Option<u64>,
        ),
        ("fastsync_tombstones", "position", |entry| Some(entry.position).filter(|n| entry.deleted && *n > 0)),
    ] {
        let moved: Vec<_> =
            rows.iter().map(|row| (row, of(&row, kept))).filter(|(_, (a, b))| a != b).collect();
        let gone: Vec<_> = moved.iter().filter_map(|(row, (before, _))| Some((*row, (*before)?))).collect();
        let come: Vec<_> = moved.iter().filter_map(|(row, (_, after))| Some((*row, (*after)?))).collect();
        let delete = format!("DELETE FROM {table} WHERE ({column}, zone, type, id) IN (");
        let insert = format!("INSERT INTO {table} ({column}, zone, type, id) VALUES ");
        for (around, rows) in [((&*delete, ")"), gone), ((&*insert, ""), come)] {
            let list = Many { around, columns: 4 };
            list.execute(link, &rows, |sql, (Row { item, .. }, number)| {
                sql.add(*number).add(item.zone).add(item.kind.n).add(item.key().id.as_str());
            })
            .await?;
        }
    }
    Ok(())
}

async fn put<L: Link>(link: &mut L, rows: &[&Row<'_>], end: &str) -> Run<()> {
    let put = Many { around: (INSERT, end), columns: VALUES.len().saturating_add(3) };
    put.execute(link, rows, |sql, Row { item, after, .. }| {
        sql.add(item.zone).add(item.kind.n).add(item.key().id.as_str());
        sql.add(after.position).add(after.change).add(after.deleted).add(after.modified_by);
        sql.add(after.modified_at).add(after.revision).add(after.incarnation).add(after.bytes);
    })
    .await
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
                bytes: u64::from(u32::try_from(record.approximate_bytes()).unwrap_or(u32::MAX)),
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
