//! What stands in the way of a commit.

use crate::model::Record;
use crate::source::{CommitOutcome, Conflict, ConflictReason, OnMismatch, StateConflict, StateWrite, Write};

/// What a look at the writes and state entries of a commit finds.
#[derive(Debug, Default)]
pub struct Verdict {
    writes: Vec<Conflict>,
    skipped: Vec<Conflict>,
    state: Vec<StateConflict>,
}

impl Verdict {
    /// Notes a write that cannot be applied: it stops the commit or is left out, as it says itself. `current` reads what is
    /// there instead, and is not asked where enough conflicts are named.
    ///
    /// # Errors
    /// That of `current`.
    pub fn refuse<E>(
        &mut self,
        write: &Write,
        reason: ConflictReason,
        current: impl FnOnce() -> Result<Option<Record>, E>,
    ) -> Result<(), E> {
        if write.on_mismatch == OnMismatch::Abort && self.is_full() {
            return Ok(());
        }
        let conflict = Conflict { current: current()?, write: write.clone(), reason };
        match write.on_mismatch {
            OnMismatch::Abort => self.writes.push(conflict),
            OnMismatch::Skip => self.skipped.push(conflict),
        }
        Ok(())
    }

    /// Compares a state entry with what is expected of it.
    pub fn state(&mut self, write: &StateWrite, current: Option<&[u8]>) {
        if !write.expect.holds(current) && self.state.len() < Conflict::MAX_PER_OUTCOME {
            let current = current.map(<[u8]>::to_vec);
            self.state.push(StateConflict { key: write.key.clone(), current });
        }
    }

    /// Whether as many writes stop the commit as an outcome names.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.writes.len() >= Conflict::MAX_PER_OUTCOME
    }

    /// Whether anything stops the commit.
    #[must_use]
    pub fn stops(&self) -> bool {
        !self.writes.is_empty() || !self.state.is_empty()
    }

    /// The state entries that are not as expected.
    #[must_use]
    pub fn into_state(self) -> Vec<StateConflict> {
        self.state
    }

    /// The outcome of a commit that something stops; the writes that were left out of one that nothing does.
    ///
    /// # Errors
    /// The outcome of a commit that is stopped.
    pub fn skipped(self) -> Result<Vec<Conflict>, CommitOutcome> {
        if self.stops() {
            return Err(CommitOutcome::Conflicts { writes: self.writes, state: self.state });
        }
        Ok(self.skipped)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::source::{Action, Expect};
    use crate::{Incarnation, ObjectId, RecordKey, Revision, TypeName, Zone};

    fn write(on_mismatch: OnMismatch) -> Write {
        let (type_name, id) = (TypeName::new("notes").unwrap(), ObjectId::new("a").unwrap());
        let key = RecordKey { zone: Zone::Global, type_name, id };
        let (revision, incarnation) = (Revision::from_bits(1), Incarnation::from_bits(1));
        let action = Action::Acknowledge { key, change: 1, revision, incarnation };
        Write { action, expect: Expect::Absent, on_mismatch }
    }

    /// Fails if an outcome names more than it may, if records are read that it does not name, or if what is left out is lost
    /// or stops the commit.
    #[test]
    fn an_outcome_names_so_many_and_what_is_left_out_stops_nothing() {
        let mut verdict = Verdict::default();
        let mut read = 0;
        let mut refuse = |verdict: &mut Verdict, on_mismatch| {
            let current = || -> Result<_, Infallible> {
                read += 1;
                Ok(None)
            };
            let Ok(()) = verdict.refuse(&write(on_mismatch), ConflictReason::Mismatch, current);
        };
        refuse(&mut verdict, OnMismatch::Skip);
        assert!(!verdict.stops());
        for _ in 0..Conflict::MAX_PER_OUTCOME + 5 {
            refuse(&mut verdict, OnMismatch::Abort);
        }
        assert!(verdict.stops() && verdict.is_full());
        refuse(&mut verdict, OnMismatch::Skip);
        assert_eq!(read, Conflict::MAX_PER_OUTCOME + 2);
        let Err(CommitOutcome::Conflicts { writes, state }) = verdict.skipped() else {
            panic!("it is stopped")
        };
        assert_eq!((writes.len(), state.len()), (Conflict::MAX_PER_OUTCOME, 0));
        let mut skips = Verdict::default();
        let Ok(()) =
            skips.refuse(&write(OnMismatch::Skip), ConflictReason::Mismatch, || Ok::<_, Infallible>(None));
        assert_eq!(skips.skipped().unwrap().len(), 1);
    }

    #[test]
    fn a_state_entry_is_what_is_expected_or_named_with_what_it_is() {
        let absent = StateWrite::replace("key", None, None);
        let mut verdict = Verdict::default();
        verdict.state(&absent, None);
        verdict.state(&StateWrite::set("key", None), Some(b"any"));
        verdict.state(&StateWrite::replace("key", Some(b"read".to_vec()), None), Some(b"read"));
        assert!(!verdict.stops());
        for _ in 0..Conflict::MAX_PER_OUTCOME + 5 {
            verdict.state(&absent, Some(b"there"));
        }
        assert!(verdict.stops());
        let state = verdict.into_state();
        assert_eq!(state.len(), Conflict::MAX_PER_OUTCOME);
        assert_eq!((state[0].key.as_str(), state[0].current.as_deref()), ("key", Some(&b"there"[..])));
    }
}
