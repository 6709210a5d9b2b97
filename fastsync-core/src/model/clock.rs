//! Time and randomness behind traits, and the hybrid logical clock that orders edits.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::model::{DeviceId, bits};

/// Milliseconds since 1970-01-01 UTC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The moment `millis` milliseconds after 1970-01-01 UTC.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970-01-01 UTC.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }
}

/// Where the engine takes the time from. Never used to order commits.
pub trait Clock: Send + Sync + 'static {
    /// The current time. It may jump in both directions.
    fn now(&self) -> Timestamp;
}

/// Where the engine takes randomness from: ids, tags, revisions, keys.
///
/// Outside tests and simulations it must be unpredictable (the operating system's generator).
pub trait Random: Send + Sync + 'static {
    /// 64 random bits.
    fn next_u64(&self) -> u64;
}

/// The operating system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    // The one place of this crate that reads the system time.
    #[allow(clippy::disallowed_methods)]
    fn now(&self) -> Timestamp {
        let elapsed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
    }
}

/// The operating system's generator of random numbers.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    /// # Panics
    /// If the operating system has no randomness to give; there is no safe way on from there.
    #[allow(clippy::expect_used)]
    fn next_u64(&self) -> u64 {
        getrandom::u64().expect("the operating system gives random numbers")
    }
}

/// A hybrid logical time: 48 bits of milliseconds and a 16-bit counter.
///
/// Later edits compare greater, across devices too as long as their clocks are near; ties are broken by device.
/// It says when a record was modified and never decides which records a pull delivers.
/// (Kulkarni et al., "Logical Physical Clocks", 2014.)
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hlc(u64);

impl Serialize for Hlc {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        bits::serialize(self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for Hlc {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let hlc = Self(bits::deserialize(deserializer)?);
        if hlc > Self::MAX {
            Err(serde::de::Error::custom("a modification time is out of range"))
        } else {
            Ok(hlc)
        }
    }
}

impl Hlc {
    /// The largest value that is accepted: it fits a signed 64-bit column.
    pub const MAX: Self = Self(i64::MAX as u64);

    /// The hybrid time with these milliseconds (capped at [`Hlc::MAX`]) and counter.
    #[must_use]
    pub fn new(time: Timestamp, counter: u16) -> Self {
        Self((time.as_millis().min(Self::MAX.0 >> 16) << 16) | u64::from(counter))
    }

    /// Reads the packed form.
    ///
    /// # Errors
    /// `InvalidInput` above [`Hlc::MAX`].
    pub fn from_bits(bits: u64) -> Result<Self> {
        if bits > Self::MAX.0 {
            return Err(Error::new(ErrorKind::InvalidInput, "check", "a modification time is out of range"));
        }
        Ok(Self(bits))
    }

    /// The packed form, which orders as the time does.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// The time right after this one.
    pub(crate) fn next(self) -> Self {
        // A full counter carries into the milliseconds, which keeps the order.
        Self(self.0.saturating_add(1)).min(Self::MAX)
    }

    /// The milliseconds.
    #[must_use]
    pub const fn timestamp(self) -> Timestamp {
        Timestamp(self.0 >> 16)
    }
}

impl fmt::Debug for Hlc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{}", self.0 >> 16, self.0 & 0xffff)
    }
}

/// How far ahead of its own clock a store follows a time from elsewhere: a day. That is more than honest clocks differ by,
/// wrong time zones included, and more than a server tolerates unless told otherwise; a peer that is years ahead must not
/// take everyone along.
const MOST_AHEAD_MS: u64 = 86_400_000;

/// The hybrid clock of one store: never goes back by itself, not even when the wall clock does.
#[derive(Debug, Default)]
pub struct HybridClock {
    last: Mutex<Hlc>,
}

impl HybridClock {
    /// A clock that continues after `last`, the newest time this store has seen.
    #[must_use]
    pub fn starting_after(last: Hlc) -> Self {
        Self { last: Mutex::new(last) }
    }

    /// A time for an edit made now: later than every time given or observed before.
    pub fn tick(&self, clock: &dyn Clock) -> Hlc {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let wall = Hlc::new(clock.now(), 0);
        *last = wall.max(last.next());
        *last
    }

    /// Takes note of a time from elsewhere, so that the next edit here is later: as far as a day ahead of `clock`, and no
    /// further.
    pub fn observe(&self, clock: &dyn Clock, seen: Hlc) {
        let most = Timestamp::from_millis(clock.now().as_millis().saturating_add(MOST_AHEAD_MS));
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = (*last).max(seen.min(Hlc::new(most, u16::MAX)));
    }

    /// Goes back to a time: what was given after it was taken back.
    pub(crate) fn set_back(&self, to: Hlc) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = (*last).min(to);
    }

    /// The newest time given or observed.
    pub fn last(&self) -> Hlc {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The total order of edits: time first, then device. Used by timestamp ordering on both ends.
pub(crate) fn edit_order(at: Hlc, by: DeviceId) -> (Hlc, DeviceId) {
    (at, by)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(u64);
    impl Clock for Fixed {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(self.0)
        }
    }

    #[test]
    fn never_goes_back_when_the_wall_clock_does() {
        let hybrid = HybridClock::default();
        let first = hybrid.tick(&Fixed(1_000));
        let second = hybrid.tick(&Fixed(10));
        assert!(second > first);
        hybrid.observe(&Fixed(10), Hlc::new(Timestamp::from_millis(5_000), 7));
        assert!(hybrid.tick(&Fixed(2_000)) > Hlc::new(Timestamp::from_millis(5_000), 7));
    }

    /// Fails if one peer whose clock is years ahead takes everyone along.
    #[test]
    fn follows_others_by_a_day_at_most() {
        let (hybrid, now) = (HybridClock::default(), Fixed(1_000));
        hybrid.observe(&now, Hlc::MAX);
        let latest = Hlc::new(Timestamp::from_millis(1_000 + MOST_AHEAD_MS), u16::MAX);
        assert_eq!(hybrid.last(), latest);
        assert!(hybrid.tick(&now) > latest);
        hybrid.observe(&Fixed(u64::MAX), Hlc::MAX);
        assert_eq!(hybrid.last(), Hlc::MAX);
    }

    #[test]
    fn extremes_do_not_overflow() {
        let hybrid = HybridClock::starting_after(Hlc::MAX);
        assert_eq!(hybrid.tick(&Fixed(u64::MAX)), Hlc::MAX);
        assert!(Hlc::from_bits(u64::MAX).is_err());
    }
}
