//! Writing the rows of the users' tables, many at a time, and finding those that a rule of the table refuses.

use fastsync_core::ObjectId;
use fastsync_core::source::Action;

use crate::sql::chunk::{MAX_ROWS, split_rows};
use crate::sql::driver::{Database, Done, Link};
use crate::sql::fail::Run;
use crate::sql::kind::Type;
use crate::sql::plan::Item;
use crate::sql::statement::{Arguments, Sql, rows_of_marks};
use crate::sql::store::Store;

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
pub(crate) async fn write<D: Database>(
    store: &Store<D>,
    link: &mut D::Link,
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
    while !rest.is_empty() {
        let (now, later) = cut(store.database.statement_bytes(), rest, is_deletion, link);
        rest = later;
        // A refused statement changed nothing and its transaction goes on, so halves of it are tried until the rows
        // to blame stand alone.
        let mut stack = vec![now];
        while let Some(items) = stack.pop() {
            let sql = if is_deletion { delete(items) } else { upsert(items) };
            let Some(sql) = sql else { continue };
            let Err(fail) = tried(link, sql).await else { continue };
            let Some(text) = fail.refusal() else { return Err(fail) };
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

/// The items of the next statement, and those after them.
fn cut<'i, 'a>(
    most: usize,
    items: &'i [&'a Item],
    is_deletion: bool,
    link: &impl Link,
) -> (&'i [&'a Item], &'i [&'a Item]) {
    let Some(first) = items.first().filter(|_| !is_deletion) else {
        return items.split_at(items.len().min(MAX_ROWS));
    };
    split_rows(link.dialect(), items, first.kind.columns, (most, |item: &&Item| bytes(item)))
}

/// About how many bytes of a packet an item takes.
fn bytes(item: &Item) -> usize {
    match &item.write.action {
        Action::Put { record, .. } => record.approximate_bytes(),
        Action::Acknowledge { .. } => 0,
    }
}

/// Runs a statement that a rule of the user's may refuse: then it has changed nothing, and the transaction goes on.
pub(crate) async fn tried<L: Link>(link: &mut L, sql: Sql<L::Arguments>) -> Run<Done> {
    if link.dialect().forms.survives_refusals {
        return sql.execute(link).await;
    }
    link.savepoint("SAVEPOINT fastsync_row").await?;
    let done = sql.execute(link).await;
    link.savepoint(if done.is_ok() {
        "RELEASE SAVEPOINT fastsync_row"
    } else {
        "ROLLBACK TO SAVEPOINT fastsync_row"
    })
    .await?;
    done
}

fn upsert<A: Arguments>(items: &[&Item]) -> Option<Sql<A>> {
    let kind = &items.first()?.kind;
    let mut sql = Sql::new(kind.insert.as_str());
    sql.push(&rows_of_marks(items.len(), kind.columns)).push(&kind.upsert);
    for item in items {
        let key = item.key();
        sql.add(key.id.as_str());
        if let Some(zone) = key.zone.key() {
            sql.add(zone);
        }
        if let Action::Put { record, .. } = &item.write.action {
            let kinds = kind.schema.fields().iter().map(|field| field.kind);
            sql.add_all(kinds.zip(record.body.iter().flatten()));
        }
    }
    Some(sql)
}

fn delete<A: Arguments>(items: &[&Item]) -> Option<Sql<A>> {
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
    let zone = kind.if_restricted("u.zone = ? AND ");
    // Of a small table all rows would be looked at, and each would be waited for.
    kind.dialect().delete(&table, &format!("{zone}u.{id} IN "))
}
