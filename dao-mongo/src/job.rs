//! A commit, checked as far as it can be without the store's records.

use std::collections::BTreeSet;

use fastsync_core::ErrorKind;
use fastsync_core::source::{Action, Commit, StateWrite, Write, Writes};
use mongodb::bson::oid::ObjectId;

use crate::error::{Fail, Run};
use crate::registry::Types;

/// The document of `fastsync_zones` that numbers local commits; no zone has this name.
pub(crate) const CHANGES: &str = "changes";

/// About the most bytes of a state value: it must fit a document.
const MAX_VALUE_BYTES: usize = 15 << 20;

#[derive(Debug)]
pub(crate) struct Job {
    /// The commit without its writes.
    pub(crate) commit: Commit,
    /// The writes given with the commit, by key.
    pub(crate) writes: Vec<Write>,
    pub(crate) is_staged: bool,
    /// Names this call, so that it knows its own session if it finds it committed.
    pub(crate) attempt: ObjectId,
}

impl Job {
    /// Takes the writes out of a commit and refuses what can be refused without looking at the store's records.
    pub(crate) fn new(types: &Types, commit: &mut Commit) -> Run<Self> {
        let writes = std::mem::replace(&mut commit.writes, Writes::Inline(Vec::new()));
        let (mut writes, is_staged) = match writes {
            Writes::Inline(writes) => (writes, false),
            Writes::Staged { overrides } => (overrides, true),
        };
        for write in &mut writes {
            write.admit_signed(&types.get(&write.action.key().type_name)?.schema)?;
        }
        Write::sort(&mut writes)?;
        for clear in &commit.clears {
            types.get(&clear.type_name)?;
        }
        StateWrite::check_keys(&commit.state)?;
        for write in &commit.state {
            let length = write.value.as_ref().map_or(0, Vec::len);
            if length > MAX_VALUE_BYTES {
                let message = format!("a state value has {length} bytes, the limit is {MAX_VALUE_BYTES}");
                return Err(Fail::new(ErrorKind::TooLarge, "commit", message));
            }
        }
        Ok(Self { commit: commit.clone(), writes, is_staged, attempt: ObjectId::new() })
    }

    /// The documents of `fastsync_zones` that this commit writes: the zones of its records and clears, and the
    /// numbering of local commits.
    pub(crate) fn turns(&self) -> BTreeSet<String> {
        let mut turns = turns_of(&self.writes);
        turns.extend(self.commit.clears.iter().map(|clear| clear.zone.to_string()));
        turns
    }
}

pub(crate) fn turns_of(writes: &[Write]) -> BTreeSet<String> {
    let mut turns = BTreeSet::new();
    let mut last = None;
    for write in writes {
        let zone = &write.action.key().zone;
        if last != Some(zone) {
            turns.insert(zone.to_string());
            last = Some(zone);
        }
        if matches!(write.action, Action::Put { pending: true, .. }) && !turns.contains(CHANGES) {
            turns.insert(CHANGES.to_owned());
        }
    }
    turns
}
