//! Writing the rows of the users' tables, many at a time, and finding those that a rule of the table refuses.

use fastsync_core::source::Action;

use crate::sql::chunk::split_rows;
use crate::sql::dialect::{Dialect, Lists, Upsert};
use crate::sql::driver::{Database, Done, Link};
use crate::sql::fail::{Fail, Run};
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
/// All items are of one type and one zone. If all `is_smooth`, nothing is expected to be refused, and the answer is `Moved`
/// if something is: a refusal ends the transaction, unless a savepoint is before it, which is two statements more.
pub(crate) async fn write<D: Database>(
    store: &Store<D>,
    link: &mut D::Link,
    items: &[&Item],
    (is_deletion, is_smooth): (bool, bool),
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
        let (now, later) = cut(store.database.statement_bytes(), rest, is_deletion, link);
        rest = later;
        // A refused statement changed nothing and its transaction goes on, so halves of it are tried until the rows
        // to blame stand alone.
        let mut stack = vec![now];
        while let Some(items) = stack.pop() {
            let sql = if is_deletion { delete(link.dialect(), items) } else { upsert(items) };
            let Some(sql) = sql else { continue };
            let (text, is_clash) = match tried(link, sql, is_smooth).await {
                Ok(done) if is_deletion || are_written(link.dialect(), items, done) => continue,
                Ok(_) => ("a trigger of the table leaves rows out".to_owned(), false),
                Err(fail) => match fail.refusal() {
                    Some(text) => (text, fail.is_clash()),
                    None => return Err(fail),
                },
            };
            if is_smooth {
                return Err(Fail::Moved);
            }
            match items {
                [item] => refused.push(Refused { item: (*item).clone(), text, is_clash }),
                items => {
                    let (left, right) = items.split_at(items.len() / 2);
                    stack.extend([right, left]);
                }
            }
        }
    }
    if is_smooth && !refused.is_empty() { Err(Fail::Moved) } else { Ok(refused) }
}

/// Whether an upsert has written all rows, as far as the database says so: a row that stays as it is counts only on some.
fn are_written(dialect: &Dialect, items: &[&Item], done: Done) -> bool {
    dialect.forms.upsert == Upsert::OnDuplicateKey || u64::try_from(items.len()) == Ok(done.rows)
}

fn would_change(item: &Item) -> Option<String> {
    let Action::Put { record, .. } = &item.write.action else { return None };
    item.kind.would_change(record.body.as_deref()?)
}

/// The items of the next statement, and those after them.
fn cut<'i, 'a>(
    most: usize,
    items: &'i [&'a Item],
    is_deletion: bool,
    link: &impl Link,
) -> (&'i [&'a Item], &'i [&'a Item]) {
    let Some(first) = items.first().filter(|_| !is_deletion) else {
        return items.split_at(items.len().min(link.dialect().most_keys));
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

/// Runs a statement that a rule of the user's may refuse: then it has changed nothing, and the transaction goes on, unless
/// nothing `is_smooth` after all.
pub(crate) async fn tried<L: Link>(link: &mut L, sql: Sql<L::Arguments>, is_smooth: bool) -> Run<Done> {
    if is_smooth || link.dialect().forms.survives_refusals {
        return sql.execute(link).await;
    }
    link.savepoint("SAVEPOINT fastsync_row").await?;
    let done = sql.execute(link).await;
    if done.as_ref().is_err_and(|fail| fail.refusal().is_none()) {
        return done;
    }
    if done.is_err() {
        link.savepoint("ROLLBACK TO SAVEPOINT fastsync_row").await?;
    }
    link.savepoint("RELEASE SAVEPOINT fastsync_row").await?;
    done
}

fn upsert<A: Arguments>(items: &[&Item]) -> Option<Sql<A>> {
    let first = items.first()?;
    let (kind, zone) = (&first.kind, first.key().zone.key());
    let mut sql = Sql::new(kind.insert.as_str());
    let add = |sql: &mut Sql<A>, zone: Option<&str>| {
        for item in items {
            sql.add((kind.id_holds, item.key().id.as_str())).add_all(zone);
            if let Action::Put { record, .. } = &item.write.action {
                sql.add_all(kind.holds.iter().copied().zip(record.body.iter().flatten()));
            }
        }
    };
    match kind.dialect().lists {
        Lists::Places(_) => {
            sql.push(&rows_of_marks(items.len(), kind.columns));
            add(&mut sql, zone);
        }
        Lists::Arrays => drop(sql.add_all(zone).in_arrays(kind.columns, |sql| add(sql, None))),
    }
    sql.push(&kind.upsert);
    Some(sql)
}

fn delete<A: Arguments>(dialect: &Dialect, items: &[&Item]) -> Option<Sql<A>> {
    let first = items.first()?;
    let mut sql = Sql::new(delete_statement(&first.kind));
    if let Some(zone) = first.key().zone.key() {
        sql.add(zone);
    }
    sql.push_list(dialect, items.iter().map(|item| (first.kind.id_holds, item.key().id.as_str())));
    Some(sql)
}

/// Parameters: the zone key if the type is restricted, the ids.
pub(crate) fn delete_statement(kind: &Type) -> String {
    let (table, id) = (kind.table(), kind.id());
    let zone = kind.if_restricted("u.zone = ? AND ");
    // Of a small table all rows would be looked at, and each would be waited for.
    kind.dialect().delete(&table, &format!("{zone}u.{id}"))
}
