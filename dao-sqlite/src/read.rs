//! Reads by key, pending records, state entries and the audit trail.

use std::sync::Arc;

use fastsync_core::source::{AuditRequest, Found, PendingRequest, StateRange};
use fastsync_core::{
    Author, DeviceId, ObjectId, Position, Record, RecordKey, SessionKind, SessionSummary, Timestamp,
    TypeName, Value, Zone,
};
use fastsync_dao_kit::text::after_prefix;
use rusqlite::{CachedStatement, Row};

use crate::codec::{META_COLUMNS, Meta, capped, capped_len, read_session, read_value, unsigned};
use crate::connection::Store;
use crate::error::{Fail, Run};
use crate::key::{Key, read_id};
use crate::registry::Type;

/// Reads bodies from the users' tables; each statement is prepared once.
pub(crate) struct Bodies<'a> {
    store: &'a Store,
    statements: Vec<(Arc<Type>, CachedStatement<'a>)>,
}

impl<'a> Bodies<'a> {
    pub(crate) const fn new(store: &'a Store) -> Self {
        Self { store, statements: Vec::new() }
    }

    /// The type with this number, and the values of one of its rows.
    ///
    /// No values: the row is not there. Somebody has deleted it past this library, with SQL.
    pub(crate) fn read(&mut self, n: i64, zone: &Zone, id: &str) -> Run<(Arc<Type>, Option<Vec<Value>>)> {
        let at = match self.statements.iter().position(|(kind, _)| kind.n == n) {
            Some(at) => at,
            None => {
                let kind = self.store.kind_at(n)?;
                let statement = self.store.connection.prepare_cached(&kind.body)?;
                self.statements.push((kind, statement));
                self.statements.len() - 1
            }
        };
        let Some((kind, statement)) = self.statements.get_mut(at) else {
            return Err(Fail::corrupt("no statement"));
        };
        statement.raw_bind_parameter(1, id)?;
        if kind.is_restricted() {
            statement.raw_bind_parameter(2, zone.key().unwrap_or_default())?;
        }
        let mut rows = statement.raw_query();
        let body = match rows.next()? {
            Some(row) => Some(read_body(row, 0, kind)?),
            None => None,
        };
        Ok((Arc::clone(kind), body))
    }

    /// The record that an index row stands for; `None` if it is live and its row is not there.
    pub(crate) fn record(&mut self, n: i64, zone: &Zone, id: ObjectId, meta: Meta) -> Run<Option<Record>> {
        let (kind, body) = if meta.deleted {
            (self.store.kind_at(n)?, None)
        } else {
            match self.read(n, zone, id.as_str())? {
                (_, None) => return Ok(None),
                (kind, body) => (kind, body),
            }
        };
        let key = RecordKey { zone: zone.clone(), type_name: kind.schema.name().clone(), id };
        Ok(Some(meta.into_record(key, body)))
    }
}

pub(crate) fn read_body(row: &Row<'_>, first: usize, kind: &Type) -> Run<Vec<Value>> {
    let fields = kind.schema.fields().iter().enumerate();
    fields.map(|(at, field)| read_value(row.get_ref(first + at)?, field)).collect()
}

/// The index row of a key.
pub(crate) const GET: &str = "SELECT r.revision, r.incarnation, r.modified_at, r.modified_by, r.change, r.deleted \
     FROM fastsync_records AS r WHERE r.zone = ?1 AND r.type = ?2 AND r.id = ?3";

/// The records with these keys, in this order; those that are not there are left out.
pub(crate) fn get(store: &Store, name: &TypeName, zone: &Zone, ids: &[ObjectId]) -> Run<Vec<Record>> {
    let kind = store.kind(name)?;
    let Some(zone_n) = store.zone(zone)? else { return Ok(Vec::new()) };
    let mut index = store.connection.prepare_cached(GET)?;
    let mut bodies = Bodies::new(store);
    let mut records = Vec::with_capacity(ids.len().min(10_000));
    for id in ids {
        let mut rows = index.query((zone_n, kind.n, Key::new(id.as_str())))?;
        let Some(row) = rows.next()? else { continue };
        let meta = Meta::read(store, row, 0)?;
        records.extend(bodies.record(kind.n, zone, id.clone(), meta)?);
    }
    Ok(records)
}

pub(crate) fn pending(store: &Store, request: PendingRequest) -> Run<Found> {
    let records = if request.limit == 0 { Vec::new() } else { waiting(store, request)? };
    let total = request.total.then(|| count_pending(store)).transpose()?;
    Ok(Found { records, total })
}

fn waiting(store: &Store, PendingRequest { after, limit, .. }: PendingRequest) -> Run<Vec<Record>> {
    let mut index = store.connection.prepare_cached(PENDING)?;
    let mut rows = index.query((capped(after), capped_len(limit)))?;
    let mut bodies = Bodies::new(store);
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        let meta = Meta::read(store, row, 0)?;
        let zone = store.zone_of(row.get(META_COLUMNS)?)?;
        let id = read_id(row.get_ref(META_COLUMNS + 2)?)?;
        records.extend(bodies.record(row.get(META_COLUMNS + 1)?, &zone, id, meta)?);
    }
    Ok(records)
}

pub(crate) const PENDING: &str = "SELECT r.revision, r.incarnation, r.modified_at, r.modified_by, r.change, r.deleted, \
     r.zone, r.type, r.id FROM fastsync_records AS r INDEXED BY fastsync_pending \
     WHERE r.change > 0 AND r.change > ?1 ORDER BY r.change, r.type, r.zone, r.id LIMIT ?2";

fn count_pending(store: &Store) -> Run<u64> {
    let sql = "SELECT count(*) FROM fastsync_records WHERE change > 0";
    Ok(store.one(sql, [], |row| row.get(0))?.map_or(0, unsigned))
}

pub(crate) fn zones(store: &Store, name: &TypeName) -> Run<Vec<Zone>> {
    let kind = store.kind(name)?;
    let sql = "SELECT z.n FROM fastsync_zones AS z \
         WHERE EXISTS (SELECT 1 FROM fastsync_records AS r WHERE r.zone = z.n AND r.type = ?1)";
    let mut zones = store.all(sql, [kind.n], |row| store.zone_of(row.get(0)?))?;
    zones.sort();
    Ok(zones)
}

pub(crate) fn state(store: &Store, range: &StateRange) -> Run<Vec<(String, Vec<u8>)>> {
    match range {
        StateRange::Key(key) => {
            let value = state_entry(store, key)?;
            Ok(value.map(|value| (key.clone(), value)).into_iter().collect())
        }
        StateRange::Prefix(prefix) => {
            let sql = "SELECT key, value FROM fastsync_state WHERE key >= ?1 AND (?2 IS NULL OR key < ?2) ORDER BY key";
            store.all(sql, (prefix, after_prefix(prefix)), |row| Ok((row.get(0)?, row.get(1)?)))
        }
    }
}

pub(crate) fn state_entry(store: &Store, key: &str) -> Run<Option<Vec<u8>>> {
    store.one("SELECT value FROM fastsync_state WHERE key = ?1", [key], |row| row.get(0))
}

const SESSION: &str = "s.id, s.kind, s.user, d.id, s.number, s.committed_at, s.positions, s.counts";

pub(crate) fn sessions(store: &Store, request: &AuditRequest) -> Run<Vec<SessionSummary>> {
    let read = |row: &Row<'_>| read_summary(store, row);
    match request {
        AuditRequest::Session(id) => {
            let sql = format!(
                "SELECT {SESSION} FROM fastsync_sessions AS s JOIN fastsync_devices AS d ON d.n = s.device \
                 WHERE s.id = ?1"
            );
            store.all(&sql, [id.as_uuid().as_bytes()], read)
        }
        AuditRequest::Zone { zone, after, limit } => {
            let Some(zone) = store.zone(zone)? else { return Ok(Vec::new()) };
            let sql = format!(
                "SELECT {SESSION} FROM fastsync_positions AS p CROSS JOIN fastsync_sessions AS s ON s.n = p.session \
                 CROSS JOIN fastsync_devices AS d ON d.n = s.device \
                 WHERE p.zone = ?1 AND p.position > ?2 ORDER BY p.position LIMIT ?3"
            );
            store.all(&sql, (zone, capped(after.0), capped_len(*limit)), read)
        }
    }
}

fn read_summary(store: &Store, row: &Row<'_>) -> Run<SessionSummary> {
    let kind: String = row.get(1)?;
    let device: [u8; 16] = row.get(3)?;
    let mut counts = Vec::new();
    for (n, count) in numbers(row, 7)? {
        counts.push((store.kind_at(n)?.schema.name().clone(), unsigned(count)));
    }
    counts.sort();
    Ok(SessionSummary {
        id: read_session(row, 0)?,
        kind: SessionKind::from_name(&kind)?,
        author: Author {
            user: row.get(2)?,
            device: DeviceId::from_uuid(uuid::Uuid::from_bytes(device)),
            number: unsigned(row.get(4)?),
        },
        committed_at: Timestamp::from_millis(unsigned(row.get(5)?)),
        positions: read_positions(store, row, 6)?,
        counts,
    })
}

/// The positions of a session, by zone.
pub(crate) fn read_positions(store: &Store, row: &Row<'_>, at: usize) -> Run<Vec<(Zone, Position)>> {
    let mut positions = Vec::new();
    for (n, position) in numbers(row, at)? {
        positions.push((store.zone_of(n)?, Position(unsigned(position))));
    }
    positions.sort();
    Ok(positions)
}

fn numbers(row: &Row<'_>, at: usize) -> Run<Vec<(i64, i64)>> {
    let text = row.get_ref(at)?.as_str().map_err(rusqlite::Error::from)?;
    serde_json::from_str(text).map_err(|_| Fail::corrupt("a session's summary is malformed"))
}
