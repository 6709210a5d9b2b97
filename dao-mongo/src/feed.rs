//! The history of a zone: pages of changes, the head, and the purge of tombstones.
//!
//! Every index row of a positioned record names its position, so the feed is one walk over one index by
//! `(zone, position, type, id)`.

use fastsync_core::source::rules::ZoneState;
use fastsync_core::source::{Changes, ChangesRequest, Head};
use fastsync_core::{Position, Tag, Zone};
use mongodb::bson::{Document, RawDocument, doc};
use mongodb::options::{Hint, ReturnDocument};

use crate::codec::{capped, unsigned};
use crate::command::{RECORDS, ZONES, raw, whole};
use crate::error::{Fail, Run};
use crate::store::Store;
use crate::tx::Tx;
use crate::walk::{Place, Walk, tag};

async fn zone_state(tx: &mut Tx<'_>, zone: &Zone) -> Run<ZoneState> {
    let command = doc! { "find": ZONES, "filter": { "_id": zone.to_string() } };
    let read = &mut |document: &RawDocument| {
        let number = |name| Ok::<_, Fail>(unsigned(document.get_i64(name)?));
        let head = Head { position: Position(number("head")?), tag: Tag(number("tag")?) };
        Ok(ZoneState { head, horizon: Position(number("horizon")?) })
    };
    Ok(tx.all(raw(&command)?, read).await?.pop().unwrap_or(ZoneState::EMPTY))
}

pub(crate) async fn changes(store: &Store, request: &ChangesRequest) -> Run<Changes> {
    let types = match &request.types {
        Some(names) => {
            Some(names.iter().map(|name| Ok(store.types.get(name)?.n)).collect::<Run<Vec<i32>>>()?)
        }
        None => None,
    };
    let after = &request.after;
    let within = match after.within() {
        Some((name, id)) => Some((store.types.get(name)?.n, id.clone())),
        None => None,
    };
    let tx = &mut Tx::snapshot(store).await?;
    let zone = zone_state(tx, &request.zone).await?;
    let found = tag(tx, &request.zone, zone.head, after.position()).await?;
    let reading = match zone.admit(request, found) {
        Ok(reading) => reading,
        Err(reason) => return Ok(Changes::ResetRequired(reason)),
    };
    let walk = Walk { request, types, reading };
    if after.loading() {
        return walk.load(tx, within).await.map(Changes::Page);
    }
    let place = match within {
        Some((n, id)) => Place::behind(after.position().0, n, &id),
        None => Place::at(capped(after.position().0).saturating_add(1)),
    };
    walk.page(tx, place).await.map(Changes::Page)
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
