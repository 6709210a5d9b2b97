//! Queries: filter, order and limit run in SQL, on the user's table.

use fastsync_core::source::Found;
use fastsync_core::{Comparison, ErrorKind, FieldName, Filter, Query, Record, RecordKey, Value};
use fastsync_dao_kit::sql::{Fail, Run, after_prefix};
use sqlx::PgConnection;

use crate::codec::{ENTRY, ENTRY_COLUMNS, Entry, devices, read_body, read_id};
use crate::error::failed;
use crate::native::Native;
use crate::registry::Type;
use crate::sql::{Array, Sql, number, quoted};
use crate::store::Store;

pub(crate) async fn find(store: &Store, query: &Query) -> Run<Found> {
    if !query.total {
        let records = page(store, &mut *store.connection().await?, query).await?;
        return Ok(Found { records, total: None });
    }
    let mut snapshot = store.look().await?;
    let total = Some(count(store, &mut snapshot, query).await?);
    let records = if query.limit == Some(0) { Vec::new() } else { page(store, &mut snapshot, query).await? };
    snapshot.rollback().await.map_err(failed)?;
    Ok(Found { records, total })
}

async fn page(store: &Store, connection: &mut PgConnection, query: &Query) -> Run<Vec<Record>> {
    let kind = store.kind(connection, &query.type_name).await?;
    let columns = format!("SELECT {ENTRY}, r.id{}", kind.selected);
    let Some(mut sql) = statement(store, connection, &kind, query, &columns).await? else {
        return Ok(Vec::new());
    };
    sql.push(" ORDER BY ");
    for by in &query.order {
        sql.push(&kind.comparable(&by.field));
        sql.push(if by.descending { " DESC NULLS LAST, " } else { " ASC NULLS FIRST, " });
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

async fn count(store: &Store, connection: &mut PgConnection, query: &Query) -> Run<u64> {
    let kind = store.kind(connection, &query.type_name).await?;
    let Some(sql) = statement(store, connection, &kind, query, "SELECT COUNT(*)").await? else {
        return Ok(0);
    };
    sql.first(connection).await?.map_or(Ok(0), |row| number(&row, 0))
}

/// The statement up to its conditions; `None` if the zone has nothing of the type.
async fn statement(
    store: &Store,
    connection: &mut PgConnection,
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
    // Rows without a live index row are not tracked, so they are not there.
    let mut sql = store.schema.sql(format!(
        "{columns} FROM {} AS u JOIN @records AS r ON r.zone = ? AND r.type = ? AND {} AND NOT r.deleted WHERE ",
        kind.table,
        kind.has_entry(),
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
    let (open, close) = if negated { ("COALESCE(", ", FALSE)") } else { ("(", ")") };
    match condition {
        Filter::All => drop(sql.push("TRUE")),
        Filter::And(filters) => join(sql, kind, filters, negated, " AND ", "TRUE")?,
        Filter::Or(filters) => join(sql, kind, filters, negated, " OR ", "FALSE")?,
        Filter::Not(inner) => {
            sql.push("NOT (");
            filter(sql, kind, inner, true)?;
            sql.push(")");
        }
        Filter::IsNull(field) => drop(sql.push("(u.").push(&quoted(field)).push(" IS NULL)")),
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
            let operand = Operand::of(kind, field, std::slice::from_ref(value));
            sql.push(open)
                .push(&operand.column)
                .push(operator)
                .push("?")
                .push(operand.bound.cast())
                .push(close);
            let mut bytes = Vec::new();
            let is_known = operand.bound.write(value, &mut bytes);
            sql.add_bytes(operand.bound.oids().0, is_known.then_some(bytes));
        }
        Filter::In(field, values) => {
            let operand = Operand::of(kind, field, values);
            let mut array = Array::new(operand.bound.oids());
            for value in values {
                array.push(|to| operand.bound.write(value, to));
            }
            let cast = if operand.bound.cast().is_empty() { "" } else { "::numeric[]" };
            sql.push(open).push(&operand.column).push(" = ANY (?").push(cast).push(")").push(close);
            sql.add_built(array);
        }
        Filter::StartsWith(field, text) => {
            // As a range, which an index serves.
            let column = Operand::text(kind, field).column;
            sql.push(open).push(&column).push(" >= ").push_bind(text.as_str());
            if let Some(end) = after_prefix(text) {
                sql.push(" AND ").push(&column).push(" < ").push_bind(end);
            }
            sql.push(close);
        }
        Filter::Contains(field, text) => {
            let column = Operand::text(kind, field).column;
            sql.push(open).push("strpos(").push(&column).push(", ").push_bind(text.as_str());
            sql.push(") > 0").push(close);
        }
        _ => return Err(unsupported()),
    }
    Ok(())
}

/// A column of a comparison, and what its values are bound as.
struct Operand {
    column: String,
    bound: Native,
}

impl Operand {
    /// What compares with all of these values.
    fn of(kind: &Type, field: &FieldName, values: &[Value]) -> Self {
        let native = kind.native(field);
        let column = kind.comparable(field);
        let is_plain = native != Native::Json && (field != kind.schema.id_field() || native.width() == 0);
        if is_plain && values.iter().all(|value| native.compares(value)) {
            return Self { column, bound: native };
        }
        Self::text(kind, field)
    }

    fn text(kind: &Type, field: &FieldName) -> Self {
        let (native, column) = (kind.native(field), kind.comparable(field));
        let is_text = matches!(native, Native::Text | Native::Varchar);
        let column = if is_text { column } else { native.as_text(&format!("u.{}", quoted(field))) };
        Self { column, bound: Native::Text }
    }
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

fn unsupported() -> Fail {
    Fail::new(ErrorKind::Unsupported, "query", "this data source does not know the filter")
}
