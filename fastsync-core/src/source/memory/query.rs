//! Running a query over a table.

use std::cmp::Ordering;

use super::schema::RegisteredType;
use super::state::{State, Stored};
use crate::error::Result;
use crate::model::{FieldName, ObjectId, Record, Value};
use crate::query::{Comparison, Filter, Order, Query};

pub(super) fn find(state: &State, query: &Query) -> Result<Vec<Record>> {
    let (registered, query) = admitted(state, query)?;
    let mut rows = selected(state, registered, &query);
    rows.sort_by(|a, b| compare_rows(&query.order, a, b));
    let offset = usize::try_from(query.offset).unwrap_or(usize::MAX);
    let limit = query.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let page = rows.into_iter().skip(offset).take(limit);
    Ok(page.map(|row| registered.record(&query.zone, row.id, row.stored)).collect())
}

pub(super) fn count(state: &State, query: &Query) -> Result<u64> {
    let (registered, query) = admitted(state, query)?;
    Ok(selected(state, registered, &query).len() as u64)
}

fn admitted<'a>(state: &'a State, query: &Query) -> Result<(&'a RegisteredType, Query)> {
    let registered = state.types.get(&query.type_name)?;
    let mut query = query.clone();
    query.admit(&registered.schema)?;
    Ok((registered, query))
}

/// The live rows that the filter selects, by id.
fn selected<'a>(state: &'a State, registered: &'a RegisteredType, query: &Query) -> Vec<Row<'a>> {
    let table = state.table(&query.type_name, &query.zone).into_iter().flatten();
    table
        .filter_map(|(id, stored)| Some(Row { registered, id, stored, body: stored.body.as_deref()? }))
        .filter(|row| row.matches(&query.filter))
        .collect()
}

struct Row<'a> {
    registered: &'a RegisteredType,
    id: &'a ObjectId,
    stored: &'a Stored,
    body: &'a [Value],
}

impl Row<'_> {
    fn value(&self, field: &FieldName) -> Value {
        if field == self.registered.schema.id_field() {
            return Value::Text(self.id.as_str().to_owned());
        }
        match self.registered.column(field) {
            Some((at, missing)) => self.body.get(at).cloned().unwrap_or(missing),
            None => Value::Null,
        }
    }

    fn matches(&self, filter: &Filter) -> bool {
        match filter {
            Filter::All => true,
            Filter::Compare(field, comparison, value) => {
                let found = self.value(field);
                !matches!(found, Value::Null) && holds(*comparison, compare_values(&found, value))
            }
            Filter::In(field, values) => {
                let found = self.value(field);
                !matches!(found, Value::Null) && values.contains(&found)
            }
            Filter::IsNull(field) => matches!(self.value(field), Value::Null),
            Filter::StartsWith(field, text) => {
                matches!(self.value(field), Value::Text(found) if found.starts_with(text.as_str()))
            }
            Filter::Contains(field, text) => {
                matches!(self.value(field), Value::Text(found) if found.contains(text.as_str()))
            }
            Filter::And(filters) => filters.iter().all(|filter| self.matches(filter)),
            Filter::Or(filters) => filters.iter().any(|filter| self.matches(filter)),
            Filter::Not(filter) => !self.matches(filter),
        }
    }
}

const fn holds(comparison: Comparison, ordering: Ordering) -> bool {
    match comparison {
        Comparison::Equal => ordering.is_eq(),
        Comparison::NotEqual => ordering.is_ne(),
        Comparison::Less => ordering.is_lt(),
        Comparison::LessOrEqual => ordering.is_le(),
        Comparison::Greater => ordering.is_gt(),
        Comparison::GreaterOrEqual => ordering.is_ge(),
    }
}

/// Values of one field are of one kind, or null, which comes first.
fn compare_values(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Integer(a), Value::Integer(b)) => a.cmp(b),
        (Value::Real(a), Value::Real(b)) => a.total_cmp(b),
        (Value::Text(a), Value::Text(b)) | (Value::Json(a), Value::Json(b)) => a.cmp(b),
        (Value::Bytes(a), Value::Bytes(b)) => a.cmp(b),
        _ => matches!(b, Value::Null).cmp(&matches!(a, Value::Null)),
    }
}

/// Rows come by id, so a stable sort leaves ties in the order of ids.
fn compare_rows(orders: &[Order], a: &Row<'_>, b: &Row<'_>) -> Ordering {
    orders
        .iter()
        .map(|order| {
            let ascending = compare_values(&a.value(&order.field), &b.value(&order.field));
            if order.descending { ascending.reverse() } else { ascending }
        })
        .find(|ordering| ordering.is_ne())
        .unwrap_or(Ordering::Equal)
}
