//! The sessions: who committed what, when, and at which positions of which zones.

use fastsync_core::source::{AuditRequest, Receipt};
use fastsync_core::{
    Author, DeviceId, Position, SessionId, SessionKind, SessionSummary, Timestamp, TypeName, Zone,
};
use mongodb::bson::{Bson, Document, RawArrayBuf, RawBsonRef, RawDocument, RawDocumentBuf, doc};

use crate::codec::{capped, read_uuid, read_zone, unsigned, uuid_ref};
use crate::command::{BATCH, SESSIONS, any_of, find, raw};
use crate::error::{Fail, Run};
use crate::store::Store;
use crate::tx::Tx;

/// Finds these sessions.
pub(crate) fn by_ids(ids: impl IntoIterator<Item = SessionId>) -> RawDocumentBuf {
    let ids: RawArrayBuf =
        ids.into_iter().map(|id| uuid_ref(id.as_uuid().as_bytes()).to_raw_bson()).collect();
    find(SESSIONS, &any_of(&ids))
}

/// The sessions of which one position matches.
///
/// The index holds positions above 0 only, and the server does not see by itself that `$elemMatch` asks for none other:
/// without the second condition it reads the whole index.
fn at_positions(zone: &Zone, position: Document) -> Document {
    let place = doc! { "zone": zone.to_string(), "position": position };
    let filter = doc! { "positions": { "$elemMatch": place }, "positions.position": { "$gt": 0_i64 } };
    doc! { "find": SESSIONS, "filter": filter, "hint": "positions", "batchSize": BATCH }
}

/// Which sessions took these positions.
pub(crate) fn sessions_at(zone: &Zone, positions: &[u64]) -> Document {
    let positions: Vec<_> = positions.iter().map(|position| Bson::Int64(capped(*position))).collect();
    at_positions(zone, doc! { "$in": positions })
}

/// Which sessions took positions of a zone in this range (without the first, with the last).
pub(crate) fn sessions_query(zone: &Zone, after: u64, through: u64) -> Document {
    at_positions(zone, doc! { "$gt": capped(after), "$lte": capped(through) })
}

pub(crate) async fn sessions(store: &Store, request: &AuditRequest) -> Run<Vec<SessionSummary>> {
    let tx = &mut Tx::snapshot(store).await?;
    let (command, of) = match request {
        AuditRequest::Session(id) => (by_ids([*id]), None),
        AuditRequest::Zone { zone, after, limit } => {
            // Positions have no gaps, so the limit is a range of them.
            let through = after.0.saturating_add(u64::try_from(*limit).unwrap_or(u64::MAX));
            (raw(&sessions_query(zone, after.0, through))?, Some(zone))
        }
    };
    let mut summaries = tx.all(command, &mut read_summary).await?;
    summaries.sort_by_key(|summary| {
        summary.positions.iter().find(|(zone, _)| Some(zone) == of).map(|(_, position)| *position)
    });
    Ok(summaries)
}

/// The receipt of a session that is committed.
pub(crate) async fn receipt(tx: &mut Tx<'_>, id: SessionId) -> Run<Option<Receipt>> {
    Ok(tx.all(by_ids([id]), &mut read_receipt).await?.pop())
}

pub(crate) fn read_receipt(document: &RawDocument) -> Run<Receipt> {
    let change = unsigned(document.get_i64("change")?);
    Ok(Receipt { positions: read_positions(document)?, change, skipped: Vec::new() })
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

/// Who made a session, without the user.
pub(crate) fn read_device(document: &RawDocument) -> Run<(DeviceId, u64)> {
    let device = DeviceId::from_uuid(read_uuid(document.get_binary("device")?)?);
    Ok((device, unsigned(document.get_i64("number")?)))
}

fn read_summary(document: &RawDocument) -> Run<SessionSummary> {
    let mut counts = Vec::new();
    for count in document.get_array("counts")? {
        let RawBsonRef::Document(count) = count? else { return Err(Fail::corrupt("a session has no count")) };
        let name = TypeName::new(count.get_str("type")?)
            .map_err(|_| Fail::corrupt("a session names an invalid type"))?;
        counts.push((name, unsigned(count.get_i64("records")?)));
    }
    counts.sort();
    let user = match document.get("user")? {
        Some(RawBsonRef::String(user)) => Some(user.to_owned()),
        _ => None,
    };
    let (device, number) = read_device(document)?;
    Ok(SessionSummary {
        id: SessionId::from_uuid(read_uuid(document.get_binary("_id")?)?),
        kind: SessionKind::from_name(document.get_str("kind")?)?,
        author: Author { user, device, number },
        committed_at: Timestamp::from_millis(unsigned(document.get_i64("committed_at")?)),
        positions: read_positions(document)?,
        counts,
    })
}
