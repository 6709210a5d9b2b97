//! Reading a zone's history.

use crate::model::{DeviceId, ObjectId, Position, Record, Tag, TypeName, Zone};

/// Where in a zone's history a reader stands: everything at or before this point was delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// The position.
    pub position: Position,
    /// The tag of the session at that position; 0 at [`Position::START`].
    pub tag: Tag,
    /// If the page was cut inside the session: the last record delivered of it. `None` means all of it was.
    pub within: Option<(TypeName, ObjectId)>,
    /// The zone's horizon when the reading that led here began at the very beginning. While the horizon stays there,
    /// such a reading goes on below it: nothing was purged that it could miss.
    pub horizon: Position,
    /// Whether the reader loads: it has been given records by type and id, up to the one in `within`, and nothing by
    /// position. What was committed after `position` while it did, follows when it is through.
    pub loading: bool,
}

impl Point {
    /// Before the first session.
    pub const START: Self = Self {
        position: Position::START,
        tag: Tag(0),
        within: None,
        horizon: Position::START,
        loading: false,
    };

    /// Before the first session, for a reader that has nothing and takes records in any order: a data source may have
    /// it [load](Self::loading).
    pub const LOAD: Self = Self { loading: true, ..Self::START };

    /// After the whole session at this head.
    #[must_use]
    pub const fn at(head: Head) -> Self {
        Self { position: head.position, tag: head.tag, ..Self::START }
    }

    /// The last position that the reader has seen all of, so that it misses nothing which is purged up to there. One that
    /// is inside a session lacks the rest of it; one that loads has what was there, or gets it.
    #[must_use]
    pub const fn seen(&self) -> Position {
        let is_inside = self.within.is_some() && !self.loading;
        Position(if is_inside { self.position.0.saturating_sub(1) } else { self.position.0 })
    }

    /// Of a reader that loads: the zone's head when it began. `head` is that of now, at which a new load begins.
    pub(super) fn load_began(&self, head: Head) -> Head {
        match self.position {
            Position::START => head,
            position => Head { position, tag: self.tag },
        }
    }
}

/// Where a reader continues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum After {
    /// After this point.
    Point(Point),
    /// After the whole session at this position, for a reader that kept the position and not the tag.
    Position(Position),
}

impl After {
    /// The position.
    #[must_use]
    pub const fn position(&self) -> Position {
        match self {
            Self::Point(point) => point.position,
            Self::Position(position) => *position,
        }
    }

    /// The last record that was delivered of the session there, or by a load, if not all was.
    #[must_use]
    pub const fn within(&self) -> Option<&(TypeName, ObjectId)> {
        match self {
            Self::Point(point) => point.within.as_ref(),
            Self::Position(_) => None,
        }
    }

    /// Whether the reader [loads](Point::loading).
    #[must_use]
    pub const fn loading(&self) -> bool {
        matches!(self, Self::Point(Point { loading: true, .. }))
    }
}

impl From<Point> for After {
    fn from(point: Point) -> Self {
        Self::Point(point)
    }
}

impl From<Position> for After {
    fn from(position: Position) -> Self {
        Self::Position(position)
    }
}

/// The newest session of a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Its position; [`Position::START`] if there is none.
    pub position: Position,
    /// Its tag; 0 if there is none.
    pub tag: Tag,
}

impl Head {
    /// Whether a data source has to look up the tag of a position. It does not for the beginning, for the head itself, and beyond
    /// the head, where no session is.
    #[must_use]
    pub fn looks_up(&self, position: Position) -> bool {
        Position::START < position && position < self.position
    }

    /// The tag at a position; none if no session has it. `found` is what was looked up, where that has to be.
    #[must_use]
    pub fn tag_at(&self, position: Position, found: Option<Tag>) -> Option<Tag> {
        match position {
            Position::START => Some(Point::START.tag),
            position if self.looks_up(position) => found,
            position => (position == self.position).then_some(self.tag),
        }
    }
}

/// How large a page may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageLimits {
    /// The most records, at least 1.
    pub records: usize,
    /// About the most bytes ([`Record::approximate_bytes`]); one record always fits.
    pub bytes: usize,
}

/// Own pushes that the reader holds already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SkipOwn {
    /// The reader's device.
    pub device: DeviceId,
    /// The number of the last push whose receipt the reader has stored.
    pub through: u64,
}

impl SkipOwn {
    /// Whether the records of a session of this author are passed over.
    #[must_use]
    pub fn covers(&self, device: DeviceId, number: u64) -> bool {
        device == self.device && number != 0 && number <= self.through
    }
}

/// What to read of a zone's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangesRequest {
    /// The zone.
    pub zone: Zone,
    /// Where to continue.
    pub after: After,
    /// Only records of these types; `None` for all.
    pub types: Option<Vec<TypeName>>,
    /// Pass over records of these own pushes.
    pub skip_own: Option<SkipOwn>,
    /// How large the page may be.
    pub limits: PageLimits,
    /// Whether to count what follows, for progress displays.
    pub count_remaining: bool,
}

/// One page of a zone's history.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangesPage {
    /// The records, in order.
    pub records: Vec<Record>,
    /// Continue after this point.
    pub next: Point,
    /// The zone's newest session in the snapshot of this page.
    pub head: Head,
    /// Whether nothing follows in the snapshot of this page.
    pub caught_up: bool,
    /// About how many records follow after this page, if it was asked for.
    pub remaining: Option<u64>,
}

/// Why a reader must start over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ResetReason {
    /// Tombstones that the reader has not seen were purged.
    Horizon,
    /// The reader's point is not in this history: a backup was restored or a lagging copy took over.
    History,
    /// The store was made anew.
    Epoch,
    /// The reader asks for a type or schema version, or a zone, that its cursor does not cover.
    Coverage,
}

/// The answer to [`ChangesRequest`].
#[derive(Debug, Clone, PartialEq)]
pub enum Changes {
    /// A page.
    Page(ChangesPage),
    /// The reader must start over.
    ResetRequired(ResetReason),
}
