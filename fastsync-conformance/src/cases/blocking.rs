//! "Blocking work runs off the caller's async threads."

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::prelude::*;

/// How often a busy machine may spoil the measurement.
const ATTEMPTS: usize = 5;

pub(crate) async fn a_timer_ticks_during_a_large_commit(f: Fixture) {
    let body = "x".repeat(500);
    let mut measured = Vec::new();
    for attempt in 0..ATTEMPTS {
        let records = (0..5_000).map(|n| put(&f.customer(&format!("c-{attempt}-{n}"), &body)));
        let (took, pause) = longest_pause(&f, f.push(records.collect())).await;
        // A commit that is over quickly proves nothing either way.
        if pause <= took / 2 + Duration::from_millis(80) {
            return;
        }
        measured.push((took, pause));
    }
    panic!("the timer stood still during commits; how long they took, and how long it stood: {measured:?}");
}

/// How long a commit took, and the longest time between two ticks of a timer meanwhile. What others had of the
/// processor is not counted.
async fn longest_pause(f: &Fixture, commit: Commit) -> (Duration, Duration) {
    let longest = Arc::new(AtomicU64::new(0));
    let (ready, is_ready) = tokio::sync::oneshot::channel();
    let ticker = tokio::spawn({
        let longest = longest.clone();
        async move {
            let mut last = Stopwatch::start();
            let mut ready = Some(ready);
            loop {
                tokio::time::sleep(Duration::from_millis(1)).await;
                let pause = u64::try_from(last.elapsed().as_micros()).unwrap_or(u64::MAX);
                last = Stopwatch::start();
                match ready.take() {
                    Some(ready) => drop(ready.send(())),
                    None => {
                        longest.fetch_max(pause, Ordering::Relaxed);
                    }
                }
            }
        }
    });
    is_ready.await.expect("the timer ticks");
    let begin = Stopwatch::start();
    f.apply(commit).await;
    let took = begin.elapsed();
    // The tick that the commit held up comes before this one.
    tokio::time::sleep(Duration::from_millis(5)).await;
    ticker.abort();
    (took, Duration::from_micros(longest.load(Ordering::Relaxed)))
}

/// Measures the time in which this thread ran or slept, and not that in which it was ready and others ran: on a busy
/// machine that is most.
struct Stopwatch {
    begin: Instant,
    waited: Duration,
}

impl Stopwatch {
    fn start() -> Self {
        Self { begin: Instant::now(), waited: waited_for_a_processor() }
    }

    fn elapsed(&self) -> Duration {
        let waited = waited_for_a_processor().saturating_sub(self.waited);
        self.begin.elapsed().saturating_sub(waited)
    }
}

/// How long this thread has waited for a processor, where the system tells (Linux).
fn waited_for_a_processor() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = told.split_whitespace().nth(1).and_then(|text| text.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or_default())
}
