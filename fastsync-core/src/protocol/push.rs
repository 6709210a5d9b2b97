//! Pushing a session.

use serde::{Deserialize, Deserializer, Serialize, de};

use super::{SyncOperationMetadata, SyncPayload, present};
use crate::model::{ObjectId, Revision, SessionId, TypeName, Zone};

/// A device sends a session: local edits with the revisions they started from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PushRequest {
    /// Protocol, device, types.
    pub metadata: SyncOperationMetadata,
    /// The session's id, made by the device.
    pub session: SessionId,
    /// The device's number of this push: 1, 2, 3, ... The same number always carries the same request.
    pub number: u64,
    /// The session of the push before, if this one was made while the answer to that one was not known: it is processed only
    /// if that one was, and without exceptions.
    pub follows: Option<SessionId>,
    /// What happens to the rest if one object is refused.
    pub mode: PushMode,
    /// The edits.
    pub payload: SyncPayload,
}

impl PushRequest {
    /// An atomic push that follows none.
    #[must_use]
    pub const fn new(
        metadata: SyncOperationMetadata,
        session: SessionId,
        number: u64,
        payload: SyncPayload,
    ) -> Self {
        Self { metadata, session, number, follows: None, mode: PushMode::Atomic, payload }
    }
}

/// What happens to the rest of a session if one object is refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PushMode {
    /// Nothing of the session is stored.
    #[default]
    Atomic,
    /// The others are stored.
    PerObject,
}

/// The answer to a push.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "result")]
#[non_exhaustive]
pub enum PushReply {
    /// The push was processed, now or at an earlier try.
    Processed(PushReceipt),
    /// Another push with this number came from this device id: the device's store was copied.
    ClientForked,
    /// It is not the turn of this push: the server's last one from this device is `last`, and either numbers were skipped or
    /// it is not the one that this push follows.
    Gap {
        /// The last number that the server has processed; 0 if none.
        last: u64,
    },
}

/// What became of a push.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PushReceipt {
    /// The session.
    pub session: SessionId,
    /// The revision of every object that was stored as sent, and of the merged ones.
    pub revision: Revision,
    /// The objects that there is something to tell of. An object that is not named here was stored as sent.
    pub exceptions: Vec<ObjectOutcome>,
    /// What the server has instead, for merged and superseded objects; an object that is named so and not here
    /// no longer exists on the server.
    pub current: SyncPayload,
}

impl PushReceipt {
    /// The receipt of a session of which everything was stored as sent.
    #[must_use]
    pub fn new(session: SessionId, revision: Revision) -> Self {
        Self { session, revision, exceptions: Vec::new(), current: SyncPayload::default() }
    }
}

/// What became of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ObjectOutcome {
    /// The zone.
    pub zone: Zone,
    /// The type.
    #[serde(rename = "type")]
    pub type_name: TypeName,
    /// The object.
    pub id: ObjectId,
    /// What became of it.
    pub outcome: Outcome,
}

impl ObjectOutcome {
    /// What became of this object.
    #[must_use]
    pub const fn new(zone: Zone, type_name: TypeName, id: ObjectId, outcome: Outcome) -> Self {
        Self { zone, type_name, id, outcome }
    }
}

/// What became of an object, where there is something to tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// A conflict was settled in favour of the client's version: it was stored as sent.
    Kept,
    /// A conflict was settled by storing something made of both versions.
    Merged,
    /// A conflict was settled in favour of the server's version.
    Superseded,
    /// The object was refused; the client keeps the edit aside.
    Rejected {
        /// Why, for programs: `invalid`, `constraint`, `handler_failed`, `aborted` (another object of an atomic
        /// session was refused), or a code of the application's own.
        code: String,
        /// Why, for people.
        message: String,
    },
}

impl<'de> Deserialize<'de> for PushReply {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        PushReplyForm::<SyncPayload>::deserialize(deserializer)?.into_reply()
    }
}

/// The members of every reply together, with the payload in the form `P`; as in [`PullReplyForm`](super::pull).
#[derive(Deserialize)]
#[serde(bound(deserialize = "P: Deserialize<'de>"))]
pub(super) struct PushReplyForm<P> {
    result: PushResult,
    #[serde(default, deserialize_with = "present")]
    session: Option<SessionId>,
    #[serde(default, deserialize_with = "present")]
    revision: Option<Revision>,
    #[serde(default, deserialize_with = "present")]
    exceptions: Option<Vec<ObjectOutcome>>,
    #[serde(default, deserialize_with = "present")]
    current: Option<P>,
    #[serde(default, deserialize_with = "present")]
    last: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum PushResult {
    Processed,
    ClientForked,
    Gap,
}

impl<P: Into<SyncPayload>> PushReplyForm<P> {
    pub(super) fn into_reply<E: de::Error>(self) -> Result<PushReply, E> {
        let Self { result, session, revision, exceptions, current, last } = self;
        match (result, session, revision, exceptions, current, last) {
            (PushResult::Processed, Some(session), Some(revision), Some(exceptions), Some(current), None) => {
                let current = current.into();
                Ok(PushReply::Processed(PushReceipt { session, revision, exceptions, current }))
            }
            (PushResult::ClientForked, None, None, None, None, None) => Ok(PushReply::ClientForked),
            (PushResult::Gap, None, None, None, None, Some(last)) => Ok(PushReply::Gap { last }),
            _ => Err(E::custom("a reply has other members than its result says")),
        }
    }
}
