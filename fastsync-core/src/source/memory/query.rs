//! Running a query over a table.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::schema::RegisteredType;
use super::state::{State, Stored};
use crate::error::Result;
use crate::model::{FieldName, ObjectId, Value};
use crate::query::{Order, Query};
use crate::source::Found;

pub(super) fn find(state: &State, query: &Query) -> Result<Found> {
    let (registered, query) = admitted(state, query)?;
    let mut rows = selected(state, registered, &query);
    let total = query.total.then_some(rows.len() as u64);
    if query.limit == Some(0) {
        return Ok(Found { records: Vec::new(), total });
    }
    rows.sort_by(|a, b| compare_rows(&query.order, a, b));
    let offset = usize::try_from(query.offset).unwrap_or(usize::MAX);
    let limit = query.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let page = rows.into_iter().skip(offset).take(limit);
    let records = page.map(|row| registered.record(&query.zone, row.id, row.stored)).collect();
    Ok(Found { records, total })
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
        .filter(|row| query.filter.selects(&|field| row.value(field)))
        .collect()
}

struct Row<'a> {
    registered: &'a RegisteredType,
    id: &'a ObjectId,
    stored: &'a Stored,
    body: &'a [Value],
}

impl Row<'_> {
    fn value(&self, field: &FieldName) -> Cow<'_, Value> {
        if field == self.registered.schema.id_field() {
            return Cow::Owned(Value::Text(self.id.as_str().to_owned()));
        }
        match self.registered.column(field) {
            Some((at, missing)) => self.body.get(at).map_or(Cow::Owned(missing), Cow::Borrowed),
            None => Cow::Owned(Value::Null),
        }
    }
}

/// Rows come by id, so a stable sort leaves ties in the order of ids.
fn compare_rows(orders: &[Order], a: &Row<'_>, b: &Row<'_>) -> Ordering {
    orders
        .iter()
        .map(|order| order.compare(&a.value(&order.field), &b.value(&order.field)))
        .find(|ordering| ordering.is_ne())
        .unwrap_or(Ordering::Equal)
}
