//! Writing the rows of the users' tables, many at a time, and finding those that a rule of the table refuses.

use fastsync_core::ObjectId;
use fastsync_core::source::Action;
use sqlx::MySqlConnection;

use crate::codec::add_value;
use crate::error::{Fail, Run};
use crate::plan::Item;
use crate::registry::Type;
use crate::sql::{MAX_ROWS, Sql, rows_at_once, rows_of_marks};
use crate::store::Store;

/// A write that a rule of the user's table refuses, with the database's text.
#[derive(Debug, Clone)]
pub(crate) struct Refused {
    pub(crate) item: Item,
    pub(crate) text: String,
    /// Whether another row has a unique value that it is to get.
    pub(crate) is_clash: bool,
}

/// Writes the rows of puts, or removes those of deletions; gives the refused ones, whose rows are as they were.
///
/// All items are of one type and one zone.
pub(crate) async fn write(
    store: &Store,
    connection: &mut MySqlConnection,
    items: &[&Item],
    is_deletion: bool,
) -> Run<Vec<Refused>> {
    let mut refused = Vec::new();
    let mut kept = Vec::with_capacity(items.len());
    for item in items {
        match would_round(item) {
            Some(text) => refused.push(Refused { item: (*item).clone(), text, is_clash: false }),
            None => kept.push(*item),
        }
    }
    let mut rest = &*kept;
    while let Some(first) = rest.first() {
        let (now, later) = rest.split_at(cut(store, &first.kind, rest, is_deletion));
        rest = later;
        // A refused statement changed nothing and its transaction goes on, so halves of it are tried until the rows
        // to blame stand alone.
        let mut stack = vec![now];
        while let Some(items) = stack.pop() {
            let sql = if is_deletion { delete(items) } else { upsert(items) };
            let Some(sql) = sql else { continue };
            let Err(fail) = sql.execute(connection).await else { continue };
            let Some(text) = Fail::refusal(&fail) else { return Err(fail) };
            match items {
                [item] => refused.push(Refused { item: (*item).clone(), text, is_clash: fail.is_clash() }),
                items => {
                    let (left, right) = items.split_at(items.len() / 2);
                    stack.extend([right, left]);
                }
            }
        }
    }
    Ok(refused)
}

fn would_round(item: &Item) -> Option<String> {
    let Action::Put { record, .. } = &item.write.action else { return None };
    item.kind.would_round(record.body.as_deref()?)
}

/// How many items the next statement takes.
fn cut(store: &Store, kind: &Type, items: &[&Item], is_deletion: bool) -> usize {
    if is_deletion {
        return items.len().min(MAX_ROWS);
    }
    let mut held = 0_usize;
    let fit = items.iter().take_while(|item| {
        held = held.saturating_add(bytes(item));
        held <= store.server.packet
    });
    rows_at_once(fit.count(), kind.columns)
}

/// About how many bytes of a packet an item takes.
fn bytes(item: &Item) -> usize {
    match &item.write.action {
        Action::Put { record, .. } => record.approximate_bytes(),
        Action::Acknowledge { .. } => 0,
    }
}

fn upsert(items: &[&Item]) -> Option<Sql> {
    let kind = &items.first()?.kind;
    let mut sql = Sql::new(kind.insert.as_str());
    sql.push(&rows_of_marks(items.len(), kind.columns)).push(&kind.on_duplicate);
    for item in items {
        let key = item.key();
        sql.add(key.id.as_str());
        if let Some(zone) = key.zone.key() {
            sql.add(zone);
        }
        if let Action::Put { record, .. } = &item.write.action {
            record.body.iter().flatten().for_each(|value| add_value(&mut sql, value));
        }
    }
    Some(sql)
}

fn delete(items: &[&Item]) -> Option<Sql> {
    let first = items.first()?;
    let mut sql = Sql::new(delete_statement(&first.kind));
    if let Some(zone) = first.key().zone.key() {
        sql.add(zone);
    }
    sql.push_list(items.iter().map(|item| ObjectId::as_str(&item.key().id)));
    Some(sql)
}

/// Parameters: the zone key if the type is restricted, the ids.
pub(crate) fn delete_statement(kind: &Type) -> String {
    let (table, id) = (kind.table(), kind.id());
    let zone = if kind.is_restricted() { "u.zone = ? AND " } else { "" };
    // Of a small table all rows would be looked at, and each would be waited for.
    format!("DELETE u FROM {table} AS u FORCE INDEX (PRIMARY) WHERE {zone}u.{id} IN ")
}
