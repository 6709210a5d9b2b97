//! The history of a zone: pages of changes, the head, and the purge of tombstones.
//!
//! Sessions are numbered inside their write transaction, and SQLite has one writer at a time, so the sessions of a
//! zone rise exactly as their positions do. The feed is therefore one walk over one index by
//! `(session, type, id)`; positions are looked up only where a page begins and ends.

use fastsync_core::source::rules::{Reading, Room, ZoneState};
use fastsync_core::source::{Changes, ChangesPage, ChangesRequest, Head, Point, ResetReason, SkipOwn};
use fastsync_core::{ObjectId, Position, Record, Tag, Zone};
use rusqlite::Row;
use rusqlite::types::Value as SqlValue;

use crate::codec::{META_COLUMNS, Meta, capped, signed, unsigned};
use crate::connection::Store;
use crate::error::{Fail, Run};
use crate::key::{Key, read_id};
use crate::read::Bodies;

// The partial index wants `session > 0`; it stands last, so that SQLite seeks by the three columns and not by it.
pub(crate) const FEED: &str = "SELECT r.revision, r.incarnation, r.modified_at, r.modified_by, r.change, r.deleted, \
     r.session, r.type, r.id FROM fastsync_records AS r INDEXED BY fastsync_feed \
     WHERE r.zone = ?1 AND (r.session, r.type, r.id) > (?2, ?3, ?4) AND r.session > 0 \
     ORDER BY r.session, r.type, r.id";

pub(crate) const REMAINING: &str = "SELECT r.type, count(*) FROM fastsync_records AS r INDEXED BY fastsync_feed \
     WHERE r.zone = ?1 AND (r.session, r.type, r.id) > (?2, ?3, ?4) AND r.session > 0 GROUP BY r.type";

/// Where a walk over the feed stands: everything up to this entry was delivered. (An empty text is below every id;
/// a null would compare as unknown.)
#[derive(Clone)]
struct Place {
    session: i64,
    kind: i64,
    id: SqlValue,
}

impl Place {
    const START: Self = Self { session: 0, kind: 0, id: SqlValue::Text(String::new()) };

    /// After all of a session: no type has this number.
    const fn after(session: i64) -> Self {
        Self { session, kind: i64::MAX, id: SqlValue::Text(String::new()) }
    }
}

pub(crate) fn changes(store: &Store, request: &ChangesRequest) -> Run<Changes> {
    let types = match &request.types {
        Some(names) => {
            let numbers: Run<Vec<_>> = names.iter().map(|name| Ok(store.kind(name)?.n)).collect();
            Some(numbers?)
        }
        None => None,
    };
    let within = match request.after.within() {
        Some((name, id)) => Some((store.kind(name)?.n, id)),
        None => None,
    };
    let Some(zone) = store.zone(&request.zone)? else {
        return Ok(match ZoneState::EMPTY.admit(request, None) {
            Ok(reading) => Changes::Page(reading.last_page(Vec::new())),
            Err(reason) => Changes::ResetRequired(reason),
        });
    };
    let after = &request.after;
    // Nobody loads here (the rows of a table lie in the order of their commits, as the feed does), so whoever does comes from
    // elsewhere.
    if after.loading() && after.position() != Position::START {
        return Ok(Changes::ResetRequired(ResetReason::History));
    }
    let found = session_at(store, zone, after.position())?;
    let reading = match state(store, zone)?.admit(request, found.map(|(_, tag)| tag)) {
        Ok(reading) => reading,
        Err(reason) => return Ok(Changes::ResetRequired(reason)),
    };
    let place = match (found, within) {
        (Some((session, _)), Some((kind, id))) => Place { session, kind, id: key_value(id) },
        (Some((session, _)), None) => Place::after(session),
        (None, _) => Place::START,
    };
    let own = match request.skip_own {
        Some(own) => store.device(own.device.as_uuid())?.map(|device| (device, own)),
        None => None,
    };
    let walk = Walk { store, request, zone, types, own, reading };
    walk.page(place).map(Changes::Page)
}

fn state(store: &Store, zone: i64) -> Run<ZoneState> {
    let horizon = store.one("SELECT horizon FROM fastsync_zones WHERE n = ?1", [zone], |row| row.get(0))?;
    let horizon = Position(horizon.map_or(0, unsigned));
    Ok(ZoneState { head: head(store, zone)?, horizon })
}

/// The session at a position, with its tag.
fn session_at(store: &Store, zone: i64, position: Position) -> Run<Option<(i64, Tag)>> {
    if position == Position::START {
        return Ok(None);
    }
    let sql = "SELECT session, tag FROM fastsync_positions WHERE zone = ?1 AND position = ?2";
    let found = store.one(sql, (zone, capped(position.0)), |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(found.map(|(session, tag)| (session, Tag(unsigned(tag)))))
}

fn head(store: &Store, zone: i64) -> Run<Head> {
    let sql = "SELECT position, tag FROM fastsync_positions WHERE zone = ?1 ORDER BY position DESC LIMIT 1";
    let found: Option<(i64, i64)> = store.one(sql, [zone], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(found.map_or(ZoneState::EMPTY.head, |(position, tag)| Head {
        position: Position(unsigned(position)),
        tag: Tag(unsigned(tag)),
    }))
}

fn key_value(id: &ObjectId) -> SqlValue {
    match Key::new(id.as_str()) {
        Key::Text(text) => SqlValue::Text(text.into_owned()),
        Key::Uuid(bytes) => SqlValue::Blob(bytes.to_vec()),
        Key::Other(bytes) => SqlValue::Blob(bytes),
    }
}

/// One call's walk over the feed of a zone.
struct Walk<'a> {
    store: &'a Store,
    request: &'a ChangesRequest,
    zone: i64,
    types: Option<Vec<i64>>,
    own: Option<(i64, SkipOwn)>,
    reading: Reading,
}

/// What a walk has collected.
struct Collected {
    records: Vec<Record>,
    /// The entry of the last record.
    last: Place,
    /// Whether a record that did not fit follows, and whether it is of the same session as the last one.
    more: Option<bool>,
}

impl Walk<'_> {
    fn page(&self, start: Place) -> Run<ChangesPage> {
        let mut collected = self.collect(start)?;
        let Some(same_session) = collected.more else {
            return Ok(self.reading.last_page(collected.records));
        };
        let (position, tag) = self.position(collected.last.session)?;
        let last = collected.records.last();
        if let Some(record) = last {
            collected.last.id = key_value(&record.key.id);
        }
        let within =
            last.filter(|_| same_session).map(|record| (record.key.type_name.clone(), record.key.id.clone()));
        let remaining = self.reading.counts.then(|| self.remaining(&collected.last)).transpose()?;
        let next = Point { position, tag, within, ..Point::START };
        Ok(self.reading.page(collected.records, next, remaining))
    }

    fn collect(&self, start: Place) -> Run<Collected> {
        let mut room = Room::new(self.request.limits);
        let mut statement = self.store.connection.prepare_cached(FEED)?;
        let mut bodies = Bodies::new(self.store);
        let records = Vec::with_capacity(self.request.limits.records.clamp(1, 10_000));
        let mut found = Collected { records, last: start.clone(), more: None };
        let mut from = start;
        let mut session = 0;
        'walk: loop {
            let mut rows = statement.query((self.zone, from.session, from.kind, &from.id))?;
            while let Some(row) = rows.next()? {
                let (next, kind) = (row.get(META_COLUMNS)?, row.get(META_COLUMNS + 1)?);
                if session != next {
                    session = next;
                    if self.is_own(session)? {
                        from = Place::after(session);
                        continue 'walk;
                    }
                }
                if self.types.as_ref().is_some_and(|types| !types.contains(&kind)) {
                    continue;
                }
                let id = row.get_ref(META_COLUMNS + 2)?;
                let meta = Meta::read(self.store, row, 0)?;
                let zone: &Zone = &self.request.zone;
                let Some(record) = bodies.record(kind, zone, read_id(id)?, meta)? else { continue };
                if !room.takes(record.approximate_bytes()) {
                    found.more = Some(session == found.last.session);
                    return Ok(found);
                }
                found.records.push(record);
                // The id is needed only where the page ends, and is taken from the record there.
                (found.last.session, found.last.kind) = (session, kind);
            }
            return Ok(found);
        }
    }

    fn is_own(&self, session: i64) -> Run<bool> {
        let Some((device, own)) = &self.own else { return Ok(false) };
        let sql = "SELECT device, number FROM fastsync_sessions WHERE n = ?1";
        let found: Option<(i64, i64)> =
            self.store.one(sql, [session], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let (by, number) = found.ok_or_else(|| Fail::corrupt("the feed has a session that is not there"))?;
        Ok(by == *device && own.covers(own.device, unsigned(number)))
    }

    /// The place of a session in this zone.
    fn position(&self, session: i64) -> Run<(Position, Tag)> {
        let sql = "SELECT p.position, p.tag FROM fastsync_sessions AS s \
                   CROSS JOIN json_each(s.positions) AS j CROSS JOIN fastsync_positions AS p \
                   ON p.zone = ?2 AND p.position = json_extract(j.value, '$[1]') \
                   WHERE s.n = ?1 AND json_extract(j.value, '$[0]') = ?2";
        let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let found = self.store.one(sql, (session, self.zone), read)?;
        let (position, tag) = found.ok_or_else(|| Fail::corrupt("a session in the feed has no position"))?;
        Ok((Position(unsigned(position)), Tag(unsigned(tag))))
    }

    /// How many entries follow; own pushes are counted with them.
    fn remaining(&self, last: &Place) -> Run<u64> {
        let after = (self.zone, last.session, last.kind, &last.id);
        let counts: Vec<(i64, i64)> =
            self.store.all(REMAINING, after, |row| Ok((row.get(0)?, row.get(1)?)))?;
        let asked = |kind| self.types.as_ref().is_none_or(|types| types.contains(kind));
        Ok(counts.iter().filter(|(kind, _)| asked(kind)).map(|(_, count)| unsigned(*count)).sum())
    }
}

pub(crate) const PURGE: &str = "DELETE FROM fastsync_records INDEXED BY fastsync_tombstones \
     WHERE zone = ?1 AND deleted = 1 AND change = 0 AND session > 0 \
     AND session <= (SELECT session FROM fastsync_positions WHERE zone = ?1 AND position = ?2)";

pub(crate) fn purge(store: &Store, zone: &Zone, through: Position) -> Run<u64> {
    let Some(zone) = store.zone(zone)? else { return Ok(0) };
    let through = through.min(head(store, zone)?.position);
    if through == Position::START {
        return Ok(0);
    }
    let position = signed(through.0);
    store.run("UPDATE fastsync_zones SET horizon = max(horizon, ?2) WHERE n = ?1", (zone, position))?;
    // A deletion that waits to be pushed is not finished with.
    let removed = store.run(PURGE, (zone, position))?;
    Ok(u64::try_from(removed).unwrap_or(u64::MAX))
}
