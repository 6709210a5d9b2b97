//! The history of a zone: positions, the feed, the audit trail and the horizon.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Unbounded};

use super::schema::TypeOrder;
use super::state::State;
use crate::error::Result;
use crate::model::{DeviceId, ObjectId, Position, Record, RecordKey, SessionId, SessionSummary, Tag, Zone};
use crate::source::{Changes, ChangesPage, ChangesRequest, Head, Point, ResetReason};

/// What happened in one zone.
#[derive(Debug, Default, Clone)]
pub(super) struct History {
    horizon: Position,
    sessions: BTreeMap<Position, PositionedSession>,
    /// The records by the position that they are at now, then by type and id.
    feed: BTreeMap<Position, BTreeSet<(TypeOrder, ObjectId)>>,
}

#[derive(Debug, Clone)]
pub(super) struct PositionedSession {
    pub(super) id: SessionId,
    pub(super) tag: Tag,
    pub(super) device: DeviceId,
    pub(super) number: u64,
}

impl History {
    pub(super) fn head(&self) -> Head {
        match self.sessions.last_key_value() {
            Some((position, session)) => Head { position: *position, tag: session.tag },
            None => Head { position: Position::START, tag: Point::START.tag },
        }
    }

    /// Gives a session the next position.
    pub(super) fn append(&mut self, session: PositionedSession) -> Position {
        let position = self.head().position.next();
        self.sessions.insert(position, session);
        position
    }

    pub(super) fn note(&mut self, position: Position, order: TypeOrder, id: ObjectId) {
        self.feed.entry(position).or_default().insert((order, id));
    }

    pub(super) fn forget(&mut self, position: Position, order: TypeOrder, id: &ObjectId) {
        if let Some(records) = self.feed.get_mut(&position) {
            records.remove(&(order, id.clone()));
            if records.is_empty() {
                self.feed.remove(&position);
            }
        }
    }

    fn tag(&self, position: Position) -> Tag {
        self.sessions.get(&position).map_or(Point::START.tag, |session| session.tag)
    }

    fn reset(&self, request: &ChangesRequest) -> Option<ResetReason> {
        let after = &request.after;
        let has_nothing = after.position == Position::START && request.skip_own.is_none();
        // A reader inside a session lacks the rest of it, so it stands before that position.
        let seen_whole = if after.within.is_some() { after.position.0 } else { after.position.next().0 };
        if after.position > self.head().position || self.tag(after.position) != after.tag {
            Some(ResetReason::History)
        } else if !has_nothing && seen_whole <= self.horizon.0 && after.horizon != self.horizon {
            Some(ResetReason::Horizon)
        } else {
            None
        }
    }

    /// The places after a point, in order.
    fn after(
        &self,
        position: Position,
        within: Option<(TypeOrder, ObjectId)>,
    ) -> impl Iterator<Item = (Position, &(TypeOrder, ObjectId))> {
        let rest_of_session = within.and_then(|last| {
            Some(self.feed.get(&position)?.range((Excluded(last), Unbounded)).map(move |at| (position, at)))
        });
        let later = self.feed.range((Excluded(position), Unbounded));
        rest_of_session
            .into_iter()
            .flatten()
            .chain(later.flat_map(|(position, records)| records.iter().map(move |at| (*position, at))))
    }
}

pub(super) fn changes(state: &State, request: &ChangesRequest) -> Result<Changes> {
    let types = match &request.types {
        None => None,
        Some(names) => {
            let orders = names.iter().map(|name| Ok(state.types.get(name)?.order));
            Some(orders.collect::<Result<BTreeSet<_>>>()?)
        }
    };
    let within = match &request.after.within {
        None => None,
        Some((name, id)) => Some((state.types.get(name)?.order, id.clone())),
    };
    let nothing = History::default();
    let history = state.histories.get(&request.zone).unwrap_or(&nothing);
    if let Some(reason) = history.reset(request) {
        return Ok(Changes::ResetRequired(reason));
    }
    let is_own = |position: Position| match (request.skip_own, history.sessions.get(&position)) {
        (Some(own), Some(session)) => {
            session.device == own.device && session.number != 0 && session.number <= own.through
        }
        _ => false,
    };
    let mut following = history
        .after(request.after.position, within)
        .filter(|(position, (order, _))| {
            types.as_ref().is_none_or(|types| types.contains(order)) && !is_own(*position)
        })
        .filter_map(|(position, (order, id))| Some((position, record_at(state, &request.zone, *order, id)?)));

    let mut records = Vec::new();
    let mut bytes = 0_usize;
    let mut last = Position::START;
    let mut cut_before = None;
    for (position, record) in following.by_ref() {
        let size = record.approximate_bytes();
        let full =
            records.len() >= request.limits.records || bytes.saturating_add(size) > request.limits.bytes;
        if full && !records.is_empty() {
            cut_before = Some(position);
            break;
        }
        bytes = bytes.saturating_add(size);
        last = position;
        records.push(record);
    }
    let head = history.head();
    let began = request.after.position == Position::START;
    let horizon = if began { history.horizon } else { request.after.horizon };
    let (next, remaining) = match cut_before {
        None => (Point { horizon, ..Point::at(head) }, 0),
        Some(position) => {
            let within = records
                .last()
                .filter(|_| position == last)
                .map(|record| (record.key.type_name.clone(), record.key.id.clone()));
            let remaining = if request.count_remaining { 1 + following.count() as u64 } else { 0 };
            (Point { position: last, tag: history.tag(last), within, horizon }, remaining)
        }
    };
    Ok(Changes::Page(ChangesPage {
        records,
        next,
        head,
        caught_up: cut_before.is_none(),
        remaining: request.count_remaining.then_some(remaining),
    }))
}

pub(super) fn point(state: &State, zone: &Zone, position: Position) -> Option<Point> {
    if position == Position::START {
        return Some(Point::START);
    }
    let history = state.histories.get(zone)?;
    let tag = history.sessions.get(&position)?.tag;
    Some(Point { position, tag, within: None, horizon: history.horizon })
}

fn record_at(state: &State, zone: &Zone, order: TypeOrder, id: &ObjectId) -> Option<Record> {
    let registered = state.types.at(order)?;
    let stored = state.table(registered.schema.name(), zone)?.get(id)?;
    Some(registered.record(zone, id, stored))
}

pub(super) fn sessions(state: &State, zone: &Zone, after: Position, limit: usize) -> Vec<SessionSummary> {
    let Some(history) = state.histories.get(zone) else { return Vec::new() };
    let later = history.sessions.range((Excluded(after), Unbounded)).take(limit);
    let found = later.filter_map(|(_, session)| state.sessions.get(&session.id));
    found.map(|session| session.summary.clone()).collect()
}

pub(super) fn purge(state: &mut State, zone: &Zone, through: Position) -> u64 {
    let Some(history) = state.histories.get_mut(zone) else { return 0 };
    let through = through.min(history.head().position);
    history.horizon = history.horizon.max(through);
    let written: Vec<_> = history.feed.range(..=through).flat_map(|(_, at)| at.iter().cloned()).collect();
    let mut purged = 0;
    for (order, id) in written {
        let Some(registered) = state.types.at(order) else { continue };
        let key = RecordKey { zone: zone.clone(), type_name: registered.schema.name().clone(), id };
        // A deletion that waits to be pushed is not finished with.
        let is_done =
            state.stored(&key).is_some_and(|stored| stored.body.is_none() && !stored.metadata.is_pending());
        if is_done && state.remove(order, &key).is_some() {
            purged += 1;
        }
    }
    purged
}
