//! Reads by key, pending records, zones and state entries.

use fastsync_core::source::{Found as Pending, PendingRequest, StateRange};
use fastsync_core::{ObjectId, Record, TypeName, Zone};
use fastsync_dao_kit::text::after_prefix;
use mongodb::bson::{Document, RawDocument, doc};

use crate::codec::{capped, capped_len, read_zone};
use crate::command::{BATCH, RECORDS, STATE, by_id, find, raw};
use crate::error::Run;
use crate::records::{Access, Found, records, rows};
use crate::store::Store;
use crate::tx::Tx;

/// The records with these keys, in this order; those that are not there are left out.
pub(crate) async fn get(store: &Store, name: &TypeName, zone: &Zone, ids: &[ObjectId]) -> Run<Vec<Record>> {
    let kind = store.types.get(name)?;
    let tx = &mut Tx::snapshot(store).await?;
    let mut rows = rows(tx, &kind, zone, ids.iter()).await?;
    // An id that is named twice comes once.
    let found = ids.iter().filter_map(|id| {
        let (id, row) = rows.remove_entry(id)?;
        Some(Found { zone: zone.clone(), n: kind.n, id, row })
    });
    records(tx, found.collect(), Access::ByKey).await
}

/// The filter, sort and index of pending records.
pub(crate) fn pending_query(after: u64, limit: usize) -> Document {
    doc! {
        "find": RECORDS,
        "filter": { "change": { "$gt": capped(after) } },
        "sort": { "change": 1, "_id.type": 1, "_id.zone": 1, "_id.id": 1 },
        "hint": "pending",
        "batchSize": BATCH,
        "limit": capped_len(limit),
    }
}

pub(crate) async fn pending(store: &Store, request: PendingRequest) -> Run<Pending> {
    let PendingRequest { after, limit, total: counts } = request;
    let tx = &mut Tx::snapshot(store).await?;
    let mut total = None;
    if counts {
        let rows = store.collection(RECORDS);
        let counting = rows.count_documents(doc! { "change": { "$gt": 0_i64 } });
        let hint = mongodb::options::Hint::Name("pending".to_owned());
        total = Some(counting.hint(hint).session(&mut tx.session).await?);
    }
    if limit == 0 {
        return Ok(Pending { records: Vec::new(), total });
    }
    let found = tx.all(raw(&pending_query(after, limit))?, &mut Found::read).await?;
    Ok(Pending { records: records(tx, found, Access::ByKey).await?, total })
}

pub(crate) async fn zones(store: &Store, name: &TypeName) -> Run<Vec<Zone>> {
    let kind = store.types.get(name)?;
    let found = store.collection(RECORDS).distinct("_id.zone", doc! { "_id.type": kind.n }).await?;
    let zones = found.iter().map(|zone| read_zone(zone.as_str().unwrap_or_default()));
    let mut zones = zones.collect::<Run<Vec<_>>>()?;
    zones.sort();
    Ok(zones)
}

pub(crate) async fn state(store: &Store, range: &StateRange) -> Run<Vec<(String, Vec<u8>)>> {
    let command = match range {
        StateRange::Key(key) => find(STATE, &by_id(key.as_str())),
        StateRange::Prefix(prefix) => {
            let range = starts_with(prefix);
            raw(
                &doc! { "find": STATE, "filter": { "_id": range }, "sort": { "_id": 1 }, "batchSize": BATCH },
            )?
        }
    };
    Tx::snapshot(store).await?.all(command, &mut read_state).await
}

/// A state entry.
pub(crate) fn read_state(document: &RawDocument) -> Run<(String, Vec<u8>)> {
    Ok((document.get_str("_id")?.to_owned(), document.get_binary("value")?.bytes.to_vec()))
}

/// The condition of the texts that begin so.
pub(crate) fn starts_with(prefix: &str) -> Document {
    let mut range = doc! { "$gte": prefix };
    if let Some(end) = after_prefix(prefix) {
        range.insert("$lt", end);
    }
    range
}
