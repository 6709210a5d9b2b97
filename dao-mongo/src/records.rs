//! Records by their rows of the index: the rows are read first, then the bodies of those that are wanted.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use fastsync_core::{ObjectId, Record, RecordKey, Value, Zone};
use mongodb::bson::RawDocument;

use crate::codec::{Entry, Row, object_key, read_body, read_id, read_zone, record_id};
use crate::command::{RECORDS, by_id, fields, find};
use crate::error::Run;
use crate::registry::Type;
use crate::tx::Tx;

/// A row of the index that its body is still to be read for.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) zone: Zone,
    pub(crate) n: i32,
    pub(crate) id: ObjectId,
    pub(crate) row: Row,
}

impl Found {
    pub(crate) fn read(document: &RawDocument) -> Run<Self> {
        let entry = Entry::read(document)?;
        Ok(Self { zone: read_zone(entry.zone)?, n: entry.n, id: read_id(entry.id)?, row: entry.row })
    }
}

/// How documents are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Each by its key.
    ByKey,
    /// All from the first to the last: nearly all of these are wanted, and the rows are in their order.
    ByRange,
}

/// The records that index rows stand for, in their order. A live one without its document is left out: somebody
/// has deleted it past this library.
pub(crate) async fn records(tx: &mut Tx<'_>, found: Vec<Found>, access: Access) -> Run<Vec<Record>> {
    // The live rows of one type in one zone, with their places in the answer.
    let mut groups: BTreeMap<(i32, &Zone), Vec<(&str, usize)>> = BTreeMap::new();
    for (at, entry) in found.iter().enumerate() {
        let live = groups.entry((entry.n, &entry.zone)).or_default();
        if !entry.row.deleted {
            live.push((entry.id.as_str(), at));
        }
    }
    let mut bodies: Vec<Option<Vec<Value>>> = Vec::new();
    bodies.resize_with(found.len(), || None);
    let mut kinds: HashMap<i32, Arc<Type>> = HashMap::new();
    for ((n, zone), live) in groups {
        let kind = tx.store.kind_at(n).await?;
        let zone = zone.to_string();
        let key = |(id, _): &(&str, usize)| object_key(&zone, id);
        let place_of: HashMap<&str, usize> = live.iter().copied().collect();
        let read = &mut |document: &RawDocument| {
            let id = document.get_document("_id")?.get_str("id")?;
            if let Some(slot) = place_of.get(id).and_then(|at| bodies.get_mut(*at)) {
                *slot = Some(read_body(document, &kind)?);
            }
            Ok(())
        };
        match (access, live.first(), live.last()) {
            (Access::ByRange, Some(first), Some(last)) => {
                let range = fields([("$gte", (&key(first)).into()), ("$lte", (&key(last)).into())]);
                tx.each(find(kind.collection(), &by_id(&range)), read).await?;
            }
            _ => tx.each_of(kind.collection(), live.iter().map(key).collect(), read).await?,
        }
        kinds.insert(n, kind);
    }
    let whole = found.into_iter().zip(bodies).filter(|(entry, body)| body.is_some() || entry.row.deleted);
    let record = |(entry, body): (Found, _)| {
        let type_name = kinds.get(&entry.n)?.schema.name().clone();
        Some(entry.row.record(RecordKey { zone: entry.zone, type_name, id: entry.id }, body))
    };
    Ok(whole.filter_map(record).collect())
}

/// The index rows of these ids; those that are not there are left out.
pub(crate) async fn rows(
    tx: &mut Tx<'_>,
    kind: &Type,
    zone: &Zone,
    ids: impl Iterator<Item = &ObjectId>,
) -> Run<HashMap<ObjectId, Row>> {
    let zone = zone.to_string();
    let keys: Vec<_> = ids.map(|id| record_id(&zone, kind.n, id.as_str())).collect();
    let mut rows = HashMap::with_capacity(keys.len());
    let read = &mut |document: &RawDocument| {
        let entry = Entry::read(document)?;
        rows.insert(read_id(entry.id)?, entry.row);
        Ok(())
    };
    tx.each_of(RECORDS, keys, read).await?;
    Ok(rows)
}
