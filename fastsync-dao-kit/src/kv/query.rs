//! Queries: a walk over the records of one type in one zone, or over the range of ids that the filter leaves.
//!
//! Without an order the walk ends at the limit; with one, it keeps no more than offset and limit ask for.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::ops::Bound;

use fastsync_core::source::Found;
use fastsync_core::{Comparison, FieldName, Filter, ObjectId, Order, Query, Record, Value};

use crate::kv::engine::View;
use crate::kv::fail::Run;
use crate::kv::key;
use crate::kv::range::{Range, after};
use crate::kv::registry::{Kind, Registry};
use crate::kv::rows;

pub(crate) fn find(registry: &Registry, rows: &impl View, mut query: Query) -> Run<Found> {
    let kind = registry.get(&query.type_name)?;
    query.admit(&kind.schema)?;
    let total = query.total.then(|| count(rows, kind, &query)).transpose()?;
    Ok(Found { records: page(rows, kind, &query)?, total })
}

fn page(rows: &impl View, kind: &Kind, query: &Query) -> Run<Vec<Record>> {
    let offset = usize::try_from(query.offset).unwrap_or(usize::MAX);
    let limit = query.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    if limit == 0 {
        return Ok(Vec::new());
    }
    let found = selected(rows, kind, query);
    let id_field = kind.schema.id_field();
    // The walk goes by the id already.
    if query.order.first().is_none_or(|order| order.field == *id_field && !order.descending) {
        return found.skip(offset).take(limit).collect();
    }
    let kept = offset.saturating_add(limit);
    let mut first = BinaryHeap::new();
    for record in found {
        first.push(Ranked::new(kind, &query.order, record?));
        if first.len() > kept {
            first.pop();
        }
    }
    Ok(first.into_sorted_vec().into_iter().skip(offset).map(|ranked| ranked.record).collect())
}

fn count(rows: &impl View, kind: &Kind, query: &Query) -> Run<u64> {
    selected(rows, kind, query).try_fold(0_u64, |count, record| record.map(|_| count.saturating_add(1)))
}

/// The live records that the filter selects, by id.
fn selected<'a, V: View>(
    rows: &'a V,
    kind: &'a Kind,
    query: &'a Query,
) -> impl Iterator<Item = Run<Record>> + 'a {
    let prefix = key::records(&query.zone, kind.n);
    let range = narrowed(Range::prefix(prefix.clone()), &prefix, kind.schema.id_field(), &query.filter);
    rows.scan(range).filter_map(move |row| {
        let read = || {
            let (key, value) = row?;
            if rows::head(value.as_ref())?.0.is_deleted {
                return Ok(None);
            }
            let id = key::id_of(&prefix, key.as_ref())?;
            let record = rows::record(kind, &query.zone, id, value.as_ref())?;
            let is_selected = query.filter.selects(&|field| value_of(kind, &record, field));
            Ok(is_selected.then_some(record))
        };
        read().transpose()
    })
}

fn value_of<'a>(kind: &Kind, record: &'a Record, field: &FieldName) -> Cow<'a, Value> {
    if field == kind.schema.id_field() {
        return Cow::Owned(Value::Text(record.key.id.as_str().to_owned()));
    }
    let at = kind.schema.position_of(field);
    let found = at.and_then(|at| record.body.as_ref()?.get(at));
    found.map_or(Cow::Owned(Value::Null), Cow::Borrowed)
}

/// The part of the range that conditions on the id leave. What it leaves too much, the filter takes away.
fn narrowed(range: Range, prefix: &[u8], id_field: &FieldName, filter: &Filter) -> Range {
    let key = |id: &str| [prefix, id.as_bytes()].concat();
    let from_on = |range: Range, from: Vec<u8>| match &range.from {
        Bound::Included(now) if *now < from => Range { from: Bound::Included(from), ..range },
        _ => range,
    };
    let up_to = |range: Range, to: Vec<u8>| if to < range.to { Range { to, ..range } } else { range };
    // The first key after this id's.
    let next = |id: &str| [&key(id)[..], &[0]].concat();
    match filter {
        Filter::And(filters) => {
            filters.iter().fold(range, |range, filter| narrowed(range, prefix, id_field, filter))
        }
        Filter::Compare(field, comparison, Value::Text(id)) if field == id_field => match comparison {
            Comparison::Equal => up_to(from_on(range, key(id)), next(id)),
            Comparison::Less => up_to(range, key(id)),
            Comparison::LessOrEqual => up_to(range, next(id)),
            Comparison::Greater | Comparison::GreaterOrEqual => from_on(range, key(id)),
            _ => range,
        },
        Filter::In(field, ids) if field == id_field => {
            let texts = || ids.iter().filter_map(|id| if let Value::Text(id) = id { Some(id) } else { None });
            match (texts().min(), texts().max()) {
                (Some(first), Some(last)) => up_to(from_on(range, key(first)), next(last)),
                _ => range,
            }
        }
        Filter::StartsWith(field, text) if field == id_field => {
            up_to(from_on(range, key(text)), after(key(text)))
        }
        _ => range,
    }
}

/// A record in the order of a query.
struct Ranked<'a> {
    order: &'a [Order],
    values: Vec<Value>,
    record: Record,
}

impl<'a> Ranked<'a> {
    fn new(kind: &Kind, order: &'a [Order], record: Record) -> Self {
        let values = order.iter().map(|order| value_of(kind, &record, &order.field).into_owned()).collect();
        Self { order, values, record }
    }

    fn id(&self) -> &ObjectId {
        &self.record.key.id
    }
}

impl Ord for Ranked<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let values = self.values.iter().zip(&other.values);
        let by_values = self.order.iter().zip(values).map(|(order, (a, b))| order.compare(a, b));
        by_values.fold(Ordering::Equal, Ordering::then).then_with(|| self.id().cmp(other.id()))
    }
}

impl PartialOrd for Ranked<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ranked<'_> {}
