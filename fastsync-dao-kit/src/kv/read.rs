//! Reads that are not queries.

use std::ops::Bound;

use fastsync_core::source::rules::ZoneState;
use fastsync_core::source::{AuditRequest, Found, Head, PendingRequest, StateRange};
use fastsync_core::{ObjectId, Position, Record, SessionId, SessionSummary, TypeName, Zone};

use crate::kv::engine::View;
use crate::kv::fail::{Fail, Run};
use crate::kv::key;
use crate::kv::range::{Range, after};
use crate::kv::registry::{Kind, Registry};
use crate::kv::rows::{self, PositionRow, SessionRow, ZoneRow};
use crate::kv::runs;

pub(crate) fn get(
    registry: &Registry,
    rows: &impl View,
    type_name: &TypeName,
    zone: &Zone,
    ids: Vec<ObjectId>,
) -> Run<Vec<Record>> {
    let kind = registry.get(type_name)?;
    ids.into_iter().filter_map(|id| record(rows, kind, zone, id).transpose()).collect()
}

pub(crate) fn record(rows: &impl View, kind: &Kind, zone: &Zone, id: ObjectId) -> Run<Option<Record>> {
    match rows.get(&key::record(zone, kind.n, &id))? {
        Some(value) => Ok(Some(rows::record(kind, zone, id, value.as_ref())?)),
        None => Ok(None),
    }
}

/// The record that an index names.
pub(crate) fn indexed(rows: &impl View, kind: &Kind, zone: &Zone, id: ObjectId) -> Run<Record> {
    record(rows, kind, zone, id)?.ok_or_else(|| Fail::corrupt("an index names a record that is not there"))
}

pub(crate) fn pending(registry: &Registry, rows: &impl View, request: PendingRequest) -> Run<Found> {
    let PendingRequest { after, limit, total } = request;
    let waiting = runs::entries(rows.scan(key::pending_after(after)), key::read_pending);
    let found = waiting.take(limit).map(|entry| {
        let ((kind, zone), id) = entry?;
        indexed(rows, &**registry.at(kind)?, &zone, id)
    });
    let records = found.collect::<Run<_>>()?;
    let total = total.then(|| runs::count(rows, key::pending_after(0))).transpose()?;
    Ok(Found { records, total })
}

/// Looks at one record of each zone, and at one of the type in it.
pub(crate) fn zones(registry: &Registry, rows: &impl View, type_name: &TypeName) -> Run<Vec<Zone>> {
    let kind = registry.get(type_name)?;
    let mut zones = Vec::new();
    let mut rest = Range::prefix(key::all_records());
    while let Some(row) = rows.scan(rest.clone()).next() {
        let zone = key::zone_of(row?.0.as_ref())?;
        let of_type = Range::prefix(key::records(&zone, kind.n));
        let has_records = rows.scan(of_type).next().transpose()?.is_some();
        rest.from = Bound::Included(after(key::records_of_zone(&zone)));
        if has_records {
            zones.push(zone);
        }
    }
    zones.sort();
    Ok(zones)
}

pub(crate) fn zone_row(rows: &impl View, zone: &Zone) -> Run<ZoneRow> {
    match rows.get(&key::zone(zone))? {
        Some(value) => rows::decode(value.as_ref()),
        None => Ok(ZoneRow::default()),
    }
}

impl ZoneRow {
    pub(crate) fn state(&self) -> ZoneState {
        ZoneState { head: Head { position: self.position, tag: self.tag }, horizon: self.horizon }
    }
}

pub(crate) fn positioned(rows: &impl View, zone: &Zone, position: Position) -> Run<Option<PositionRow>> {
    rows.get(&key::positioned(zone, position))?.map(|value| rows::decode(value.as_ref())).transpose()
}

pub(crate) fn session_row(rows: &impl View, id: SessionId) -> Run<Option<SessionRow>> {
    rows.get(&key::session(id))?.map(|value| rows::decode(value.as_ref())).transpose()
}

pub(crate) fn sessions(rows: &impl View, request: &AuditRequest) -> Run<Vec<SessionSummary>> {
    match request {
        AuditRequest::Session(id) => Ok(session_row(rows, *id)?.map(|row| row.summary).into_iter().collect()),
        AuditRequest::Zone { zone, after, limit } => {
            let later = Range::following(key::history(zone), key::positioned(zone, *after));
            let found = rows.scan(later).take(*limit).map(|row| {
                let PositionRow { session: id, .. } = rows::decode(row?.1.as_ref())?;
                let session = session_row(rows, id)?;
                let session =
                    session.ok_or_else(|| Fail::corrupt("a position names a session that is not there"))?;
                Ok(session.summary)
            });
            found.collect()
        }
    }
}

pub(crate) fn state_entry(rows: &impl View, key: &str) -> Run<Option<Vec<u8>>> {
    Ok(rows.get(&key::state(key))?.map(|value| value.as_ref().to_vec()))
}

pub(crate) fn state(rows: &impl View, range: &StateRange) -> Run<Vec<(String, Vec<u8>)>> {
    match range {
        StateRange::Key(key) => {
            Ok(state_entry(rows, key)?.map(|value| (key.clone(), value)).into_iter().collect())
        }
        StateRange::Prefix(prefix) => {
            let found = rows.scan(Range::prefix(key::state(prefix))).map(|row| {
                let (key, value) = row?;
                Ok((key::read_state(key.as_ref())?, value.as_ref().to_vec()))
            });
            found.collect()
        }
    }
}
