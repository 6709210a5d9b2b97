//! Where a page of a query goes on: behind a record, not after a number of them.

use crate::error::Result;
use crate::model::{FieldName, Record, Value};
use crate::query::{Comparison, Filter, Order};
use crate::schema::TypeSchema;

/// Selects what comes behind a record in an order, where ties go by id.
pub(super) fn behind(schema: &TypeSchema, order: &[Order], record: &Record) -> Result<Filter> {
    let by_id = Order::new(schema.id_field().clone(), false);
    let mut equal = Vec::new();
    let mut ways = Vec::new();
    for order in order.iter().chain([&by_id]) {
        let (value, nullable) = value_of(schema, &order.field, record);
        if let Some(further) = further(order, &value, nullable) {
            ways.push(all(equal.iter().cloned().chain([further]).collect()));
        }
        equal.push(same(&order.field, value));
    }
    Ok(any(ways))
}

/// The value of a field, and whether others may have none.
fn value_of(schema: &TypeSchema, field: &FieldName, record: &Record) -> (Value, bool) {
    let Some(at) = schema.position_of(field) else {
        return (Value::Text(record.key.id.as_str().to_owned()), false);
    };
    let value = record.body.as_ref().and_then(|body| body.get(at)).cloned().unwrap_or(Value::Null);
    (value, schema.fields().get(at).is_some_and(|field| field.nullable))
}

/// Selects what comes behind a value of one field; `None` if nothing does.
fn further(Order { field, descending }: &Order, value: &Value, nullable: bool) -> Option<Filter> {
    let null = || Filter::IsNull(field.clone());
    let compare = |comparison, value| Filter::Compare(field.clone(), comparison, value);
    let valued = match (descending, value) {
        (false, Value::Null) => return Some(Filter::Not(Box::new(null()))),
        (true, Value::Null) => return None,
        // A boolean has equality only.
        (_, Value::Bool(last)) if last != descending => None,
        (_, Value::Bool(last)) => Some(compare(Comparison::Equal, Value::Bool(!last))),
        (false, value) => Some(compare(Comparison::Greater, value.clone())),
        (true, value) => Some(compare(Comparison::Less, value.clone())),
    };
    let nulls = (*descending && nullable).then(null);
    let both: Vec<_> = valued.into_iter().chain(nulls).collect();
    (!both.is_empty()).then(|| any(both))
}

fn same(field: &FieldName, value: Value) -> Filter {
    match value {
        Value::Null => Filter::IsNull(field.clone()),
        value => Filter::Compare(field.clone(), Comparison::Equal, value),
    }
}

/// Every one of them, without a level for one alone.
pub(super) fn all(filters: Vec<Filter>) -> Filter {
    single(filters).unwrap_or_else(Filter::And)
}

fn any(filters: Vec<Filter>) -> Filter {
    single(filters).unwrap_or_else(Filter::Or)
}

fn single(mut filters: Vec<Filter>) -> std::result::Result<Filter, Vec<Filter>> {
    match filters.pop() {
        Some(only) if filters.is_empty() => Ok(only),
        last => {
            filters.extend(last);
            Err(filters)
        }
    }
}
