//! Queries: filter, order and limit run in SQL, on the user's table.

use fastsync_core::source::Found;
use fastsync_core::{ObjectId, Query, Record, RecordKey};
use fastsync_dao_kit::sql::{Sql, order_by, push_filter};
use rusqlite::params_from_iter;

use crate::codec::{META, META_COLUMNS, Meta, unsigned};
use crate::connection::Store;
use crate::dialect::{Bound, SQLITE};
use crate::error::{Fail, Run};
use crate::read::read_body;
use crate::registry::Type;

pub(crate) fn find(store: &Store, query: &Query) -> Run<Found> {
    let kind = store.kind(&query.type_name)?;
    let total = if query.total { Some(count(store, &kind, query)?) } else { None };
    let records = if query.limit == Some(0) { Vec::new() } else { page(store, &kind, query)? };
    Ok(Found { records, total })
}

fn page(store: &Store, kind: &Type, query: &Query) -> Run<Vec<Record>> {
    let columns = format!("SELECT {META}, u.{}{}", kind.id(), kind.selected);
    let Some(mut sql) = statement(store, kind, query, &columns)? else { return Ok(Vec::new()) };
    sql.push(" ORDER BY ").push(&order_by(kind, &query.order));
    sql.push(" LIMIT ").push_bind(query.limit.unwrap_or(u64::MAX)).push(" OFFSET ").push_bind(query.offset);
    let (text, Bound(values)) = sql.into_parts(&SQLITE, "");
    store.all(&text, params_from_iter(values), |row| {
        let id = row.get_ref(META_COLUMNS)?.as_str().map_err(rusqlite::Error::from)?;
        let id = ObjectId::new(id).map_err(|_| Fail::corrupt("a table contains an invalid id"))?;
        let body = read_body(row, META_COLUMNS + 1, kind)?;
        let key = RecordKey { zone: query.zone.clone(), type_name: query.type_name.clone(), id };
        Ok(Meta::read(store, row, 0)?.into_record(key, Some(body)))
    })
}

fn count(store: &Store, kind: &Type, query: &Query) -> Run<u64> {
    let Some(sql) = statement(store, kind, query, "SELECT count(*)")? else { return Ok(0) };
    let (text, Bound(values)) = sql.into_parts(&SQLITE, "");
    Ok(unsigned(store.one(&text, params_from_iter(values), |row| row.get(0))?.unwrap_or(0)))
}

/// The statement up to its conditions; `None` if the zone has nothing of the type.
fn statement(store: &Store, kind: &Type, query: &Query, columns: &str) -> Run<Option<Sql<Bound>>> {
    let mut query = query.clone();
    query.admit(&kind.schema)?;
    let Some(zone) = store.zone(&query.zone)?.filter(|_| kind.schema.fits(&query.zone)) else {
        return Ok(None);
    };
    // The user's table is the outer one, so that the user's indexes serve the filter. Rows without a live
    // index row are not tracked, so they are not there.
    let mut sql = Sql::new(format!(
        "{columns} FROM {} AS u CROSS JOIN fastsync_records AS r ON r.zone = ? AND r.type = ? \
         AND r.id = fastsync_key(u.{}) AND r.deleted = 0 WHERE ",
        kind.table(),
        kind.id(),
    ));
    sql.add(unsigned(zone)).add(unsigned(kind.n));
    if let Some(key) = query.zone.key() {
        sql.push("u.zone = ").push_bind(key).push(" AND ");
    }
    push_filter(&mut sql, kind, &query.filter)?;
    Ok(Some(sql))
}
