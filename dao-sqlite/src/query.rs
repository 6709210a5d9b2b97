//! Queries: filter, order and limit run in SQL, on the user's table.

use std::fmt::Write as _;

use fastsync_core::source::Found;
use fastsync_core::{
    Comparison, ErrorKind, FieldKind, FieldName, Filter, ObjectId, Query, Record, RecordKey, Value,
};
use rusqlite::params_from_iter;
use rusqlite::types::Value as SqlValue;

use crate::codec::{META, META_COLUMNS, Meta, capped, unsigned};
use crate::connection::Store;
use crate::error::{Fail, Run};
use crate::read::read_body;
use crate::registry::{Type, quoted};

pub(crate) fn find(store: &Store, query: &Query) -> Run<Found> {
    let kind = store.kind(&query.type_name)?;
    let Some(sql) = Sql::new(store, &kind, query)? else {
        return Ok(Found { records: Vec::new(), total: query.total.then_some(0) });
    };
    let total = query.total.then(|| count(store, &sql)).transpose()?;
    let records = if query.limit == Some(0) { Vec::new() } else { page(store, &kind, query, sql)? };
    Ok(Found { records, total })
}

fn page(store: &Store, kind: &Type, query: &Query, mut sql: Sql) -> Run<Vec<Record>> {
    let mut order = String::new();
    for by in &query.order {
        let direction = if by.descending { "DESC" } else { "ASC" };
        let _ = write!(order, "{} {direction}, ", collated(kind, &by.field));
    }
    let _ = write!(order, "{}", collated(kind, kind.schema.id_field()));
    let limit = sql.bind(SqlValue::Integer(query.limit.map_or(-1, capped)));
    let offset = sql.bind(SqlValue::Integer(capped(query.offset)));
    let mut columns = format!("{META}, {}", column(kind.schema.id_field()));
    for field in kind.schema.fields() {
        let _ = write!(columns, ", {}", column(&field.name));
    }
    let text = format!("SELECT {columns} {} ORDER BY {order} LIMIT {limit} OFFSET {offset}", sql.from_where);

    let mut statement = store.connection.prepare_cached(&text)?;
    let mut rows = statement.query(params_from_iter(&sql.parameters))?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        let id = row.get_ref(META_COLUMNS)?.as_str().map_err(rusqlite::Error::from)?;
        let id = ObjectId::new(id).map_err(|_| Fail::corrupt("a table contains an invalid id"))?;
        let body = read_body(row, META_COLUMNS + 1, kind)?;
        let key = RecordKey { zone: query.zone.clone(), type_name: query.type_name.clone(), id };
        records.push(Meta::read(store, row, 0)?.into_record(key, Some(body)));
    }
    Ok(records)
}

fn count(store: &Store, sql: &Sql) -> Run<u64> {
    let mut statement = store.connection.prepare_cached(&format!("SELECT count(*) {}", sql.from_where))?;
    Ok(unsigned(statement.query_row(params_from_iter(&sql.parameters), |row| row.get(0))?))
}

struct Sql {
    from_where: String,
    parameters: Vec<SqlValue>,
}

impl Sql {
    /// `None` if the zone has nothing of the type.
    fn new(store: &Store, kind: &Type, query: &Query) -> Run<Option<Self>> {
        let mut query = query.clone();
        query.admit(&kind.schema)?;
        let Some(zone) = store.zone(&query.zone)?.filter(|_| kind.schema.fits(&query.zone)) else {
            return Ok(None);
        };
        let mut sql = Self { from_where: String::new(), parameters: Vec::new() };
        let zone = sql.bind(SqlValue::Integer(zone));
        let n = sql.bind(SqlValue::Integer(kind.n));
        // The user's table is the outer one, so that the user's indexes serve the filter. Rows without a live
        // index row are not tracked, so they are not there.
        sql.from_where = format!(
            "FROM {} AS u CROSS JOIN fastsync_records AS r ON r.zone = {zone} AND r.type = {n} \
             AND r.id = fastsync_key({}) AND r.deleted = 0 WHERE ",
            quoted(kind.schema.name()),
            column(kind.schema.id_field()),
        );
        if let Some(key) = query.zone.key() {
            let key = sql.bind(SqlValue::Text(key.to_owned()));
            let _ = write!(sql.from_where, "u.zone = {key} AND ");
        }
        let filter = sql.filter(kind, query.filter, false)?;
        sql.from_where.push_str(&filter);
        Ok(Some(sql))
    }

    fn bind(&mut self, value: SqlValue) -> String {
        self.parameters.push(value);
        format!("?{}", self.parameters.len())
    }

    /// A condition. Below a negation an unknown (null) must count as false, elsewhere it does anyway; a plain
    /// comparison lets SQLite use an index.
    fn filter(&mut self, kind: &Type, filter: Filter, negated: bool) -> Run<String> {
        let condition = match filter {
            Filter::All => return Ok("1".to_owned()),
            Filter::And(filters) => return self.tree(kind, filters, negated, "AND", "1"),
            Filter::Or(filters) => return self.tree(kind, filters, negated, "OR", "0"),
            Filter::Not(filter) => return Ok(format!("NOT ({})", self.filter(kind, *filter, true)?)),
            Filter::IsNull(field) => return Ok(format!("({} IS NULL)", column(&field))),
            Filter::Compare(field, comparison, value) => {
                let operator = match comparison {
                    Comparison::Equal => "=",
                    Comparison::NotEqual => "<>",
                    Comparison::Less => "<",
                    Comparison::LessOrEqual => "<=",
                    Comparison::Greater => ">",
                    Comparison::GreaterOrEqual => ">=",
                    _ => return Err(unsupported()),
                };
                let value = self.bind(sql_value(value));
                format!("{} {operator} {value}", collated(kind, &field))
            }
            Filter::In(field, values) => {
                let values: Vec<_> = values.into_iter().map(|value| self.bind(sql_value(value))).collect();
                format!("{} IN ({})", collated(kind, &field), values.join(", "))
            }
            // SQLite takes a part of an empty blob for null.
            Filter::StartsWith(field, text) if text.is_empty() => {
                return Ok(format!("({} IS NOT NULL)", column(&field)));
            }
            Filter::StartsWith(field, text) => {
                let length = text.len();
                let blob = self.bind(SqlValue::Blob(text.clone().into_bytes()));
                let least = self.bind(SqlValue::Text(text));
                // The lower bound is implied; it lets SQLite use an index.
                let (collated, column) = (collated(kind, &field), column(&field));
                format!("{collated} >= {least} AND substr(CAST({column} AS BLOB), 1, {length}) = {blob}")
            }
            Filter::Contains(field, text) => {
                let blob = self.bind(SqlValue::Blob(text.into_bytes()));
                format!("instr(CAST({} AS BLOB), {blob}) > 0", column(&field))
            }
            _ => return Err(unsupported()),
        };
        Ok(if negated { format!("IFNULL({condition}, 0)") } else { format!("({condition})") })
    }

    /// A balanced tree: SQLite limits how deep an expression is.
    fn tree(
        &mut self,
        kind: &Type,
        mut filters: Vec<Filter>,
        negated: bool,
        join: &str,
        none: &str,
    ) -> Run<String> {
        let rest = filters.split_off(filters.len() / 2);
        if !filters.is_empty() {
            let left = self.tree(kind, filters, negated, join, none)?;
            let right = self.tree(kind, rest, negated, join, none)?;
            return Ok(format!("({left} {join} {right})"));
        }
        match rest.into_iter().next() {
            Some(filter) => self.filter(kind, filter, negated),
            None => Ok(none.to_owned()),
        }
    }
}

fn unsupported() -> Fail {
    Fail::new(ErrorKind::Unsupported, "query", "this data source does not know the filter")
}

fn column(field: &FieldName) -> String {
    format!("u.{}", quoted(field))
}

/// A column that compares as its kind does, by bytes or as a decimal number, whatever collation an adopted table declares.
fn collated(kind: &Type, field: &FieldName) -> String {
    let found = kind.schema.fields().iter().find(|candidate| candidate.name == *field);
    match found.map(|field| field.kind) {
        Some(FieldKind::Boolean | FieldKind::Bytes | FieldKind::Real) => column(field),
        Some(kind) if kind.is_integer() => column(field),
        Some(FieldKind::Decimal) => format!("{} COLLATE fastsync_decimal", column(field)),
        _ => format!("{} COLLATE BINARY", column(field)),
    }
}

fn sql_value(value: Value) -> SqlValue {
    match value {
        Value::Null => SqlValue::Null,
        Value::Bool(value) => SqlValue::Integer(value.into()),
        Value::Integer(value) => SqlValue::Integer(value),
        Value::Real(value) => SqlValue::Real(value),
        Value::Text(text) | Value::Json(text) => SqlValue::Text(text),
        Value::Bytes(bytes) => SqlValue::Blob(bytes),
        Value::Decimal(number) => SqlValue::Text(number.to_string()),
    }
}
