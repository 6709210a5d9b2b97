//! The history of a zone: pages of changes, the head, and the purge of tombstones.
//!
//! An index row has the position of the session that wrote it last, so a page is one walk over one index by
//! (position, type, id), and costs the same however long the history is.

use fastsync_core::source::{Changes, ChangesPage, ChangesRequest, Head, Point, ResetReason};
use fastsync_core::{ObjectId, Position, Record, RecordKey, Tag, TypeName, Zone};
use sqlx::MySqlConnection;

use crate::codec::devices;
use crate::error::{Fail, Run};
use crate::sql::{Sql, number};
use crate::store::Store;
use crate::walk::{Found, Place, Walk};

/// A zone as its row has it.
struct ZoneRow {
    n: u64,
    head: Head,
    horizon: u64,
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
    if request.after.position == zone.head.position && within.is_none() {
        return Ok(Changes::Page(last_page(zone.head, horizon, request.count_remaining)));
    }
    let walk = Walk { store, request, zone: zone.n, types };
    if request.after.loading {
        return load(&walk, connection, within, zone.head, horizon).await.map(Changes::Page);
    }
    let place = Place { position: request.after.position.0, within };
    let (found, next) = walk.collect(connection, place).await?;
    let (Some(last), Some(next)) = (found.last(), next) else {
        let page = last_page(zone.head, horizon, request.count_remaining);
        let records = records(store, connection, &request.zone, found).await?;
        return Ok(Changes::Page(ChangesPage { records, ..page }));
    };
    let position = Position(last.entry.position);
    let tag = tag_at(connection, zone.n, position).await?;
    let tag = tag.ok_or_else(|| Fail::corrupt("a record in the feed has a position that nobody took"))?;
    let place = Place { position: position.0, within: Some((last.kind.n, last.id.clone())) };
    let same_session = next == last.entry.position;
    let within = same_session.then(|| (last.kind.schema.name().clone(), last.id.clone()));
    let remaining =
        if request.count_remaining { Some(walk.remaining(connection, &place).await?) } else { None };
    let next = Point { position, tag, within, horizon, loading: false };
    let records = records(store, connection, &request.zone, found).await?;
    Ok(Changes::Page(ChangesPage { records, next, head: zone.head, caught_up: false, remaining }))
}

/// The next page of a load, which began at a head that may have moved since.
async fn load(
    walk: &Walk<'_>,
    connection: &mut MySqlConnection,
    within: Option<(u64, ObjectId)>,
    head: Head,
    horizon: Position,
) -> Run<ChangesPage> {
    let ChangesRequest { zone, after, count_remaining, .. } = walk.request;
    let begin = after.load_began(head);
    let (found, is_cut) = walk.load(connection, within).await?;
    let last = found.last().filter(|_| is_cut);
    let within = last.map(|last| (last.kind.schema.name().clone(), last.id.clone()));
    let remaining = match last {
        Some(last) if *count_remaining => walk.left_to_load(connection, last).await?,
        None if begin != head => {
            walk.remaining(connection, &Place { position: begin.position.0, within: None }).await?
        }
        _ => 0,
    };
    let records = records(walk.store, connection, zone, found).await?;
    if !is_cut && remaining == 0 {
        return Ok(ChangesPage { records, ..last_page(head, horizon, *count_remaining) });
    }
    let next = Point { within, loading: is_cut, horizon, ..Point::at(begin) };
    let remaining = count_remaining.then_some(remaining);
    Ok(ChangesPage { records, next, head, caught_up: false, remaining })
}

/// The records of a page; live ones whose row is not there are left out.
async fn records(
    store: &Store,
    connection: &mut MySqlConnection,
    zone: &Zone,
    found: Vec<Found>,
) -> Run<Vec<Record>> {
    let devices = devices(store, connection, found.iter().map(|found| &found.entry)).await?;
    let mut records = Vec::with_capacity(found.len());
    for Found { kind, id, entry, body } in found {
        if body.is_none() && !entry.deleted {
            continue;
        }
        let key = RecordKey { zone: zone.clone(), type_name: kind.schema.name().clone(), id };
        records.push(entry.into_record(key, body, &devices)?);
    }
    Ok(records)
}

pub(crate) async fn point(store: &Store, zone: &Zone, position: Position) -> Run<Option<Point>> {
    if position == Position::START {
        return Ok(Some(Point::START));
    }
    let mut connection = store.pool.acquire().await?;
    let Some(zone) = zone_row(&mut connection, zone).await? else { return Ok(None) };
    let tag = tag_at(&mut connection, zone.n, position).await?;
    Ok(tag.map(|tag| Point { position, tag, horizon: Position(zone.horizon), ..Point::START }))
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
    Ok((after.seen().0 < zone.horizon && after.horizon.0 != zone.horizon).then_some(ResetReason::Horizon))
}

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
    // Heads only rise, and the update locks the row.
    let sql = Sql::new("SELECT head FROM fastsync_zones WHERE n = ?").bind(zone);
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
