//! The history of a zone: pages of changes, the head, and the purge of tombstones.
//!
//! An index row has the position of the session that wrote it last, so a page is one walk over one index by
//! (position, type, id), and costs the same however long the history is.

use fastsync_core::source::rules::{Reading, ZoneState};
use fastsync_core::source::{Changes, ChangesPage, ChangesRequest, Head, Point};
use fastsync_core::{ObjectId, Position, Record, RecordKey, Tag, TypeName, Zone};

use crate::sql::driver::{Access, Database, Link, Row as _};
use crate::sql::entry::devices;
use crate::sql::fail::{Fail, Run};
use crate::sql::statement::{Name, Sql};
use crate::sql::store::Store;
use crate::sql::walk::{Found, Place, Walk};

/// A zone's number and state.
type NumberedZone = (u64, ZoneState);

pub(crate) async fn changes<D: Database>(store: &Store<D>, request: &ChangesRequest) -> Run<Changes> {
    let mut snapshot = store.begin(Access::Snapshot).await?;
    let changes = changes_in(store, &mut snapshot, request).await;
    Store::<D>::have_read(snapshot, changes).await
}

async fn changes_in<D: Database>(
    store: &Store<D>,
    link: &mut D::Link,
    request: &ChangesRequest,
) -> Run<Changes> {
    let types = match &request.types {
        Some(names) => Some(numbers(store, link, names).await?),
        None => None,
    };
    let within = match request.after.within() {
        Some((name, id)) => Some((store.kind(link, name).await?.n, id.clone())),
        None => None,
    };
    let zone = zone_row(link, &request.zone).await?;
    let (n, state) = zone.unwrap_or((0, ZoneState::EMPTY));
    let found = tag_at(link, n, state.head, request.after.position()).await?;
    let reading = match state.admit(request, found) {
        Ok(reading) => reading,
        Err(reason) => return Ok(Changes::ResetRequired(reason)),
    };
    if zone.is_none() || request.after.position() == reading.head.position && within.is_none() {
        return Ok(Changes::Page(reading.last_page(Vec::new())));
    }
    let walk = Walk { store, request, dialect: link.dialect(), zone: n, types };
    if request.after.loading() {
        return load(&walk, link, within, reading).await.map(Changes::Page);
    }
    let place = Place { position: request.after.position().0, within };
    let (found, next) = walk.collect(link, place).await?;
    let (Some(last), Some(next)) = (found.last(), next) else {
        let records = records(store, link, &request.zone, found).await?;
        return Ok(Changes::Page(reading.last_page(records)));
    };
    let position = Position(last.entry.position);
    let tag = tag_at(link, n, state.head, position).await?;
    let tag = tag.ok_or_else(|| Fail::corrupt("a record in the feed has a position that nobody took"))?;
    let place = Place { position: position.0, within: Some((last.kind.n, last.id.clone())) };
    let same_session = next == last.entry.position;
    let within = same_session.then(|| (last.kind.schema.name().clone(), last.id.clone()));
    let remaining = if reading.counts { Some(walk.remaining(link, &place).await?) } else { None };
    let next = Point { position, tag, within, ..Point::START };
    let records = records(store, link, &request.zone, found).await?;
    Ok(Changes::Page(reading.page(records, next, remaining)))
}

/// The next page of a load, which began at a head that may have moved since.
async fn load<D: Database>(
    walk: &Walk<'_, D>,
    link: &mut D::Link,
    within: Option<(u64, ObjectId)>,
    reading: Reading,
) -> Run<ChangesPage> {
    let zone = &walk.request.zone;
    let begin = reading.load_began;
    let (found, is_cut) = walk.load(link, within).await?;
    let last = found.last().filter(|_| is_cut);
    let within = last.map(|last| (last.kind.schema.name().clone(), last.id.clone()));
    let remaining = match last {
        Some(last) if reading.counts => walk.left_to_load(link, last).await?,
        None if begin != reading.head => {
            walk.remaining(link, &Place { position: begin.position.0, within: None }).await?
        }
        _ => 0,
    };
    let records = records(walk.store, link, zone, found).await?;
    if !is_cut && remaining == 0 {
        return Ok(reading.last_page(records));
    }
    let next = Point { within, loading: is_cut, ..Point::at(begin) };
    Ok(reading.page(records, next, reading.counts.then_some(remaining)))
}

/// The records of a page; live ones whose row is not there are left out.
async fn records<D: Database>(
    store: &Store<D>,
    link: &mut D::Link,
    zone: &Zone,
    found: Vec<Found>,
) -> Run<Vec<Record>> {
    let devices = devices(store, link, found.iter().map(|found| &found.entry)).await?;
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

async fn numbers<D: Database>(store: &Store<D>, link: &mut D::Link, names: &[TypeName]) -> Run<Vec<u64>> {
    let mut numbers = Vec::with_capacity(names.len());
    for name in names {
        numbers.push(store.kind(link, name).await?.n);
    }
    Ok(numbers)
}

async fn zone_row<L: Link>(link: &mut L, zone: &Zone) -> Run<Option<NumberedZone>> {
    let sql = Sql::new("SELECT n, head, tag, horizon FROM fastsync_zones WHERE name = ?");
    let Some(row) = sql.bind(Name(&zone.to_string())).first(link).await? else { return Ok(None) };
    let head = Head { position: Position(row.number(1)?), tag: Tag(row.number(2)?) };
    Ok(Some((row.number(0)?, ZoneState { head, horizon: Position(row.number(3)?) })))
}

/// The tag of the session at a position; none if there is no such position.
async fn tag_at<L: Link>(link: &mut L, zone: u64, head: Head, position: Position) -> Run<Option<Tag>> {
    if !head.looks_up(position) {
        return Ok(head.tag_at(position, None));
    }
    let sql = Sql::new("SELECT tag FROM fastsync_positions WHERE zone = ? AND position = ?");
    let row = sql.bind(zone).bind(position.0).first(link).await?;
    row.map(|row| Ok(Tag(row.number(0)?))).transpose()
}

pub(crate) async fn purge<D: Database>(store: &Store<D>, zone: &Zone, through: Position) -> Run<u64> {
    let mut link = store.begin(Access::Write).await?;
    let removed = purge_in(store, &mut link, zone, through).await;
    Store::<D>::have_written(link, removed).await
}

async fn purge_in<D: Database>(
    store: &Store<D>,
    link: &mut D::Link,
    zone: &Zone,
    through: Position,
) -> Run<u64> {
    let Some(zone) = store.zone(link, zone).await? else { return Ok(0) };
    // Heads only rise, and the update locks the row.
    let sql = Sql::new("SELECT head FROM fastsync_zones WHERE n = ?").bind(zone);
    let head = sql.count(link).await?;
    let through = through.0.min(head);
    if through == 0 {
        return Ok(0);
    }
    let update = "UPDATE fastsync_zones SET horizon = GREATEST(horizon, ?) WHERE n = ?";
    Sql::new(update).bind(through).bind(zone).execute(link).await?;
    // A deletion that waits to be pushed is not finished with.
    let forms = &link.dialect().forms;
    let removed = Sql::new(forms.purge).bind(zone).bind(through).execute(link).await?.rows;
    Ok(removed.checked_div(forms.rows_per_purged).unwrap_or(removed))
}
