//! "Blocking work runs off the caller's async threads."

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::prelude::*;

/// How often a busy machine may spoil the measurement.
const ATTEMPTS: usize = 5;

/// On a runtime of one thread, a timer keeps ticking during a large commit: no pause lasts most of the commit.
pub async fn a_timer_ticks_during_a_large_commit(f: Fixture) {
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

/// How long a commit took, and the longest time between two ticks of a timer meanwhile.
async fn longest_pause(f: &Fixture, commit: Commit) -> (Duration, Duration) {
    let longest = Arc::new(AtomicU64::new(0));
    let (ready, is_ready) = tokio::sync::oneshot::channel();
    let ticker = tokio::spawn({
        let longest = longest.clone();
        async move {
            let mut last = Instant::now();
            let mut ready = Some(ready);
            loop {
                tokio::time::sleep(Duration::from_millis(1)).await;
                let pause = u64::try_from(last.elapsed().as_micros()).unwrap_or(u64::MAX);
                last = Instant::now();
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
    let begin = Instant::now();
    f.apply(commit).await;
    let took = begin.elapsed();
    // The tick that the commit held up comes before this one.
    tokio::time::sleep(Duration::from_millis(5)).await;
    ticker.abort();
    (took, Duration::from_micros(longest.load(Ordering::Relaxed)))
}
