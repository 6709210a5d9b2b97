//! The history of a zone: pages of changes, the head, and the purge of tombstones.
//!
//! Every index row of a positioned record names its position, so the feed is one walk over one index by
//! `(zone, position, type, id)`.

use std::collections::HashSet;

use fastsync_core::source::rules::{Reading, Room, ZoneState};
use fastsync_core::source::{Changes, ChangesPage, ChangesRequest, Head, Point, SkipOwn};
use fastsync_core::{DeviceId, Position, Tag, Zone};
use mongodb::ClientSession;
use mongodb::bson::{Bson, Document, RawBsonRef, doc};
use mongodb::options::{Hint, ReturnDocument};

use crate::codec::{Entry, capped, read_uuid, signed, unsigned};
use crate::error::{Fail, Run};
use crate::read::{Access, Found, records};
use crate::store::{BATCH, RECORDS, SESSIONS, Store, ZONES, raw, whole};
use crate::upgrade::feed_index;

async fn zone_state(store: &Store, session: &mut ClientSession, zone: &Zone) -> Run<ZoneState> {
    let command = doc! { "find": ZONES, "filter": { "_id": zone.to_string() } };
    let mut state = ZoneState::EMPTY;
    store
        .each(session, raw(&command)?, &mut |document| {
            state.head.position = Position(unsigned(document.get_i64("head")?));
            state.head.tag = Tag(unsigned(document.get_i64("tag")?));
            state.horizon = Position(unsigned(document.get_i64("horizon")?));
            Ok(())
        })
        .await?;
    Ok(state)
}

/// Where a walk over the feed stands: the least key of the index that was not delivered.
#[derive(Debug, Clone)]
struct Place {
    position: i64,
    n: Bson,
    id: Bson,
}

impl Place {
    const fn at(position: i64) -> Self {
        Self { position, n: Bson::MinKey, id: Bson::MinKey }
    }

    fn behind(position: u64, n: i32, id: &str) -> Self {
        // No text lies between an id and the same with NUL behind it.
        Self { position: signed(position), n: Bson::Int32(n), id: Bson::String(format!("{id}\0")) }
    }
}

pub(crate) async fn changes(store: &Store, request: &ChangesRequest) -> Run<Changes> {
    let types = match &request.types {
        Some(names) => Some(names.iter().map(|name| Ok(store.kind(name)?.n)).collect::<Run<Vec<i32>>>()?),
        None => None,
    };
    let after = &request.after;
    let within = match after.within() {
        Some((name, id)) => Some((store.kind(name)?.n, id.clone())),
        None => None,
    };
    let session = &mut store.snapshot().await?;
    let zone = zone_state(store, session, &request.zone).await?;
    let found = tag(store, session, &request.zone, zone.head, after.position()).await?;
    let reading = match zone.admit(request, found) {
        Ok(reading) => reading,
        Err(reason) => return Ok(Changes::ResetRequired(reason)),
    };
    let walk = Walk { store, request, types, reading };
    if after.loading() {
        return walk.load(session, within).await.map(Changes::Page);
    }
    let place = match within {
        Some((n, id)) => Place::behind(after.position().0, n, id.as_str()),
        None => Place::at(capped(after.position().0).saturating_add(1)),
    };
    walk.page(session, place).await.map(Changes::Page)
}

/// The tag of the session at a position; `None` if there is no such position.
async fn tag(
    store: &Store,
    session: &mut ClientSession,
    of: &Zone,
    head: Head,
    position: Position,
) -> Run<Option<Tag>> {
    if !head.looks_up(position) {
        return Ok(head.tag_at(position, None));
    }
    let mut found = None;
    store
        .each(session, raw(&sessions_at(of, &[position.0]))?, &mut |document| {
            found = Some(Tag(unsigned(document.get_i64("tag")?)));
            Ok(())
        })
        .await?;
    Ok(found)
}

/// The sessions of which one position matches.
///
/// The index holds positions above 0 only, and the server does not see by itself that `$elemMatch` asks for none other:
/// without the second condition it reads the whole index.
pub(crate) fn at_positions(place: Document) -> Document {
    doc! { "positions": { "$elemMatch": place }, "positions.position": { "$gt": 0_i64 } }
}

/// Which sessions took these positions.
pub(crate) fn sessions_at(zone: &Zone, positions: &[u64]) -> Document {
    let positions: Vec<_> = positions.iter().map(|position| Bson::Int64(capped(*position))).collect();
    let place = doc! { "zone": zone.to_string(), "position": { "$in": positions } };
    doc! {
        "find": SESSIONS,
        "filter": at_positions(place),
        "hint": "positions",
        "batchSize": BATCH,
    }
}

/// One call's walk over the feed of a zone.
pub(crate) struct Walk<'a> {
    pub(crate) store: &'a Store,
    pub(crate) request: &'a ChangesRequest,
    pub(crate) types: Option<Vec<i32>>,
    pub(crate) reading: Reading,
}

/// What a walk has collected.
#[derive(Default)]
struct Collected {
    found: Vec<Found>,
    /// Whether a record that did not fit follows, and whether it is of the same session as the last one.
    more: Option<bool>,
}

impl Walk<'_> {
    async fn page(&self, session: &mut ClientSession, start: Place) -> Run<ChangesPage> {
        let collected = self.collect(session, start).await?;
        let last = collected.found.last().map(|last| (last.row.position, last.n, last.id.clone()));
        let (next, remaining) = match (collected.more, last) {
            (Some(same_session), Some((position, n, id))) => {
                let remaining = match self.reading.counts {
                    true => Some(self.remaining(session, position, n, id.as_str()).await?),
                    false => None,
                };
                let position = Position(position);
                let tag = tag(self.store, session, &self.request.zone, self.reading.head, position).await?;
                let tag = tag.ok_or_else(|| Fail::corrupt("a record has a position that no session took"))?;
                let name = self.store.kind_at(n).await?.schema.name().clone();
                let within = same_session.then_some((name, id));
                (Some(Point { position, tag, within, ..Point::START }), remaining)
            }
            _ => (None, None),
        };
        let records = records(self.store, session, collected.found, Access::ByKey).await?;
        Ok(match next {
            Some(next) => self.reading.page(records, next, remaining),
            None => self.reading.last_page(records),
        })
    }

    /// The rows of the page. Their sizes are in the index, so no body is read that the page has no room for.
    async fn collect(&self, session: &mut ClientSession, mut from: Place) -> Run<Collected> {
        let limit = self.request.limits.records.max(1);
        let mut room = Room::new(self.request.limits);
        let mut page = Collected::default();
        loop {
            let wanted = limit.saturating_sub(page.found.len()).saturating_add(1);
            let rows = self.rows(session, &from, wanted).await?;
            let is_end = rows.len() < wanted;
            let own = self.own_positions(session, &rows).await?;
            if let Some(last) = rows.last() {
                from = if own.contains(&last.row.position) {
                    Place::at(signed(last.row.position).saturating_add(1))
                } else {
                    Place::behind(last.row.position, last.n, last.id.as_str())
                };
            }
            for row in rows.into_iter().filter(|row| !own.contains(&row.row.position)) {
                if !room.takes(row.row.size()) {
                    page.more = page.found.last().map(|last| last.row.position == row.row.position);
                    return Ok(page);
                }
                page.found.push(row);
            }
            if is_end {
                return Ok(page);
            }
        }
    }

    async fn rows(&self, session: &mut ClientSession, from: &Place, limit: usize) -> Run<Vec<Found>> {
        let command = feed_query(&self.request.zone, self.types.as_deref(), from, limit);
        let mut rows = Vec::new();
        self.store
            .each(session, raw(&command)?, &mut |document| {
                rows.push(Found::new(&Entry::read(document)?, self.request.zone.clone())?);
                Ok(())
            })
            .await?;
        Ok(rows)
    }

    /// Which of the positions are pushes that the reader made itself.
    async fn own_positions(&self, session: &mut ClientSession, rows: &[Found]) -> Run<HashSet<u64>> {
        let Some(own) = self.request.skip_own else { return Ok(HashSet::new()) };
        let mut positions: Vec<_> = rows.iter().map(|row| row.row.position).collect();
        positions.dedup();
        let mut found = HashSet::new();
        if positions.is_empty() {
            return Ok(found);
        }
        let zone = self.request.zone.to_string();
        self.store
            .each(session, raw(&sessions_at(&self.request.zone, &positions))?, &mut |document| {
                if !is_own(document, own)? {
                    return Ok(());
                }
                for place in document.get_array("positions")? {
                    let RawBsonRef::Document(place) = place? else { continue };
                    if place.get_str("zone")? == zone {
                        found.insert(unsigned(place.get_i64("position")?));
                    }
                }
                Ok(())
            })
            .await?;
        Ok(found)
    }

    /// How many entries follow; own pushes are counted with them.
    pub(crate) async fn remaining(
        &self,
        session: &mut ClientSession,
        position: u64,
        n: i32,
        id: &str,
    ) -> Run<u64> {
        let position = signed(position);
        let mut filter = doc! {
            "_id.zone": self.request.zone.to_string(),
            "position": { "$gte": position },
            "$or": [
                { "position": { "$gt": position } },
                { "_id.type": { "$gt": n } },
                { "_id.type": n, "_id.id": { "$gt": id } },
            ],
        };
        if let Some(types) = &self.types {
            filter.insert("_id.type", doc! { "$in": types.clone() });
        }
        self.count(session, filter, "feed".into()).await
    }

    /// How many rows of the index match; `hint` says by which of its own indexes they are found.
    pub(crate) async fn count(&self, session: &mut ClientSession, filter: Document, hint: Bson) -> Run<u64> {
        let counting = doc! {
            "aggregate": RECORDS, "pipeline": [{ "$match": filter }, { "$count": "count" }], "cursor": {},
            "hint": hint,
        };
        let mut count = 0;
        self.store
            .each(session, raw(&counting)?, &mut |document| {
                count = unsigned(
                    document.get_i32("count").map_or_else(|_| document.get_i64("count"), |n| Ok(n.into()))?,
                );
                Ok(())
            })
            .await?;
        Ok(count)
    }
}

fn is_own(document: &mongodb::bson::RawDocument, own: SkipOwn) -> Run<bool> {
    let device = DeviceId::from_uuid(read_uuid(document.get_binary("device")?)?);
    let number = unsigned(document.get_i64("number")?);
    Ok(own.covers(device, number))
}

/// The next rows of a zone's feed from a key of the index on.
fn feed_query(zone: &Zone, types: Option<&[i32]>, from: &Place, limit: usize) -> Document {
    let zone = zone.to_string();
    let mut filter = doc! { "_id.zone": &zone, "position": { "$gt": 0_i64 } };
    if let Some(types) = types {
        filter.insert("_id.type", doc! { "$in": types.to_vec() });
    }
    let low = doc! {
        "_id.zone": &zone, "position": from.position, "_id.type": from.n.clone(), "_id.id": from.id.clone(),
    };
    let high = doc! {
        "_id.zone": &zone, "position": Bson::MaxKey, "_id.type": Bson::MinKey, "_id.id": Bson::MinKey,
    };
    doc! {
        "find": RECORDS, "filter": filter, "sort": feed_index(), "hint": "feed", "min": low, "max": high,
        "limit": crate::codec::capped_len(limit), "batchSize": BATCH,
    }
}

/// The feed from the beginning, for the test of its plan.
#[cfg(test)]
pub(crate) fn feed_start(zone: &Zone) -> Document {
    feed_query(zone, None, &Place::behind(1, 0, "a"), 100)
}

/// The tombstones that a purge removes. One that waits to be pushed is not finished with.
pub(crate) fn purged(zone: &Zone, through: i64) -> Document {
    doc! {
        "_id.zone": zone.to_string(), "position": { "$gt": 0_i64, "$lte": through },
        "deleted": true, "change": { "$exists": false },
    }
}

pub(crate) async fn purge(store: &Store, zone: &Zone, through: Position) -> Run<u64> {
    let through = capped(through.0);
    // The horizon moves first: who finds a tombstone gone finds the horizon beyond it.
    let reached = doc! { "$min": ["$head", through] };
    let zones = store.database.collection::<Document>(ZONES);
    let moved = zones
        .find_one_and_update(
            doc! { "_id": zone.to_string() },
            vec![doc! { "$set": { "horizon": { "$max": ["$horizon", reached] } } }],
        )
        .return_document(ReturnDocument::After)
        .await?;
    let Some(moved) = moved else { return Ok(0) };
    let through = through.min(whole(moved.get("head")).unwrap_or(0));
    let rows = store.collection(RECORDS);
    let deleting = rows.delete_many(purged(zone, through));
    Ok(deleting.hint(Hint::Name("tombstones".to_owned())).await?.deleted_count)
}
