//! The first reading of a zone by type and id: the order in which its records lie, so that none is looked up.

use fastsync_core::source::{ChangesPage, ChangesRequest, Point};
use fastsync_core::{ObjectId, Position, Record};

use crate::kv::engine::View;
use crate::kv::fail::Run;
use crate::kv::feed::{Walk, after_session};
use crate::kv::key::{self, KindNumber};
use crate::kv::range::Range;
use crate::kv::rows::{self, ZoneRow};

impl<V: View> Walk<'_, V> {
    /// The next page of a load; `within` is the last record that was given.
    pub(crate) fn load(
        &self,
        within: Option<(KindNumber, &ObjectId)>,
        zone: &ZoneRow,
        horizon: Position,
    ) -> Run<ChangesPage> {
        let ChangesRequest { limits, count_remaining, after, .. } = self.request;
        let begin = after.load_began(zone.head());
        let through = Point { horizon, ..Point::at(begin) };
        let page = |records, next, caught_up, remaining: u64| ChangesPage {
            records,
            next,
            head: zone.head(),
            caught_up,
            remaining: count_remaining.then_some(remaining),
        };
        let mut records: Vec<Record> = Vec::new();
        let mut bytes = 0_usize;
        let mut rows = self.positioned(within);
        for record in rows.by_ref() {
            let record = record?;
            bytes = bytes.saturating_add(record.approximate_bytes());
            if !records.is_empty() && (records.len() >= limits.records || bytes > limits.bytes) {
                let rest = if *count_remaining { count(rows)?.saturating_add(1) } else { 0 };
                let last = records.last().map(|last| (last.key.type_name.clone(), last.key.id.clone()));
                return Ok(page(records, Point { within: last, loading: true, ..through }, false, rest));
            }
            records.push(record);
        }
        let start = after_session(&self.request.zone, begin.position);
        let mut meanwhile = self.following(start);
        match meanwhile.next().transpose()? {
            None => Ok(page(records, Point { horizon, ..Point::at(zone.head()) }, true, 0)),
            Some(_) => {
                let rest = if *count_remaining { count(meanwhile)?.saturating_add(1) } else { 0 };
                Ok(page(records, through, false, rest))
            }
        }
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

fn count<T>(mut rest: impl Iterator<Item = Run<T>>) -> Run<u64> {
    rest.try_fold(0_u64, |count, row| row.map(|_| count.saturating_add(1)))
}
