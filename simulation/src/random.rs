//! Seeded randomness, and clocks that a simulation moves.

use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicU64, Ordering},
};

use fastsync_core::{Clock, Random, Timestamp};

/// A reproducible sequence of random numbers (SplitMix64). Clones share it.
#[derive(Debug, Clone)]
pub struct Seeded(Arc<AtomicU64>);

impl Seeded {
    /// The sequence of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(AtomicU64::new(seed)))
    }

    /// A sequence of its own for one part of a run, so that what other parts draw does not shift it.
    #[must_use]
    pub fn stream(seed: u64, part: u64) -> Self {
        Self::new(Self::new(seed ^ part.wrapping_mul(0xA24B_AED4_963E_E407)).next_u64())
    }

    /// A number below `end`; 0 if `end` is 0.
    #[must_use]
    pub fn below(&self, end: u64) -> u64 {
        self.next_u64().checked_rem(end).unwrap_or(0)
    }

    /// Whether something of this probability in percent happens.
    #[must_use]
    pub fn percent(&self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

impl Random for Seeded {
    fn next_u64(&self) -> u64 {
        let state = self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::SeqCst);
        let mut z = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

/// The time that passes for everyone in a simulation.
#[derive(Debug, Clone)]
pub struct WorldTime(Arc<AtomicU64>);

impl WorldTime {
    /// A world that begins in 2026.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(AtomicU64::new(1_767_225_600_000)))
    }

    /// Lets time pass.
    pub fn advance(&self, millis: u64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Default for WorldTime {
    fn default() -> Self {
        Self::new()
    }
}

/// One node's clock: it is off, it drifts, and it jumps in both directions.
#[derive(Debug, Clone)]
pub struct NodeClock {
    world: WorldTime,
    began: u64,
    drift_per_mille: i64,
    offset: Arc<AtomicI64>,
}

impl NodeClock {
    /// A clock that starts `offset` milliseconds off and goes wrong by so many thousandths.
    #[must_use]
    pub fn new(world: &WorldTime, offset: i64, drift_per_mille: i64) -> Self {
        let began = world.0.load(Ordering::SeqCst);
        Self { world: world.clone(), began, drift_per_mille, offset: Arc::new(AtomicI64::new(offset)) }
    }

    /// Sets the clock forward or back.
    pub fn jump(&self, millis: i64) {
        self.offset.fetch_add(millis, Ordering::SeqCst);
    }

    /// Sets the clock to the right time, whatever its drift made of it.
    pub fn correct(&self) {
        self.offset.store(-self.drift(), Ordering::SeqCst);
    }

    fn drift(&self) -> i64 {
        let passed = self.world.0.load(Ordering::SeqCst).saturating_sub(self.began);
        i64::try_from(passed).unwrap_or(i64::MAX).saturating_mul(self.drift_per_mille) / 1_000
    }
}

impl Clock for NodeClock {
    fn now(&self) -> Timestamp {
        let off = self.offset.load(Ordering::SeqCst).saturating_add(self.drift());
        Timestamp::from_millis(self.world.0.load(Ordering::SeqCst).saturating_add_signed(off))
    }
}
