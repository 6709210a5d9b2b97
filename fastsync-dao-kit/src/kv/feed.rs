//! The history of a zone: pages of changes, and the purge of tombstones.

use std::collections::BTreeSet;
use std::ops::Bound;

use fastsync_core::source::{Changes, ChangesPage, ChangesRequest, Point, ResetReason};
use fastsync_core::{ObjectId, Position, Record, Tag, Zone};

use crate::kv::draft::Draft;
use crate::kv::engine::View;
use crate::kv::fail::{Fail, Run};
use crate::kv::key::{ByPosition, KindNumber};
use crate::kv::range::Range;
use crate::kv::read::{indexed, positioned, zone_row};
use crate::kv::record::Place;
use crate::kv::registry::Registry;
use crate::kv::rows::{self, ZoneRow};
use crate::kv::runs;

pub(crate) fn changes(registry: &Registry, rows: &impl View, request: &ChangesRequest) -> Run<Changes> {
    let types = match &request.types {
        Some(names) => {
            let numbers = names.iter().map(|name| Ok(registry.get(name)?.n));
            Some(numbers.collect::<Run<BTreeSet<_>>>()?)
        }
        None => None,
    };
    let within = match &request.after.within {
        Some((name, id)) => Some((registry.get(name)?.n, id)),
        None => None,
    };
    let zone = zone_row(rows, &request.zone)?;
    if let Some(reason) = reset(rows, &zone, request)? {
        return Ok(Changes::ResetRequired(reason));
    }
    let of_zone = ByPosition::Feed.of_zone(&request.zone);
    let after = request.after.position;
    let began = after == Position::START;
    let horizon = if began { zone.horizon } else { request.after.horizon };
    if request.after.loading && zone.position != Position::START {
        let walk = Walk { registry, rows, request, types, of_zone, read: None };
        return walk.load(within, &zone, horizon).map(Changes::Page);
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
    Walk { registry, rows, request, types, of_zone, read }.page(start, &zone, horizon).map(Changes::Page)
}

pub(crate) fn point(rows: &impl View, zone: &Zone, position: Position) -> Run<Option<Point>> {
    if position == Position::START {
        return Ok(Some(Point::START));
    }
    let horizon = zone_row(rows, zone)?.horizon;
    Ok(positioned(rows, zone, position)?.map(|row| Point { position, tag: row.tag, horizon, ..Point::START }))
}

/// What follows a whole session.
pub(crate) fn after_session(zone: &Zone, position: Position) -> Range {
    let from = ByPosition::Feed.at(zone, position.next().0);
    Range { from: Bound::Included(from), ..Range::prefix(ByPosition::Feed.of_zone(zone)) }
}

/// Why a reader has to start over, if it has.
fn reset(rows: &impl View, zone: &ZoneRow, request: &ChangesRequest) -> Run<Option<ResetReason>> {
    let after = &request.after;
    if after.position > zone.position || tag(rows, &request.zone, after.position)? != after.tag {
        return Ok(Some(ResetReason::History));
    }
    // A reader that has nothing misses nothing; one with records of its own does.
    let has_nothing = after.position == Position::START && request.skip_own.is_none();
    let is_behind = after.seen() < zone.horizon && after.horizon != zone.horizon;
    Ok((is_behind && !has_nothing).then_some(ResetReason::Horizon))
}

fn tag(rows: &impl View, zone: &Zone, position: Position) -> Run<Tag> {
    if position == Position::START {
        return Ok(Point::START.tag);
    }
    let row = positioned(rows, zone, position)?;
    Ok(row.ok_or_else(|| Fail::corrupt("a position in the feed has no session"))?.tag)
}

/// One call's walk over a zone.
pub(crate) struct Walk<'a, V> {
    pub(crate) registry: &'a Registry,
    pub(crate) rows: &'a V,
    pub(crate) request: &'a ChangesRequest,
    types: Option<BTreeSet<KindNumber>>,
    of_zone: Vec<u8>,
    /// What the reader has of the session that it is in the middle of.
    read: Option<Entry>,
}

/// Where a record is in the feed.
pub(crate) type Entry = ((Position, KindNumber), ObjectId);

impl<'a, V: View> Walk<'a, V> {
    fn page(&self, start: Range, zone: &ZoneRow, horizon: Position) -> Run<ChangesPage> {
        let limits = self.request.limits;
        let mut records: Vec<Record> = Vec::new();
        let mut bytes = 0_usize;
        let mut last = Position::START;
        let mut following = self.following(start);
        let mut cut_before = None;
        for entry in following.by_ref() {
            let ((position, kind), id) = entry?;
            let kind = self.registry.at(kind)?;
            let record = indexed(self.rows, kind, &self.request.zone, id)?;
            let size = bytes.saturating_add(record.approximate_bytes());
            if !records.is_empty() && (records.len() >= limits.records || size > limits.bytes) {
                cut_before = Some(position);
                break;
            }
            bytes = size;
            last = position;
            records.push(record);
        }
        let (next, remaining) = match cut_before {
            None => (Point { horizon, ..Point::at(zone.head()) }, 0),
            Some(position) => {
                let last_record = records.last().filter(|_| position == last);
                let within = last_record.map(|record| (record.key.type_name.clone(), record.key.id.clone()));
                let remaining = if self.request.count_remaining {
                    following.try_fold(1_u64, |count, entry| entry.map(|_| count.saturating_add(1)))?
                } else {
                    0
                };
                let tag = tag(self.rows, &self.request.zone, last)?;
                (Point { position: last, tag, within, horizon, loading: false }, remaining)
            }
        };
        Ok(ChangesPage {
            records,
            next,
            head: zone.head(),
            caught_up: cut_before.is_none(),
            remaining: self.request.count_remaining.then_some(remaining),
        })
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
        Ok(session.is_some_and(|session| {
            session.device == own.device && session.number != 0 && session.number <= own.through
        }))
    }
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
