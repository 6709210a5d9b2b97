//! Reading a zone's history.

use super::SyncableDataSource;
use crate::error::{Error, ErrorKind, Result};
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
    #[must_use]
    pub fn load_began(&self, head: Head) -> Head {
        match self.position {
            Position::START => head,
            position => Head { position, tag: self.tag },
        }
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
    /// Continue after this point.
    pub after: Point,
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

/// Walks a zone to the last point that is not after a position, by pages that are halved where they would pass it.
pub(super) async fn walk_to<S: SyncableDataSource + ?Sized>(
    source: &S,
    zone: &Zone,
    position: Position,
) -> Result<Option<Point>> {
    const LARGEST: usize = 4_096;
    const ATTEMPTS: usize = 16;
    if position == Position::START {
        return Ok(Some(Point::START));
    }
    let mut after = Point::START;
    let mut records = LARGEST;
    let mut resets = 0;
    loop {
        let request = ChangesRequest {
            zone: zone.clone(),
            after: after.clone(),
            types: None,
            skip_own: None,
            limits: PageLimits { records, bytes: usize::MAX },
            count_remaining: false,
        };
        let page = match source.changes(&request).await? {
            Changes::Page(page) => page,
            // The horizon moved meanwhile: from the beginning again.
            Changes::ResetRequired(_) => {
                resets += 1;
                if resets == ATTEMPTS {
                    let message = "the zone's horizon keeps moving";
                    return Err(Error::new(ErrorKind::Contention, "point", message));
                }
                (after, records) = (Point::START, LARGEST);
                continue;
            }
        };
        if page.head.position < position {
            return Ok(None);
        }
        if page.next.position <= position {
            if page.caught_up {
                return Ok(Some(page.next));
            }
            if page.next == after {
                let message = "a page of a zone's history leads nowhere";
                return Err(Error::new(ErrorKind::Backend, "point", message));
            }
            after = page.next;
        } else if records == 1 {
            // Started anew, so that the reading knows the horizon.
            return Ok(Some(if after == Point::START {
                Point { horizon: page.next.horizon, ..after }
            } else {
                after
            }));
        } else {
            records /= 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::memory::MemoryDataSource;
    use crate::{ObjectId, Repository, Store, SyncableObject, SyncableRepository, TypeSchema, Value};

    struct Note(String);

    impl SyncableObject for Note {
        fn schema() -> Result<TypeSchema> {
            TypeSchema::builder("notes", "id").build()
        }
        fn id(&self) -> Result<ObjectId> {
            ObjectId::new(&self.0)
        }
        fn to_body(&self) -> Result<Vec<Value>> {
            Ok(Vec::new())
        }
        fn from_body(id: &ObjectId, _: Vec<Value>) -> Result<Self> {
            Ok(Self(id.as_str().to_owned()))
        }
    }

    async fn rest(source: &MemoryDataSource, after: Point) -> Vec<Record> {
        let limits = PageLimits { records: usize::MAX, bytes: usize::MAX };
        let (types, skip_own, count_remaining) = (None, None, false);
        let request = ChangesRequest { zone: Zone::Global, after, types, skip_own, limits, count_remaining };
        match source.changes(&request).await.unwrap() {
            Changes::Page(page) => page.records,
            Changes::ResetRequired(reason) => panic!("{reason:?}"),
        }
    }

    #[tokio::test]
    async fn a_walk_leads_to_where_a_look_up_does() {
        let source = MemoryDataSource::new();
        let store = Store::server(source.clone()).register::<Note>().open().await.unwrap();
        let notes = Repository::<Note>::new(&store);
        for session in 0..40_usize {
            // Sessions of 1 to 7 records, some of which leave nothing of an earlier one.
            let batch: Vec<_> = (0..=session % 7).map(|n| Note(format!("{}-{n}", session % 11))).collect();
            for note in &batch {
                notes.remove(&note.id().unwrap()).await.unwrap();
            }
            notes.add_many(&batch).await.unwrap();
        }
        let page = ChangesRequest {
            zone: Zone::Global,
            after: Point::START,
            types: None,
            skip_own: None,
            limits: PageLimits { records: 1, bytes: 1 },
            count_remaining: false,
        };
        let Changes::Page(page) = source.changes(&page).await.unwrap() else { panic!("no page") };
        let head = page.head.position.0;
        for position in (0..=head).map(Position) {
            let walked = walk_to(&source, &Zone::Global, position).await.unwrap().unwrap();
            let known = source.point(&Zone::Global, position).await.unwrap().unwrap();
            assert_eq!(rest(&source, walked).await, rest(&source, known).await, "{position:?}");
        }
        assert_eq!(walk_to(&source, &Zone::Global, Position(head + 1)).await.unwrap(), None);
    }
}
