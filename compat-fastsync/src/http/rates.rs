//! How fast users take their replies.
//!
//! An original client cannot go on with a reply that broke off: it asks for all of it again, and on a slow link it breaks off
//! again at the same time. So a reply is made of such a size that it arrives within the client's time.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastsync_core::SyncContext;

/// How many users are known at once.
const ROOM: usize = 8_192;

/// What is on its way in buffers of this machine and of those between: it was taken here, and has not arrived.
const BUFFERED: f64 = 4_194_304.0;

/// The least time from which a rate is told, in seconds.
const LEAST_SECONDS: f64 = 2.0;

/// The smallest reply that is aimed at.
const LEAST_BYTES: usize = 64 << 10;

type User = (Option<String>, String);

/// Bytes of JSON a second, by user.
#[derive(Debug, Default)]
pub(super) struct Rates(Mutex<HashMap<User, f64>>);

impl Rates {
    /// How large a reply may be that this user takes in half of the time, if the rate is known.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is positive and bounded")]
    pub(super) fn aim(&self, context: &SyncContext, time: Duration) -> Option<usize> {
        let rate = self.lock().get(&user(context)).copied()?;
        let bytes = (rate * time.as_secs_f64() / 2.0).clamp(0.0, f64::from(u32::MAX));
        Some((bytes as usize).max(LEAST_BYTES))
    }

    /// Notes that so many bytes of a reply were taken in this time, all of them or until it broke off.
    pub(super) fn note(&self, context: &SyncContext, bytes: f64, time: Duration, is_whole: bool) {
        let seconds = time.as_secs_f64();
        if seconds < LEAST_SECONDS {
            // Buffers took it: that says nothing of a rate, but that a known one need not be kept for ever.
            if is_whole && let Some(rate) = self.lock().get_mut(&user(context)) {
                *rate *= 1.25;
            }
            return;
        }
        let arrived = bytes - BUFFERED;
        // Little more than what buffers hold: there may be no such buffers.
        let arrived = if arrived > 0.0 { arrived } else { bytes / 2.0 };
        let mut rates = self.lock();
        if rates.len() >= ROOM {
            rates.clear();
        }
        rates.insert(user(context), arrived / seconds);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<User, f64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn user(context: &SyncContext) -> User {
    (context.tenant.clone(), context.user.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    /// 18 MB at 120 KB/s break off after a minute: fails if the next reply does not arrive in that time.
    #[test]
    fn a_reply_that_broke_off_is_followed_by_one_that_arrives() {
        let (rates, ada) = (Rates::default(), SyncContext::new("ada"));
        assert_eq!(rates.aim(&ada, MINUTE), None);
        let mut left = 18e6_f64;
        let mut broken = 0;
        for _ in 0..20 {
            let size = rates.aim(&ada, MINUTE).map_or(left, |aim| left.min(aim as f64));
            // The buffers take their part at once.
            let taken = size.min(BUFFERED + 120e3 * 60.0);
            let seconds = ((size - BUFFERED).max(0.0) / 120e3).min(60.0);
            let arrives = size <= 120e3 * 60.0;
            rates.note(&ada, taken, Duration::from_secs_f64(seconds), arrives);
            if arrives { left -= size } else { broken += 1 }
        }
        assert!(left <= 0.0 && broken <= 3, "{left} {broken}");
    }

    #[test]
    fn users_are_told_apart_and_forgotten() {
        let rates = Rates::default();
        let ada = SyncContext::new("ada");
        rates.note(&ada, 100.0, MINUTE, false);
        assert_eq!(rates.aim(&ada, MINUTE), Some(LEAST_BYTES));
        assert_eq!(rates.aim(&ada.clone().with_tenant("t"), MINUTE), None);
        rates.note(&ada, 1e12, MINUTE, true);
        assert!(rates.aim(&ada, MINUTE).unwrap() > 1 << 30);
        for n in 0..ROOM {
            rates.note(&SyncContext::new(n.to_string()), 1.0, MINUTE, true);
        }
        assert!(rates.lock().len() <= ROOM);
    }
}
