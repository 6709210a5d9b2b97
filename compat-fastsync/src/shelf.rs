//! What is kept for a while: state entries that are forgotten by themselves.
//!
//! An entry's key begins with the period in which it was written. What is read is sought in this period and in the last
//! one, so that an entry is known for one period at least and for two at most. Each push removes some of the entries of older
//! periods.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastsync_core::source::{StateWrite, SyncableDataSourceExt as _, entry};
use fastsync_core::{Result, Store, Timestamp};
use serde::{Deserialize, Serialize};

/// What is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// What was pushed of an object: see [`crate::memo`].
    Pushed,
    /// What was refused: see [`crate::refusal`].
    Refused,
    /// Where a reply was cut: see [`crate::cut`].
    Cut,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Pushed, Self::Refused, Self::Cut];

    const fn name(self) -> &'static str {
        match self {
            Self::Pushed => "push",
            Self::Refused => "refused",
            Self::Cut => "cut",
        }
    }
}

/// The form of earlier releases, which kept what was pushed for ever. It is read, and forgotten as everything else.
const BEFORE_PERIODS: &str = "fastsync-compat/pushed/";

/// Which periods have entries.
const PERIODS: &str = "fastsync-compat/periods";

/// Into how many parts the entries of a period are split, by the first digit of their names.
const PARTS: usize = 16;

/// How many entries one push removes at most.
const AT_ONCE: usize = 1_000;

/// How many parts one push looks at.
const PARTS_AT_ONCE: usize = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Periods {
    /// The oldest that may have entries.
    oldest: u64,
    /// Since when entries of the earlier form are read only; none if there are none.
    before_since: Option<u64>,
}

/// What was found.
pub(crate) struct Found {
    /// The newest entry.
    pub(crate) value: Option<Vec<u8>>,
    /// The entry of this period, which a new one replaces.
    pub(crate) replaced: Option<Vec<u8>>,
    /// Where a new one is written.
    pub(crate) key: String,
}

/// The entries, and how far old ones are removed.
#[derive(Debug)]
pub(crate) struct Shelf {
    period_millis: u64,
    sweep: Mutex<(Option<Periods>, usize)>,
}

impl Shelf {
    pub(crate) fn new(period: Duration) -> Self {
        let period_millis = u64::try_from(period.as_millis()).unwrap_or(u64::MAX).max(1);
        Self { period_millis, sweep: Mutex::default() }
    }

    fn period(&self, now: Timestamp) -> u64 {
        now.as_millis() / self.period_millis
    }

    fn folder(kind: Kind, period: u64) -> String {
        format!("fastsync-compat/{}/{period:016x}/", kind.name())
    }

    /// Where an entry of now is written. Its name begins with a hexadecimal digit.
    pub(crate) fn key(&self, kind: Kind, now: Timestamp, name: &str) -> String {
        Self::folder(kind, self.period(now)) + name
    }

    /// What all entries that are known begin with, the newest period first.
    pub(crate) fn prefixes(&self, kind: Kind, now: Timestamp) -> Vec<String> {
        let period = self.period(now);
        let periods = [Some(period), period.checked_sub(1)].into_iter().flatten();
        periods.flat_map(|period| parts(&Self::folder(kind, period))).collect()
    }

    pub(crate) async fn list(&self, store: &Store, prefix: &str) -> Result<Vec<(String, Vec<u8>)>> {
        store.source().entries(prefix).await
    }

    pub(crate) async fn find(&self, store: &Store, kind: Kind, name: &str) -> Result<Found> {
        let period = self.period(store.now());
        let key = Self::folder(kind, period) + name;
        let replaced = store.source().entry(&key).await?;
        let mut value = replaced.clone();
        if let (None, Some(last)) = (&value, period.checked_sub(1)) {
            value = store.source().entry(&(Self::folder(kind, last) + name)).await?;
        }
        let is_before = self.lock().0.is_none_or(|periods| periods.before_since.is_some());
        if value.is_none() && kind == Kind::Pushed && is_before {
            value = store.source().entry(&format!("{BEFORE_PERIODS}{name}")).await?;
        }
        Ok(Found { value, replaced, key })
    }

    /// Removes some of what is too old.
    pub(crate) async fn sweep(&self, store: &Store) -> Result<()> {
        let now = self.period(store.now());
        let (known, mut step) = *self.lock();
        let Some(mut periods) = (match known {
            Some(periods) => Some(periods),
            None => self.begin(store, now).await?,
        }) else {
            return Ok(());
        };
        let is_over = |since: u64| since.saturating_add(1) < now;
        let of_before = periods.before_since.is_some_and(is_over);
        if !of_before && !is_over(periods.oldest) {
            *self.lock() = (Some(periods), 0);
            return Ok(());
        }
        let prefixes: Vec<String> = if of_before {
            parts(BEFORE_PERIODS)
        } else {
            let folders = Kind::ALL.map(|kind| Self::folder(kind, periods.oldest));
            folders.iter().flat_map(|folder| parts(folder)).collect()
        };
        for _ in 0..PARTS_AT_ONCE {
            let Some(prefix) = prefixes.get(step) else {
                let stored = entry::encode(&periods)?;
                if of_before {
                    periods.before_since = None;
                } else {
                    // A period without any entry costs a look, and servers may rest for long.
                    periods.oldest = periods.oldest.saturating_add(1);
                }
                let write = StateWrite::replace(PERIODS, Some(stored), Some(entry::encode(&periods)?));
                let is_written = store.write_state(vec![write]).await?;
                *self.lock() = (is_written.then_some(periods), 0);
                return Ok(());
            };
            let entries = store.source().entries(prefix).await?;
            if entries.len() <= AT_ONCE {
                step = step.saturating_add(1);
            }
            let old: Vec<_> =
                entries.into_iter().take(AT_ONCE).map(|(key, _)| StateWrite::set(key, None)).collect();
            if !old.is_empty() {
                store.write_state(old).await?;
                break;
            }
        }
        *self.lock() = (Some(periods), step);
        Ok(())
    }

    /// Which periods have entries; `None` if another process is just writing it down.
    async fn begin(&self, store: &Store, now: u64) -> Result<Option<Periods>> {
        if let Some(stored) = store.source().entry(PERIODS).await? {
            return entry::decode(&stored).map(Some);
        }
        let mut before_since = None;
        for prefix in parts(BEFORE_PERIODS) {
            if before_since.is_none() && !store.source().entries(&prefix).await?.is_empty() {
                before_since = Some(now);
            }
        }
        let periods = Periods { oldest: now, before_since };
        let write = StateWrite::replace(PERIODS, None, Some(entry::encode(&periods)?));
        Ok(store.write_state(vec![write]).await?.then_some(periods))
    }

    fn lock(&self) -> MutexGuard<'_, (Option<Periods>, usize)> {
        self.sweep.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn parts(folder: &str) -> Vec<String> {
    (0..PARTS).map(|part| format!("{folder}{part:x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails if the periods of an earlier release could not be read.
    #[test]
    fn the_periods_are_as_in_their_file() {
        let periods = Periods { oldest: 700, before_since: Some(699) };
        let stored = entry::encode(&periods).unwrap();
        let hex: String = stored.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, include_str!("../tests/golden/stored/periods-1.hex").trim_end());
        assert_eq!(entry::decode::<Periods>(&stored).unwrap(), periods);
        let shelf = Shelf::new(Duration::from_secs(10));
        let key = shelf.key(Kind::Cut, Timestamp::from_millis(25_000), "ff");
        assert_eq!(key, "fastsync-compat/cut/0000000000000002/ff");
    }
}
