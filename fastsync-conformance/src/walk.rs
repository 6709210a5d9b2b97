//! Reading a zone's history page by page, and checking each page on the way.

use fastsync_core::source::{After, Changes, ChangesPage, ChangesRequest, Point};
use fastsync_core::{ObjectId, Record, SyncableDataSource, TypeName};

/// A reader of [`SyncableDataSource::changes`] that keeps its place.
#[derive(Debug, Clone)]
pub struct Walk {
    request: ChangesRequest,
    /// Where the reader stands.
    point: Point,
    /// The records after which a page was cut, of the position where the reader stands.
    cuts: Vec<(TypeName, ObjectId)>,
}

impl Walk {
    /// A reader that begins where the request does.
    #[must_use]
    pub fn new(request: ChangesRequest) -> Self {
        let point = match &request.after {
            After::Point(point) => point.clone(),
            After::Position(position) => Point { position: *position, ..Point::START },
        };
        Self { request, point, cuts: Vec::new() }
    }

    /// Where the reader stands.
    #[must_use]
    pub const fn point(&self) -> &Point {
        &self.point
    }

    /// Reads the next page.
    ///
    /// # Panics
    /// If the page breaks the contract, or there is none.
    pub async fn page(&mut self, source: &dyn SyncableDataSource) -> ChangesPage {
        let page = match source.changes(&self.request).await {
            Ok(Changes::Page(page)) => page,
            other => panic!("changes gives a page, not {other:?}"),
        };
        let limits = self.request.limits;
        assert!(page.records.len() <= limits.records, "a page holds at most `limits.records` records");
        if let [most @ .., _] = &*page.records {
            let bytes: usize = most.iter().map(Record::approximate_bytes).sum();
            assert!(bytes <= limits.bytes, "a page holds about `limits.bytes` bytes, not {bytes} and more");
        }
        assert!(page.next.position <= page.head.position, "a reader never gets past the head");
        if page.caught_up {
            let head = Point { horizon: page.next.horizon, ..Point::at(page.head) };
            assert_eq!(page.next, head, "a reader that caught up stands at the head");
        }
        self.assert_progress(&page);
        let zone = &self.request.zone;
        assert!(page.records.iter().all(|record| record.key.zone == *zone), "a page is of one zone");
        match page.remaining {
            None => assert!(!self.request.count_remaining, "the rest is counted if it was asked for"),
            Some(rest) => assert_eq!(rest == 0, page.caught_up, "nothing remains if and only if caught up"),
        }
        self.point = page.next.clone();
        self.request.after = page.next.clone().into();
        page
    }

    /// A reader never goes back and, until it caught up, always gets on.
    fn assert_progress(&mut self, page: &ChangesPage) {
        let (before, next) = (&self.point, &page.next);
        if next.position > before.position {
            self.cuts.clear();
        } else {
            assert_eq!(next.position, before.position, "a reader never goes back");
            assert!(page.caught_up || next != before, "a reader that did not catch up gets on");
            assert!(before.within.is_some() || next.within.is_none(), "a session is not delivered again");
        }
        if let Some(cut) = &next.within {
            assert!(!self.cuts.contains(cut), "a session is cut twice after {cut:?}");
            self.cuts.push(cut.clone());
        }
    }

    /// Reads until the reader has caught up.
    ///
    /// # Panics
    /// If a page breaks the contract.
    pub async fn rest(&mut self, source: &dyn SyncableDataSource) -> Vec<Record> {
        let mut records = Vec::new();
        loop {
            let page = self.page(source).await;
            records.extend(page.records);
            if page.caught_up {
                return records;
            }
        }
    }
}
