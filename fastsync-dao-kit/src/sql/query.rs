//! Queries: filter, order and limit run in SQL, on the user's table.

use fastsync_core::source::Found;
use fastsync_core::{Query, Record, RecordKey};

use crate::sql::driver::{Access, ArgumentsOf, Database, Row as _};
use crate::sql::entry::{ENTRY, ENTRY_COLUMNS, Entry, devices};
use crate::sql::fail::Run;
use crate::sql::filter::{order_by, push_filter};
use crate::sql::kind::Type;
use crate::sql::statement::Sql;
use crate::sql::store::Store;

pub(crate) async fn find<D: Database>(store: &Store<D>, query: &Query) -> Run<Found> {
    if !query.total {
        // One statement sees one state by itself.
        let records = page(store, &mut store.database.link().await?, query).await?;
        return Ok(Found { records, total: None });
    }
    let mut snapshot = store.begin(Access::Query).await?;
    let found = counted(store, &mut snapshot, query).await;
    Store::<D>::have_read(snapshot, found).await
}

async fn counted<D: Database>(store: &Store<D>, link: &mut D::Link, query: &Query) -> Run<Found> {
    let total = Some(count(store, link, query).await?);
    let records = if query.limit == Some(0) { Vec::new() } else { page(store, link, query).await? };
    Ok(Found { records, total })
}

async fn page<D: Database>(store: &Store<D>, link: &mut D::Link, query: &Query) -> Run<Vec<Record>> {
    let kind = store.kind(link, &query.type_name).await?;
    let columns = format!("SELECT {ENTRY}, {}{}", kind.id_text(), kind.selected);
    let Some(mut sql) = statement(store, link, &kind, query, &columns).await? else {
        return Ok(Vec::new());
    };
    sql.push(" ORDER BY ").push(&order_by(&kind, &query.order));
    // No server takes more than 63 bits.
    let most = |count: u64| count.min(u64::MAX >> 1);
    let limit = most(query.limit.unwrap_or(u64::MAX));
    sql.push(" LIMIT ").push_bind(limit).push(" OFFSET ").push_bind(most(query.offset));

    let rows = sql.all(link).await?;
    let entries = rows.iter().map(|row| Entry::read(row, 0)).collect::<Run<Vec<_>>>()?;
    let devices = devices(store, link, entries.iter()).await?;
    let mut records = Vec::with_capacity(rows.len());
    for (row, entry) in rows.iter().zip(entries) {
        let id = row.id(ENTRY_COLUMNS)?;
        let body = row.body(ENTRY_COLUMNS.saturating_add(1), &kind)?;
        let key = RecordKey { zone: query.zone.clone(), type_name: query.type_name.clone(), id };
        records.push(entry.into_record(key, Some(body), &devices)?);
    }
    Ok(records)
}

async fn count<D: Database>(store: &Store<D>, link: &mut D::Link, query: &Query) -> Run<u64> {
    let kind = store.kind(link, &query.type_name).await?;
    let Some(sql) = statement(store, link, &kind, query, "SELECT COUNT(*)").await? else {
        return Ok(0);
    };
    sql.count(link).await
}

/// The statement up to its conditions; `None` if the zone has nothing of the type.
async fn statement<D: Database>(
    store: &Store<D>,
    link: &mut D::Link,
    kind: &Type,
    query: &Query,
    columns: &str,
) -> Run<Option<Sql<ArgumentsOf<D>>>> {
    let mut query = query.clone();
    query.admit(&kind.schema)?;
    let Some(zone) = store.zone(link, &query.zone).await?.filter(|_| kind.schema.fits(&query.zone)) else {
        return Ok(None);
    };
    let dialect = kind.dialect();
    // The user's table is the outer one, so that the user's indexes serve the filter. Rows without a live index row
    // are not tracked, so they are not there.
    let mut sql = Sql::new(format!(
        "{columns} FROM {} AS u {} fastsync_records AS r ON r.zone = ? AND r.type = ? \
         AND r.id = {} AND r.deleted = {} WHERE ",
        kind.table(),
        dialect.forms.join,
        kind.id_text(),
        dialect.truth(false),
    ));
    sql.add(zone).add(kind.n);
    if let Some(key) = query.zone.key() {
        sql.push("u.zone = ").push_bind(key).push(" AND ");
    }
    push_filter(&mut sql, kind, &query.filter)?;
    Ok(Some(sql))
}
