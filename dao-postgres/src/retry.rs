//! Trying again what lost to another transaction.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::time::Duration;

use crate::error::{Fail, Run};

/// The longest wait between two attempts.
const LONGEST: Duration = Duration::from_millis(400);

/// Counts attempts and waits between them.
#[derive(Debug)]
pub(crate) struct Attempts {
    left: u32,
    /// The next wait is at most this long.
    ceiling: Duration,
}

impl Attempts {
    pub(crate) fn new(attempts: u32) -> Self {
        Self { left: attempts.saturating_sub(1), ceiling: Duration::from_millis(4) }
    }

    /// Waits if another attempt is worth it, and gives the failure back if not.
    pub(crate) async fn after(&mut self, fail: Fail) -> Run<()> {
        if self.left == 0 || !fail.is_transient() {
            return Err(fail);
        }
        self.left = self.left.saturating_sub(1);
        tokio::time::sleep(self.pause()).await;
        Ok(())
    }

    /// A random part of the ceiling, so that those who met do not meet again; the ceiling doubles.
    fn pause(&mut self) -> Duration {
        let ceiling = self.ceiling;
        self.ceiling = ceiling.saturating_mul(2).min(LONGEST);
        // The keys of the standard hasher are random bits that need no further crate.
        let random = RandomState::new().build_hasher().finish();
        let micros = u64::try_from(ceiling.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(random % micros.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn transient_failures_are_tried_a_bounded_number_of_times() {
        let mut attempts = Attempts::new(3);
        assert!(attempts.after(Fail::Moved).await.is_ok());
        assert!(attempts.after(Fail::Moved).await.is_ok());
        assert!(matches!(attempts.after(Fail::Moved).await, Err(Fail::Moved)));
        assert!(Attempts::new(3).after(Fail::corrupt("x")).await.is_err());
    }

    #[test]
    fn pauses_stay_below_a_ceiling_that_is_bounded() {
        let mut attempts = Attempts::new(100);
        for _ in 0..100 {
            assert!(attempts.pause() <= LONGEST);
        }
        assert_eq!(attempts.ceiling, LONGEST);
    }
}
