//! One call's walk over the feed of a zone, by `(zone, position, type, id)`.

use std::collections::HashSet;

use fastsync_core::source::rules::{Reading, Room};
use fastsync_core::source::{ChangesPage, ChangesRequest, Head, Point};
use fastsync_core::{ObjectId, Position, Tag, Zone};
use mongodb::bson::{Bson, Document, RawDocument, doc};

use crate::audit::{read_device, read_positions, sessions_at};
use crate::codec::{capped_len, signed, unsigned};
use crate::command::{BATCH, RECORDS, raw};
use crate::error::{Fail, Run};
use crate::records::{Access, Found, records};
use crate::tx::Tx;
use crate::upgrade::feed_index;

/// Where a walk over the feed stands: the least key of the index that was not delivered.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    position: i64,
    n: Bson,
    id: Bson,
}

impl Place {
    pub(crate) const fn at(position: i64) -> Self {
        Self { position, n: Bson::MinKey, id: Bson::MinKey }
    }

    pub(crate) fn behind(position: u64, n: i32, id: &ObjectId) -> Self {
        // No text lies between an id and the same with NUL behind it.
        Self { position: signed(position), n: Bson::Int32(n), id: Bson::String(format!("{id}\0")) }
    }
}

/// One call's walk over the feed of a zone.
pub(crate) struct Walk<'a> {
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
    pub(crate) async fn page(&self, tx: &mut Tx<'_>, start: Place) -> Run<ChangesPage> {
        let collected = self.collect(tx, start).await?;
        let last = collected.found.last().map(|last| (last.row.position, last.n, last.id.clone()));
        let (next, remaining) = match (collected.more, last) {
            (Some(same_session), Some((position, n, id))) => {
                let remaining = match self.reading.counts {
                    true => Some(self.remaining(tx, position, n, id.as_str()).await?),
                    false => None,
                };
                let position = Position(position);
                let tag = tag(tx, &self.request.zone, self.reading.head, position).await?;
                let tag = tag.ok_or_else(|| Fail::corrupt("a record has a position that no session took"))?;
                let name = tx.store.kind_at(n).await?.schema.name().clone();
                let within = same_session.then_some((name, id));
                (Some(Point { position, tag, within, ..Point::START }), remaining)
            }
            _ => (None, None),
        };
        let records = records(tx, collected.found, Access::ByKey).await?;
        Ok(match next {
            Some(next) => self.reading.page(records, next, remaining),
            None => self.reading.last_page(records),
        })
    }

    /// The rows of the page. Their sizes are in the index, so no body is read that the page has no room for.
    async fn collect(&self, tx: &mut Tx<'_>, mut from: Place) -> Run<Collected> {
        let limit = self.request.limits.records.max(1);
        let mut room = Room::new(self.request.limits);
        let mut page = Collected::default();
        loop {
            let wanted = limit.saturating_sub(page.found.len()).saturating_add(1);
            let rows = self.rows(tx, &from, wanted).await?;
            let is_end = rows.len() < wanted;
            let own = self.own_positions(tx, &rows).await?;
            if let Some(last) = rows.last() {
                from = if own.contains(&last.row.position) {
                    Place::at(signed(last.row.position).saturating_add(1))
                } else {
                    Place::behind(last.row.position, last.n, &last.id)
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

    async fn rows(&self, tx: &mut Tx<'_>, from: &Place, limit: usize) -> Run<Vec<Found>> {
        let command = feed_query(&self.request.zone, self.types.as_deref(), from, limit);
        tx.all(raw(&command)?, &mut Found::read).await
    }

    /// Which of the positions are pushes that the reader made itself.
    async fn own_positions(&self, tx: &mut Tx<'_>, rows: &[Found]) -> Run<HashSet<u64>> {
        let Some(own) = self.request.skip_own else { return Ok(HashSet::new()) };
        let mut positions: Vec<_> = rows.iter().map(|row| row.row.position).collect();
        positions.dedup();
        if positions.is_empty() {
            return Ok(HashSet::new());
        }
        let zone = &self.request.zone;
        let read = &mut |document: &RawDocument| {
            let (device, number) = read_device(document)?;
            Ok(if own.covers(device, number) { read_positions(document)? } else { Vec::new() })
        };
        let sessions = tx.all(raw(&sessions_at(zone, &positions))?, read).await?;
        let positions = sessions.into_iter().flatten().filter(|(of, _)| of == zone);
        Ok(positions.map(|(_, position)| position.0).collect())
    }

    /// How many entries follow; own pushes are counted with them.
    pub(crate) async fn remaining(&self, tx: &mut Tx<'_>, position: u64, n: i32, id: &str) -> Run<u64> {
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
        self.count(tx, filter, "feed".into()).await
    }

    /// How many rows of the index match; `hint` says by which of its own indexes they are found.
    pub(crate) async fn count(&self, tx: &mut Tx<'_>, filter: Document, hint: Bson) -> Run<u64> {
        let counting = doc! {
            "aggregate": RECORDS, "pipeline": [{ "$match": filter }, { "$count": "count" }], "cursor": {},
            "hint": hint,
        };
        let read = &mut |document: &RawDocument| {
            Ok(document.get_i32("count").map(i64::from).or_else(|_| document.get_i64("count"))?)
        };
        Ok(tx.all(raw(&counting)?, read).await?.pop().map_or(0, unsigned))
    }
}

/// The tag of the session at a position; `None` if there is no such position.
pub(crate) async fn tag(tx: &mut Tx<'_>, of: &Zone, head: Head, position: Position) -> Run<Option<Tag>> {
    if !head.looks_up(position) {
        return Ok(head.tag_at(position, None));
    }
    let command = raw(&sessions_at(of, &[position.0]))?;
    let read = &mut |document: &RawDocument| Ok(Tag(unsigned(document.get_i64("tag")?)));
    Ok(tx.all(command, read).await?.pop())
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
        "limit": capped_len(limit), "batchSize": BATCH,
    }
}

/// The feed from the beginning, for the test of its plan.
#[cfg(test)]
pub(crate) fn feed_start(zone: &Zone) -> Document {
    feed_query(zone, None, &Place::behind(1, 0, &ObjectId::from(uuid::Uuid::nil())), 100)
}
