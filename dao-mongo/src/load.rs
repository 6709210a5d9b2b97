//! The first reading of a zone by type and id: the order of the collections, so that neighbours are read together.

use fastsync_core::source::rules::Room;
use fastsync_core::source::{ChangesPage, Point};
use fastsync_core::{ObjectId, Zone};
use mongodb::bson::{Bson, Document, RawDocument, doc};

use crate::codec::capped_len;
use crate::command::{BATCH, RECORDS, raw};
use crate::error::Run;
use crate::records::{Access, Found, records};
use crate::tx::Tx;
use crate::walk::Walk;

/// The record that a load gave last.
type Place = (i32, ObjectId);

impl Walk<'_> {
    /// The next page of a load.
    pub(crate) async fn load(&self, tx: &mut Tx<'_>, within: Option<Place>) -> Run<ChangesPage> {
        let begin = self.reading.load_began;
        let (found, is_cut) = self.next_rows(tx, within.as_ref()).await?;
        let last = found.last().filter(|_| is_cut).map(|last| (last.n, last.id.clone()));
        let remaining = match &last {
            Some(last) if self.reading.counts => self.left_to_load(tx, last).await?,
            None if begin != self.reading.head => {
                self.remaining(tx, begin.position.next().0, i32::MIN, "").await?
            }
            _ => 0,
        };
        let within = match last {
            Some((n, id)) => Some((tx.store.kind_at(n).await?.schema.name().clone(), id)),
            None => None,
        };
        let records = records(tx, found, Access::ByRange).await?;
        if !is_cut && remaining == 0 {
            return Ok(self.reading.last_page(records));
        }
        let next = Point { within, loading: is_cut, ..Point::at(begin) };
        Ok(self.reading.page(records, next, self.reading.counts.then_some(remaining)))
    }

    /// The rows of the page, and whether more follow.
    async fn next_rows(&self, tx: &mut Tx<'_>, after: Option<&Place>) -> Run<(Vec<Found>, bool)> {
        let limit = self.request.limits.records.max(1);
        let command = query(&self.request.zone, self.types.as_deref(), after, limit.saturating_add(1));
        let mut found = Vec::new();
        let (mut room, mut is_cut) = (Room::new(self.request.limits), false);
        let take = &mut |document: &RawDocument| {
            let row = Found::read(document)?;
            is_cut |= !room.takes(row.row.size());
            if !is_cut {
                found.push(row);
            }
            Ok(())
        };
        tx.each(raw(&command)?, take).await?;
        Ok((found, is_cut))
    }

    async fn left_to_load(&self, tx: &mut Tx<'_>, last: &Place) -> Run<u64> {
        let filter = filter(&self.request.zone, self.types.as_deref(), Some(last));
        self.count(tx, filter, doc! { "_id": 1 }.into()).await
    }
}

fn filter(zone: &Zone, types: Option<&[i32]>, after: Option<&Place>) -> Document {
    let zone = zone.to_string();
    // A key is below every longer one that begins as it does.
    let low = match after {
        Some((n, id)) => doc! { "zone": &zone, "type": *n, "id": id.as_str() },
        None => doc! { "zone": &zone },
    };
    let high = doc! { "zone": &zone, "type": Bson::MaxKey };
    let mut filter = doc! { "_id": { "$gt": low, "$lt": high }, "position": { "$gt": 0_i64 } };
    if let Some(types) = types {
        filter.insert("_id.type", doc! { "$in": types.to_vec() });
    }
    filter
}

fn query(zone: &Zone, types: Option<&[i32]>, after: Option<&Place>, limit: usize) -> Document {
    doc! {
        "find": RECORDS, "filter": filter(zone, types, after), "sort": { "_id": 1 }, "hint": { "_id": 1 },
        "limit": capped_len(limit), "batchSize": BATCH,
    }
}

/// A page in the middle, for the test of its plan.
#[cfg(test)]
pub(crate) fn load_middle(zone: &Zone) -> Document {
    query(zone, None, Some(&(0, ObjectId::from(uuid::Uuid::nil()))), 100)
}
