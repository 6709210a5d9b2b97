//! The history of a zone: pages of changes, and the purge of tombstones.

use std::collections::BTreeSet;
use std::ops::Bound;

use fastsync_core::source::rules::{Reading, Room};
use fastsync_core::source::{Changes, ChangesRequest, Head, Point};
use fastsync_core::{ObjectId, Position, Record, Tag, TypeName, Zone};

use crate::kv::draft::Draft;
use crate::kv::engine::View;
use crate::kv::fail::{Fail, Run};
use crate::kv::key::{ByPosition, KindNumber};
use crate::kv::range::Range;
use crate::kv::read::{indexed, positioned, zone_row};
use crate::kv::record::Place;
use crate::kv::registry::Registry;
use crate::kv::rows;
use crate::kv::runs;

pub(crate) fn changes(registry: &Registry, rows: &impl View, request: &ChangesRequest) -> Run<Changes> {
    let types = match &request.types {
        Some(names) => {
            let numbers = names.iter().map(|name| Ok(registry.get(name)?.n));
            Some(numbers.collect::<Run<BTreeSet<_>>>()?)
        }
        None => None,
    };
    let within = match request.after.within() {
        Some((name, id)) => Some((registry.get(name)?.n, id)),
        None => None,
    };
    let zone = zone_row(rows, &request.zone)?.state();
    let after = request.after.position();
    let reading = match zone.admit(request, tag(rows, &request.zone, zone.head, after)?) {
        Ok(reading) => reading,
        Err(reason) => return Ok(Changes::ResetRequired(reason)),
    };
    let of_zone = ByPosition::Feed.of_zone(&request.zone);
    if request.after.loading() && reading.head.position != Position::START {
        return Walk { registry, rows, request, types, of_zone, reading, read: None }.load(within);
    }
    let start = match within {
        Some((kind, id)) => {
            let group = ByPosition::Feed.group(&request.zone, after.0, kind);
            let from = runs::from_around(rows, &group, id)?;
            Range { from: Bound::Included(from), ..Range::prefix(of_zone.clone()) }
        }
        None => after_session(&request.zone, after),
    };
    let read = within.map(|(kind, id)| ((after, kind), id.clone()));
    Walk { registry, rows, request, types, of_zone, reading, read }.page(start)
}

/// What follows a whole session.
pub(crate) fn after_session(zone: &Zone, position: Position) -> Range {
    let from = ByPosition::Feed.at(zone, position.next().0);
    Range { from: Bound::Included(from), ..Range::prefix(ByPosition::Feed.of_zone(zone)) }
}

/// The tag of the session at a position; none beyond the head.
fn tag(rows: &impl View, of: &Zone, head: Head, position: Position) -> Run<Option<Tag>> {
    let mut found = None;
    if head.looks_up(position) {
        let row = positioned(rows, of, position)?;
        found = Some(row.ok_or_else(|| Fail::corrupt("a position in the feed has no session"))?.tag);
    }
    Ok(head.tag_at(position, found))
}

/// One call's walk over a zone.
pub(crate) struct Walk<'a, V> {
    pub(crate) registry: &'a Registry,
    pub(crate) rows: &'a V,
    pub(crate) request: &'a ChangesRequest,
    types: Option<BTreeSet<KindNumber>>,
    of_zone: Vec<u8>,
    pub(crate) reading: Reading,
    /// What the reader has of the session that it is in the middle of.
    read: Option<Entry>,
}

/// Where a record is in the feed.
pub(crate) type Entry = ((Position, KindNumber), ObjectId);

impl<'a, V: View> Walk<'a, V> {
    fn page(&self, start: Range) -> Run<Changes> {
        let mut room = Room::new(self.request.limits);
        let mut records: Vec<Record> = Vec::new();
        let mut last = Position::START;
        let mut following = self.following(start);
        let mut cut_before = None;
        for entry in following.by_ref() {
            let ((position, kind), id) = entry?;
            let kind = self.registry.at(kind)?;
            let record = indexed(self.rows, kind, &self.request.zone, id)?;
            if !room.takes(record.approximate_bytes()) {
                cut_before = Some(position);
                break;
            }
            last = position;
            records.push(record);
        }
        let Some(next) = cut_before else { return Ok(Changes::Page(self.reading.last_page(records))) };
        let within = records.last().filter(|_| next == last).map(place_of);
        let remaining = self.reading.counts.then(|| count(following, 1)).transpose()?;
        let tag = tag(self.rows, &self.request.zone, self.reading.head, last)?;
        let tag = tag.ok_or_else(|| Fail::corrupt("a record in the feed has a position beyond the head"))?;
        let point = Point { position: last, tag, within, ..Point::START };
        Ok(Changes::Page(self.reading.page(records, point, remaining)))
    }

    /// The entries that are asked for. Whole sessions that are passed over are jumped over.
    pub(crate) fn following(&self, start: Range) -> impl Iterator<Item = Run<Entry>> {
        let entries =
            |range: Range| runs::entries(self.rows.scan(range), |key| ByPosition::read(&self.of_zone, key));
        let mut scan = entries(start);
        let mut checked = None;
        std::iter::from_fn(move || {
            loop {
                let entry = scan.next()?;
                let Ok(((position, kind), _)) = &entry else { return Some(entry) };
                if entry.as_ref().ok() <= self.read.as_ref() {
                    continue;
                }
                if checked != Some(*position) {
                    checked = Some(*position);
                    match self.is_own(*position) {
                        Ok(false) => {}
                        Ok(true) => {
                            scan = entries(after_session(&self.request.zone, *position));
                            continue;
                        }
                        Err(fail) => return Some(Err(fail)),
                    }
                }
                if self.asks_for(*kind) {
                    return Some(entry);
                }
            }
        })
    }

    pub(crate) fn asks_for(&self, kind: KindNumber) -> bool {
        self.types.as_ref().is_none_or(|types| types.contains(&kind))
    }

    fn is_own(&self, position: Position) -> Run<bool> {
        let Some(own) = self.request.skip_own else { return Ok(false) };
        let session = positioned(self.rows, &self.request.zone, position)?;
        Ok(session.is_some_and(|session| own.covers(session.device, session.number)))
    }
}

/// The place of a record, for the page that goes on after it.
pub(crate) fn place_of(record: &Record) -> (TypeName, ObjectId) {
    (record.key.type_name.clone(), record.key.id.clone())
}

/// How many follow, after so many.
pub(crate) fn count<T>(mut rest: impl Iterator<Item = Run<T>>, before: u64) -> Run<u64> {
    rest.try_fold(before, |count, row| row.map(|_| count.saturating_add(1)))
}

pub(crate) fn purge(
    registry: &Registry,
    draft: &mut Draft<'_, impl View>,
    zone: &Zone,
    through: Position,
) -> Run<u64> {
    let mut row = zone_row(draft, zone)?;
    let through = through.min(row.position);
    if through > row.horizon {
        row.horizon = through;
        draft.put(crate::kv::key::zone(zone), rows::encode(&row)?);
    }
    let of_zone = ByPosition::Tombstones.of_zone(zone);
    let up_to = Range {
        to: ByPosition::Tombstones.at(zone, through.0.saturating_add(1)),
        ..Range::prefix(of_zone.clone())
    };
    let mut done = Vec::new();
    for entry in runs::entries(draft.scan(up_to), |key| ByPosition::read(&of_zone, key)) {
        let ((_, kind), id) = entry?;
        let kind = registry.at(kind)?;
        let value = draft.get(&Place { kind, zone, id: &id }.key())?;
        let value = value.ok_or_else(|| Fail::corrupt("an index names a tombstone that is not there"))?;
        let (head, _) = rows::head(value.as_ref())?;
        // A deletion that waits to be pushed is not finished with.
        if head.change == 0 {
            done.push((kind, id, head));
        }
    }
    for (kind, id, head) in &done {
        Place { kind, zone, id }.remove(draft, head);
    }
    Ok(done.len() as u64)
}
