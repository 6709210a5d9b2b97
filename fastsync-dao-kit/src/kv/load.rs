//! The first reading of a zone by type and id: the order in which its records lie, so that none is looked up.

use fastsync_core::source::rules::Room;
use fastsync_core::source::{Changes, ChangesRequest, Point};
use fastsync_core::{ObjectId, Record};

use crate::kv::engine::View;
use crate::kv::fail::Run;
use crate::kv::feed::{Walk, after_session, count, place_of};
use crate::kv::key::{self, KindNumber};
use crate::kv::range::Range;
use crate::kv::rows;

impl<V: View> Walk<'_, V> {
    /// The next page of a load; `within` is the last record that was given.
    pub(crate) fn load(&self, within: Option<(KindNumber, &ObjectId)>) -> Run<Changes> {
        let ChangesRequest { zone, limits, .. } = self.request;
        let begin = self.reading.load_began;
        let page = |records, next, remaining| Ok(Changes::Page(self.reading.page(records, next, remaining)));
        let mut records: Vec<Record> = Vec::new();
        let mut room = Room::new(*limits);
        let mut rows = self.positioned(within);
        for record in rows.by_ref() {
            let record = record?;
            if !room.takes(record.approximate_bytes()) {
                let remaining = self.reading.counts.then(|| count(rows, 1)).transpose()?;
                let within = records.last().map(place_of);
                return page(records, Point { within, loading: true, ..Point::at(begin) }, remaining);
            }
            records.push(record);
        }
        let mut meanwhile = self.following(after_session(zone, begin.position));
        if meanwhile.next().transpose()?.is_none() {
            return Ok(Changes::Page(self.reading.last_page(records)));
        }
        let remaining = self.reading.counts.then(|| count(meanwhile, 1)).transpose()?;
        page(records, Point::at(begin), remaining)
    }

    /// The records that positioned commits wrote, by type and id.
    fn positioned(&self, within: Option<(KindNumber, &ObjectId)>) -> impl Iterator<Item = Run<Record>> {
        let zone = &self.request.zone;
        let (from, id) = within.map_or((0, None), |(kind, id)| (kind, Some(id.clone())));
        let kinds = self.registry.from(from).filter(|kind| self.asks_for(kind.n));
        kinds.flat_map(move |kind| {
            let prefix = key::records(zone, kind.n);
            let range = match id.as_ref().filter(|_| kind.n == from) {
                Some(id) => Range::following(prefix.clone(), key::record(zone, kind.n, id)),
                None => Range::prefix(prefix.clone()),
            };
            self.rows.scan(range).filter_map(move |row| {
                let read = || {
                    let (key, value) = row?;
                    if rows::head(value.as_ref())?.0.position == 0 {
                        return Ok(None);
                    }
                    rows::record(kind, zone, key::id_of(&prefix, key.as_ref())?, value.as_ref()).map(Some)
                };
                read().transpose()
            })
        })
    }
}
