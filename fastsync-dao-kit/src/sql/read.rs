//! Reads by key, pending records and state entries.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use fastsync_core::source::{Found, PendingRequest, StateRange};
use fastsync_core::{ObjectId, Record, RecordKey, TypeName, Value, Zone};

use crate::sql::dialect::Dialect;
use crate::sql::driver::{Access, Database, Link, Row as _};
use crate::sql::entry::{ENTRY, ENTRY_COLUMNS, Entry, devices};
use crate::sql::fail::{Fail, Run};
use crate::sql::kind::Type;
use crate::sql::statement::Sql;
use crate::sql::store::Store;

pub(crate) async fn get<D: Database>(
    store: &Store<D>,
    name: &TypeName,
    zone: &Zone,
    ids: &[ObjectId],
) -> Run<Vec<Record>> {
    let mut link = store.database.link().await?;
    if ids.len() <= link.dialect().most_keys {
        // One statement sees one state by itself.
        return get_in(store, &mut link, name, zone, ids).await;
    }
    drop(link);
    let mut snapshot = store.begin(Access::Snapshot).await?;
    let found = get_in(store, &mut snapshot, name, zone, ids).await;
    Store::<D>::have_read(snapshot, found).await
}

async fn get_in<D: Database>(
    store: &Store<D>,
    link: &mut D::Link,
    name: &TypeName,
    zone: &Zone,
    ids: &[ObjectId],
) -> Run<Vec<Record>> {
    let kind = store.kind(link, name).await?;
    records(store, link, &kind, zone, ids).await
}

/// The records with these ids, in this order; those that are not there are left out.
pub(crate) async fn records<D: Database>(
    store: &Store<D>,
    link: &mut D::Link,
    kind: &Type,
    zone: &Zone,
    ids: &[ObjectId],
) -> Run<Vec<Record>> {
    let Some(zone_n) = store.zone(link, zone).await?.filter(|_| kind.schema.fits(zone)) else {
        return Ok(Vec::new());
    };
    let mut found: HashMap<ObjectId, (Entry, Option<Vec<Value>>)> =
        HashMap::with_capacity(ids.len().min(10_000));
    let (select, dialect) = (get_statement(kind), link.dialect());
    for ids in ids.chunks(dialect.most_keys) {
        let mut sql = Sql::new(select.clone());
        if let Some(key) = zone.key() {
            sql.add(key);
        }
        sql.add(zone_n).add(kind.n);
        sql.push_list(dialect, ids.iter().map(ObjectId::as_str));
        for row in sql.all(link).await? {
            let entry = Entry::read(&row, 0)?;
            let is_there = row.number(ENTRY_COLUMNS.saturating_add(1))? == 1;
            let body = match (entry.deleted, is_there) {
                (true, _) => None,
                (false, true) => Some(row.body(ENTRY_COLUMNS.saturating_add(2), kind)?),
                // Somebody has deleted the row past this library, with SQL.
                (false, false) => continue,
            };
            found.insert(row.id(ENTRY_COLUMNS)?, (entry, body));
        }
    }
    let devices = devices(store, link, found.values().map(|(entry, _)| entry)).await?;
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
    let (table, id, of_entry) = (kind.table(), kind.id(), kind.id_of_entry());
    let zone = kind.if_restricted(" AND u.zone = ?");
    format!(
        "SELECT {ENTRY}, r.id, u.{id} IS NOT NULL{} FROM fastsync_records AS r \
         LEFT JOIN {table} AS u ON u.{id} = {of_entry}{zone} WHERE r.zone = ? AND r.type = ? AND r.id",
        kind.selected
    )
}

/// The rows of the user's table with these ids; those that are not there are left out.
pub(crate) async fn bodies<L: Link>(
    link: &mut L,
    kind: &Type,
    zone: &Zone,
    ids: &[ObjectId],
) -> Run<HashMap<ObjectId, Vec<Value>>> {
    let mut bodies = HashMap::with_capacity(ids.len());
    let dialect = link.dialect();
    for ids in ids.chunks(dialect.most_keys) {
        let mut sql = Sql::new(bodies_statement(kind));
        if let Some(key) = zone.key() {
            sql.add(key);
        }
        sql.push_list(dialect, ids.iter().map(|id| (kind.id_holds, id.as_str())));
        for row in sql.all(link).await? {
            bodies.insert(row.id(0)?, row.body(1, kind)?);
        }
    }
    Ok(bodies)
}

/// Parameters: the zone key if the type is restricted, the ids.
pub(crate) fn bodies_statement(kind: &Type) -> String {
    let (table, id, text) = (kind.table(), kind.id(), kind.id_text());
    let zone = kind.if_restricted("u.zone = ? AND ");
    format!("SELECT {text}{} FROM {table} AS u WHERE {zone}u.{id}", kind.selected)
}

/// An index row and where it belongs.
pub(crate) struct Indexed {
    pub(crate) kind: Arc<Type>,
    pub(crate) zone: Zone,
    pub(crate) id: ObjectId,
    pub(crate) entry: Entry,
}

/// The records that index rows stand for, in their order; live ones whose row is not there are left out.
pub(crate) async fn with_bodies<D: Database>(
    store: &Store<D>,
    link: &mut D::Link,
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
        for (id, body) in bodies(link, &kind, zone, &ids).await? {
            found.insert((n, zone.clone(), id), body);
        }
    }
    let devices = devices(store, link, rows.iter().map(|row| &row.entry)).await?;
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

// Only the first table decides the order, so that its primary key gives it.
pub(crate) fn pending_statement(dialect: &Dialect) -> String {
    if !dialect.has_few_tables() {
        return format!(
            "SELECT {ENTRY}, r.type, r.id, z.name FROM fastsync_records AS r \
             JOIN fastsync_zones AS z ON z.n = r.zone WHERE r.`change` > 0 AND r.`change` > ? \
             ORDER BY r.`change`, r.type, r.zone, r.id LIMIT ?"
        );
    }
    let join = dialect.forms.join;
    format!(
        "SELECT {ENTRY}, p.type, p.id, z.name FROM fastsync_pending AS p \
         {join} fastsync_zones AS z ON z.n = p.zone \
         {join} fastsync_records AS r ON r.zone = p.zone AND r.type = p.type AND r.id = p.id \
         WHERE p.`change` > ? ORDER BY p.`change`, p.type, p.zone, p.id LIMIT ?"
    )
}

pub(crate) async fn pending<D: Database>(store: &Store<D>, request: PendingRequest) -> Run<Found> {
    let mut snapshot = store.begin(Access::Snapshot).await?;
    let found = pending_in(store, &mut snapshot, request).await;
    Store::<D>::have_read(snapshot, found).await
}

async fn pending_in<D: Database>(
    store: &Store<D>,
    link: &mut D::Link,
    request: PendingRequest,
) -> Run<Found> {
    let PendingRequest { after, limit, total } = request;
    let total = if total { Some(count_pending(link).await?) } else { None };
    let limit = u64::try_from(limit).unwrap_or(u64::MAX);
    let mut rows = Vec::new();
    for row in Sql::new(pending_statement(link.dialect())).bind(after).bind(limit).all(link).await? {
        let kind = store.kind_at(link, row.number(ENTRY_COLUMNS)?).await?;
        let id = row.id(ENTRY_COLUMNS.saturating_add(1))?;
        let zone = Zone::parse(row.text(ENTRY_COLUMNS.saturating_add(2))?)
            .map_err(|_| Fail::corrupt("fastsync_zones contains an invalid zone name"))?;
        rows.push(Indexed { kind, zone, id, entry: Entry::read(&row, 0)? });
    }
    Ok(Found { records: with_bodies(store, link, rows).await?, total })
}

async fn count_pending<L: Link>(link: &mut L) -> Run<u64> {
    let count = if link.dialect().has_few_tables() {
        "SELECT COUNT(*) FROM fastsync_pending"
    } else {
        "SELECT COUNT(*) FROM fastsync_records WHERE `change` > 0"
    };
    Sql::new(count).count(link).await
}

pub(crate) async fn zones<D: Database>(store: &Store<D>, name: &TypeName) -> Run<Vec<Zone>> {
    let mut link = store.database.link().await?;
    let kind = store.kind(&mut link, name).await?;
    let mut sql = Sql::new(
        "SELECT z.n FROM fastsync_zones AS z \
         WHERE EXISTS (SELECT 1 FROM fastsync_records AS r WHERE r.zone = z.n AND r.type = ?)",
    );
    sql.add(kind.n);
    let mut zones = Vec::new();
    for row in sql.all(&mut link).await? {
        zones.push(store.zone_of(&mut link, row.number(0)?).await?);
    }
    zones.sort();
    Ok(zones)
}

pub(crate) async fn state<D: Database>(store: &Store<D>, range: &StateRange) -> Run<Vec<(String, Vec<u8>)>> {
    let mut sql = Sql::new("SELECT name, value FROM fastsync_state");
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
    let mut link = store.database.link().await?;
    let mut entries = Vec::new();
    for row in sql.all(&mut link).await? {
        entries.push((row.text(0)?.to_owned(), row.bytes(1)?.unwrap_or_default().to_vec()));
    }
    Ok(entries)
}
