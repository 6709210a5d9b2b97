//! The history of a zone: pages of changes, the head, and the purge of tombstones.
//!
//! Sessions are numbered inside their write transaction, and SQLite has one writer at a time, so the sessions of a
//! zone rise exactly as their positions do. The feed is therefore one walk over one index by
//! `(session, type, id)`; positions are looked up only where a page begins and ends.

use fastsync_core::source::{Changes, ChangesPage, ChangesRequest, Head, Point, ResetReason, SkipOwn};
use fastsync_core::{ObjectId, Position, Record, Tag, Zone};
use rusqlite::OptionalExtension;
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
    let within = match &request.after.within {
        Some((name, id)) => Some((store.kind(name)?.n, id)),
        None => None,
    };
    let zone = store.zone(&request.zone)?;
    let head = match zone {
        Some(zone) => head(store, zone)?,
        None => Head { position: Position::START, tag: Point::START.tag },
    };
    let Some(zone) = zone else {
        let in_history = request.after.position == head.position && request.after.tag == head.tag;
        return Ok(if in_history {
            Changes::Page(empty_page(head, Position::START, request.count_remaining))
        } else {
            Changes::ResetRequired(ResetReason::History)
        });
    };
    let place = match place(store, zone, request, head, within)? {
        Ok(place) => place,
        Err(reason) => return Ok(Changes::ResetRequired(reason)),
    };
    let own = match request.skip_own {
        Some(own) => store.device(own.device.as_uuid())?.map(|device| (device, own)),
        None => None,
    };
    let began = request.after.position == Position::START;
    let horizon = if began { Position(horizon(store, zone)?) } else { request.after.horizon };
    let walk = Walk { store, request, zone, types, own, horizon };
    walk.page(place, head).map(Changes::Page)
}

fn empty_page(head: Head, horizon: Position, count: bool) -> ChangesPage {
    ChangesPage {
        records: Vec::new(),
        next: Point { horizon, ..Point::at(head) },
        head,
        caught_up: true,
        remaining: count.then_some(0),
    }
}

fn head(store: &Store, zone: i64) -> Run<Head> {
    let sql = "SELECT position, tag FROM fastsync_positions WHERE zone = ?1 ORDER BY position DESC LIMIT 1";
    let mut statement = store.connection.prepare_cached(sql)?;
    let found: Option<(i64, i64)> =
        statement.query_row([zone], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    Ok(found.map_or(Head { position: Position::START, tag: Point::START.tag }, |(position, tag)| Head {
        position: Position(unsigned(position)),
        tag: Tag(unsigned(tag)),
    }))
}

pub(crate) fn point(store: &Store, zone: &Zone, position: Position) -> Run<Option<Point>> {
    if position == Position::START {
        return Ok(Some(Point::START));
    }
    let Some(zone) = store.zone(zone)? else { return Ok(None) };
    let sql = "SELECT tag FROM fastsync_positions WHERE zone = ?1 AND position = ?2";
    let mut statement = store.connection.prepare_cached(sql)?;
    let tag: Option<i64> = statement.query_row((zone, capped(position.0)), |row| row.get(0)).optional()?;
    let horizon = Position(horizon(store, zone)?);
    Ok(tag.map(|tag| Point { position, tag: Tag(unsigned(tag)), horizon, ..Point::START }))
}

/// The place in the feed that a reader's point means, or why it has to start over.
fn place(
    store: &Store,
    zone: i64,
    request: &ChangesRequest,
    head: Head,
    within: Option<(i64, &ObjectId)>,
) -> Run<Result<Place, ResetReason>> {
    let after = &request.after;
    if after.position == Position::START {
        let has_nothing = request.skip_own.is_none();
        return Ok(if after.tag != Point::START.tag {
            Err(ResetReason::History)
        } else if has_nothing || horizon(store, zone)? == 0 {
            Ok(Place::START)
        } else {
            Err(ResetReason::Horizon)
        });
    }
    // Nobody loads here (the rows of a table lie in the order of their commits, as the feed does), so whoever does comes from
    // elsewhere.
    if after.position > head.position || after.loading {
        return Ok(Err(ResetReason::History));
    }
    let sql = "SELECT session, tag FROM fastsync_positions WHERE zone = ?1 AND position = ?2";
    let mut statement = store.connection.prepare_cached(sql)?;
    let found: Option<(i64, i64)> = statement
        .query_row((zone, capped(after.position.0)), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((session, _)) = found.filter(|(_, tag)| unsigned(*tag) == after.tag.0) else {
        return Ok(Err(ResetReason::History));
    };
    let horizon = horizon(store, zone)?;
    if after.seen().0 < horizon && after.horizon.0 != horizon {
        return Ok(Err(ResetReason::Horizon));
    }
    Ok(Ok(match within {
        None => Place::after(session),
        Some((kind, id)) => Place { session, kind, id: key_value(id) },
    }))
}

fn key_value(id: &ObjectId) -> SqlValue {
    match Key::new(id.as_str()) {
        Key::Text(text) => SqlValue::Text(text.into_owned()),
        Key::Uuid(bytes) => SqlValue::Blob(bytes.to_vec()),
        Key::Other(bytes) => SqlValue::Blob(bytes),
    }
}

fn horizon(store: &Store, zone: i64) -> Run<u64> {
    let mut statement = store.connection.prepare_cached("SELECT horizon FROM fastsync_zones WHERE n = ?1")?;
    Ok(unsigned(statement.query_row([zone], |row| row.get(0))?))
}

/// One call's walk over the feed of a zone.
struct Walk<'a> {
    store: &'a Store,
    request: &'a ChangesRequest,
    zone: i64,
    types: Option<Vec<i64>>,
    own: Option<(i64, SkipOwn)>,
    /// The horizon when this reading began at the beginning.
    horizon: Position,
}

/// What a walk has collected.
struct Collected {
    records: Vec<Record>,
    bytes: usize,
    /// The entry of the last record.
    last: Place,
    /// Whether a record that did not fit follows, and whether it is of the same session as the last one.
    more: Option<bool>,
}

impl Walk<'_> {
    fn page(&self, start: Place, head: Head) -> Run<ChangesPage> {
        let mut collected = self.collect(start)?;
        let Some(same_session) = collected.more else {
            return Ok(ChangesPage {
                records: collected.records,
                ..empty_page(head, self.horizon, self.request.count_remaining)
            });
        };
        let (position, tag) = self.position(collected.last.session)?;
        let last = collected.records.last();
        if let Some(record) = last {
            collected.last.id = key_value(&record.key.id);
        }
        let within =
            last.filter(|_| same_session).map(|record| (record.key.type_name.clone(), record.key.id.clone()));
        let remaining =
            if self.request.count_remaining { Some(self.remaining(&collected.last)?) } else { None };
        Ok(ChangesPage {
            records: collected.records,
            next: Point { position, tag, within, horizon: self.horizon, loading: false },
            head,
            caught_up: false,
            remaining,
        })
    }

    fn collect(&self, start: Place) -> Run<Collected> {
        let limit = self.request.limits.records.max(1);
        let mut statement = self.store.connection.prepare_cached(FEED)?;
        let mut bodies = Bodies::new(self.store);
        let records = Vec::with_capacity(limit.min(10_000));
        let mut found = Collected { records, bytes: 0, last: start.clone(), more: None };
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
                let bytes = found.bytes.saturating_add(record.approximate_bytes());
                let full = found.records.len() >= limit || bytes > self.request.limits.bytes;
                if full && !found.records.is_empty() {
                    found.more = Some(session == found.last.session);
                    return Ok(found);
                }
                found.bytes = bytes;
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
        let mut statement = self.store.connection.prepare_cached(sql)?;
        let (by, number): (i64, i64) =
            statement.query_row([session], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let number = unsigned(number);
        Ok(by == *device && number != 0 && number <= own.through)
    }

    /// The place of a session in this zone.
    fn position(&self, session: i64) -> Run<(Position, Tag)> {
        let sql = "SELECT p.position, p.tag FROM fastsync_sessions AS s \
                   CROSS JOIN json_each(s.positions) AS j CROSS JOIN fastsync_positions AS p \
                   ON p.zone = ?2 AND p.position = json_extract(j.value, '$[1]') \
                   WHERE s.n = ?1 AND json_extract(j.value, '$[0]') = ?2";
        let mut statement = self.store.connection.prepare_cached(sql)?;
        let found = statement
            .query_row((session, self.zone), |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))
            .optional()?;
        let (position, tag) = found.ok_or_else(|| Fail::corrupt("a session in the feed has no position"))?;
        Ok((Position(unsigned(position)), Tag(unsigned(tag))))
    }

    /// How many entries follow; own pushes are counted with them.
    fn remaining(&self, last: &Place) -> Run<u64> {
        let mut statement = self.store.connection.prepare_cached(REMAINING)?;
        let mut rows = statement.query((self.zone, last.session, last.kind, &last.id))?;
        let mut total = 0;
        while let Some(row) = rows.next()? {
            let (kind, count): (i64, i64) = (row.get(0)?, row.get(1)?);
            if self.types.as_ref().is_none_or(|types| types.contains(&kind)) {
                total += unsigned(count);
            }
        }
        Ok(total)
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
    store
        .connection
        .prepare_cached("UPDATE fastsync_zones SET horizon = max(horizon, ?2) WHERE n = ?1")?
        .execute((zone, position))?;
    // A deletion that waits to be pushed is not finished with.
    let removed = store.connection.prepare_cached(PURGE)?.execute((zone, position))?;
    Ok(u64::try_from(removed).unwrap_or(u64::MAX))
}
