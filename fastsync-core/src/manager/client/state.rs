//! What the client's engine keeps beside the records.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::Client;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Author, SessionId, SessionKind, TypeName};
use crate::protocol::{Cursor, PushRequest};
use crate::source::{Clear, Commit, ExpectState, StateWrite, Writes};
use crate::store::StateKey;

/// Where pushing stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct PushState {
    /// The number of the last push whose receipt is stored.
    pub(super) acknowledged: u64,
    /// The push that was begun and not answered: it is sent again unchanged until it is.
    pub(super) in_flight: Option<InFlight>,
}

/// A push as it was sent, and which local changes it carries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct InFlight {
    pub(super) request: PushRequest,
    /// The pending change of each row, in the order of the rows.
    pub(super) changes: Vec<u64>,
}

/// The push state together with its stored bytes, for a compare-and-set.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LoadedPushState {
    pub(super) state: PushState,
    stored: Option<Vec<u8>>,
}

impl LoadedPushState {
    /// The entry that replaces the loaded state, and the state as it is once that is committed. The entry fails if
    /// another process was faster.
    pub(super) fn replace(&self, state: PushState) -> Result<(StateWrite, Self)> {
        let value = encode(&state)?;
        let expect = self.stored.clone().map_or(ExpectState::Absent, ExpectState::Value);
        let write = StateWrite { key: StateKey::PUSH.to_owned(), expect, value: Some(value.clone()) };
        Ok((write, Self { state, stored: Some(value) }))
    }
}

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
    pub(super) async fn load_push_state(&self) -> Result<LoadedPushState> {
        let stored = self.store.source().state(StateKey::PUSH).await?;
        let state = stored.as_deref().map(decode).transpose()?.unwrap_or_default();
        Ok(LoadedPushState { state, stored })
    }

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
