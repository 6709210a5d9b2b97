//! Pushing a session.

use serde::{Deserialize, Deserializer, Serialize, de};

use super::{SyncOperationMetadata, SyncPayload, present};
use crate::error::{Error, Result};
use crate::model::{ObjectId, Revision, SessionId, TypeName, Zone};

/// How many sessions one request may withdraw.
pub const MAX_WITHDRAWN: usize = 8;

/// A device sends a session: local edits with the revisions they started from. Or it withdraws sessions that it has sent, and
/// asks what became of the first one.
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
    /// The sessions to withdraw: this one, and those with the numbers after it. Empty in a push. If the push of this number
    /// was processed, its receipt is the answer; if it was not, none of these sessions is ever processed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub withdraw: Vec<SessionId>,
    /// The edits; none in a withdrawal.
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
        Self {
            metadata,
            session,
            number,
            follows: None,
            mode: PushMode::Atomic,
            withdraw: Vec::new(),
            payload,
        }
    }

    /// Takes back the push of this number and those after it, whose sessions these are, in the order of their numbers, and
    /// asks what became of the first. The types are those of that push.
    #[must_use]
    pub fn withdrawal(
        metadata: SyncOperationMetadata,
        number: u64,
        first: SessionId,
        later: impl IntoIterator<Item = SessionId>,
    ) -> Self {
        let withdraw = std::iter::once(first).chain(later).collect();
        Self { withdraw, ..Self::new(metadata, first, number, SyncPayload::default()) }
    }

    /// Refuses a withdrawal that no device makes.
    pub(crate) fn check_withdrawal(&self) -> Result<()> {
        let Self { session, number, withdraw, payload, .. } = self;
        let invalid = |message: &str| Err(Error::invalid("push", message));
        if withdraw.len() > MAX_WITHDRAWN {
            return invalid("a request withdraws too many sessions");
        }
        if withdraw.first() != Some(session) {
            return invalid("a withdrawal begins with its own session");
        }
        if withdraw
            .iter()
            .enumerate()
            .any(|(at, session)| withdraw.iter().skip(at + 1).any(|other| other == session))
        {
            return invalid("a request withdraws a session twice");
        }
        if !payload.is_empty() {
            return invalid("a withdrawal carries edits");
        }
        if number.checked_add(MAX_WITHDRAWN as u64).is_none() {
            return invalid("the number of a withdrawal is too large");
        }
        Ok(())
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
    /// The push was withdrawn before it was processed, and never will be.
    Voided {
        /// The last number that is used up: the device goes on with the next.
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
    Voided,
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
            (PushResult::Voided, None, None, None, None, Some(last)) => Ok(PushReply::Voided { last }),
            _ => Err(E::custom("a reply has other members than its result says")),
        }
    }
}
