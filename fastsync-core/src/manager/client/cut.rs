//! How large a pushed session may be.

use std::sync::{Mutex, PoisonError};

use crate::error::Error;
use crate::store::SessionLimits;

/// A limit grows by one part in so many with each session that is processed: fast enough to forget a bad moment within a
/// large push, and slow enough that few requests are refused where the limit stays, as that of a proxy does.
const GROWTH: usize = 32;

/// How large a pushed session may be, as far as the server and what stands before it have shown.
#[derive(Debug)]
pub(super) struct Cut(Mutex<Learned>);

#[derive(Debug)]
struct Learned {
    /// What the store allows, or the server says that it allows.
    most: SessionLimits,
    now: SessionLimits,
    /// Whether one local commit was what was refused: then the limit doubles with each session that is processed.
    was_one: bool,
}

impl Cut {
    pub(super) const fn new(most: SessionLimits) -> Self {
        Self(Mutex::new(Learned { most, now: most, was_one: false }))
    }

    /// The most that a session should hold now. A local commit that is larger goes alone.
    pub(super) fn limits(&self) -> SessionLimits {
        self.with(|learned| learned.now)
    }

    /// A session of this size was refused: what the server tells of its limits counts, or else half of that size.
    pub(super) fn refused(&self, size: SessionLimits, error: &Error) {
        let told = |name| {
            let (_, limit) = error.context().find(|(key, _)| *key == name)?;
            limit.parse::<usize>().ok().map(|limit| limit.max(1))
        };
        self.with(|Learned { most, now, was_one }| {
            *was_one = false;
            let (records, bytes) = (told(Error::LIMIT_RECORDS), told(Error::LIMIT_BYTES));
            most.records = records.map_or(most.records, |limit| limit.min(most.records));
            most.bytes = bytes.map_or(most.bytes, |limit| limit.min(most.bytes));
            let is_smaller = most.records < size.records || most.bytes < size.bytes;
            if !is_smaller {
                now.records = now.records.min(size.records / 2);
                now.bytes = now.bytes.min(size.bytes / 2);
            }
            now.records = now.records.min(most.records).max(1);
            now.bytes = now.bytes.min(most.bytes).max(1);
        });
    }

    /// A session was processed.
    pub(super) fn processed(&self) {
        self.with(|Learned { most, now, was_one }| {
            let grown = |now: usize, most: usize| {
                let more = if *was_one { now } else { (now / GROWTH).max(1) };
                now.saturating_add(more).min(most)
            };
            *now = SessionLimits::new(grown(now.records, most.records), grown(now.bytes, most.bytes));
        });
    }

    /// It was one local commit that was refused, and not the size of the others. The one after it may be refused as well, so
    /// they are not tried all at once.
    pub(super) fn was_one(&self) {
        self.with(|learned| learned.was_one = true);
    }

    fn with<T>(&self, change: impl FnOnce(&mut Learned) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn too_large() -> Error {
        Error::new(ErrorKind::TooLarge, "push", "no")
    }

    #[test]
    fn a_refused_size_is_halved_and_grows_again() {
        let cut = Cut::new(SessionLimits::new(1_000, 1 << 20));
        cut.refused(SessionLimits::new(900, 10_000), &too_large());
        assert_eq!(cut.limits(), SessionLimits::new(450, 5_000));
        // What was sent before the limit was known may be larger than it.
        cut.refused(SessionLimits::new(1_000, 20_000), &too_large());
        assert_eq!(cut.limits(), SessionLimits::new(450, 5_000));
        let mut processed = 0;
        while cut.limits().records < 900 {
            cut.processed();
            processed += 1;
        }
        assert!((16..64).contains(&processed), "{processed}");
        for _ in 0..10 {
            cut.refused(SessionLimits::new(1, 1), &too_large());
        }
        assert_eq!(cut.limits(), SessionLimits::new(1, 1));
        cut.was_one();
        for _ in 0..20 {
            cut.processed();
        }
        assert_eq!(cut.limits(), SessionLimits::new(1_000, 1 << 20));
    }

    #[test]
    fn what_the_server_tells_is_kept_to() {
        let cut = Cut::new(SessionLimits::new(1_000, 1 << 20));
        cut.refused(SessionLimits::new(900, 10_000), &too_large().with_context(Error::LIMIT_RECORDS, 100));
        assert_eq!(cut.limits(), SessionLimits::new(100, 1 << 20));
        for _ in 0..100 {
            cut.processed();
        }
        assert_eq!(cut.limits().records, 100);
        // It says no more than is known, and refuses all the same.
        cut.refused(SessionLimits::new(100, 10_000), &too_large().with_context(Error::LIMIT_RECORDS, 100));
        assert_eq!(cut.limits(), SessionLimits::new(50, 5_000));
    }
}
