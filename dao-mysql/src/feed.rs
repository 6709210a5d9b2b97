//! The history of a zone: pages of changes, the head, and the purge of tombstones.
//!
//! An index row has the position of the session that wrote it last, so a page is one walk over one index by
//! (position, type, id), and costs the same however long the history is.

use fastsync_core::source::{Changes, ChangesPage, ChangesRequest, Head, Point, ResetReason};
use fastsync_core::{ObjectId, Position, Tag, TypeName, Zone};
use sqlx::MySqlConnection;

use crate::codec::{ENTRY, ENTRY_COLUMNS, Entry, read_id};
use crate::error::{Fail, Run};
use crate::read::{Indexed, with_bodies};
use crate::sql::{Sql, number};
use crate::store::Store;

/// The most own sessions that one statement leaves out.
const MAX_OWN: usize = 500;

/// A zone as its row has it.
struct ZoneRow {
    n: u64,
    head: Head,
    horizon: u64,
}

/// Where a walk over the feed stands: everything up to this entry was delivered.
#[derive(Debug, Clone)]
struct Place {
    position: u64,
    /// Inside the session at that position: the type and id of the entry; otherwise all of it was delivered.
    within: Option<(u64, ObjectId)>,
}

pub(crate) async fn changes(store: &Store, request: &ChangesRequest) -> Run<Changes> {
    let mut snapshot = store.read().await?;
    let changes = changes_in(store, &mut snapshot, request).await;
    snapshot.rollback().await?;
    changes
}

async fn changes_in(
    store: &Store,
    connection: &mut MySqlConnection,
    request: &ChangesRequest,
) -> Run<Changes> {
    let types = match &request.types {
        Some(names) => Some(numbers(store, connection, names).await?),
        None => None,
    };
    let within = match &request.after.within {
        Some((name, id)) => Some((store.kind(connection, name).await?.n, id.clone())),
        None => None,
    };
    let Some(zone) = zone_row(connection, &request.zone).await? else {
        let is_start = request.after.position == Position::START && request.after.tag == Point::START.tag;
        return Ok(if is_start {
            Changes::Page(last_page(NO_HEAD, Position::START, request.count_remaining))
        } else {
            Changes::ResetRequired(ResetReason::History)
        });
    };
    if let Some(reason) = reset_reason(connection, &zone, request).await? {
        return Ok(Changes::ResetRequired(reason));
    }
    let began = request.after.position == Position::START;
    let horizon = if began { Position(zone.horizon) } else { request.after.horizon };
    let place = Place { position: request.after.position.0, within };
    let walk = Walk { store, request, zone: zone.n, types };
    let (rows, more) = walk.collect(connection, place).await?;
    let (Some(last), Some(same_session)) = (rows.last(), more) else {
        let page = last_page(zone.head, horizon, request.count_remaining);
        let records = with_bodies(store, connection, rows).await?;
        return Ok(Changes::Page(ChangesPage { records, ..page }));
    };
    let position = Position(last.entry.position);
    let tag = tag_at(connection, zone.n, position).await?;
    let tag = tag.ok_or_else(|| Fail::corrupt("a record in the feed has a position that nobody took"))?;
    let place = Place { position: position.0, within: Some((last.kind.n, last.id.clone())) };
    let within = same_session.then(|| (last.kind.schema.name().clone(), last.id.clone()));
    let remaining =
        if request.count_remaining { Some(walk.remaining(connection, &place).await?) } else { None };
    let next = Point { position, tag, within, horizon };
    let records = with_bodies(store, connection, rows).await?;
    Ok(Changes::Page(ChangesPage { records, next, head: zone.head, caught_up: false, remaining }))
}

pub(crate) async fn point(store: &Store, zone: &Zone, position: Position) -> Run<Option<Point>> {
    if position == Position::START {
        return Ok(Some(Point::START));
    }
    let mut connection = store.pool.acquire().await?;
    let Some(zone) = zone_row(&mut connection, zone).await? else { return Ok(None) };
    let tag = tag_at(&mut connection, zone.n, position).await?;
    Ok(tag.map(|tag| Point { position, tag, within: None, horizon: Position(zone.horizon) }))
}

const NO_HEAD: Head = Head { position: Position::START, tag: Point::START.tag };

async fn numbers(store: &Store, connection: &mut MySqlConnection, names: &[TypeName]) -> Run<Vec<u64>> {
    let mut numbers = Vec::with_capacity(names.len());
    for name in names {
        numbers.push(store.kind(connection, name).await?.n);
    }
    Ok(numbers)
}

fn last_page(head: Head, horizon: Position, count: bool) -> ChangesPage {
    ChangesPage {
        records: Vec::new(),
        next: Point { horizon, ..Point::at(head) },
        head,
        caught_up: true,
        remaining: count.then_some(0),
    }
}

async fn zone_row(connection: &mut MySqlConnection, zone: &Zone) -> Run<Option<ZoneRow>> {
    let sql = Sql::new("SELECT n, head, tag, horizon FROM fastsync_zones WHERE name = ?");
    let Some(row) = sql.bind(zone.to_string().into_bytes()).first(connection).await? else { return Ok(None) };
    let head = Head { position: Position(number(&row, 1)?), tag: Tag(number(&row, 2)?) };
    Ok(Some(ZoneRow { n: number(&row, 0)?, head, horizon: number(&row, 3)? }))
}

async fn tag_at(connection: &mut MySqlConnection, zone: u64, position: Position) -> Run<Option<Tag>> {
    let sql = Sql::new("SELECT tag FROM fastsync_positions WHERE zone = ? AND position = ?");
    let row = sql.bind(zone).bind(position.0).first(connection).await?;
    row.map(|row| Ok(Tag(number(&row, 0)?))).transpose()
}

/// Why a reader at this point has to start over, if it has to.
async fn reset_reason(
    connection: &mut MySqlConnection,
    zone: &ZoneRow,
    request: &ChangesRequest,
) -> Run<Option<ResetReason>> {
    let after = &request.after;
    if after.position == Position::START {
        // A reader that passes its own records over has some, and may have one that was deleted and purged.
        let has_nothing = request.skip_own.is_none();
        return Ok(if after.tag != Point::START.tag {
            Some(ResetReason::History)
        } else {
            (!has_nothing && zone.horizon > 0).then_some(ResetReason::Horizon)
        });
    }
    if after.position > zone.head.position
        || tag_at(connection, zone.n, after.position).await? != Some(after.tag)
    {
        return Ok(Some(ResetReason::History));
    }
    // A reader inside a session lacks the rest of it, so it stands before that position.
    let seen = if after.within.is_some() { after.position.0.saturating_sub(1) } else { after.position.0 };
    Ok((seen < zone.horizon && after.horizon.0 != zone.horizon).then_some(ResetReason::Horizon))
}

/// One call's walk over the feed of a zone.
struct Walk<'a> {
    store: &'a Store,
    request: &'a ChangesRequest,
    zone: u64,
    types: Option<Vec<u64>>,
}

impl Walk<'_> {
    /// The index rows of a page; if more follow, whether the next one is of the same session as the last one.
    async fn collect(
        &self,
        connection: &mut MySqlConnection,
        mut from: Place,
    ) -> Run<(Vec<Indexed>, Option<bool>)> {
        let limit = self.request.limits.records.max(1);
        let mut found: Vec<Indexed> = Vec::with_capacity(limit.min(10_000));
        let mut page_bytes = 0_usize;
        loop {
            let own = self.own(connection, &from).await?;
            // Beyond the last of many own sessions there may be others; they are asked for in the next round.
            let bound = if own.len() >= MAX_OWN { own.last().copied() } else { None };
            let missing = limit.saturating_sub(found.len()).saturating_add(1);
            let rows = self.rows(connection, &from, &own, bound, missing).await?;
            for row in rows {
                let kind = self.store.kind_at(connection, number(&row, ENTRY_COLUMNS)?).await?;
                let entry = Entry::read(&row, 0)?;
                let id = read_id(&row, ENTRY_COLUMNS.saturating_add(1))?;
                page_bytes = page_bytes.saturating_add(usize::try_from(entry.bytes).unwrap_or(usize::MAX));
                let is_full = found.len() >= limit || page_bytes > self.request.limits.bytes;
                if let Some(last) = found.last().filter(|_| is_full) {
                    let same_session = last.entry.position == entry.position;
                    return Ok((found, Some(same_session)));
                }
                found.push(Indexed { kind, zone: self.request.zone.clone(), id, entry });
            }
            match bound {
                Some(position) => from = Place { position, within: None },
                None => return Ok((found, None)),
            }
        }
    }

    /// The first sessions after a place that the reader itself has pushed.
    async fn own(&self, connection: &mut MySqlConnection, from: &Place) -> Run<Vec<u64>> {
        let Some(own) = self.request.skip_own else { return Ok(Vec::new()) };
        let Some(device) = self.store.device(connection, own.device.as_uuid()).await? else {
            return Ok(Vec::new());
        };
        let sql = Sql::new(OWN).bind(self.zone).bind(device).bind(from.position).bind(own.through);
        let rows = sql.bind(u64::try_from(MAX_OWN).unwrap_or(u64::MAX)).all(connection).await?;
        rows.iter().map(|row| number(row, 0)).collect()
    }

    async fn rows(
        &self,
        connection: &mut MySqlConnection,
        from: &Place,
        own: &[u64],
        bound: Option<u64>,
        limit: usize,
    ) -> Run<Vec<sqlx::mysql::MySqlRow>> {
        let mut sql = Sql::new(format!(
            "SELECT {ENTRY}, r.type, r.id FROM fastsync_records AS r FORCE INDEX (fastsync_feed) WHERE "
        ));
        self.after(&mut sql, from);
        if let Some(bound) = bound {
            sql.push(" AND r.position <= ").push_bind(bound);
        }
        if !own.is_empty() {
            sql.push(" AND r.position NOT IN (");
            for (at, position) in own.iter().enumerate() {
                sql.push(if at == 0 { "" } else { ", " }).push_bind(*position);
            }
            sql.push(")");
        }
        sql.push(" ORDER BY r.position, r.type, r.id LIMIT ")
            .push_bind(u64::try_from(limit).unwrap_or(u64::MAX));
        sql.all(connection).await
    }

    /// The entries of the asked types after a place.
    fn after(&self, sql: &mut Sql, from: &Place) {
        sql.push("r.zone = ").push_bind(self.zone);
        match &from.within {
            None => drop(sql.push(" AND r.position > ").push_bind(from.position)),
            Some((kind, id)) => {
                sql.push(" AND (r.position > ").push_bind(from.position);
                sql.push(" OR (r.position = ")
                    .push_bind(from.position)
                    .push(" AND r.type > ")
                    .push_bind(*kind);
                sql.push(") OR (r.position = ")
                    .push_bind(from.position)
                    .push(" AND r.type = ")
                    .push_bind(*kind);
                sql.push(" AND r.id > ").push_bind(id.as_str()).push("))");
            }
        }
        if let Some(types) = &self.types {
            sql.push(" AND r.type IN (0");
            for n in types {
                sql.push(", ").push_bind(*n);
            }
            sql.push(")");
        }
    }

    /// How many entries follow; own pushes are counted with them.
    async fn remaining(&self, connection: &mut MySqlConnection, last: &Place) -> Run<u64> {
        let mut sql =
            Sql::new("SELECT COUNT(*) FROM fastsync_records AS r FORCE INDEX (fastsync_feed) WHERE ");
        self.after(&mut sql, last);
        let row = sql.first(connection).await?;
        row.map_or(Ok(0), |row| number(&row, 0))
    }
}

pub(crate) const OWN: &str = "SELECT position FROM fastsync_positions FORCE INDEX (fastsync_own) \
     WHERE zone = ? AND device = ? AND position >= ? AND number BETWEEN 1 AND ? ORDER BY position LIMIT ?";

pub(crate) const PURGE: &str = "DELETE r, t FROM fastsync_tombstones AS t STRAIGHT_JOIN fastsync_records AS r \
     ON r.zone = t.zone AND r.type = t.type AND r.id = t.id \
     WHERE t.zone = ? AND t.position <= ? AND r.`change` = 0";

pub(crate) async fn purge(store: &Store, zone: &Zone, through: Position) -> Run<u64> {
    let mut transaction = store.write().await?;
    let removed = purge_in(store, &mut transaction, zone, through).await?;
    transaction.commit().await?;
    Ok(removed)
}

async fn purge_in(
    store: &Store,
    connection: &mut MySqlConnection,
    zone: &Zone,
    through: Position,
) -> Run<u64> {
    let Some(zone) = store.zone(connection, zone).await? else { return Ok(0) };
    let sql = Sql::new("SELECT head FROM fastsync_zones WHERE n = ? FOR UPDATE").bind(zone);
    let head = sql.first(connection).await?.map_or(Ok(0), |row| number(&row, 0))?;
    let through = through.0.min(head);
    if through == 0 {
        return Ok(0);
    }
    let update = "UPDATE fastsync_zones SET horizon = GREATEST(horizon, ?) WHERE n = ?";
    Sql::new(update).bind(through).bind(zone).execute(connection).await?;
    // A deletion that waits to be pushed is not finished with. Each tombstone is two rows.
    Ok(Sql::new(PURGE).bind(zone).bind(through).execute(connection).await?.rows_affected() / 2)
}
