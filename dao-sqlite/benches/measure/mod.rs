//! Ids, and time by the clock and by the processor.
#![allow(unreachable_pub)]

use std::time::Instant;

use uuid::Uuid;

/// Random UUIDs that are the same in every run.
pub fn uuid(n: u64) -> Uuid {
    let mix = |mut x: u64| {
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    };
    let high = mix(n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    uuid::Builder::from_random_bytes(((u128::from(high) << 64) | u128::from(mix(high))).to_be_bytes())
        .into_uuid()
}

/// The order in which ids arise: random ones touch a page each in every index, rising ones (UUIDv7) the last one.
#[derive(Clone, Copy, PartialEq)]
pub enum Ids {
    Random,
    Rising,
}

impl Ids {
    pub fn id(self, n: u64) -> Uuid {
        match self {
            Self::Random => uuid(n),
            Self::Rising => {
                let (high, low) = uuid(n).as_u64_pair();
                let bytes = ((u128::from(high) << 64) | u128::from(low)).to_be_bytes();
                let random: [u8; 10] = std::array::from_fn(|at| bytes[at]);
                uuid::Builder::from_unix_timestamp_millis(1_700_000_000_000 + n, &random).into_uuid()
            }
        }
    }
}

/// Processor seconds of this process: what other work on the machine does not disturb much.
pub fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit(')').next().unwrap_or_default();
    let ticks =
        |at: usize| after.split_whitespace().nth(at).and_then(|n| n.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

pub struct Timer {
    wall: Instant,
    cpu: f64,
}

/// Rows per second, and per processor second.
#[derive(Clone, Copy)]
pub struct Rate {
    pub wall: f64,
    pub cpu: f64,
}

impl Timer {
    pub fn start() -> Self {
        Self { wall: Instant::now(), cpu: cpu() }
    }

    pub fn rate(&self, rows: u64) -> Rate {
        let used = (cpu() - self.cpu).max(0.01);
        Rate { wall: rows as f64 / self.wall.elapsed().as_secs_f64(), cpu: rows as f64 / used }
    }
}

impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:>6.1} k ({:>6.1} k a processor second)", self.wall / 1_000.0, self.cpu / 1_000.0)
    }
}

/// Both ratios.
pub fn of(a: Rate, b: Rate) -> String {
    format!("{:.2} ({:.2})", a.wall / b.wall, a.cpu / b.cpu)
}
