//! The clock of the benchmarks.

use std::time::Instant;

/// The time of this machine: it is what a benchmark measures.
#[must_use]
#[allow(clippy::disallowed_methods)]
pub fn now() -> Instant {
    Instant::now()
}

/// Seconds since `start`.
#[must_use]
pub fn since(start: Instant) -> f64 {
    now().duration_since(start).as_secs_f64()
}
