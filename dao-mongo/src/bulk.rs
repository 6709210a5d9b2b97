//! Write commands of many documents each, so that no record costs a round trip of its own.

use fastsync_core::{ErrorKind, RecordKey};
use mongodb::bson::{RawArrayBuf, RawBsonRef, RawDocumentBuf};

use crate::command::{by_id, fields};
use crate::error::Fail;
use crate::tx::Tx;

/// How much goes into one command; the server's limits are 100,000 writes and 16 MiB.
const COMMAND_WRITES: usize = 5_000;
const COMMAND_BYTES: usize = 8 << 20;

/// What a command does. Those that free unique values come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verb {
    Delete,
    Update,
    Insert,
}

impl Verb {
    /// The command, and its list of documents.
    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Delete => ("delete", "deletes"),
            Self::Update => ("update", "updates"),
            Self::Insert => ("insert", "documents"),
        }
    }
}

/// One kind of write to one collection, with the record that each document is for.
#[derive(Debug)]
pub(crate) struct Bulk<'a> {
    verb: Verb,
    collection: &'a str,
    documents: Vec<(RawDocumentBuf, Option<&'a RecordKey>)>,
}

/// A write that a rule of the user's refuses, with the database's text.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) key: RecordKey,
    pub(crate) text: String,
    /// Whether another document has a unique value that it is to get.
    pub(crate) is_clash: bool,
}

/// A write that a rule of the user's refuses, or a failure.
#[derive(Debug)]
pub(crate) enum Stop {
    Refused(Refusal),
    /// What is staged has changed since it was looked through.
    Restaged,
    Fail(Fail),
}

impl From<Fail> for Stop {
    fn from(fail: Fail) -> Self {
        Self::Fail(fail)
    }
}

impl From<Stop> for Fail {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Fail(fail) => fail,
            Stop::Refused(refusal) => Self::new(ErrorKind::Constraint, "commit", refusal.text),
            Stop::Restaged => Self::new(ErrorKind::Contention, "commit", "batches were staged meanwhile"),
        }
    }
}

impl<'a> Bulk<'a> {
    pub(crate) const fn new(verb: Verb, collection: &'a str) -> Self {
        Self { verb, collection, documents: Vec::new() }
    }

    pub(crate) fn push(&mut self, document: RawDocumentBuf, of: Option<&'a RecordKey>) {
        self.documents.push((document, of));
    }

    /// Replaces the document with this `_id`, or changes it with operators.
    pub(crate) fn update<'i>(
        &mut self,
        id: impl Into<RawBsonRef<'i>>,
        update: &RawDocumentBuf,
        of: Option<&'a RecordKey>,
    ) {
        let q = by_id(id);
        let statement = [("q", (&q).into()), ("u", update.into()), ("upsert", true.into())];
        self.push(fields(statement), of);
    }

    pub(crate) fn delete<'i>(&mut self, id: impl Into<RawBsonRef<'i>>, of: Option<&'a RecordKey>) {
        self.push(selecting(&by_id(id), 1), of);
    }

    /// Deletes all that match.
    pub(crate) fn delete_all(&mut self, filter: &RawDocumentBuf) {
        self.push(selecting(filter, 0), None);
    }

    /// Runs it in the session's transaction.
    pub(crate) async fn run(self, tx: &mut Tx<'_>) -> Result<(), Stop> {
        let mut documents = self.documents.into_iter().peekable();
        while documents.peek().is_some() {
            let mut list = RawArrayBuf::new();
            let mut keys = Vec::new();
            let mut bytes = 0_usize;
            while let Some((document, of)) = documents.next_if(|(document, _)| {
                keys.is_empty()
                    || (keys.len() < COMMAND_WRITES
                        && bytes.saturating_add(document.as_bytes().len()) <= COMMAND_BYTES)
            }) {
                bytes = bytes.saturating_add(document.as_bytes().len());
                list.push(document);
                keys.push(of);
            }
            let (verb, name) = self.verb.names();
            let command = [(verb, self.collection.into()), (name, (&list).into()), ("ordered", true.into())];
            let command = fields(command);
            match tx.write(command).await {
                Ok(()) => {}
                Err(Fail::Write(error)) if error.is_constraint() => {
                    return Err(match keys.get(error.index).copied().flatten() {
                        Some(key) => Stop::Refused(Refusal {
                            key: key.clone(),
                            is_clash: error.is_clash(),
                            text: error.message,
                        }),
                        None => Stop::Fail(Fail::Write(error)),
                    });
                }
                Err(fail) => return Err(Stop::Fail(fail)),
            }
        }
        Ok(())
    }
}

/// A statement of a delete, of one document or of all.
fn selecting(filter: &RawDocumentBuf, limit: i32) -> RawDocumentBuf {
    fields([("q", filter.into()), ("limit", limit.into())])
}
