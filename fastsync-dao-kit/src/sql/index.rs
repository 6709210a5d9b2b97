//! The index rows of a commit: looked up under their locks, and written at its end.

use fastsync_core::source::rules::{acknowledged, change_of_put};
use fastsync_core::source::{Action, Expect, Write};
use fastsync_core::{Incarnation, ObjectId, Record, RecordKey, Revision};

use std::collections::HashMap;

use crate::sql::dialect::Dialect;
use crate::sql::driver::{Link, Row as _};
use crate::sql::entry::{ENTRY, ENTRY_COLUMNS, Entry};
use crate::sql::fail::Run;
use crate::sql::load::ROWS;
use crate::sql::many::{Many, all_new};
use crate::sql::plan::Item;
use crate::sql::statement::{Bits, Sql};
use crate::sql::walk::rows_by;

/// What the index has for each item, in their order. The rows that are there are locked until the commit ends.
///
/// A row that is not there is not locked: who inserts it finds out whether somebody else did. That goes for every row that
/// is to be inserted, so with `trusts` these are taken for what they are expected to be.
pub(crate) async fn look_up<L: Link>(link: &mut L, items: &[Item], trusts: bool) -> Run<Vec<Option<Entry>>> {
    let mut found = Vec::with_capacity(items.len());
    for group in items.chunk_by(|a, b| a.place() == b.place()) {
        let Some(first) = group.first() else { continue };
        let asked = group.iter().filter(|item| !trusts || !inserts(&item.write));
        let ids: Vec<_> = asked.map(|item| &item.key().id).collect();
        let known = entries(link, first.place(), &ids).await?;
        found.extend(group.iter().map(|item| known.get(&item.key().id).copied()));
    }
    Ok(found)
}

/// What the index has of a zone and type for these ids, locked.
pub(crate) async fn entries<L: Link>(
    link: &mut L,
    (zone, kind): (u64, u64),
    ids: &[&ObjectId],
) -> Run<HashMap<ObjectId, Entry>> {
    let dialect = link.dialect();
    let mut found = HashMap::with_capacity(ids.len());
    for ids in ids.chunks(dialect.most_keys) {
        let mut sql = Sql::new(look_up_statement(dialect)).bind(zone).bind(kind);
        sql.push_list(dialect, ids.iter().map(|id| id.as_str())).push(&dialect.locking("r.id"));
        for row in sql.all(link).await? {
            found.insert(row.id(ENTRY_COLUMNS)?, Entry::read(&row, 0)?);
        }
    }
    Ok(found)
}

/// Whether a write inserts an index row or fails. (An acknowledgement of what is not there writes nothing.)
pub(crate) fn inserts(write: &Write) -> bool {
    write.expect == Expect::Absent && matches!(write.action, Action::Put { .. })
}

/// Parameters: zone, type, ids.
pub(crate) fn look_up_statement(dialect: &Dialect) -> String {
    format!(
        "SELECT {ENTRY}, r.id FROM {} \
         WHERE r.zone = ? AND r.type = ? AND r.id",
        rows_by(dialect, ROWS)
    )
}

const INSERT: &str = "INSERT INTO fastsync_records (zone, type, id, position, `change`, deleted, modified_by, modified_at, \
     revision, incarnation, bytes) ";

/// What the column of sizes holds at most, with a sign or without one.
const MAX_SIZE: u64 = i32::MAX as u64;

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
    let dialect = link.dialect();
    let written = put(link, &new, dialect.passing_over()).await;
    all_new(link, written, new.len())?;
    // The table has one unique key, so this meets the row of the same key only.
    put(link, &there, &dialect.replace(&["zone", "type", "id"], &VALUES)).await?;
    if !dialect.has_few_tables() {
        return Ok(());
    }

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
        let insert = format!("INSERT INTO {table} ({column}, zone, type, id) ");
        let delete = Many { around: (&delete, ")"), columns: 4, inserts: false };
        for (many, rows) in [(delete, gone), (Many::insert(&insert, 4, ""), come)] {
            many.execute(link, &rows, |sql, (Row { item, .. }, number)| {
                sql.add(*number).add(item.zone).add(item.kind.n).add(item.key().id.as_str());
            })
            .await?;
        }
    }
    Ok(())
}

async fn put<L: Link>(link: &mut L, rows: &[&Row<'_>], end: &str) -> Run<u64> {
    let put = Many::insert(INSERT, VALUES.len().saturating_add(3), end);
    put.execute(link, rows, |sql, Row { item, after, .. }| {
        sql.add(item.zone).add(item.kind.n).add(item.key().id.as_str());
        sql.add(after.position).add(after.change).add(after.deleted).add(after.modified_by);
        sql.add(Bits(after.modified_at)).add(Bits(after.revision)).add(Bits(after.incarnation));
        sql.add(after.bytes);
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
