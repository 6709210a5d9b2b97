//! Reads that are not queries.

use std::ops::Bound;

use fastsync_core::source::Head as ZoneHead;
use fastsync_core::{ObjectId, Position, Record, SessionId, SessionSummary, TypeName, Zone};

use crate::error::{Fail, Run};
use crate::key::{self, Range};
use crate::registry::{Kind, Registry};
use crate::rows::{self, PositionRow, SessionRow, ZoneRow};
use crate::runs;
use crate::tree::Rows;

pub(crate) fn get(
    registry: &Registry,
    rows: &dyn Rows,
    type_name: &TypeName,
    zone: &Zone,
    ids: Vec<ObjectId>,
) -> Run<Vec<Record>> {
    let kind = registry.get(type_name)?;
    ids.into_iter().filter_map(|id| record(rows, kind, zone, id).transpose()).collect()
}

pub(crate) fn record(rows: &dyn Rows, kind: &Kind, zone: &Zone, id: ObjectId) -> Run<Option<Record>> {
    match rows.get(&key::record(zone, kind.n, &id))? {
        Some(value) => Ok(Some(rows::record(kind, zone, id, &value)?)),
        None => Ok(None),
    }
}

/// The record that an index names.
pub(crate) fn indexed(rows: &dyn Rows, kind: &Kind, zone: &Zone, id: ObjectId) -> Run<Record> {
    record(rows, kind, zone, id)?.ok_or_else(|| Fail::corrupt("an index names a record that is not there"))
}

pub(crate) fn pending(registry: &Registry, rows: &dyn Rows, after: u64, limit: usize) -> Run<Vec<Record>> {
    let waiting = runs::entries(rows.scan(&key::pending_after(after)), key::read_pending);
    let found = waiting.take(limit).map(|entry| {
        let ((kind, zone), id) = entry?;
        indexed(rows, &**registry.at(kind)?, &zone, id)
    });
    found.collect()
}

pub(crate) fn count_pending(rows: &dyn Rows) -> Run<u64> {
    runs::count(rows, &key::pending_after(0))
}

/// Looks at one record of each zone, and at one of the type in it.
pub(crate) fn zones(registry: &Registry, rows: &dyn Rows, type_name: &TypeName) -> Run<Vec<Zone>> {
    let kind = registry.get(type_name)?;
    let mut zones = Vec::new();
    let mut rest = Range::prefix(key::all_records());
    while let Some(row) = rows.scan(&rest).next() {
        let zone = key::zone_of(&row?.0)?;
        let of_type = Range::prefix(key::records(&zone, kind.n));
        let has_records = rows.scan(&of_type).next().transpose()?.is_some();
        rest.from = Bound::Included(key::after(key::records_of_zone(&zone)));
        if has_records {
            zones.push(zone);
        }
    }
    zones.sort();
    Ok(zones)
}

pub(crate) fn zone_row(rows: &dyn Rows, zone: &Zone) -> Run<ZoneRow> {
    match rows.get(&key::zone(zone))? {
        Some(value) => rows::decode(&value),
        None => Ok(ZoneRow::default()),
    }
}

impl ZoneRow {
    pub(crate) fn head(&self) -> ZoneHead {
        ZoneHead { position: self.position, tag: self.tag }
    }
}

pub(crate) fn positioned(rows: &dyn Rows, zone: &Zone, position: Position) -> Run<Option<PositionRow>> {
    rows.get(&key::positioned(zone, position))?.map(|value| rows::decode(&value)).transpose()
}

pub(crate) fn session_row(rows: &dyn Rows, id: SessionId) -> Run<Option<SessionRow>> {
    rows.get(&key::session(id))?.map(|value| rows::decode(&value)).transpose()
}

pub(crate) fn session(rows: &dyn Rows, id: SessionId) -> Run<Option<SessionSummary>> {
    Ok(session_row(rows, id)?.map(|row| row.summary))
}

pub(crate) fn sessions(
    rows: &dyn Rows,
    zone: &Zone,
    after: Position,
    limit: usize,
) -> Run<Vec<SessionSummary>> {
    let later = Range::following(key::history(zone), key::positioned(zone, after));
    let found = rows.scan(&later).take(limit).map(|row| {
        let PositionRow { session: id, .. } = rows::decode(&row?.1)?;
        session(rows, id)?.ok_or_else(|| Fail::corrupt("a position names a session that is not there"))
    });
    found.collect()
}

pub(crate) fn state(rows: &dyn Rows, entry: &str) -> Run<Option<Vec<u8>>> {
    Ok(rows.get(&key::state(entry))?.map(|value| value.to_vec()))
}

pub(crate) fn states(rows: &dyn Rows, prefix: &str) -> Run<Vec<(String, Vec<u8>)>> {
    let found = rows.scan(&Range::prefix(key::state(prefix))).map(|row| {
        let (key, value) = row?;
        Ok((key::read_state(&key)?, value.to_vec()))
    });
    found.collect()
}
