//! A snapshot or a transaction of the server, and how documents are read and written in it.

use std::collections::HashMap;

use mongodb::ClientSession;
use mongodb::bson::{RawDocument, RawDocumentBuf};
use mongodb::options::RunCursorCommandOptions;

use crate::command::{BATCH, any_of_each, fields, find, whole};
use crate::error::{Fail, Run, WriteError};
use crate::store::Store;

/// A session of the server on the store.
pub(crate) struct Tx<'s> {
    pub(crate) store: &'s Store,
    pub(crate) session: ClientSession,
}

impl<'s> Tx<'s> {
    /// One whose reads all see one committed state, the one that its first read sees.
    pub(crate) async fn snapshot(store: &'s Store) -> Run<Self> {
        Ok(Self { store, session: store.database.client().start_session().snapshot(true).await? })
    }

    /// Runs a `find` or `aggregate` and gives each document to `work`.
    pub(crate) async fn each(
        &mut self,
        command: RawDocumentBuf,
        work: &mut (dyn FnMut(&RawDocument) -> Run<()> + Send),
    ) -> Run<()> {
        let options = RunCursorCommandOptions::builder().batch_size(BATCH.unsigned_abs()).build();
        let cursor = self.store.database.run_raw_cursor_command(command).with_options(options);
        let mut cursor = cursor.session(&mut self.session).await?.with_type::<RawDocumentBuf>();
        while cursor.advance(&mut self.session).await? {
            work(cursor.current())?;
        }
        Ok(())
    }

    /// As [`Self::each`], of the documents of a collection with these keys.
    pub(crate) async fn each_of(
        &mut self,
        collection: &str,
        keys: Vec<RawDocumentBuf>,
        work: &mut (dyn FnMut(&RawDocument) -> Run<()> + Send),
    ) -> Run<()> {
        for filter in any_of_each(keys) {
            self.each(find(collection, &filter), work).await?;
        }
        Ok(())
    }

    /// What a `find` or `aggregate` gives, in its order.
    pub(crate) async fn all<T: Send>(
        &mut self,
        command: RawDocumentBuf,
        read: &mut (dyn FnMut(&RawDocument) -> Run<T> + Send),
    ) -> Run<Vec<T>> {
        let mut found = Vec::new();
        self.each(command, &mut |document| {
            found.push(read(document)?);
            Ok(())
        })
        .await?;
        Ok(found)
    }

    /// Documents that the transaction under way has removed, as they were, by their `_id`. Nobody else can change them until
    /// it ends.
    pub(crate) async fn before(
        &self,
        collection: &str,
        keys: Vec<RawDocumentBuf>,
    ) -> Run<HashMap<Vec<u8>, RawDocumentBuf>> {
        let mut outside =
            Tx { store: self.store, session: self.store.database.client().start_session().await? };
        let mut found = HashMap::with_capacity(keys.len());
        for filter in any_of_each(keys) {
            let mut command = find(collection, &filter);
            // What is committed, also while the majority does not have it yet.
            command.append_ref("readConcern", &fields([("level", "local".into())]));
            let by_id = &mut |document: &RawDocument| {
                found.insert(document.get_document("_id")?.as_bytes().to_vec(), document.to_owned());
                Ok(())
            };
            outside.each(command, by_id).await?;
        }
        Ok(found)
    }

    /// Runs a write command in a transaction.
    pub(crate) async fn write(&mut self, command: RawDocumentBuf) -> Run<()> {
        let reply = self.store.database.run_raw_command(command).session(&mut self.session).await?;
        // Such an error comes in a reply that says `ok`.
        let errors = reply.get_array("writeErrors").ok();
        let Some(error) = errors.and_then(|errors| errors.first()?.as_document()) else { return Ok(()) };
        Err(Fail::Write(WriteError {
            index: whole(error.get("index")).and_then(|index| usize::try_from(index).ok()).unwrap_or(0),
            code: whole(error.get("code")).and_then(|code| i32::try_from(code).ok()).unwrap_or(0),
            message: error.get_str("errmsg").unwrap_or_default().to_owned(),
        }))
    }
}
