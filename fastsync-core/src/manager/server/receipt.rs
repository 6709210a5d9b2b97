//! What a server remembers of a device's last push.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Server;
use super::pull::for_peer;
use crate::context::ZoneAccess;
use crate::error::Result;
use crate::model::{Record, RecordKey, Revision, SessionId, TypeName};
use crate::protocol::{Columns, MAX_WITHDRAWN, ObjectOutcome, Outcome, PushReceipt, PushReply, SyncPayload};
use crate::source::entry;

/// How many pushes before the last are kept: a device has so many, and the last one, under way at most.
const KEPT: usize = 3;

/// How many withdrawn sessions are kept: those of the last withdrawals.
const KEPT_VOIDED: usize = 2 * MAX_WITHDRAWN;

/// The newest stored form. The first one has no withdrawn sessions, and is written where there are none.
const FORM: u8 = 2;

/// What a device has pushed last: enough to give the same receipt again.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LastPush {
    /// The last number that is used up: that of the last push, or of one that was withdrawn after it.
    pub(super) number: u64,
    /// The last push that was processed; `None` if all were withdrawn.
    pub(super) last: Option<Processed>,
    /// The pushes before, the last one first, as long as there was nothing to tell of their objects: then the device may
    /// have sent this one before it had stored those answers, and asks for them again if it died in between.
    pub(super) before: Vec<Answer>,
    /// Sessions that were withdrawn and are never processed, the latest ones last.
    pub(super) voided: Vec<SessionId>,
}

/// A processed push, with what there is to tell of its objects.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Processed {
    pub(super) answer: Answer,
    pub(super) exceptions: Vec<(RecordKey, Outcome)>,
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
    Repeated(Processed),
    /// It cannot be processed.
    Refused(PushReply),
}

impl LastPush {
    /// What is kept once this push is processed, which comes after `before`.
    pub(super) fn after(
        before: Option<&Self>,
        answer: Answer,
        exceptions: Vec<(RecordKey, Outcome)>,
    ) -> Self {
        Self {
            number: answer.number,
            last: Some(Processed { answer, exceptions }),
            before: before.map_or_else(Vec::new, Self::as_before),
            voided: before.map_or_else(Vec::new, |before| before.voided.clone()),
        }
    }

    /// What is kept once these sessions are withdrawn, the first of which has this number.
    pub(super) fn withdrawn(before: Option<Self>, number: u64, sessions: &[SessionId]) -> Self {
        let more = u64::try_from(sessions.len()).unwrap_or(u64::MAX);
        let mut after =
            before.unwrap_or(Self { number: 0, last: None, before: Vec::new(), voided: Vec::new() });
        after.number = number.saturating_add(more).saturating_sub(1);
        after.voided.extend(sessions);
        after.voided.drain(..after.voided.len().saturating_sub(KEPT_VOIDED));
        after
    }

    pub(super) fn encode(&self) -> Result<Vec<u8>> {
        let written = |Processed { answer, exceptions }: &Processed| {
            let exceptions = exceptions.iter().map(|(key, outcome)| (key.clone(), outcome.into())).collect();
            KeptPush { answer: *answer, exceptions }
        };
        match &self.last {
            Some(last) if self.voided.is_empty() && last.answer.number == self.number => {
                entry::encode(&(written(last), &self.before))
            }
            last => entry::encode_form(
                FORM,
                &(self.number, last.as_ref().map(written), &self.before, &self.voided),
            ),
        }
    }

    pub(super) fn decode(stored: Option<&[u8]>) -> Result<Option<Self>> {
        let Some(stored) = stored else { return Ok(None) };
        let read = |KeptPush { answer, exceptions }| {
            let exceptions = exceptions.into_iter().map(|(key, outcome)| (key, outcome.into())).collect();
            Processed { answer, exceptions }
        };
        Ok(Some(match entry::parts(stored, FORM)? {
            (FORM, content) => {
                let (number, last, before, voided): (_, Option<KeptPush>, _, _) = entry::read(content)?;
                Self { number, last: last.map(read), before, voided }
            }
            (_, content) => {
                let (last, before): (KeptPush, _) = entry::read(content)?;
                Self { number: last.answer.number, last: Some(read(last)), before, voided: Vec::new() }
            }
        }))
    }

    /// How a push stands.
    pub(super) fn standing(
        last: Option<&Self>,
        (number, session): (u64, SessionId),
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
        if let Some(processed) = last.find(|answer| answer.number == number && answer.digest == digest) {
            return Standing::Repeated(processed);
        }
        if let Some(refused) = last.refuses(number, session) {
            return Standing::Refused(refused);
        }
        if last.is_before(number) && follows.is_none_or(|session| last.may_be_followed(session)) {
            Standing::Next
        } else {
            Standing::Refused(PushReply::Gap { last: last.number })
        }
    }

    /// How a withdrawal stands; the next one is what becomes void.
    pub(super) fn standing_of_withdrawal(last: Option<&Self>, number: u64, session: SessionId) -> Standing {
        let Some(last) = last else {
            return if number == 1 { Standing::Next } else { Standing::Refused(PushReply::Gap { last: 0 }) };
        };
        // What was withdrawn carries no edits to compare.
        if let Some(processed) = last.find(|answer| answer.number == number && answer.session == session) {
            return Standing::Repeated(processed);
        }
        if let Some(refused) = last.refuses(number, session) {
            return Standing::Refused(refused);
        }
        if last.is_before(number) {
            Standing::Next
        } else {
            Standing::Refused(PushReply::Gap { last: last.number })
        }
    }

    fn find(&self, is_asked_for: impl Fn(&Answer) -> bool) -> Option<Processed> {
        let before = || {
            let answer = self.before.iter().find(|answer| is_asked_for(answer))?;
            Some(Processed { answer: *answer, exceptions: Vec::new() })
        };
        self.last.clone().filter(|last| is_asked_for(&last.answer)).or_else(before)
    }

    /// Why a push that was not processed never is.
    fn refuses(&self, number: u64, session: SessionId) -> Option<PushReply> {
        if self.voided.contains(&session) {
            Some(PushReply::Voided { last: self.number })
        } else if number <= self.number {
            // A number is used once: its second use with other content comes from a copy of the store.
            Some(PushReply::ClientForked)
        } else {
            None
        }
    }

    const fn is_before(&self, number: u64) -> bool {
        number == self.number.saturating_add(1)
    }

    /// Whether a push may follow that was made when the answer to `session` was not known.
    fn may_be_followed(&self, session: SessionId) -> bool {
        self.last.as_ref().is_some_and(|Processed { answer, exceptions }| {
            answer.session == session && answer.number == self.number && exceptions.is_empty()
        })
    }

    /// What the next push keeps of this one and of those before.
    fn as_before(&self) -> Vec<Answer> {
        match &self.last {
            Some(Processed { exceptions, .. }) if !exceptions.is_empty() => Vec::new(),
            last => {
                let last = last.as_ref().map(|last| &last.answer);
                last.into_iter().chain(&self.before).take(KEPT).copied().collect()
            }
        }
    }
}

/// The stored form of a [`Processed`]. Fields are identified by their place.
#[derive(Serialize, Deserialize)]
struct KeptPush {
    answer: Answer,
    exceptions: Vec<(RecordKey, KeptOutcome)>,
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

impl Processed {
    /// A type of which the device cannot be told what the server has now in place of what it sent.
    pub(super) fn outside(&self, columns: &BTreeMap<TypeName, Columns>) -> Option<&TypeName> {
        self.exceptions.iter().map(|(key, _)| &key.type_name).find(|name| !columns.contains_key(*name))
    }

    /// The answer for a device with these types. Of another type, the server cannot say what it has now: an edit that lost or was
    /// merged counts as refused, and the device lists it.
    pub(super) fn told_in(mut self, columns: &BTreeMap<TypeName, Columns>) -> Self {
        for (key, outcome) in &mut self.exceptions {
            if !columns.contains_key(&key.type_name)
                && matches!(outcome, Outcome::Merged | Outcome::Superseded)
            {
                let message = format!("{} is no longer exchanged with this device", key.type_name);
                *outcome = Outcome::Rejected { code: "unknown_type".to_owned(), message };
            }
        }
        self
    }
}

impl Server {
    /// The answer to a processed push, with what the server has now for every object not stored as sent, as far as
    /// the user may read it.
    pub(super) async fn receipt(
        &self,
        last: Processed,
        access: &ZoneAccess,
        columns: &BTreeMap<TypeName, Columns>,
    ) -> Result<PushReply> {
        let mut current: Vec<Record> = Vec::new();
        for run in last.exceptions.chunk_by(|(a, _), (b, _)| a.type_name == b.type_name && a.zone == b.zone) {
            let is_told =
                |key: &RecordKey| access.can_read(&key.zone) && columns.contains_key(&key.type_name);
            let Some((first, _)) = run.first().filter(|(key, _)| is_told(key)) else { continue };
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

    /// Fails if an outcome is forgotten or read as another, or a form changes: forms 1 and 2 stay as they are.
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
        let exceptions = vec![
            (key("a"), Outcome::Kept),
            (key("b"), Outcome::Merged),
            (key("c"), Outcome::Superseded),
            (key("d"), Outcome::Rejected { code: "zone".into(), message: "no".into() }),
        ];
        let last = LastPush {
            number: 303,
            last: Some(Processed { answer: answer(3), exceptions }),
            before: vec![answer(2), answer(1)],
            voided: Vec::new(),
        };
        let stored = last.encode().unwrap();
        assert_eq!(hex(&stored), include_str!("../../../tests/golden/stored/receipt-1.hex").trim_end());
        assert_eq!(LastPush::decode(Some(&stored)).unwrap().as_ref(), Some(&last));
        assert_eq!(LastPush::decode(None).unwrap(), None);

        let sessions = [7, 8].map(|n| SessionId::from_uuid(uuid::Uuid::from_u128(n)));
        let last = LastPush::withdrawn(Some(last), 304, &sessions);
        let stored = last.encode().unwrap();
        assert_eq!(hex(&stored), include_str!("../../../tests/golden/stored/receipt-2.hex").trim_end());
        assert_eq!(LastPush::decode(Some(&stored)).unwrap(), Some(last));
        let first = LastPush::withdrawn(None, 1, &sessions);
        assert_eq!(LastPush::decode(Some(&first.encode().unwrap())).unwrap(), Some(first));
        let later = [&[FORM + 1], &stored[1..]].concat();
        assert_eq!(LastPush::decode(Some(&later)).unwrap_err().kind(), crate::ErrorKind::Unsupported);
    }

    fn hex(stored: &[u8]) -> String {
        stored.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Fails if what a device has under way could push the sessions out that it has withdrawn, or the list grows for ever.
    #[test]
    fn the_last_withdrawals_are_kept() {
        let session = |n: u64| SessionId::from_uuid(uuid::Uuid::from_u128(n.into()));
        let mut last = None;
        for round in 0..10 {
            let sessions: Vec<_> = (0..3).map(|n| session(3 * round + n)).collect();
            last = Some(LastPush::withdrawn(last, 3 * round + 1, &sessions));
        }
        let last = last.unwrap();
        assert_eq!((last.number, last.voided.len()), (30, KEPT_VOIDED));
        for n in 0..30 {
            let standing = LastPush::standing(Some(&last), (n + 1, session(n)), None, [0; 32]);
            let expected = if n < 14 { PushReply::ClientForked } else { PushReply::Voided { last: 30 } };
            assert!(matches!(standing, Standing::Refused(reply) if reply == expected), "{n}");
        }
    }
}
