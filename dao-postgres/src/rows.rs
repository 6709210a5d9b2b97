//! Writing the rows of the users' tables, many at a time, and finding those that a rule of the table refuses.

use fastsync_core::Value;
use fastsync_core::source::Action;
use fastsync_dao_kit::sql::{Fail, Run};
use sqlx::PgConnection;

use crate::plan::Item;
use crate::registry::Type;
use crate::sql::{Array, MAX_BYTES, MAX_ROWS, Sql, control};
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
/// All items are of one type and one zone. With `hopes` nothing is expected to be refused, and the answer is `Moved` if
/// something is: a refusal ends the transaction, unless a savepoint is before it, which is two statements more.
pub(crate) async fn write(
    store: &Store,
    connection: &mut PgConnection,
    items: &[&Item],
    (is_deletion, hopes): (bool, bool),
) -> Run<Vec<Refused>> {
    let mut refused = Vec::new();
    let mut kept = Vec::with_capacity(items.len());
    for item in items {
        match would_change(item) {
            Some(text) => refused.push(Refused { item: (*item).clone(), text, is_clash: false }),
            None => kept.push(*item),
        }
    }
    let mut rest = &*kept;
    while !rest.is_empty() {
        let (now, later) = rest.split_at(cut(rest));
        rest = later;
        // Halves of a refused statement are tried until the rows to blame stand alone.
        let mut stack = vec![now];
        while let Some(items) = stack.pop() {
            let refusal = match attempt(store, connection, items, is_deletion, hopes).await? {
                Some(_) if hopes => return Err(Fail::Moved),
                Some(refusal) => refusal,
                None => continue,
            };
            match items {
                [item] => refused.push(Refused { item: (*item).clone(), ..refusal }),
                items => {
                    let (left, right) = items.split_at(items.len() / 2);
                    stack.extend([right, left]);
                }
            }
        }
    }
    if hopes && !refused.is_empty() { Err(Fail::Moved) } else { Ok(refused) }
}

/// Writes these items, of which there is at least one; gives why they are refused, if they are, with the first of them.
async fn attempt(
    store: &Store,
    connection: &mut PgConnection,
    items: &[&Item],
    is_deletion: bool,
    hopes: bool,
) -> Run<Option<Refused>> {
    let Some(first) = items.first() else { return Ok(None) };
    let sql = if is_deletion { delete(store, first, items) } else { upsert(store, first, items) };
    if !hopes {
        control(connection, "SAVEPOINT fastsync_rows").await?;
    }
    let refusal = match sql.execute(connection).await {
        Ok(done) if is_deletion || u64::try_from(items.len()) == Ok(done.rows_affected()) => None,
        Ok(_) => Some(("a trigger of the table leaves rows out".to_owned(), false)),
        Err(fail) => match fail.refusal() {
            Some(text) => Some((text, fail.is_clash())),
            None => return Err(fail),
        },
    };
    if !hopes {
        let back = "ROLLBACK TO SAVEPOINT fastsync_rows; RELEASE SAVEPOINT fastsync_rows";
        let end = if refusal.is_some() { back } else { "RELEASE SAVEPOINT fastsync_rows" };
        control(connection, end).await?;
    }
    Ok(refusal.map(|(text, is_clash)| Refused { item: (*first).clone(), text, is_clash }))
}

fn would_change(item: &Item) -> Option<String> {
    let Action::Put { record, .. } = &item.write.action else { return None };
    item.kind.would_change(record.body.as_deref()?)
}

/// How many items the next statement takes.
fn cut(items: &[&Item]) -> usize {
    let mut held = 0_usize;
    let fit = items.iter().take(MAX_ROWS).take_while(|item| {
        held = held.saturating_add(bytes(item));
        held <= MAX_BYTES
    });
    fit.count().max(1)
}

/// About how many bytes an item is.
fn bytes(item: &Item) -> usize {
    match &item.write.action {
        Action::Put { record, .. } => record.approximate_bytes(),
        Action::Acknowledge { .. } => 0,
    }
}

fn upsert(store: &Store, first: &Item, items: &[&Item]) -> Sql {
    let kind = &first.kind;
    let mut sql = store.schema.sql(kind.upsert.as_str());
    if let Some(zone) = first.key().zone.key() {
        sql.add(zone);
    }
    sql.add_built(kind.ids(items.iter().map(|item| &item.key().id)));
    for (at, native) in kind.natives.iter().enumerate() {
        let mut array = Array::new(native.oids());
        for item in items {
            array.push(|to| value(item, at).is_some_and(|value| native.write(value, to)));
        }
        sql.add_built(array);
    }
    sql
}

/// What a put gives to a field.
fn value(item: &Item, at: usize) -> Option<&Value> {
    let Action::Put { record, .. } = &item.write.action else { return None };
    record.body.as_ref()?.get(at)
}

fn delete(store: &Store, first: &Item, items: &[&Item]) -> Sql {
    let mut sql = store.schema.sql(delete_statement(&first.kind));
    if let Some(zone) = first.key().zone.key() {
        sql.add(zone);
    }
    sql.add_built(first.kind.ids(items.iter().map(|item| &item.key().id)));
    sql
}

/// Parameters: the zone key if the type is restricted, the ids.
pub(crate) fn delete_statement(kind: &Type) -> String {
    let (table, id) = (&kind.table, kind.id());
    let zone = if kind.is_restricted() { "u.zone = ? AND " } else { "" };
    format!("DELETE FROM {table} AS u WHERE {zone}{id} = ANY (?)")
}
