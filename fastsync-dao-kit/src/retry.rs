//! How long to wait before something is tried again that others were in the way of.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

/// The waits between attempts.
#[derive(Debug, Clone)]
pub struct Pauses {
    /// The next wait is at most this long.
    ceiling: Duration,
    longest: Duration,
}

impl Pauses {
    /// The first wait is at most `first`, and each later one at most twice as long as that before it, up to `longest`.
    #[must_use]
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { ceiling: first, longest }
    }

    /// A random part of the ceiling, so that those who met do not meet again; the ceiling doubles.
    pub fn next_pause(&mut self) -> Duration {
        let ceiling = self.ceiling;
        self.ceiling = ceiling.saturating_mul(2).min(self.longest);
        // The keys of the standard hasher are random bits that need no further crate.
        let random = RandomState::new().hash_one(0_u8);
        let micros = u64::try_from(ceiling.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(random.checked_rem(micros).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_stay_below_a_ceiling_that_is_bounded() {
        let longest = Duration::from_millis(400);
        let mut pauses = Pauses::new(Duration::from_millis(4), longest);
        assert!(pauses.next_pause() <= Duration::from_millis(4));
        for _ in 0..100 {
            assert!(pauses.next_pause() <= longest);
        }
        assert_eq!(pauses.ceiling, longest);
        assert_eq!(Pauses::new(Duration::ZERO, longest).next_pause(), Duration::ZERO);
    }
}
