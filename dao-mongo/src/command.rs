//! The sync collections, and the forms of the commands and conditions that ask for documents.

use fastsync_core::Zone;
use mongodb::bson::{Bson, Document, RawArrayBuf, RawBsonRef, RawDocumentBuf, doc};

use crate::error::Run;

pub(crate) const RECORDS: &str = "fastsync_records";
pub(crate) const ZONES: &str = "fastsync_zones";
pub(crate) const SESSIONS: &str = "fastsync_sessions";
pub(crate) const STATE: &str = "fastsync_state";
pub(crate) const STAGED: &str = "fastsync_staged";
pub(crate) const META: &str = "fastsync_meta";
pub(crate) const WRITERS: &str = "fastsync_writers";

/// How many documents a cursor brings at a time; the server also cuts at 16 MiB.
pub(crate) const BATCH: i32 = 10_000;

/// How many keys one command names: about a megabyte with long ids.
const KEYS_PER_COMMAND: usize = 5_000;

/// A document of these fields, without a copy of them in between.
pub(crate) fn fields<'v, const N: usize>(fields: [(&str, RawBsonRef<'v>); N]) -> RawDocumentBuf {
    let mut document = RawDocumentBuf::new();
    fields.into_iter().for_each(|(name, value)| document.append_ref(name, value));
    document
}

/// `{ find: collection, filter, batchSize }`; options can be appended.
pub(crate) fn find(collection: &str, filter: &RawDocumentBuf) -> RawDocumentBuf {
    fields([("find", collection.into()), ("filter", filter.into()), ("batchSize", BATCH.into())])
}

/// `{ _id: { $in: keys } }`
pub(crate) fn any_of(keys: &RawArrayBuf) -> RawDocumentBuf {
    by_id(&fields([("$in", keys.into())]))
}

/// As [`any_of`], for as many of the keys at a time as one command names.
pub(crate) fn any_of_each(keys: Vec<RawDocumentBuf>) -> impl Iterator<Item = RawDocumentBuf> {
    let mut keys = keys.into_iter();
    std::iter::from_fn(move || {
        (keys.len() > 0).then(|| any_of(&keys.by_ref().take(KEYS_PER_COMMAND).collect()))
    })
}

/// `{ _id: condition }`, or the document with this key.
pub(crate) fn by_id<'k>(condition: impl Into<RawBsonRef<'k>>) -> RawDocumentBuf {
    fields([("_id", condition.into())])
}

/// Every `_id` of the index of one type in a zone, or of every object in a zone: their last part varies.
pub(crate) fn within(zone: &Zone, n: Option<i32>) -> Document {
    let key = |last: Bson| match n {
        Some(n) => doc! { "zone": zone.to_string(), "type": n, "id": last },
        None => doc! { "zone": zone.to_string(), "id": last },
    };
    doc! { "$gt": key(Bson::MinKey), "$lt": key(Bson::MaxKey) }
}

pub(crate) fn raw(document: &Document) -> Run<RawDocumentBuf> {
    Ok(RawDocumentBuf::from_document(document)?)
}

/// A whole number of a reply, of whatever kind the server chose.
pub(crate) fn whole(value: Option<&Bson>) -> Option<i64> {
    match value? {
        Bson::Int32(number) => Some((*number).into()),
        Bson::Int64(number) => Some(*number),
        // Counts come as doubles from old versions.
        Bson::Double(number) if number.fract() == 0.0 && number.abs() < 1e15 =>
        {
            #[allow(clippy::cast_possible_truncation, reason = "checked by the guard")]
            Some(*number as i64)
        }
        _ => None,
    }
}
