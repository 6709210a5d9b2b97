//! Queries: filter, order and limit run in the database, on the user's collection.
//!
//! No text or value of a query can be an operator: every value stands where an operator takes its operand
//! (`$eq`, `$in`, `$literal`), and field names are those of a registered schema.

use fastsync_core::source::Found;
use fastsync_core::{Comparison, ErrorKind, FieldName, Filter, Query, RecordKey};
use mongodb::bson::{Bson, Document, RawDocument, doc};

use crate::codec::{bson, capped, read_body, read_id};
use crate::command::{BATCH, raw, within};
use crate::error::{Fail, Run};
use crate::read::starts_with;
use crate::records::rows;
use crate::registry::Type;
use crate::store::Store;
use crate::tx::Tx;

pub(crate) async fn find(store: &Store, query: &Query) -> Run<Found> {
    let kind = store.types.get(&query.type_name)?;
    let Some(filter) = filter_of(&kind, query)? else {
        return Ok(Found { records: Vec::new(), total: query.total.then_some(0) });
    };
    let tx = &mut Tx::snapshot(store).await?;
    let mut total = None;
    if query.total {
        let objects = store.collection(kind.collection());
        total = Some(objects.count_documents(filter.clone()).session(&mut tx.session).await?);
    }
    if query.limit == Some(0) || i64::try_from(query.offset).is_err() {
        return Ok(Found { records: Vec::new(), total });
    }
    let read = &mut |document: &RawDocument| {
        Ok((read_id(document.get_document("_id")?.get_str("id")?)?, read_body(document, &kind)?))
    };
    let objects = tx.all(raw(&command(&kind, query, filter))?, read).await?;
    let rows = rows(tx, &kind, &query.zone, objects.iter().map(|(id, _)| id)).await?;
    let tracked = objects.into_iter().filter_map(|(id, body)| {
        let row = rows.get(&id).filter(|row| !row.deleted)?;
        let key = RecordKey { zone: query.zone.clone(), type_name: query.type_name.clone(), id };
        Some(row.record(key, Some(body)))
    });
    Ok(Found { records: tracked.collect(), total })
}

pub(crate) fn command(kind: &Type, query: &Query, filter: Document) -> Document {
    let mut sort = Document::new();
    for order in &query.order {
        // The first mention of a field decides.
        if !sort.contains_key(order.field.as_str()) {
            sort.insert(order.field.as_str(), if order.descending { -1 } else { 1 });
        }
    }
    sort.insert("_id", 1);
    let skip = capped(query.offset);
    let mut command = doc! {
        "find": kind.collection(), "filter": filter, "sort": sort, "skip": skip,
        "allowDiskUse": true, "batchSize": BATCH,
    };
    if let Some(limit) = query.limit {
        // The server adds the two.
        command.insert("limit", capped(limit).min(i64::MAX - skip));
    }
    command
}

/// The whole condition; `None` if the type has nothing in such a zone.
pub(crate) fn filter_of(kind: &Type, query: &Query) -> Run<Option<Document>> {
    let mut query = query.clone();
    query.admit(&kind.schema)?;
    if !kind.schema.fits(&query.zone) {
        return Ok(None);
    }
    // Documents that somebody else put into the collection have another kind of `_id`, and are not tracked.
    Ok(Some(doc! { "$and": [{ "_id": within(&query.zone, None) }, condition(query.filter)?] }))
}

fn condition(filter: Filter) -> Run<Document> {
    Ok(match filter {
        Filter::All => Document::new(),
        Filter::And(filters) if filters.is_empty() => Document::new(),
        Filter::And(filters) => doc! { "$and": conditions(filters)? },
        Filter::Or(filters) if filters.is_empty() => doc! { "_id": { "$in": [] } },
        Filter::Or(filters) => doc! { "$or": conditions(filters)? },
        // Every condition below is true or false, also for null, so this is its plain negation.
        Filter::Not(filter) => doc! { "$nor": [condition(*filter)?] },
        Filter::IsNull(field) => on(&field, doc! { "$eq": Bson::Null }),
        Filter::In(field, values) => {
            on(&field, doc! { "$in": values.iter().map(bson).collect::<Run<Vec<_>>>()? })
        }
        Filter::Compare(field, comparison, operand) => {
            let operand = bson(&operand)?;
            match comparison {
                Comparison::Equal => on(&field, doc! { "$eq": operand }),
                Comparison::NotEqual => on(&field, doc! { "$nin": [operand, Bson::Null] }),
                // These compare values of one kind only, so never null.
                Comparison::Less => on(&field, doc! { "$lt": operand }),
                Comparison::LessOrEqual => on(&field, doc! { "$lte": operand }),
                Comparison::Greater => on(&field, doc! { "$gt": operand }),
                Comparison::GreaterOrEqual => on(&field, doc! { "$gte": operand }),
                _ => return Err(unsupported()),
            }
        }
        Filter::StartsWith(field, text) => on(&field, starts_with(&text)),
        Filter::Contains(field, text) => {
            let place = doc! { "$indexOfBytes": [format!("${field}"), { "$literal": text }] };
            doc! { "$expr": { "$gte": [place, 0] } }
        }
        _ => return Err(unsupported()),
    })
}

fn conditions(filters: Vec<Filter>) -> Run<Vec<Document>> {
    filters.into_iter().map(condition).collect()
}

fn on(field: &FieldName, condition: Document) -> Document {
    doc! { field.as_str(): condition }
}

fn unsupported() -> Fail {
    Fail::new(ErrorKind::Unsupported, "query", "this data source does not know the filter")
}
