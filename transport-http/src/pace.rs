//! How slow a transfer may be: limits of stalls and of a least rate, never of the whole.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// The limits of a transfer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// The longest pause.
    pub(crate) stall: Duration,
    /// The least bytes a second, counted after the grace; 0 for any.
    pub(crate) least_rate: usize,
    pub(crate) grace: Duration,
}

/// A transfer that is too slow, or one of too many slow ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooSlow;

/// A transfer under way.
#[derive(Debug)]
pub(crate) struct Transfer {
    pace: Pace,
    began: Instant,
    last: Instant,
    bytes: u64,
    places: Arc<Semaphore>,
    /// Since when it waits for who sends, which is no slowness of the peer.
    paused: Option<Instant>,
    /// Taken by a transfer that lasts longer than the grace.
    place: Option<OwnedSemaphorePermit>,
}

impl Transfer {
    /// Begins now. `places` are those of slow transfers.
    pub(crate) fn begin(pace: Pace, places: &Arc<Semaphore>) -> Self {
        let now = Instant::now();
        Self { pace, began: now, last: now, bytes: 0, places: Arc::clone(places), paused: None, place: None }
    }

    pub(crate) fn arrived(&mut self, bytes: usize) {
        if bytes > 0 {
            self.last = Instant::now();
            self.bytes = self.bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        }
    }

    /// All that there was has been taken; what comes may come later.
    pub(crate) fn pause(&mut self) {
        self.paused.get_or_insert_with(Instant::now);
    }

    /// There is more: the pause does not count.
    pub(crate) fn resume(&mut self) {
        if let Some(paused) = self.paused.take() {
            self.last = Instant::now();
            self.began = later(self.began, paused.elapsed());
        }
    }

    pub(crate) const fn is_paused(&self) -> bool {
        self.paused.is_some()
    }

    /// When to look at it again.
    pub(crate) fn deadline(&self) -> Instant {
        let end = self.end();
        if self.place.is_none() { end.min(self.graced()) } else { end }
    }

    /// Looks at a transfer that has no more to show by its deadline.
    pub(crate) fn check(&mut self) -> Result<(), TooSlow> {
        let now = Instant::now();
        if now >= self.end() {
            return Err(TooSlow);
        }
        if now >= self.graced() && self.place.is_none() {
            self.place = Some(Arc::clone(&self.places).try_acquire_owned().map_err(|_| TooSlow)?);
        }
        Ok(())
    }

    fn graced(&self) -> Instant {
        later(self.began, self.pace.grace)
    }

    /// When it is too slow, if nothing more arrives.
    fn end(&self) -> Instant {
        let stalled = later(self.last, self.pace.stall);
        let Some(rate) = u64::try_from(self.pace.least_rate).ok().filter(|rate| *rate > 0) else {
            return stalled;
        };
        let millis = self.bytes.saturating_mul(1_000) / rate;
        stalled.min(later(self.graced(), Duration::from_millis(millis)))
    }
}

/// A time so much later, or one that never comes.
fn later(from: Instant, time: Duration) -> Instant {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 3_600);
    from.checked_add(time).unwrap_or(from + YEAR)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    const SECOND: Duration = Duration::from_secs(1);

    /// When a transfer of so many bytes a second is cut off, in seconds; none if it is not within an hour.
    async fn cut(pace: Pace, places: &Arc<Semaphore>, rate: usize) -> Option<u64> {
        let mut transfer = Transfer::begin(pace, places);
        let began = Instant::now();
        for _ in 0..3_600 {
            advance(SECOND).await;
            if Instant::now() >= transfer.deadline() && transfer.check().is_err() {
                return Some(began.elapsed().as_secs());
            }
            transfer.arrived(rate);
        }
        None
    }

    /// Fails if a peer is held to a time in which there was nothing to take, or every part begins the time anew.
    #[tokio::test(start_paused = true)]
    async fn a_pause_does_not_count() {
        let pace = Pace { stall: SECOND * 30, least_rate: 4_096, grace: SECOND * 30 };
        let none = Arc::new(Semaphore::new(0));
        let mut transfer = Transfer::begin(pace, &none);
        for _ in 0..29 {
            advance(SECOND).await;
            transfer.arrived(100_000);
            transfer.pause();
            advance(SECOND * 600).await;
            assert!(transfer.is_paused());
            transfer.resume();
            assert_eq!(transfer.check(), Ok(()));
        }
        advance(SECOND).await;
        assert_eq!(transfer.check(), Err(TooSlow), "no place for one that has taken half a minute");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_fast_enough_may_take_any_time() {
        let pace = Pace { stall: SECOND * 30, least_rate: 4_096, grace: SECOND * 30 };
        let places = Arc::new(Semaphore::new(1));
        assert_eq!(cut(pace, &places, 25_000).await, None);
        assert_eq!(cut(pace, &places, 4_096).await, None);
        assert_eq!(cut(pace, &places, 0).await, Some(30));
        assert_eq!(cut(pace, &places, 1).await, Some(31));
        // What came before the grace was over counts.
        assert_eq!(cut(pace, &places, 2_048).await, Some(59));
        let any = Pace { least_rate: 0, ..pace };
        assert_eq!(cut(any, &places, 1).await, None);
        assert_eq!(cut(Pace { stall: SECOND * 5, ..any }, &places, 0).await, Some(5));
        assert_eq!(
            cut(any, &Arc::new(Semaphore::new(0)), 1_000_000).await,
            Some(30),
            "no place for a slow one"
        );
    }
}
