//! Reads by key, pending records and state entries.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use fastsync_core::source::{Found, PendingRequest, StateRange};
use fastsync_core::{ObjectId, Record, RecordKey, TypeName, Value, Zone};
use fastsync_dao_kit::sql::{Fail, Run};
use sqlx::PgConnection;

use crate::codec::{ENTRY, ENTRY_COLUMNS, Entry, devices, read_body, read_id};
use crate::error::failed;
use crate::registry::Type;
use crate::sql::{MAX_ROWS, bytes, number, text, truth};
use crate::store::Store;

pub(crate) async fn get(store: &Store, name: &TypeName, zone: &Zone, ids: &[ObjectId]) -> Run<Vec<Record>> {
    if ids.len() <= MAX_ROWS {
        // One statement sees one state by itself.
        let mut connection = store.connection().await?;
        let kind = store.kind(&mut connection, name).await?;
        return records(store, &mut connection, &kind, zone, ids).await;
    }
    let mut snapshot = store.read().await?;
    let kind = store.kind(&mut snapshot, name).await?;
    let found = records(store, &mut snapshot, &kind, zone, ids).await?;
    snapshot.rollback().await.map_err(failed)?;
    Ok(found)
}

/// The records with these ids, in this order; those that are not there are left out.
pub(crate) async fn records(
    store: &Store,
    connection: &mut PgConnection,
    kind: &Type,
    zone: &Zone,
    ids: &[ObjectId],
) -> Run<Vec<Record>> {
    let Some(zone_n) = store.zone(connection, zone).await?.filter(|_| kind.schema.fits(zone)) else {
        return Ok(Vec::new());
    };
    let mut found: HashMap<ObjectId, (Entry, Option<Vec<Value>>)> =
        HashMap::with_capacity(ids.len().min(10_000));
    let select = get_statement(kind);
    for ids in ids.chunks(MAX_ROWS) {
        let mut sql = store.schema.sql(select.clone());
        if let Some(key) = zone.key() {
            sql.add(key);
        }
        sql.add(zone_n).add(kind.n);
        sql.add_array(ids.iter().map(ObjectId::as_str));
        for row in sql.all(connection).await? {
            let entry = Entry::read(&row, 0)?;
            let is_there = truth(&row, ENTRY_COLUMNS.saturating_add(1))?;
            let body = match (entry.deleted, is_there) {
                (true, _) => None,
                (false, true) => Some(read_body(&row, ENTRY_COLUMNS.saturating_add(2), kind)?),
                // Somebody has deleted the row past this library, with SQL.
                (false, false) => continue,
            };
            found.insert(read_id(&row, ENTRY_COLUMNS)?, (entry, body));
        }
    }
    let devices = devices(store, connection, found.values().map(|(entry, _)| entry)).await?;
    let mut records = Vec::with_capacity(found.len());
    for id in ids {
        let Some((entry, body)) = found.remove(id) else { continue };
        let key = RecordKey { zone: zone.clone(), type_name: kind.schema.name().clone(), id: id.clone() };
        records.push(entry.into_record(key, body, &devices)?);
    }
    Ok(records)
}

/// Parameters: the zone key if the type is restricted, the zone's number, the type's number, the ids.
pub(crate) fn get_statement(kind: &Type) -> String {
    let (table, id, selected) = (&kind.table, kind.id(), &kind.selected);
    let zone = if kind.is_restricted() { " AND u.zone = ?" } else { "" };
    format!(
        "SELECT {ENTRY}, r.id, {id} IS NOT NULL{selected} FROM @records AS r \
         LEFT JOIN {table} AS u ON {}{zone} WHERE r.zone = ? AND r.type = ? AND r.id = ANY (?)",
        kind.is_of_entry()
    )
}

/// The rows of the user's table with these ids; those that are not there are left out.
pub(crate) async fn bodies(
    store: &Store,
    connection: &mut PgConnection,
    kind: &Type,
    zone: &Zone,
    ids: &[ObjectId],
) -> Run<HashMap<ObjectId, Vec<Value>>> {
    let mut bodies = HashMap::with_capacity(ids.len());
    for ids in ids.chunks(MAX_ROWS) {
        let mut sql = store.schema.sql(bodies_statement(kind));
        if let Some(key) = zone.key() {
            sql.add(key);
        }
        sql.add_built(kind.ids(ids));
        for row in sql.all(connection).await? {
            bodies.insert(read_id(&row, 0)?, read_body(&row, 1, kind)?);
        }
    }
    Ok(bodies)
}

/// Parameters: the zone key if the type is restricted, the ids.
pub(crate) fn bodies_statement(kind: &Type) -> String {
    let (table, id, selected) = (&kind.table, kind.id(), &kind.selected);
    let zone = if kind.is_restricted() { "u.zone = ? AND " } else { "" };
    format!("SELECT {id}::text{selected} FROM {table} AS u WHERE {zone}{id} = ANY (?)")
}

/// An index row and where it belongs.
pub(crate) struct Indexed {
    pub(crate) kind: Arc<Type>,
    pub(crate) zone: Zone,
    pub(crate) id: ObjectId,
    pub(crate) entry: Entry,
}

/// The records that index rows stand for, in their order; live ones whose row is not there are left out.
pub(crate) async fn with_bodies(
    store: &Store,
    connection: &mut PgConnection,
    rows: Vec<Indexed>,
) -> Run<Vec<Record>> {
    let mut groups: BTreeMap<_, (Arc<Type>, Vec<ObjectId>)> = BTreeMap::new();
    for row in rows.iter().filter(|row| !row.entry.deleted) {
        let group =
            groups.entry((row.kind.n, &row.zone)).or_insert_with(|| (Arc::clone(&row.kind), Vec::new()));
        group.1.push(row.id.clone());
    }
    let mut found = HashMap::with_capacity(rows.len());
    for ((n, zone), (kind, ids)) in groups {
        for (id, body) in bodies(store, connection, &kind, zone, &ids).await? {
            found.insert((n, zone.clone(), id), body);
        }
    }
    let devices = devices(store, connection, rows.iter().map(|row| &row.entry)).await?;
    let mut records = Vec::with_capacity(rows.len());
    for Indexed { kind, zone, id, entry } in rows {
        let place = (kind.n, zone, id);
        let body = if entry.deleted {
            None
        } else {
            match found.remove(&place) {
                Some(body) => Some(body),
                None => continue,
            }
        };
        let (_, zone, id) = place;
        let key = RecordKey { zone, type_name: kind.schema.name().clone(), id };
        records.push(entry.into_record(key, body, &devices)?);
    }
    Ok(records)
}

pub(crate) const PENDING: &str = "SELECT r.position, r.change, r.deleted, r.modified_by, r.modified_at, r.revision, \
     r.incarnation, r.bytes, r.type, r.id, z.name FROM @records AS r JOIN @zones AS z ON z.n = r.zone \
     WHERE r.change > 0 AND r.change > ? ORDER BY r.change, r.type, r.zone, r.id LIMIT ?";

pub(crate) async fn pending(store: &Store, request: PendingRequest) -> Run<Found> {
    let PendingRequest { after, limit, total } = request;
    let limit = u64::try_from(limit).unwrap_or(u64::MAX);
    let mut snapshot = store.read().await?;
    let total = if total { Some(count_pending(store, &mut snapshot).await?) } else { None };
    let mut rows = Vec::new();
    for row in store.schema.sql(PENDING).bind(after).bind(limit).all(&mut snapshot).await? {
        let kind = store.kind_at(&mut snapshot, number(&row, ENTRY_COLUMNS)?).await?;
        let id = read_id(&row, ENTRY_COLUMNS.saturating_add(1))?;
        let zone = Zone::parse(text(&row, ENTRY_COLUMNS.saturating_add(2))?)
            .map_err(|_| Fail::corrupt("fastsync_zones holds an invalid zone name"))?;
        rows.push(Indexed { kind, zone, id, entry: Entry::read(&row, 0)? });
    }
    let records = with_bodies(store, &mut snapshot, rows).await?;
    snapshot.rollback().await.map_err(failed)?;
    Ok(Found { records, total })
}

async fn count_pending(store: &Store, connection: &mut PgConnection) -> Run<u64> {
    let sql = store.schema.sql("SELECT COUNT(*) FROM @records WHERE change > 0");
    let row = sql.first(connection).await?;
    row.map_or(Ok(0), |row| number(&row, 0))
}

pub(crate) async fn zones(store: &Store, name: &TypeName) -> Run<Vec<Zone>> {
    let mut connection = store.connection().await?;
    let kind = store.kind(&mut connection, name).await?;
    let mut sql = store.schema.sql(
        "SELECT z.n FROM @zones AS z \
         WHERE EXISTS (SELECT 1 FROM @records AS r WHERE r.zone = z.n AND r.type = ?)",
    );
    sql.add(kind.n);
    let mut zones = Vec::new();
    for row in sql.all(&mut connection).await? {
        zones.push(store.zone_of(&mut connection, number(&row, 0)?).await?);
    }
    zones.sort();
    Ok(zones)
}

pub(crate) async fn state(store: &Store, range: &StateRange) -> Run<Vec<(String, Vec<u8>)>> {
    let mut sql = store.schema.sql("SELECT name, value FROM @state");
    match range {
        StateRange::Key(key) => {
            sql.push(" WHERE name = ?").add(key.as_bytes());
        }
        StateRange::Prefix(prefix) => {
            // What begins with a prefix lies between it and the prefix with its last byte raised; no byte of UTF-8 is 255.
            if let Some((last, rest)) = prefix.as_bytes().split_last() {
                let end = [rest, &[last.saturating_add(1)]].concat();
                sql.push(" WHERE name >= ? AND name < ?").add(prefix.as_bytes()).add(end.as_slice());
            }
            sql.push(" ORDER BY name");
        }
    }
    let mut connection = store.connection().await?;
    let mut entries = Vec::new();
    for row in sql.all(&mut connection).await? {
        entries.push((text(&row, 0)?.to_owned(), bytes(&row, 1)?.unwrap_or_default().to_vec()));
    }
    Ok(entries)
}
