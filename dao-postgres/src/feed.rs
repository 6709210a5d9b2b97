//! The history of a zone: pages of changes, the head, and the purge of tombstones.
//!
//! An index row has the position of the session that wrote it last, so a page is one walk over one index by
//! (position, type, id), and costs the same however long the history is.

use fastsync_core::source::rules::{Reading, ZoneState};
use fastsync_core::source::{Changes, ChangesPage, ChangesRequest, Head, Point};
use fastsync_core::{ObjectId, Position, Record, RecordKey, Tag, TypeName, Zone};
use fastsync_dao_kit::sql::{Fail, Run};
use sqlx::PgConnection;

use crate::codec::devices;
use crate::error::failed;
use crate::sql::number;
use crate::store::Store;
use crate::walk::{Found, Place, Walk};

/// A zone's number and state.
type NumberedZone = (u64, ZoneState);

pub(crate) async fn changes(store: &Store, request: &ChangesRequest) -> Run<Changes> {
    let mut snapshot = store.read().await?;
    let changes = changes_in(store, &mut snapshot, request).await;
    snapshot.rollback().await.map_err(failed)?;
    changes
}

async fn changes_in(store: &Store, connection: &mut PgConnection, request: &ChangesRequest) -> Run<Changes> {
    let types = match &request.types {
        Some(names) => Some(numbers(store, connection, names).await?),
        None => None,
    };
    let within = match request.after.within() {
        Some((name, id)) => Some((store.kind(connection, name).await?.n, id.clone())),
        None => None,
    };
    let zone = zone_row(store, connection, &request.zone).await?;
    let (n, state) = zone.unwrap_or((0, ZoneState::EMPTY));
    let found = tag_at(store, connection, n, state.head, request.after.position()).await?;
    let reading = match state.admit(request, found) {
        Ok(reading) => reading,
        Err(reason) => return Ok(Changes::ResetRequired(reason)),
    };
    if zone.is_none() || request.after.position() == reading.head.position && within.is_none() {
        return Ok(Changes::Page(reading.last_page(Vec::new())));
    }
    let walk = Walk { store, request, zone: n, types };
    if request.after.loading() {
        return load(&walk, connection, within, reading).await.map(Changes::Page);
    }
    let place = Place { position: request.after.position().0, within };
    let (found, next) = walk.collect(connection, place).await?;
    let (Some(last), Some(next)) = (found.last(), next) else {
        let records = records(store, connection, &request.zone, found).await?;
        return Ok(Changes::Page(reading.last_page(records)));
    };
    let position = Position(last.entry.position);
    let tag = tag_at(store, connection, n, state.head, position).await?;
    let tag = tag.ok_or_else(|| Fail::corrupt("a record in the feed has a position that nobody took"))?;
    let place = Place { position: position.0, within: Some((last.kind.n, last.id.clone())) };
    let same_session = next == last.entry.position;
    let within = same_session.then(|| (last.kind.schema.name().clone(), last.id.clone()));
    let remaining = if reading.counts { Some(walk.remaining(connection, &place).await?) } else { None };
    let next = Point { position, tag, within, ..Point::START };
    let records = records(store, connection, &request.zone, found).await?;
    Ok(Changes::Page(reading.page(records, next, remaining)))
}

/// The next page of a load, which began at a head that may have moved since.
async fn load(
    walk: &Walk<'_>,
    connection: &mut PgConnection,
    within: Option<(u64, ObjectId)>,
    reading: Reading,
) -> Run<ChangesPage> {
    let zone = &walk.request.zone;
    let begin = reading.load_began;
    let (found, is_cut) = walk.load(connection, within).await?;
    let last = found.last().filter(|_| is_cut);
    let within = last.map(|last| (last.kind.schema.name().clone(), last.id.clone()));
    let remaining = match last {
        Some(last) if reading.counts => walk.left_to_load(connection, last).await?,
        None if begin != reading.head => {
            walk.remaining(connection, &Place { position: begin.position.0, within: None }).await?
        }
        _ => 0,
    };
    let records = records(walk.store, connection, zone, found).await?;
    if !is_cut && remaining == 0 {
        return Ok(reading.last_page(records));
    }
    let next = Point { within, loading: is_cut, ..Point::at(begin) };
    Ok(reading.page(records, next, reading.counts.then_some(remaining)))
}

/// The records of a page; live ones whose row is not there are left out.
async fn records(
    store: &Store,
    connection: &mut PgConnection,
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

async fn numbers(store: &Store, connection: &mut PgConnection, names: &[TypeName]) -> Run<Vec<u64>> {
    let mut numbers = Vec::with_capacity(names.len());
    for name in names {
        numbers.push(store.kind(connection, name).await?.n);
    }
    Ok(numbers)
}

async fn zone_row(store: &Store, connection: &mut PgConnection, zone: &Zone) -> Run<Option<NumberedZone>> {
    let sql = store.schema.sql("SELECT n, head, tag, horizon FROM @zones WHERE name = ?");
    let Some(row) = sql.bind(zone.to_string()).first(connection).await? else { return Ok(None) };
    let head = Head { position: Position(number(&row, 1)?), tag: Tag(number(&row, 2)?) };
    Ok(Some((number(&row, 0)?, ZoneState { head, horizon: Position(number(&row, 3)?) })))
}

/// The tag of the session at a position; none if there is no such position.
async fn tag_at(
    store: &Store,
    connection: &mut PgConnection,
    zone: u64,
    head: Head,
    position: Position,
) -> Run<Option<Tag>> {
    if !head.looks_up(position) {
        return Ok(head.tag_at(position, None));
    }
    let sql = store.schema.sql("SELECT tag FROM @positions WHERE zone = ? AND position = ?");
    let row = sql.bind(zone).bind(position.0).first(connection).await?;
    row.map(|row| Ok(Tag(number(&row, 0)?))).transpose()
}

// A deletion that waits to be pushed is not finished with.
pub(crate) const PURGE: &str = "DELETE FROM @records WHERE zone = ? AND deleted AND position > 0 AND position <= ? \
     AND change = 0";

pub(crate) async fn purge(store: &Store, zone: &Zone, through: Position) -> Run<u64> {
    let mut transaction = store.write().await?;
    let removed = purge_in(store, &mut transaction, zone, through).await?;
    transaction.commit().await.map_err(failed)?;
    Ok(removed)
}

async fn purge_in(store: &Store, connection: &mut PgConnection, zone: &Zone, through: Position) -> Run<u64> {
    let Some(zone) = store.zone(connection, zone).await? else { return Ok(0) };
    // Heads only rise, and the update locks the row.
    let sql = store.schema.sql("SELECT head FROM @zones WHERE n = ?").bind(zone);
    let head = sql.first(connection).await?.map_or(Ok(0), |row| number(&row, 0))?;
    let through = through.0.min(head);
    if through == 0 {
        return Ok(0);
    }
    let update = "UPDATE @zones SET horizon = GREATEST(horizon, ?) WHERE n = ?";
    store.schema.sql(update).bind(through).bind(zone).execute(connection).await?;
    let sql = store.schema.sql(PURGE).bind(zone).bind(through);
    Ok(sql.execute(connection).await?.rows_affected())
}
