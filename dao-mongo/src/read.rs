//! Reads by key, pending records, state entries and the audit trail.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::sync::Arc;

use fastsync_core::source::{AuditRequest, Found as Pending, PendingRequest, StateRange};
use fastsync_core::{
    Author, DeviceId, ObjectId, Position, Record, RecordKey, SessionId, SessionKind, SessionSummary,
    Timestamp, TypeName, Value, Zone,
};
use mongodb::ClientSession;
use mongodb::bson::{Document, RawArrayBuf, RawBsonRef, RawDocument, RawDocumentBuf, doc};

use crate::codec::{
    Entry, Row, capped, capped_len, object_key, read_body, read_id, read_uuid, read_zone, record_id,
    unsigned, uuid_ref,
};
use crate::error::{Fail, Run};
use crate::feed::at_positions;
use crate::registry::Type;
use crate::store::{KEYS_PER_COMMAND, RECORDS, SESSIONS, STATE, Store, any_of, by_id, find, raw};

/// A row of the index that its body is still to be read for.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) zone: Zone,
    pub(crate) n: i32,
    pub(crate) id: ObjectId,
    pub(crate) row: Row,
}

impl Found {
    pub(crate) fn new(entry: &Entry<'_>, zone: Zone) -> Run<Self> {
        Ok(Self { zone, n: entry.n, id: read_id(entry.id)?, row: entry.row })
    }
}

/// How documents are found.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Access {
    /// Each by its key.
    ByKey,
    /// All from the first to the last: nearly all of these are wanted, and the rows are in their order.
    ByRange,
}

/// The records that index rows stand for, in their order. A live one without its document is left out: somebody
/// has deleted it past this library.
pub(crate) async fn records(
    store: &Store,
    session: &mut ClientSession,
    found: Vec<Found>,
    access: Access,
) -> Run<Vec<Record>> {
    let mut groups: HashMap<(i32, &Zone), Group<'_>> = HashMap::new();
    for (at, entry) in found.iter().enumerate() {
        let group = match groups.entry((entry.n, &entry.zone)) {
            Slot::Occupied(known) => known.into_mut(),
            Slot::Vacant(new) => new.insert(Group { kind: store.kind_at(entry.n).await?, live: Vec::new() }),
        };
        if !entry.row.deleted {
            group.live.push((entry.id.as_str(), at));
        }
    }
    let mut bodies: Vec<Option<Vec<Value>>> = Vec::new();
    bodies.resize_with(found.len(), || None);
    let mut kinds = HashMap::new();
    for ((n, zone), group) in groups {
        let zone = zone.to_string();
        let at_once = match access {
            Access::ByKey => KEYS_PER_COMMAND,
            Access::ByRange => usize::MAX,
        };
        for live in group.live.chunks(at_once) {
            let filter = match access {
                Access::ByKey => any_of_keys(&zone, live),
                Access::ByRange => between(&zone, live),
            };
            read_bodies(store, session, &group.kind, &filter, live, &mut bodies).await?;
        }
        kinds.insert(n, group.kind);
    }
    let mut records = Vec::with_capacity(found.len());
    for (entry, body) in found.into_iter().zip(bodies) {
        let Some(kind) = kinds.get(&entry.n) else { continue };
        if body.is_some() || entry.row.deleted {
            let type_name = kind.schema.name().clone();
            records.push(entry.row.record(RecordKey { zone: entry.zone, type_name, id: entry.id }, body));
        }
    }
    Ok(records)
}

/// The rows of one type in one zone.
struct Group<'a> {
    kind: Arc<Type>,
    /// The live ones, with their place in the answer.
    live: Vec<(&'a str, usize)>,
}

fn any_of_keys(zone: &str, live: &[(&str, usize)]) -> RawDocumentBuf {
    let mut keys = RawArrayBuf::new();
    live.iter().for_each(|(id, _)| keys.push(object_key(zone, id)));
    any_of(keys)
}

fn between(zone: &str, live: &[(&str, usize)]) -> RawDocumentBuf {
    let mut range = RawDocumentBuf::new();
    if let (Some((first, _)), Some((last, _))) = (live.first(), live.last()) {
        range.append("$gte", object_key(zone, first));
        range.append("$lte", object_key(zone, last));
    }
    by_id(range)
}

async fn read_bodies(
    store: &Store,
    session: &mut ClientSession,
    kind: &Type,
    filter: &RawDocumentBuf,
    live: &[(&str, usize)],
    bodies: &mut [Option<Vec<Value>>],
) -> Run<()> {
    let place_of: HashMap<&str, usize> = live.iter().copied().collect();
    store
        .each(session, find(kind.collection(), filter), &mut |document| {
            let id = document.get_document("_id")?.get_str("id")?;
            if let Some(slot) = place_of.get(id).and_then(|at| bodies.get_mut(*at)) {
                *slot = Some(read_body(document, kind)?);
            }
            Ok(())
        })
        .await
}

/// The index rows of these ids; those that are not there are left out.
pub(crate) async fn rows(
    store: &Store,
    session: &mut ClientSession,
    kind: &Type,
    zone: &Zone,
    ids: &[&ObjectId],
) -> Run<HashMap<ObjectId, Row>> {
    let mut rows = HashMap::with_capacity(ids.len());
    let zone = zone.to_string();
    for ids in ids.chunks(KEYS_PER_COMMAND) {
        let mut keys = RawArrayBuf::new();
        for id in ids {
            keys.push(record_id(&zone, kind.n, id.as_str()));
        }
        let command = find(RECORDS, &any_of(keys));
        store
            .each(session, command, &mut |document| {
                let entry = Entry::read(document)?;
                rows.insert(read_id(entry.id)?, entry.row);
                Ok(())
            })
            .await?;
    }
    Ok(rows)
}

/// The records with these keys, in this order; those that are not there are left out.
pub(crate) async fn get(store: &Store, name: &TypeName, zone: &Zone, ids: &[ObjectId]) -> Run<Vec<Record>> {
    let kind = store.kind(name)?;
    let session = &mut store.snapshot().await?;
    let wanted: Vec<_> = ids.iter().collect();
    let mut rows = rows(store, session, &kind, zone, &wanted).await?;
    // An id that is named twice comes once.
    let found = ids.iter().filter_map(|id| {
        let (id, row) = rows.remove_entry(id)?;
        Some(Found { zone: zone.clone(), n: kind.n, id, row })
    });
    records(store, session, found.collect(), Access::ByKey).await
}

/// The filter, sort and index of pending records.
pub(crate) fn pending_query(after: u64, limit: usize) -> Document {
    doc! {
        "find": RECORDS,
        "filter": { "change": { "$gt": capped(after) } },
        "sort": { "change": 1, "_id.type": 1, "_id.zone": 1, "_id.id": 1 },
        "hint": "pending",
        "batchSize": crate::store::BATCH,
        "limit": capped_len(limit),
    }
}

pub(crate) async fn pending(store: &Store, request: PendingRequest) -> Run<Pending> {
    let PendingRequest { after, limit, total: counts } = request;
    let session = &mut store.snapshot().await?;
    let mut total = None;
    if counts {
        let rows = store.collection(RECORDS);
        let counting = rows.count_documents(doc! { "change": { "$gt": 0_i64 } });
        let hint = mongodb::options::Hint::Name("pending".to_owned());
        total = Some(counting.hint(hint).session(&mut *session).await?);
    }
    if limit == 0 {
        return Ok(Pending { records: Vec::new(), total });
    }
    let mut found = Vec::new();
    store
        .each(session, raw(&pending_query(after, limit))?, &mut |document| {
            let entry = Entry::read(document)?;
            found.push(Found::new(&entry, read_zone(entry.zone)?)?);
            Ok(())
        })
        .await?;
    Ok(Pending { records: records(store, session, found, Access::ByKey).await?, total })
}

pub(crate) async fn zones(store: &Store, name: &TypeName) -> Run<Vec<Zone>> {
    let kind = store.kind(name)?;
    let found = store.collection(RECORDS).distinct("_id.zone", doc! { "_id.type": kind.n }).await?;
    let mut zones = Vec::with_capacity(found.len());
    for zone in found {
        zones.push(read_zone(zone.as_str().unwrap_or_default())?);
    }
    zones.sort();
    Ok(zones)
}

pub(crate) async fn state(store: &Store, range: &StateRange) -> Run<Vec<(String, Vec<u8>)>> {
    let prefix = match range {
        StateRange::Key(key) => {
            let found = store.collection(STATE).find_one(doc! { "_id": key }).await?;
            let value = found.map(|found| Ok(found.get_binary("value")?.bytes.to_vec())).transpose();
            return value.map(|value| value.map(|value| (key.clone(), value)).into_iter().collect());
        }
        StateRange::Prefix(prefix) => prefix,
    };
    let mut range = doc! { "$gte": prefix };
    if let Some(end) = after_prefix(prefix) {
        range.insert("$lt", end);
    }
    let session = &mut store.snapshot().await?;
    let mut entries = Vec::new();
    let command = doc! {
        "find": STATE, "filter": { "_id": range }, "sort": { "_id": 1 }, "batchSize": crate::store::BATCH,
    };
    store
        .each(session, raw(&command)?, &mut |document| {
            entries.push((document.get_str("_id")?.to_owned(), document.get_binary("value")?.bytes.to_vec()));
            Ok(())
        })
        .await?;
    Ok(entries)
}

/// The least text above every text that begins with this one, by bytes; `None` if there is none.
pub(crate) fn after_prefix(prefix: &str) -> Option<String> {
    let mut end = prefix.to_owned();
    while let Some(last) = end.pop() {
        // Code points order as their UTF-8 bytes do; the surrogates are no characters.
        let next = if last == '\u{d7ff}' { Some('\u{e000}') } else { char::from_u32(u32::from(last) + 1) };
        if let Some(next) = next {
            end.push(next);
            return Some(end);
        }
    }
    None
}

pub(crate) async fn sessions(store: &Store, request: &AuditRequest) -> Run<Vec<SessionSummary>> {
    match request {
        AuditRequest::Session(id) => Ok(session(store, *id).await?.into_iter().collect()),
        AuditRequest::Zone { zone, after, limit } => sessions_of(store, zone, *after, *limit).await,
    }
}

async fn session(store: &Store, id: SessionId) -> Run<Option<SessionSummary>> {
    let mut filter = RawDocumentBuf::new();
    filter.append_ref("_id", uuid_ref(id.as_uuid().as_bytes()));
    let snapshot = &mut store.snapshot().await?;
    let mut summary = None;
    store
        .each(snapshot, find(SESSIONS, &filter), &mut |document| {
            summary = Some(read_summary(document)?);
            Ok(())
        })
        .await?;
    Ok(summary)
}

/// Which sessions took positions of a zone in this range (without the first, with the last).
pub(crate) fn sessions_query(zone: &Zone, after: u64, through: u64) -> Document {
    let range = doc! { "$gt": capped(after), "$lte": capped(through) };
    doc! {
        "find": SESSIONS,
        "filter": at_positions(doc! { "zone": zone.to_string(), "position": range }),
        "hint": "positions",
        "batchSize": crate::store::BATCH,
    }
}

async fn sessions_of(store: &Store, zone: &Zone, after: Position, limit: usize) -> Run<Vec<SessionSummary>> {
    // Positions have no gaps, so the limit is a range of them.
    let through = after.0.saturating_add(u64::try_from(limit).unwrap_or(u64::MAX));
    let session = &mut store.snapshot().await?;
    let mut summaries = Vec::new();
    store
        .each(session, raw(&sessions_query(zone, after.0, through))?, &mut |document| {
            let summary = read_summary(document)?;
            let position = summary.positions.iter().find(|(of, _)| of == zone).map(|(_, position)| *position);
            summaries.push((position, summary));
            Ok(())
        })
        .await?;
    summaries.sort_by_key(|(position, _)| *position);
    Ok(summaries.into_iter().map(|(_, summary)| summary).collect())
}

pub(crate) fn read_positions(document: &RawDocument) -> Run<Vec<(Zone, Position)>> {
    let mut positions = Vec::new();
    for place in document.get_array("positions")? {
        let RawBsonRef::Document(place) = place? else {
            return Err(Fail::corrupt("a session has no position"));
        };
        let position = Position(unsigned(place.get_i64("position")?));
        positions.push((read_zone(place.get_str("zone")?)?, position));
    }
    positions.sort();
    Ok(positions)
}

fn read_summary(document: &RawDocument) -> Run<SessionSummary> {
    let mut counts = Vec::new();
    for count in document.get_array("counts")? {
        let RawBsonRef::Document(count) = count? else { return Err(Fail::corrupt("a session has no count")) };
        let name = TypeName::new(count.get_str("type")?)
            .map_err(|_| Fail::corrupt("a session names a type that is none"))?;
        counts.push((name, unsigned(count.get_i64("records")?)));
    }
    counts.sort();
    let user = match document.get("user")? {
        Some(RawBsonRef::String(user)) => Some(user.to_owned()),
        _ => None,
    };
    Ok(SessionSummary {
        id: SessionId::from_uuid(read_uuid(document.get_binary("_id")?)?),
        kind: SessionKind::from_name(document.get_str("kind")?)?,
        author: Author {
            user,
            device: DeviceId::from_uuid(read_uuid(document.get_binary("device")?)?),
            number: unsigned(document.get_i64("number")?),
        },
        committed_at: Timestamp::from_millis(unsigned(document.get_i64("committed_at")?)),
        positions: read_positions(document)?,
        counts,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_before_the_next_text() {
        let table = [
            ("a", Some("b")),
            ("a\u{10ffff}", Some("b")),
            ("\u{d7ff}", Some("\u{e000}")),
            ("\u{10ffff}", None),
            ("", None),
        ];
        for (prefix, end) in table {
            assert_eq!(after_prefix(prefix).as_deref(), end, "{prefix:?}");
        }
    }
}
