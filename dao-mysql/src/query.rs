//! Queries: filter, order and limit run in SQL, on the user's table.

use fastsync_core::source::Found;
use fastsync_core::{Comparison, ErrorKind, FieldName, Filter, Query, Record, RecordKey, Value};
use sqlx::MySqlConnection;

use crate::codec::{ENTRY, ENTRY_COLUMNS, Entry, add_value, devices, read_body, read_id};
use crate::error::{Fail, Run};
use crate::registry::Type;
use crate::sql::{Sql, number};
use crate::store::Store;

pub(crate) async fn find(store: &Store, query: &Query) -> Run<Found> {
    if !query.total {
        let records = page(store, &mut *store.pool.acquire().await?, query).await?;
        return Ok(Found { records, total: None });
    }
    let mut snapshot = store.read().await?;
    let total = Some(count(store, &mut snapshot, query).await?);
    let records = if query.limit == Some(0) { Vec::new() } else { page(store, &mut snapshot, query).await? };
    snapshot.rollback().await?;
    Ok(Found { records, total })
}

async fn page(store: &Store, connection: &mut MySqlConnection, query: &Query) -> Run<Vec<Record>> {
    let kind = store.kind(connection, &query.type_name).await?;
    let columns = format!("SELECT {ENTRY}, u.{}{}", kind.id(), kind.selected);
    let Some(mut sql) = statement(store, connection, &kind, query, &columns).await? else {
        return Ok(Vec::new());
    };
    sql.push(" ORDER BY ");
    for by in &query.order {
        sql.push(&kind.comparable(&by.field)).push(if by.descending { " DESC, " } else { " ASC, " });
    }
    sql.push(&kind.comparable(kind.schema.id_field()));
    sql.push(" LIMIT ").push_bind(query.limit.unwrap_or(u64::MAX)).push(" OFFSET ").push_bind(query.offset);

    let rows = sql.all(connection).await?;
    let entries = rows.iter().map(|row| Entry::read(row, 0)).collect::<Run<Vec<_>>>()?;
    let devices = devices(store, connection, entries.iter()).await?;
    let mut records = Vec::with_capacity(rows.len());
    for (row, entry) in rows.iter().zip(entries) {
        let id = read_id(row, ENTRY_COLUMNS)?;
        let body = read_body(row, ENTRY_COLUMNS.saturating_add(1), &kind)?;
        let key = RecordKey { zone: query.zone.clone(), type_name: query.type_name.clone(), id };
        records.push(entry.into_record(key, Some(body), &devices)?);
    }
    Ok(records)
}

async fn count(store: &Store, connection: &mut MySqlConnection, query: &Query) -> Run<u64> {
    let kind = store.kind(connection, &query.type_name).await?;
    let Some(sql) = statement(store, connection, &kind, query, "SELECT COUNT(*)").await? else {
        return Ok(0);
    };
    sql.first(connection).await?.map_or(Ok(0), |row| number(&row, 0))
}

/// The statement up to its conditions; `None` if the zone has nothing of the type.
async fn statement(
    store: &Store,
    connection: &mut MySqlConnection,
    kind: &Type,
    query: &Query,
    columns: &str,
) -> Run<Option<Sql>> {
    let mut query = query.clone();
    query.admit(&kind.schema)?;
    let Some(zone) = store.zone(connection, &query.zone).await?.filter(|_| kind.schema.fits(&query.zone))
    else {
        return Ok(None);
    };
    // The user's table is the outer one, so that the user's indexes serve the filter. Rows without a live index row
    // are not tracked, so they are not there.
    let mut sql = Sql::new(format!(
        "{columns} FROM {} AS u STRAIGHT_JOIN fastsync_records AS r ON r.zone = ? AND r.type = ? \
         AND r.id = u.{} AND r.deleted = 0 WHERE ",
        kind.table(),
        kind.id(),
    ));
    sql.add(zone).add(kind.n);
    if let Some(key) = query.zone.key() {
        sql.push("u.zone = ").push_bind(key).push(" AND ");
    }
    filter(&mut sql, kind, &query.filter, false)?;
    Ok(Some(sql))
}

/// Appends a condition. Below a negation an unknown (null) must count as false, elsewhere it does anyway; a plain
/// comparison lets the server use an index.
fn filter(sql: &mut Sql, kind: &Type, condition: &Filter, negated: bool) -> Run<()> {
    let (open, close) = if negated { ("IFNULL(", ", 0)") } else { ("(", ")") };
    match condition {
        Filter::All => drop(sql.push("1")),
        Filter::And(filters) => join(sql, kind, filters, negated, " AND ", "1")?,
        Filter::Or(filters) => join(sql, kind, filters, negated, " OR ", "0")?,
        Filter::Not(inner) => {
            sql.push("NOT (");
            filter(sql, kind, inner, true)?;
            sql.push(")");
        }
        Filter::IsNull(field) => drop(sql.push("(").push(&kind.comparable(field)).push(" IS NULL)")),
        Filter::Compare(field, comparison, value) => {
            let operator = match comparison {
                Comparison::Equal => " = ",
                Comparison::NotEqual => " <> ",
                Comparison::Less => " < ",
                Comparison::LessOrEqual => " <= ",
                Comparison::Greater => " > ",
                Comparison::GreaterOrEqual => " >= ",
                _ => return Err(unsupported()),
            };
            sql.push(open).push(&kind.comparable(field)).push(operator).push(kind.mark(field));
            add_value(sql, value);
            sql.push(close);
        }
        Filter::In(field, values) => list(sql, kind, field, values, (open, close)),
        Filter::StartsWith(field, text) => {
            // As a range, which an index serves. LIKE would do so as well, but MariaDB ends its range at U+FFFF and
            // misses what comes after.
            let column = kind.comparable(field);
            sql.push(open).push(&column).push(" >= ").push_bind(text.clone());
            if let Some(end) = after_prefix(text) {
                sql.push(" AND ").push(&column).push(" < ").push_bind(end);
            }
            sql.push(close);
        }
        Filter::Contains(field, text) => {
            let pattern = format!("%{}%", pattern(text));
            sql.push(open).push(&kind.comparable(field)).push(" LIKE ").push_bind(pattern);
            sql.push(" ESCAPE '!'").push(close);
        }
        _ => return Err(unsupported()),
    }
    Ok(())
}

fn join(sql: &mut Sql, kind: &Type, filters: &[Filter], negated: bool, with: &str, none: &str) -> Run<()> {
    if filters.is_empty() {
        sql.push(none);
        return Ok(());
    }
    for (at, part) in filters.iter().enumerate() {
        sql.push(if at == 0 { "(" } else { with });
        filter(sql, kind, part, negated)?;
    }
    sql.push(")");
    Ok(())
}

fn list(sql: &mut Sql, kind: &Type, field: &FieldName, values: &[Value], (open, close): (&str, &str)) {
    if values.is_empty() {
        sql.push("0");
        return;
    }
    let marks = vec![kind.mark(field); values.len()].join(",");
    sql.push(open).push(&kind.comparable(field)).push(" IN (").push(&marks).push(")");
    values.iter().for_each(|value| add_value(sql, value));
    sql.push(close);
}

/// A text as a pattern that means itself.
fn pattern(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(character);
    }
    pattern
}

fn unsupported() -> Fail {
    Fail::new(ErrorKind::Unsupported, "query", "this data source does not know the filter")
}

/// The least text, by code points, that is greater than every text with this prefix; `None` if there is none.
fn after_prefix(prefix: &str) -> Option<String> {
    let mut text = prefix.to_owned();
    while let Some(last) = text.pop() {
        // The range of characters passes over the surrogates.
        if let Some(next) = (last..=char::MAX).nth(1) {
            text.push(next);
            return Some(text);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::after_prefix;

    #[test]
    fn what_follows_a_prefix() {
        for (prefix, end) in [
            ("a", Some("b")),
            ("aZ", Some("a[")),
            ("a\u{d7ff}", Some("a\u{e000}")),
            ("a\u{10ffff}", Some("b")),
            ("\u{10ffff}\u{10ffff}", None),
            ("", None),
        ] {
            assert_eq!(after_prefix(prefix).as_deref(), end, "{prefix:?}");
        }
    }
}
