//! The history of a zone: positions, the feed, the audit trail and the horizon.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Unbounded};

use super::schema::TypeOrder;
use super::state::State;
use crate::error::Result;
use crate::model::{
    DeviceId, ObjectId, Position, Record, RecordKey, SessionId, SessionSummary, Tag, TypeName, Zone,
};
use crate::source::rules::{Reading, Room, ZoneState};
use crate::source::{AuditRequest, Changes, ChangesPage, ChangesRequest, Head, Point};

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
            None => ZoneState::EMPTY.head,
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

    fn tag(&self, position: Position) -> Option<Tag> {
        self.sessions.get(&position).map(|session| session.tag)
    }

    fn zone(&self) -> ZoneState {
        ZoneState { head: self.head(), horizon: self.horizon }
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
    let within = match request.after.within() {
        None => None,
        Some((name, id)) => Some((state.types.get(name)?.order, id.clone())),
    };
    let nothing = History::default();
    let history = state.histories.get(&request.zone).unwrap_or(&nothing);
    let reading = match history.zone().admit(request, history.tag(request.after.position())) {
        Ok(reading) => reading,
        Err(reason) => return Ok(Changes::ResetRequired(reason)),
    };
    let walk = Walk { state, history, request, types, reading };
    let page = if request.after.loading() && reading.head.position != Position::START {
        walk.load(within)
    } else {
        walk.feed(request.after.position(), within)
    };
    Ok(Changes::Page(page))
}

/// One call's walk over a zone.
struct Walk<'a> {
    state: &'a State,
    history: &'a History,
    request: &'a ChangesRequest,
    types: Option<BTreeSet<TypeOrder>>,
    reading: Reading,
}

impl<'a> Walk<'a> {
    /// A page by position.
    fn feed(&self, after: Position, within: Option<(TypeOrder, ObjectId)>) -> ChangesPage {
        let mut following = self.following(after, within);
        let (records, cut) = self.fill(&mut following);
        let Some((last, next)) = cut else { return self.reading.last_page(records) };
        let within = records.last().filter(|_| next == last).map(place_of);
        let tag = self.history.tag(last).unwrap_or_default();
        let point = Point { position: last, tag, within, ..Point::START };
        self.page(records, point, || 1 + following.count())
    }

    /// A page by type and id of what is there.
    fn load(&self, within: Option<(TypeOrder, ObjectId)>) -> ChangesPage {
        let begin = self.reading.load_began;
        let mut rows = self.rows(within).map(|record| (begin.position, record));
        let (records, cut) = self.fill(&mut rows);
        if cut.is_some() {
            let within = records.last().map(place_of);
            let point = Point { within, loading: true, ..Point::at(begin) };
            return self.page(records, point, || 1 + rows.count());
        }
        let mut meanwhile = self.following(begin.position, None);
        match meanwhile.next() {
            None => self.reading.last_page(records),
            Some(_) => self.page(records, Point::at(begin), || 1 + meanwhile.count()),
        }
    }

    fn page(&self, records: Vec<Record>, next: Point, rest: impl FnOnce() -> usize) -> ChangesPage {
        self.reading.page(records, next, self.reading.counts.then(|| rest() as u64))
    }

    /// The records that fit on a page; if another one follows, the position of the last one and that one's.
    fn fill(
        &self,
        following: &mut impl Iterator<Item = (Position, Record)>,
    ) -> (Vec<Record>, Option<(Position, Position)>) {
        let mut room = Room::new(self.request.limits);
        let mut records = Vec::new();
        let mut last = Position::START;
        for (position, record) in following {
            if !room.takes(record.approximate_bytes()) {
                return (records, Some((last, position)));
            }
            last = position;
            records.push(record);
        }
        (records, None)
    }

    /// What follows a place in the feed.
    fn following(
        &self,
        after: Position,
        within: Option<(TypeOrder, ObjectId)>,
    ) -> impl Iterator<Item = (Position, Record)> {
        let places = self.history.after(after, within);
        let asked = places.filter(|(position, (order, _))| self.asks_for(*order) && !self.is_own(*position));
        asked.filter_map(|(position, (order, id))| {
            Some((position, record_at(self.state, &self.request.zone, *order, id)?))
        })
    }

    /// What positioned commits wrote, by type and id.
    fn rows(&self, after: Option<(TypeOrder, ObjectId)>) -> impl Iterator<Item = Record> {
        let (from, id) = after.map_or((0, None), |(order, id)| (order, Some(id)));
        let types = (from..).map_while(|order| Some((order, self.state.types.at(order)?)));
        types.filter(|(order, _)| self.asks_for(*order)).flat_map(move |(order, registered)| {
            let after = id.clone().filter(|_| order == from).map_or(Unbounded, Excluded);
            let table = self.state.table(registered.schema.name(), &self.request.zone);
            let rows = table.into_iter().flat_map(move |table| table.range((after.clone(), Unbounded)));
            let positioned = rows.filter(|(_, stored)| stored.position.is_some());
            positioned.map(|(id, stored)| registered.record(&self.request.zone, id, stored))
        })
    }

    fn asks_for(&self, order: TypeOrder) -> bool {
        self.types.as_ref().is_none_or(|types| types.contains(&order))
    }

    fn is_own(&self, position: Position) -> bool {
        match (self.request.skip_own, self.history.sessions.get(&position)) {
            (Some(own), Some(session)) => own.covers(session.device, session.number),
            _ => false,
        }
    }
}

fn place_of(record: &Record) -> (TypeName, ObjectId) {
    (record.key.type_name.clone(), record.key.id.clone())
}

fn record_at(state: &State, zone: &Zone, order: TypeOrder, id: &ObjectId) -> Option<Record> {
    let registered = state.types.at(order)?;
    let stored = state.table(registered.schema.name(), zone)?.get(id)?;
    Some(registered.record(zone, id, stored))
}

pub(super) fn sessions(state: &State, request: &AuditRequest) -> Vec<SessionSummary> {
    let summary = |id: &SessionId| state.sessions.get(id).map(|session| session.summary.clone());
    match request {
        AuditRequest::Session(id) => summary(id).into_iter().collect(),
        AuditRequest::Zone { zone, after, limit } => {
            let history = state.histories.get(zone).into_iter();
            let later = history.flat_map(|history| history.sessions.range((Excluded(*after), Unbounded)));
            later.take(*limit).filter_map(|(_, session)| summary(&session.id)).collect()
        }
    }
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
