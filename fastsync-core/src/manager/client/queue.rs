//! The sessions that were made and whose receipts are not stored yet.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Client;
use super::kept;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{ObjectId, TypeName, Zone};
use crate::protocol::{Row, SyncPayload};
use crate::source::entry::{self, encode, encode_form};
use crate::source::{StateWrite, SyncableDataSourceExt as _};
use crate::store::{SessionLimits, StateKey};
use crate::transport::Outgoing;

/// A push as it was sent, and which local changes it carries.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct InFlight {
    pub(super) request: Outgoing,
    /// The pending change of each row, in the order of the rows.
    pub(super) changes: Vec<u64>,
}

/// Where pushing stands: the number of the last push whose receipt is stored, and the sessions after it, in the order
/// of their numbers. Each is sent unchanged until it is answered.
///
/// There are three at most, all in flight. The second is processed only if the first one was, and without exceptions
/// ([`PushRequest::follows`]): a session that may meet others than it was made for is dropped. The next is made when the
/// receipt of the first is stored, in the same commit. Before a number is used for another session, the server has said
/// that it never processes this one.
#[derive(Debug, Clone)]
pub(super) struct PushQueue {
    pub(super) acknowledged: u64,
    pub(super) sessions: VecDeque<Arc<InFlight>>,
    /// How often edits were given up: a session that was made of them before is not stored after.
    given_up: u64,
    /// The stored entry, for a compare-and-set.
    stored: Option<Vec<u8>>,
}

/// What is stored of a queue beside its sessions, which have entries of their own.
#[derive(Default, Serialize, Deserialize)]
struct Entry {
    acknowledged: u64,
    sessions: u64,
    given_up: u64,
}

impl Entry {
    /// The newest stored form. The first one has no `given_up`, and is written where that is 0.
    const FORM: u8 = StateKey::PUSH_FORM;

    fn encode(&self) -> Result<Vec<u8>> {
        match self.given_up {
            0 => encode(&(self.acknowledged, self.sessions)),
            _ => encode_form(Self::FORM, self),
        }
    }

    fn decode(stored: Option<&[u8]>) -> Result<Self> {
        let Some(stored) = stored else { return Ok(Self::default()) };
        match entry::parts(stored, Self::FORM)? {
            (Self::FORM, content) => entry::read(content),
            (_, content) => {
                let (acknowledged, sessions) = entry::read(content)?;
                Ok(Self { acknowledged, sessions, given_up: 0 })
            }
        }
    }
}

impl InFlight {
    /// How many records it has, and about how many bytes they are.
    pub(super) fn size(&self) -> SessionLimits {
        let bytes =
            self.request.payload.groups.iter().flat_map(|group| &group.rows).map(Row::approximate_bytes);
        SessionLimits::new(self.changes.len(), bytes.sum())
    }

    /// Whether it cannot be cut smaller.
    pub(super) fn is_one_local_commit(&self) -> bool {
        self.changes.windows(2).all(|two| two.first() == two.last())
    }
}

impl PushQueue {
    /// The number of the next session to be made.
    pub(super) fn next_number(&self) -> u64 {
        let waiting = u64::try_from(self.sessions.len()).unwrap_or(u64::MAX);
        self.acknowledged.saturating_add(waiting).saturating_add(1)
    }

    /// The newest local change that a session carries.
    pub(super) fn last_change(&self) -> u64 {
        let changes = self.sessions.iter().flat_map(|session| &session.changes);
        changes.copied().max().unwrap_or_default()
    }

    /// Whether a session edits an object that a waiting one edits too: that needs the receipt first.
    pub(super) fn meets(&self, next: &InFlight) -> bool {
        // Hardly any push meets another, and the ids alone tell.
        let ids: HashSet<_> = objects(&next.request.payload).map(|object| object.2).collect();
        let waiting = self.sessions.iter().flat_map(|session| objects(&session.request.payload));
        let mut common = waiting.filter(|object| ids.contains(object.2)).peekable();
        if common.peek().is_none() {
            return false;
        }
        let next: HashSet<_> = objects(&next.request.payload).collect();
        common.any(|object| next.contains(&object))
    }

    /// The entries that make the queue this: after push `acknowledged`, with these sessions. They fail if another
    /// process was faster.
    pub(super) fn replace(
        &self,
        acknowledged: u64,
        sessions: VecDeque<Arc<InFlight>>,
    ) -> Result<(Vec<StateWrite>, Self)> {
        let entry = Entry {
            acknowledged,
            sessions: u64::try_from(sessions.len()).unwrap_or(u64::MAX),
            given_up: self.given_up,
        };
        let value = entry.encode()?;
        let mut entries = vec![StateWrite::replace(StateKey::PUSH, self.stored.clone(), Some(value.clone()))];
        for gone in self.sessions.iter().filter(|session| !is_among(session, &sessions)) {
            entries.push(StateWrite::set(StateKey::pushed_session(gone.request.number), None));
        }
        for new in sessions.iter().filter(|session| !is_among(session, &self.sessions)) {
            let value = Some(kept::encode(new)?);
            entries.push(StateWrite::set(StateKey::pushed_session(new.request.number), value));
        }
        Ok((entries, Self { acknowledged, sessions, stored: Some(value), given_up: self.given_up }))
    }

    /// Whether this is how it is stored.
    pub(super) fn is_stored_as(&self, entry: Option<&[u8]>) -> bool {
        self.stored.as_deref() == entry
    }

    /// The entries that keep the queue as it is and let no session be stored that was made before.
    pub(super) fn give_up(&self) -> Result<(Vec<StateWrite>, Self)> {
        let after = Self { given_up: self.given_up.saturating_add(1), ..self.clone() };
        after.replace(after.acknowledged, after.sessions.clone())
    }
}

fn is_among(session: &Arc<InFlight>, sessions: &VecDeque<Arc<InFlight>>) -> bool {
    sessions.iter().any(|other| Arc::ptr_eq(session, other))
}

fn objects(payload: &SyncPayload) -> impl Iterator<Item = (&Zone, &TypeName, &ObjectId)> {
    payload
        .groups
        .iter()
        .flat_map(|group| group.rows.iter().map(|row| (&group.zone, &group.type_name, &row.0)))
}

impl Client {
    pub(super) async fn load_queue(&self) -> Result<PushQueue> {
        let stored = self.store.source().entry(StateKey::PUSH).await?;
        let entry = Entry::decode(stored.as_deref())?;
        let mut sessions = VecDeque::new();
        for place in 1..=entry.sessions {
            let key = StateKey::pushed_session(entry.acknowledged.saturating_add(place));
            let Some(session) = self.store.source().entry(&key).await? else {
                return Err(moved_by_another_process());
            };
            sessions.push_back(Arc::new(kept::decode(&session)?));
        }
        Ok(PushQueue { acknowledged: entry.acknowledged, sessions, given_up: entry.given_up, stored })
    }

    /// The number of the last push whose receipt is stored, and whether one waits for its receipt.
    pub(super) async fn push_standing(&self) -> Result<(u64, bool)> {
        let stored = self.store.source().entry(StateKey::PUSH).await?;
        let entry = Entry::decode(stored.as_deref())?;
        Ok((entry.acknowledged, entry.sessions > 0))
    }
}

pub(super) fn moved_by_another_process() -> Error {
    Error::new(ErrorKind::Contention, "push", "another process synchronises this store at the same time")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::entry::assert_golden;

    /// Fails if a form changes: forms 1 and 2 stay as they are.
    #[test]
    fn both_forms_of_an_entry_stay_as_they_are() {
        let entry = |given_up| Entry { acknowledged: 300, sessions: 2, given_up };
        let stored = [0, 5].map(|given_up| entry(given_up).encode().unwrap());
        assert_golden("queue", &[&stored[0], &stored[1]]);
        for (given_up, stored) in [0, 5].into_iter().zip(&stored) {
            let read = Entry::decode(Some(stored)).unwrap();
            assert_eq!((read.acknowledged, read.sessions, read.given_up), (300, 2, given_up));
        }
        let later = Entry::decode(Some(&[3, 1, 1, 1])).map(|_| ()).unwrap_err();
        assert_eq!(later.kind(), ErrorKind::Unsupported);
    }
}
