//! The stored form of a walk.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::history::LostHistory;
use crate::error::Result;
use crate::model::{Hlc, RecordKey, SessionId, TypeName};
use crate::source::ResetReason;
use crate::source::entry::{self, encode, encode_form};
use crate::store::StateKey;

/// The form of a note of a walk that fetches types anew: it has what was lost of the server's history, and what the walk has
/// seen is kept beside it. Others have the first form.
const FORM: u8 = StateKey::PULL_FORM;

/// Where a walk is.
#[derive(Serialize, Deserialize)]
pub(super) struct Note {
    pub(super) began_from: [u8; 32],
    pub(super) anew: BTreeMap<TypeName, u64>,
    pub(super) reset: Option<ResetReason>,
    pub(super) session: SessionId,
    pub(super) staged: u64,
    pub(super) received: u64,
    pub(super) newest: Option<Hlc>,
    pub(super) waiting: BTreeSet<TypeName>,
    pub(super) outdated: BTreeSet<TypeName>,
    pub(super) not_seen: BTreeSet<RecordKey>,
    pub(super) own_through: u64,
    pub(super) is_last_leg: bool,
    pub(super) place: Option<String>,
    /// Keys of records that are aside and that it has seen newer versions of.
    pub(super) superseded: BTreeSet<RecordKey>,
    /// Records whose values do not fit, as they are kept aside.
    pub(super) unfit: Vec<Vec<u8>>,
}

impl Note {
    pub(super) fn encode(&self, lost: &LostHistory) -> Result<Vec<u8>> {
        if self.anew.is_empty() { encode(self) } else { encode_form(FORM, &(self, lost)) }
    }

    /// The note, and what was lost; `None` in place of that if the release that wrote it has kept nothing of what it has seen.
    pub(super) fn decode(stored: &[u8]) -> Result<(Self, Option<LostHistory>)> {
        match entry::parts(stored, FORM)? {
            (FORM, content) => {
                let (note, lost) = entry::read(content)?;
                Ok((note, Some(lost)))
            }
            (_, content) => {
                let note: Self = entry::read(content)?;
                let lost = note.anew.is_empty().then(LostHistory::default);
                Ok((note, lost))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ObjectId, Timestamp, Zone};
    use crate::source::entry::assert_golden;

    /// Fails if the form of a note changes: form 1 stays as it is.
    #[test]
    fn a_note_is_as_in_its_file() {
        let name = |name: &str| TypeName::new(name).unwrap();
        let key = |id: &str| RecordKey {
            zone: Zone::Global,
            type_name: name("items"),
            id: ObjectId::new(id).unwrap(),
        };
        let note = Note {
            began_from: [7; 32],
            anew: [(name("items"), 3)].into(),
            reset: Some(ResetReason::Horizon),
            session: SessionId::from_uuid(uuid::Uuid::from_u128(1)),
            staged: 300,
            received: 5_000,
            newest: Some(Hlc::new(Timestamp::from_millis(1_795_294_580_370), 2)),
            waiting: [name("a")].into(),
            outdated: [name("b")].into(),
            not_seen: [key("1")].into(),
            own_through: 4,
            is_last_leg: true,
            place: Some("place".to_owned()),
            superseded: [key("2")].into(),
            unfit: vec![vec![1, 2]],
        };
        let stored = encode(&note).unwrap();
        assert_golden("pull-1", &[&stored]);
        let again: Note = entry::decode(&stored).unwrap();
        assert_eq!(encode(&again).unwrap(), stored);
        assert!(Note::decode(&stored).unwrap().1.is_none(), "what it has seen is not kept");

        let lost = LostHistory { zones: [Zone::Global].into(), last: Some(300) };
        let stored = note.encode(&lost).unwrap();
        assert_golden("pull-2", &[&stored]);
        assert_eq!(Note::decode(&stored).unwrap().1, Some(lost));
        let delta = Note { anew: BTreeMap::new(), ..note };
        assert_eq!(delta.encode(&LostHistory::default()).unwrap()[0], entry::FORM);
    }
}
