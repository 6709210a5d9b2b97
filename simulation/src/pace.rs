//! How long a run goes on: for so many cases or for so many seconds, and in either form until enough has happened.

use std::time::Duration;

use crate::counts::Counts;
use crate::report::now;

/// How much is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Budget {
    /// So many cases, kills, operations or sessions.
    Count(u64),
    /// Until so much time has passed.
    Seconds(u64),
}

impl Budget {
    /// How many things of the run decide what has to happen in it: a run of some seconds has to do at least as much
    /// as one of `least`.
    #[must_use]
    pub const fn least(self, least: u64) -> u64 {
        match self {
            Self::Count(count) => count,
            Self::Seconds(_) => least,
        }
    }
}

impl std::fmt::Display for Budget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Seconds(seconds) => write!(f, "{seconds} s"),
        }
    }
}

/// How many times its budget a run may take until enough has happened, and how long at least: chance and a busy machine
/// make it longer, and do not fail it.
const PATIENCE: u64 = 10;
const PATIENT_FOR: u64 = 300;

/// Says whether a run goes on.
#[derive(Debug)]
pub struct Pace {
    budget: Budget,
    minimum: Vec<(&'static str, u64)>,
    began: Duration,
}

impl Pace {
    /// Begins a run in which at least this much has to happen.
    #[must_use]
    pub fn begin(budget: Budget, minimum: Vec<(&'static str, u64)>) -> Self {
        Self { budget, minimum, began: now() }
    }

    /// What has to happen.
    #[must_use]
    pub fn minimum(&self) -> &[(&'static str, u64)] {
        &self.minimum
    }

    /// Whether there is to be more, after so many cases in which this much happened.
    #[must_use]
    pub fn goes_on(&self, done: u64, counts: &Counts) -> bool {
        self.goes_on_at(now().saturating_sub(self.began).as_secs(), done, counts)
    }

    /// The same after so many seconds.
    #[must_use]
    pub fn goes_on_at(&self, seconds: u64, done: u64, counts: &Counts) -> bool {
        let (used, budget, most) = match self.budget {
            Budget::Count(count) => (done, count, count.saturating_mul(PATIENCE)),
            Budget::Seconds(budget) => (seconds, budget, budget.saturating_mul(PATIENCE).max(PATIENT_FOR)),
        };
        done == 0 || used < budget || (used < most && !counts.missing(&self.minimum).is_empty())
    }
}
