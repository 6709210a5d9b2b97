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
    pub fn state(&mut self, write: &StateWrite, current: Option<Vec<u8>>) {
        if !write.expect.holds(current.as_deref()) && self.state.len() < Conflict::MAX_PER_OUTCOME {
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
