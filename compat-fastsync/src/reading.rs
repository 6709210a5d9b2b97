//! Reading a zone for a reply: by bytes and by time, and inside a session where that is larger.

use std::collections::BTreeSet;

use fastsync_core::source::{After, Changes, ChangesRequest, PageLimits, Point, ResetReason};
use fastsync_core::{Position, Record, Result, Timestamp, TypeName, Zone};

use crate::convert::contention;
use crate::{Inner, version};

/// How often a reading begins anew because the horizon moved.
const ATTEMPTS: usize = 8;

/// How much is read at once, so that time is looked at.
const PAGE: PageLimits = PageLimits { records: 5_000, bytes: 4 << 20 };

/// How much a reading may give, and until when it may go on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    pub(crate) records: usize,
    pub(crate) bytes: usize,
    pub(crate) until: Timestamp,
}

/// What was read of a zone.
pub(crate) struct Reading {
    pub(crate) records: Vec<Record>,
    /// Everything up to here is among them: what the client is given as its cursor.
    pub(crate) cursor: u64,
    /// The point there, if it is the end of a session and known.
    pub(crate) end: Option<Point>,
    /// Whether there is more.
    pub(crate) is_cut: bool,
}

impl Inner {
    /// What is after a point: all of it, or as much as there is room for, but at least one record.
    pub(crate) async fn read(
        &self,
        zone: &Zone,
        after: After,
        types: BTreeSet<TypeName>,
        room: Room,
    ) -> Result<Reading> {
        let mut request = ChangesRequest {
            zone: zone.clone(),
            after: after.clone(),
            types: Some(types.into_iter().collect()),
            skip_own: None,
            limits: PAGE,
            count_remaining: false,
        };
        let mut begin = after;
        for _ in 0..ATTEMPTS {
            request.after = begin.clone();
            match self.walk(&mut request, room).await? {
                Ok(reading) => return Ok(reading),
                // What is not there is of another history (a backup was restored): from the start.
                Err(ResetReason::History) => begin = Position::START.into(),
                Err(_) => begin = self.below_the_horizon(&request, begin).await?,
            }
        }
        Err(contention())
    }

    /// The same point for a reader that goes on below the horizon, as these clients always do: they cannot be told to start
    /// over.
    async fn below_the_horizon(&self, request: &ChangesRequest, begin: After) -> Result<After> {
        let After::Point(point) = begin else { return Ok(begin) };
        let before = Position(point.position.0.saturating_sub(1));
        let limits = PageLimits { records: 1, bytes: 1 };
        let look = ChangesRequest { after: before.into(), limits, ..request.clone() };
        Ok(match self.server.store().source().changes(&look).await? {
            Changes::Page(page) => Point { horizon: page.next.horizon, ..point }.into(),
            Changes::ResetRequired(_) => before.into(),
        })
    }

    async fn walk(&self, request: &mut ChangesRequest, room: Room) -> Result<Result<Reading, ResetReason>> {
        let store = self.server.store();
        let begin = request.after.position();
        let mut records: Vec<Record> = Vec::new();
        let mut bytes = 0_usize;
        loop {
            request.limits = PageLimits {
                records: PAGE.records.min(room.records.saturating_sub(records.len())).max(1),
                bytes: PAGE.bytes.min(room.bytes.saturating_sub(bytes)).max(1),
            };
            let page = match store.source().changes(request).await? {
                Changes::Page(page) => page,
                Changes::ResetRequired(reason) => return Ok(Err(reason)),
            };
            bytes = page.records.iter().map(Record::approximate_bytes).fold(bytes, usize::saturating_add);
            records.extend(page.records);
            let is_full = records.len() >= room.records || bytes >= room.bytes || store.now() >= room.until;
            // A page that was cut by its bytes is a little below them.
            let is_full = is_full || room.bytes.saturating_sub(bytes) < room.bytes / 8;
            let (is_cut, next) = (!page.caught_up, page.next);
            if is_cut && (!is_full || records.is_empty()) {
                request.after = next.into();
                continue;
            }
            if next.within.is_none() {
                let cursor = version::cursor(next.position);
                return Ok(Ok(Reading { records, cursor, end: Some(next), is_cut }));
            }
            // Inside a session. What was given of it waits for the next pull if that is little.
            let before = Position(next.position.0.saturating_sub(1));
            let last = records.last().map(|record| record.metadata.revision);
            let whole = records.iter().rposition(|record| Some(record.metadata.revision) != last);
            let whole = whole.map_or(0, |at| at.saturating_add(1));
            if before > begin && whole >= records.len().div_ceil(2) {
                records.truncate(whole);
                return Ok(Ok(Reading { records, cursor: version::cursor(before), end: None, is_cut }));
            }
            let cursor = self.cut_at(&request.zone, &next).await?;
            return Ok(Ok(Reading { records, cursor, end: None, is_cut }));
        }
    }
}
