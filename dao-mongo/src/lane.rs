//! Turns: the commits of one process into one zone do not abort each other, and share transactions.
//!
//! MongoDB aborts a transaction that meets another's uncommitted write instead of letting it wait. So commits
//! of this process wait here, per zone; whoever gets the turn takes everyone who waits along in one
//! transaction. The turn is only for speed: what keeps commits apart, also those of other processes, is the
//! zone's own document, which every transaction writes first.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use fastsync_core::source::CommitOutcome;
use mongodb::bson::oid::ObjectId as BsonId;
use tokio::sync::{Mutex as Turn, OwnedMutexGuard, oneshot};

use crate::error::Run;
use crate::job::Job;

/// How much one transaction takes along: it should stay short.
const GROUP_JOBS: usize = 64;
const GROUP_WRITES: usize = 2_000;

/// A commit that waits, and who is told what became of it.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) job: Job,
    pub(crate) reply: oneshot::Sender<Run<CommitOutcome>>,
}

/// The turn of a lane, which is not forgotten as long as somebody has it.
#[derive(Debug)]
pub(crate) struct Held {
    _guard: OwnedMutexGuard<()>,
    _lane: Arc<Lane>,
}

#[derive(Debug, Default)]
pub(crate) struct Lane {
    turn: Arc<Turn<()>>,
    waiting: Mutex<VecDeque<Waiting>>,
}

impl Lane {
    pub(crate) fn push(&self, waiting: Waiting) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push_back(waiting);
    }

    pub(crate) async fn turn(self: &Arc<Self>) -> Held {
        Held { _guard: Arc::clone(&self.turn).lock_owned().await, _lane: Arc::clone(self) }
    }

    /// Who goes into the next transaction; nobody if `own` was taken along already. Its caller must not lead
    /// others then: it would get its own answer late.
    pub(crate) fn take(&self, own: BsonId) -> Vec<Waiting> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.iter().all(|waiting| waiting.job.attempt != own) {
            return Vec::new();
        }
        let mut taken = Vec::new();
        let mut writes = 0_usize;
        while let Some(next) = waiting.pop_front() {
            writes = writes.saturating_add(next.job.writes.len());
            if !taken.is_empty() && (taken.len() >= GROUP_JOBS || writes > GROUP_WRITES) {
                waiting.push_front(next);
                break;
            }
            taken.push(next);
        }
        taken
    }
}

/// The lanes in use.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    lanes: Mutex<HashMap<String, Weak<Lane>>>,
}

impl Lanes {
    pub(crate) fn lane(&self, key: &str) -> Arc<Lane> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lane) = lanes.get(key).and_then(Weak::upgrade) {
            return lane;
        }
        // Now and then those that nobody is in are forgotten.
        if lanes.len().is_power_of_two() {
            lanes.retain(|_, lane| lane.strong_count() > 0);
        }
        let lane = Arc::new(Lane::default());
        lanes.insert(key.to_owned(), Arc::downgrade(&lane));
        lane
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    /// Fails if a lane is forgotten while its turn is taken: whoever comes next gets another one, and does
    /// not wait.
    #[tokio::test]
    async fn a_turn_is_waited_for_however_it_was_taken() {
        let lanes = Lanes::default();
        let held = lanes.lane("zone").turn().await;
        assert!(lanes.lane("other").turn().now_or_never().is_some());
        assert!(lanes.lane("zone").turn().now_or_never().is_none());
        drop(held);
        assert!(lanes.lane("zone").turn().now_or_never().is_some());
    }
}
