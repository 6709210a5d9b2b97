//! Trying again what lost to another transaction.

use std::time::Duration;

use crate::retry::Pauses;
use crate::sql::fail::{Fail, Run};

/// The longest wait between two attempts.
const LONGEST: Duration = Duration::from_millis(400);

/// Counts attempts, and says how long to wait between them.
#[derive(Debug)]
pub struct Attempts {
    left: u32,
    pauses: Pauses,
}

impl Attempts {
    /// So many attempts; at least one.
    #[must_use]
    pub const fn new(attempts: u32) -> Self {
        Self { left: attempts.saturating_sub(1), pauses: Pauses::new(Duration::from_millis(4), LONGEST) }
    }

    /// How long to wait before the next attempt.
    ///
    /// # Errors
    /// The failure, if another attempt is not worth it.
    pub fn after(&mut self, fail: Fail) -> Run<Duration> {
        if self.left == 0 || !fail.is_transient() {
            return Err(fail);
        }
        self.left = self.left.saturating_sub(1);
        Ok(self.pauses.next_pause())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transient_failures_are_tried_a_bounded_number_of_times() {
        let mut attempts = Attempts::new(3);
        assert!(attempts.after(Fail::Moved).is_ok());
        assert!(attempts.after(Fail::Moved).is_ok());
        assert!(matches!(attempts.after(Fail::Moved), Err(Fail::Moved)));
        assert!(Attempts::new(3).after(Fail::corrupt("x")).is_err());
    }
}
