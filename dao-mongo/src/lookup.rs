//! What a transaction reads and touches before its records: zones, sessions, state entries; and its clears.

use fastsync_core::SessionId;
use fastsync_core::source::{Clear, ExpectState};
use mongodb::bson::{Bson, Document, RawArrayBuf, RawDocumentBuf, doc};
use mongodb::options::ReturnDocument;

use crate::attempt::{Attempt, End};
use crate::bulk::{Bulk, Verb, run_plain};
use crate::codec::{Entry, capped, object_key, read_uuid, unsigned, uuid_ref};
use crate::error::{Fail, Run};
use crate::finish::read_receipt;
use crate::job::Job;
use crate::store::{
    BATCH, KEYS_PER_COMMAND, RECORDS, SESSIONS, STATE, ZONES, any_of, find, raw, whole, within,
};

impl Attempt<'_> {
    /// Writes a zone's document first of all: whoever else has done so since has the turn.
    pub(crate) async fn touch(&mut self, turn: &str) -> Run<()> {
        let zones = self.store.database.collection::<Document>(ZONES);
        let none = doc! { "head": 0_i64, "tag": 0_i64, "horizon": 0_i64 };
        let touched = zones
            .find_one_and_update(
                doc! { "_id": turn },
                doc! { "$inc": { "turn": 1_i64 }, "$setOnInsert": none },
            )
            .upsert(true)
            .return_document(ReturnDocument::After)
            .session(&mut *self.session)
            .await?
            .unwrap_or_default();
        let (Some(head), Some(tag)) = (whole(touched.get("head")), whole(touched.get("tag"))) else {
            return Err(Fail::corrupt("a zone has no head"));
        };
        self.ends.insert(turn.to_owned(), End { number: unsigned(head), tag: unsigned(tag), moved: false });
        Ok(())
    }

    pub(crate) async fn look_up_sessions(&mut self, jobs: &[Job]) -> Run<()> {
        let mut ids = RawArrayBuf::new();
        for job in jobs {
            ids.push(uuid_ref(job.commit.session.as_uuid().as_bytes()).to_raw_bson());
        }
        let committed = &mut self.committed;
        self.store
            .each(self.session, find(SESSIONS, &any_of(ids)), &mut |document| {
                let id = read_uuid(document.get_binary("_id")?)?;
                let attempt = document.get_object_id("attempt").ok().map(Bson::ObjectId);
                committed.insert(SessionId::from_uuid(id), (read_receipt(document)?, attempt));
                Ok(())
            })
            .await
    }

    pub(crate) async fn look_up_state(&mut self, jobs: &[Job]) -> Run<()> {
        let mut keys = RawArrayBuf::new();
        for write in jobs.iter().flat_map(|job| &job.commit.state) {
            if write.expect != ExpectState::Anything && self.state.insert(write.key.clone(), None).is_none() {
                keys.push(write.key.as_str());
            }
        }
        if self.state.is_empty() {
            return Ok(());
        }
        let state = &mut self.state;
        self.store
            .each(self.session, find(STATE, &any_of(keys)), &mut |document| {
                let value = document.get_binary("value")?.bytes.to_vec();
                state.insert(document.get_str("_id")?.to_owned(), Some(value));
                Ok(())
            })
            .await
    }

    pub(crate) async fn clear(&mut self, clear: &Clear) -> Run<()> {
        let kind = self.store.kind(&clear.type_name)?;
        if !kind.schema.fits(&clear.zone) {
            return Ok(());
        }
        let edits = doc! { "$not": { "$gt": capped(clear.through_change) } };
        let filter = doc! { "_id": within(&clear.zone, Some(kind.n)), "change": edits };
        let mut command = raw(&doc! { "find": RECORDS, "filter": filter.clone() })?;
        command.append_ref("batchSize", BATCH);
        let zone = clear.zone.to_string();
        let mut objects = Vec::new();
        self.store
            .each(self.session, command, &mut |document| {
                let entry = Entry::read(document)?;
                if !entry.row.deleted {
                    objects.push(object_key(&zone, entry.id));
                }
                Ok(())
            })
            .await?;
        for objects in objects.chunks(KEYS_PER_COMMAND) {
            let mut keys = RawArrayBuf::new();
            objects.iter().for_each(|key| keys.push(key.clone()));
            self.delete_all(kind.collection(), any_of(keys)).await?;
        }
        self.delete_all(RECORDS, raw(&filter)?).await
    }

    async fn delete_all(&mut self, collection: &str, filter: RawDocumentBuf) -> Run<()> {
        let mut statement = RawDocumentBuf::new();
        statement.append("q", filter);
        statement.append_ref("limit", 0_i32);
        let mut bulk = Bulk::new(Verb::Delete, collection);
        bulk.push(statement, None);
        run_plain(bulk, self.store, self.session).await
    }
}
