//! What the client's engine keeps beside the records.

use std::collections::BTreeSet;

use super::Client;
use crate::error::Result;
use crate::model::{Author, SessionId, SessionKind, TypeName};
use crate::protocol::Cursor;
use crate::source::entry::{decode, encode};
use crate::source::{Clear, Commit, StateWrite, SyncableDataSourceExt as _, Writes};
use crate::store::StateKey;

/// The stored form of a cursor: its text.
pub(super) fn encode_cursor(cursor: &Cursor) -> Result<Vec<u8>> {
    encode(cursor.as_str())
}

impl Client {
    /// Takes the identity that another handle of this store may have given it since.
    pub(super) async fn know_itself(&self) -> Result<()> {
        let stored = self.store.source().entry(StateKey::DEVICE).await?;
        if let Some(device) = stored.as_deref().map(decode).transpose()? {
            self.store.set_device(device);
        }
        Ok(())
    }

    pub(super) async fn load_cursor(&self) -> Result<Option<Cursor>> {
        let stored = self.store.source().entry(StateKey::CURSOR).await?;
        let text: Option<String> = stored.as_deref().map(decode).transpose()?;
        Ok(text.map(Cursor::from))
    }

    pub(super) async fn load_unknown_types(&self) -> Result<BTreeSet<TypeName>> {
        let stored = self.store.source().entry(StateKey::UNKNOWN_TYPES).await?;
        Ok(stored.as_deref().map(decode).transpose()?.unwrap_or_default())
    }

    /// Those of the unknown types of which the server asks for a later version.
    pub(super) async fn load_outdated_types(&self) -> Result<BTreeSet<TypeName>> {
        let stored = self.store.source().entry(StateKey::OUTDATED_TYPES).await?;
        Ok(stored.as_deref().map(decode).transpose()?.unwrap_or_default())
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
