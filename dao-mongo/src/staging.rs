//! Batches of large sessions: each is one document or, above some megabytes, several.

use fastsync_core::source::rules::{LastWrites, cut};
use fastsync_core::source::{Write, entry};
use fastsync_core::{RecordKey, SessionId};
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, Document, RawDocument, RawDocumentBuf, doc};

use crate::codec::{binary, ordered, uuid_ref};
use crate::command::{BATCH, STAGED, by_id, fields, find, raw};
use crate::error::{Fail, Run};
use crate::store::{Store, majority, transaction};
use crate::tx::Tx;

/// About the most bytes of a document; the server's limit is 16 MiB.
const PART_BYTES: usize = 8 << 20;

pub(crate) async fn stage(
    store: &Store,
    session: SessionId,
    sequence: u64,
    mut writes: Vec<Write>,
) -> Run<()> {
    for write in &mut writes {
        write.admit_signed(&store.types.get(&write.action.key().type_name)?.schema)?;
    }
    let mut parts = Vec::new();
    for (part, writes) in (0_i32..).zip(cut(&writes, PART_BYTES, 512)) {
        let bytes = entry::encode(writes)?;
        let key = part_key(session, (ordered(sequence), part));
        let document = fields([("_id", (&key).into()), ("writes", binary(&bytes))]);
        parts.push(document);
    }
    let collection = store.collection(STAGED);
    let outcome = match parts.as_slice() {
        [part] => collection.insert_one(part).await.map(drop),
        // All of its parts or none, so that the batch that came first is the one that is kept.
        _ => {
            let mut own = store.database.client().start_session().await?;
            let options = transaction(majority());
            own.start_transaction().with_options(options).await?;
            match collection.insert_many(&parts).session(&mut own).await {
                Ok(_) => own.commit_transaction().await,
                Err(error) => Err(error),
            }
        }
    };
    match outcome.map_err(Fail::from) {
        Err(fail) if fail.is_duplicate_key() => Ok(()),
        other => other,
    }
}

/// Every part of every batch of a session.
pub(crate) fn of_session(session: SessionId) -> Document {
    let id = Binary { subtype: BinarySubtype::Uuid, bytes: session.as_uuid().as_bytes().to_vec() };
    let key = |last: Bson| doc! { "session": id.clone(), "sequence": last };
    doc! { "_id": { "$gt": key(Bson::MinKey), "$lt": key(Bson::MaxKey) } }
}

pub(crate) async fn unstage(store: &Store, session: Option<SessionId>) -> Run<()> {
    let filter = session.map_or_else(Document::new, of_session);
    store.collection(STAGED).delete_many(filter).await?;
    Ok(())
}

/// A part of a batch; parts order as the writes in them count.
pub(crate) type Part = (i64, i32);

/// The `_id` of a part.
fn part_key(session: SessionId, (sequence, part): Part) -> RawDocumentBuf {
    let session = session.as_uuid();
    fields([("session", uuid_ref(session.as_bytes())), ("sequence", sequence.into()), ("part", part.into())])
}

/// What is staged under a session: its parts, and which write of each key is the last.
#[derive(Debug, Default)]
pub(crate) struct Staged {
    pub(crate) parts: Vec<Part>,
    last: LastWrites<(Part, usize)>,
}

impl Staged {
    /// Notes the writes of the next part.
    pub(crate) fn add(&mut self, part: Part, writes: &[Write]) {
        self.parts.push(part);
        for (at, write) in writes.iter().enumerate() {
            self.last.note(write.action.key(), (part, at));
        }
    }

    /// Whether a later write of the key is staged.
    pub(crate) fn is_superseded(&self, part: Part, at: usize, key: &RecordKey) -> bool {
        self.last.is_superseded(key, (part, at))
    }
}

/// The parts of a session's batches in order, without their writes.
pub(crate) async fn parts(tx: &mut Tx<'_>, id: SessionId) -> Run<Vec<Part>> {
    let command = doc! {
        "find": STAGED, "filter": of_session(id), "sort": { "_id": 1 }, "projection": { "_id": 1 },
        "batchSize": BATCH,
    };
    let read = &mut |document: &RawDocument| {
        let key = document.get_document("_id")?;
        Ok((key.get_i64("sequence")?, key.get_i32("part")?))
    };
    tx.all(raw(&command)?, read).await
}

/// The writes of one part as they were staged; `None` if it is not there any more.
pub(crate) async fn load(tx: &mut Tx<'_>, id: SessionId, part: Part) -> Run<Option<Vec<Write>>> {
    let read = &mut |document: &RawDocument| Ok(entry::decode(document.get_binary("writes")?.bytes)?);
    let command = find(STAGED, &by_id(&part_key(id, part)));
    Ok(tx.all(command, read).await?.pop())
}
