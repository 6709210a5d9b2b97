//! Reading the history of a zone: who may go on, and what is said at the end of a page.

use crate::model::{Position, Record, Tag};
use crate::source::{After, ChangesPage, ChangesRequest, Head, Point, ResetReason};

/// What a data source keeps of a zone as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ZoneState {
    /// The newest session.
    pub head: Head,
    /// Up to where tombstones may have been purged.
    pub horizon: Position,
}

impl ZoneState {
    /// A zone that nothing was written to.
    pub const EMPTY: Self =
        Self { head: Head { position: Position::START, tag: Point::START.tag }, horizon: Position::START };

    /// Admits a reader, or says why it must start over. `found` is the tag of its position, if that
    /// [has to be looked up](Head::looks_up); none if no session has the position.
    ///
    /// # Errors
    /// Why it must start over.
    pub fn admit(&self, request: &ChangesRequest, found: Option<Tag>) -> Result<Reading, ResetReason> {
        let tag = self.head.tag_at(request.after.position(), found);
        let after = match &request.after {
            After::Point(point) if tag == Some(point.tag) => point.clone(),
            After::Position(position) => self.point(*position, tag).ok_or(ResetReason::History)?,
            After::Point(_) => return Err(ResetReason::History),
        };
        let began = after.position == Position::START;
        // A reader that has nothing misses nothing; one with records of its own may have one that was deleted.
        let has_nothing = began && request.skip_own.is_none();
        if !has_nothing && after.seen() < self.horizon && after.horizon != self.horizon {
            return Err(ResetReason::Horizon);
        }
        let horizon = if began { self.horizon } else { after.horizon };
        let load_began = after.load_began(self.head);
        Ok(Reading { head: self.head, load_began, horizon, counts: request.count_remaining })
    }

    /// The point after the whole session at a position with this tag.
    fn point(&self, position: Position, tag: Option<Tag>) -> Option<Point> {
        let horizon = if position == Position::START { Position::START } else { self.horizon };
        Some(Point { position, tag: tag?, horizon, ..Point::START })
    }
}

/// One call's reading of a zone by a reader that was admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The newest session in the snapshot of this call.
    pub head: Head,
    /// If the reader loads: the newest session when it began to.
    pub load_began: Head,
    /// The horizon when this reading began at the very beginning.
    pub horizon: Position,
    /// Whether it is asked for how many records follow.
    pub counts: bool,
}

impl Reading {
    /// A page that others follow. `next` is where they do, without the horizon; `remaining` says how many, if it was counted.
    #[must_use]
    pub fn page(&self, records: Vec<Record>, next: Point, remaining: Option<u64>) -> ChangesPage {
        let next = Point { horizon: self.horizon, ..next };
        ChangesPage { records, next, head: self.head, caught_up: false, remaining }
    }

    /// The page that nothing follows.
    #[must_use]
    pub fn last_page(&self, records: Vec<Record>) -> ChangesPage {
        let remaining = self.counts.then_some(0);
        ChangesPage { caught_up: true, ..self.page(records, Point::at(self.head), remaining) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{DeviceId, Zone};
    use crate::source::{PageLimits, SkipOwn};

    const ZONE: ZoneState =
        ZoneState { head: Head { position: Position(9), tag: Tag(90) }, horizon: Position(5) };

    fn request(after: Point, own: bool) -> ChangesRequest {
        let skip_own = own.then(|| SkipOwn { device: DeviceId::from_uuid(uuid::Uuid::nil()), through: 1 });
        ChangesRequest {
            zone: Zone::Global,
            after: after.into(),
            types: None,
            skip_own,
            limits: PageLimits { records: 10, bytes: 1_000 },
            count_remaining: true,
        }
    }

    fn at(position: u64, tag: u64) -> Point {
        Point { position: Position(position), tag: Tag(tag), ..Point::START }
    }

    /// Fails if a reader goes on at a place that is not in this history, or is sent back from one that is.
    #[test]
    fn a_reader_goes_on_where_its_place_is_in_the_history() {
        let admit =
            |after: Point, found| ZONE.admit(&request(after, false), found).map(|read| read.horizon.0);
        assert_eq!(admit(at(0, 0), None), Ok(5));
        assert_eq!(admit(at(0, 1), None), Err(ResetReason::History));
        assert_eq!(admit(at(9, 90), None), Ok(0), "the head's own tag is known");
        assert_eq!(admit(at(9, 91), Some(Tag(91))), Err(ResetReason::History));
        assert_eq!(admit(at(10, 90), Some(Tag(90))), Err(ResetReason::History), "beyond the head");
        assert_eq!(admit(at(6, 60), Some(Tag(60))), Ok(0));
        assert_eq!(admit(at(6, 60), Some(Tag(61))), Err(ResetReason::History));
        assert_eq!(admit(at(6, 60), None), Err(ResetReason::History));
        assert_eq!(
            [0, 1, 8, 9, 10].map(|at| ZONE.head.looks_up(Position(at))),
            [false, true, true, false, false]
        );
        assert!(ZoneState::EMPTY.admit(&request(Point::LOAD, false), None).is_ok());
        assert_eq!(ZoneState::EMPTY.admit(&request(at(1, 1), false), None), Err(ResetReason::History));
    }

    /// Fails if a reader that may have missed a purged tombstone goes on, or one that cannot have is sent back.
    #[test]
    fn what_was_purged_stops_only_who_may_have_missed_it() {
        let admit = |after: Point, own| ZONE.admit(&request(after, own), Some(Tag(7))).map(|_| ());
        let inside = || Some((crate::TypeName::new("notes").unwrap(), crate::ObjectId::new("a").unwrap()));
        assert_eq!(admit(at(4, 7), false), Err(ResetReason::Horizon));
        assert_eq!(admit(at(5, 7), false), Ok(()));
        assert_eq!(admit(Point { within: inside(), ..at(5, 7) }, false), Err(ResetReason::Horizon));
        assert_eq!(
            admit(Point { horizon: Position(5), ..at(2, 7) }, false),
            Ok(()),
            "it began after the purge"
        );
        assert_eq!(admit(Point { horizon: Position(4), ..at(2, 7) }, false), Err(ResetReason::Horizon));
        assert_eq!(admit(Point::START, false), Ok(()), "it has nothing");
        assert_eq!(admit(Point::START, true), Err(ResetReason::Horizon), "it has records of its own");
        let seen = Point { horizon: Position(5), ..Point::START };
        assert_eq!(admit(seen, true), Ok(()), "it knows of the purge");
    }

    #[test]
    fn pages_say_where_they_end() {
        let reading = ZONE.admit(&request(Point::START, false), None).unwrap();
        let last = reading.last_page(Vec::new());
        assert_eq!((last.caught_up, last.remaining, last.next.position), (true, Some(0), Position(9)));
        let page = reading.page(Vec::new(), at(3, 30), Some(2));
        assert_eq!((page.caught_up, page.remaining, page.next.horizon), (false, Some(2), Position(5)));
    }

    /// Fails if a position is not enough to go on, or if one that nobody took is.
    #[test]
    fn a_reader_goes_on_by_its_position_alone() {
        let admit = |position, found| {
            let after = After::Position(Position(position));
            let request = ChangesRequest { after, ..request(Point::START, false) };
            ZONE.admit(&request, found).map(|reading| reading.horizon.0)
        };
        assert_eq!(admit(9, None), Ok(5));
        assert_eq!(admit(2, Some(Tag(20))), Ok(5), "before the horizon too");
        assert_eq!([admit(8, None), admit(10, Some(Tag(1)))], [Err(ResetReason::History); 2]);
        assert_eq!(admit(0, None), Ok(5));
    }
}
