//! What a server remembers of a device's last push.

use std::collections::BTreeMap;
use std::iter;

use serde::{Deserialize, Serialize};

use super::Server;
use super::pull::for_peer;
use crate::context::ZoneAccess;
use crate::error::Result;
use crate::model::{Record, RecordKey, Revision, SessionId, TypeName};
use crate::protocol::{Columns, ObjectOutcome, Outcome, PushReceipt, PushReply, SyncPayload};
use crate::source::entry;

/// How many pushes before the last are kept: a device has so many, and the last one, under way at most.
const KEPT: usize = 3;

/// The last push of a device: enough to give the same receipt again.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LastPush {
    pub(super) answer: Answer,
    pub(super) exceptions: Vec<(RecordKey, Outcome)>,
    /// The pushes before, the last one first, as long as there was nothing to tell of their objects: then the device may
    /// have sent this one before it had stored those answers, and asks for them again if it died in between.
    pub(super) before: Vec<Answer>,
}

/// A push, and what is the same in its receipt for all of its objects.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Answer {
    pub(super) number: u64,
    pub(super) digest: [u8; 32],
    pub(super) session: SessionId,
    pub(super) revision: Revision,
}

/// How a push stands to the last one of its device.
#[derive(Debug)]
pub(super) enum Standing {
    /// It is the next one.
    Next,
    /// It was processed before.
    Repeated(LastPush),
    /// It cannot be processed.
    Refused(PushReply),
}

impl LastPush {
    pub(super) fn encode(&self) -> Result<Vec<u8>> {
        let exceptions = self.exceptions.iter().map(|(key, outcome)| (key, outcome.into())).collect();
        entry::encode(&Kept { answer: self.answer, exceptions, before: &*self.before })
    }

    pub(super) fn decode(stored: Option<&[u8]>) -> Result<Option<Self>> {
        let Some(stored) = stored else { return Ok(None) };
        let Kept { answer, exceptions, before }: Kept<RecordKey, Vec<Answer>> = entry::decode(stored)?;
        let exceptions = exceptions.into_iter().map(|(key, outcome)| (key, outcome.into())).collect();
        Ok(Some(Self { answer, exceptions, before }))
    }

    pub(super) fn standing(
        last: Option<&Self>,
        number: u64,
        follows: Option<SessionId>,
        digest: [u8; 32],
    ) -> Standing {
        let Some(last) = last else {
            return if number == 1 && follows.is_none() {
                Standing::Next
            } else {
                Standing::Refused(PushReply::Gap { last: 0 })
            };
        };
        let is_asked_for = |answer: &Answer| answer.number == number && answer.digest == digest;
        if is_asked_for(&last.answer) {
            return Standing::Repeated(last.clone());
        }
        if let Some(before) = last.before.iter().find(|answer| is_asked_for(answer)) {
            return Standing::Repeated(Self { answer: *before, exceptions: Vec::new(), before: Vec::new() });
        }
        // A number is used once: its second use with other content comes from a copy of the store.
        if number <= last.answer.number {
            return Standing::Refused(PushReply::ClientForked);
        }
        let is_next = number == last.answer.number.saturating_add(1);
        if is_next && follows.is_none_or(|session| last.may_be_followed(session)) {
            Standing::Next
        } else {
            Standing::Refused(PushReply::Gap { last: last.answer.number })
        }
    }

    /// Whether a push may follow that was made when the answer to `session` was not known.
    fn may_be_followed(&self, session: SessionId) -> bool {
        self.answer.session == session && self.exceptions.is_empty()
    }

    /// What the next push keeps of this one and of those before.
    pub(super) fn as_before(&self) -> Vec<Answer> {
        if !self.exceptions.is_empty() {
            return Vec::new();
        }
        iter::once(&self.answer).chain(&self.before).take(KEPT).copied().collect()
    }
}

/// The stored form of a [`LastPush`], borrowed for writing, owned after reading. Fields are identified by their place.
#[derive(Serialize, Deserialize)]
struct Kept<K, A> {
    answer: Answer,
    exceptions: Vec<(K, KeptOutcome)>,
    before: A,
}

/// The stored form of an [`Outcome`], which messages may have more of.
#[derive(Serialize, Deserialize)]
enum KeptOutcome {
    Kept,
    Merged,
    Superseded,
    Rejected { code: String, message: String },
}

impl From<&Outcome> for KeptOutcome {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Kept => Self::Kept,
            Outcome::Merged => Self::Merged,
            Outcome::Superseded => Self::Superseded,
            Outcome::Rejected { code, message } => {
                Self::Rejected { code: code.clone(), message: message.clone() }
            }
        }
    }
}

impl From<KeptOutcome> for Outcome {
    fn from(kept: KeptOutcome) -> Self {
        match kept {
            KeptOutcome::Kept => Self::Kept,
            KeptOutcome::Merged => Self::Merged,
            KeptOutcome::Superseded => Self::Superseded,
            KeptOutcome::Rejected { code, message } => Self::Rejected { code, message },
        }
    }
}

impl LastPush {
    /// Whether the device can be told what the server has now in place of what it sent.
    pub(super) fn is_within(&self, columns: &BTreeMap<TypeName, Columns>) -> bool {
        self.exceptions.iter().all(|(key, _)| columns.contains_key(&key.type_name))
    }
}

impl Server {
    /// The answer to a processed push, with what the server has now for every object not stored as sent, as far as
    /// the user may read it.
    pub(super) async fn receipt(
        &self,
        last: LastPush,
        access: &ZoneAccess,
        columns: &BTreeMap<TypeName, Columns>,
    ) -> Result<PushReply> {
        let mut current: Vec<Record> = Vec::new();
        for run in last.exceptions.chunk_by(|(a, _), (b, _)| a.type_name == b.type_name && a.zone == b.zone) {
            let Some((first, _)) = run.first().filter(|(key, _)| access.can_read(&key.zone)) else {
                continue;
            };
            let ids: Vec<_> = run.iter().map(|(key, _)| key.id.clone()).collect();
            current.extend(self.store.source().get(&first.type_name, &first.zone, &ids).await?);
        }
        let exceptions = last
            .exceptions
            .into_iter()
            .map(|(key, outcome)| ObjectOutcome {
                zone: key.zone,
                type_name: key.type_name,
                id: key.id,
                outcome,
            })
            .collect();
        Ok(PushReply::Processed(PushReceipt {
            session: last.answer.session,
            revision: last.answer.revision,
            exceptions,
            current: SyncPayload::from_records(current.into_iter().map(|record| for_peer(record, columns))),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ObjectId, TypeName, Zone};

    /// Fails if an outcome is forgotten or read as another, or the form changes: form 1 stays as it is.
    #[test]
    fn every_outcome_is_kept_and_as_in_its_file() {
        let answer = |number: u8| Answer {
            number: u64::from(number) + 300,
            digest: [number; 32],
            session: SessionId::from_uuid(uuid::Uuid::from_u128(u128::from(number))),
            revision: Revision::from_bits(u64::from(number)),
        };
        let key = |id: &str| RecordKey {
            zone: Zone::restricted("z").unwrap(),
            type_name: TypeName::new("items").unwrap(),
            id: ObjectId::new(id).unwrap(),
        };
        let last = LastPush {
            answer: answer(3),
            exceptions: vec![
                (key("a"), Outcome::Kept),
                (key("b"), Outcome::Merged),
                (key("c"), Outcome::Superseded),
                (key("d"), Outcome::Rejected { code: "zone".into(), message: "no".into() }),
            ],
            before: vec![answer(2), answer(1)],
        };
        let stored = last.encode().unwrap();
        let hex: String = stored.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, include_str!("../../../tests/golden/stored/receipt-1.hex").trim_end());
        assert_eq!(LastPush::decode(Some(&stored)).unwrap(), Some(last));
        assert_eq!(LastPush::decode(None).unwrap(), None);
    }
}
