//! What the client's engine keeps beside the records.

use std::collections::BTreeSet;

use serde::{Serialize, de::DeserializeOwned};

use super::Client;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Author, SessionId, SessionKind, TypeName};
use crate::protocol::Cursor;
use crate::source::{Clear, Commit, StateWrite, Writes};
use crate::store::StateKey;

pub(super) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    postcard::to_stdvec(value).map_err(|error| {
        Error::new(ErrorKind::Backend, "encode", "a state entry cannot be written").with_source(error)
    })
}

pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    postcard::from_bytes(bytes).map_err(|error| {
        Error::new(ErrorKind::Corrupt, "decode", "a state entry cannot be read").with_source(error)
    })
}

impl Client {
    pub(super) async fn load_cursor(&self) -> Result<Option<Cursor>> {
        let stored = self.store.source().state(StateKey::CURSOR).await?;
        stored
            .map(|bytes| {
                String::from_utf8(bytes)
                    .map(Cursor::from)
                    .map_err(|_| Error::new(ErrorKind::Corrupt, "decode", "the stored cursor cannot be read"))
            })
            .transpose()
    }

    pub(super) async fn load_unknown_types(&self) -> Result<BTreeSet<TypeName>> {
        let stored = self.store.source().state(StateKey::UNKNOWN_TYPES).await?;
        Ok(stored.as_deref().map(decode).transpose()?.unwrap_or_default())
    }

    /// Types whose records were dropped and wait to be fetched anew.
    pub(super) async fn load_refetch(&self) -> Result<BTreeSet<TypeName>> {
        let entries = self.store.source().states(StateKey::REFETCH).await?;
        entries
            .into_iter()
            .map(|(key, _)| TypeName::new(key.strip_prefix(StateKey::REFETCH).unwrap_or(&key)))
            .collect()
    }

    /// A commit of what the server sent or answered.
    pub(super) fn apply_commit(
        &self,
        session: SessionId,
        clears: Vec<Clear>,
        writes: Writes,
        state: Vec<StateWrite>,
    ) -> Commit {
        Commit {
            session,
            kind: SessionKind::Apply,
            author: Author { user: None, device: self.store.device(), number: 0 },
            at: self.store.now(),
            tag: self.store.new_tag().0,
            positioned: false,
            clears,
            writes,
            state,
        }
    }
}
