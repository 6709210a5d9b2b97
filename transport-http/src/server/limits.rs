//! What one request may cost, and all of them together.

use std::time::Duration;

/// Limits of requests, and when replies are compressed.
///
/// Time is limited by progress: a body may take as long as it needs on a slow link, as long as it does not stall and comes
/// at a least rate. So that this invites nobody to be slow, the number of slow bodies and the bytes of all bodies together
/// are limited, too.
#[derive(Debug, Clone)]
pub struct Limits {
    pub(crate) body_bytes: usize,
    pub(crate) stall_timeout: Duration,
    pub(crate) least_rate: usize,
    pub(crate) grace: Duration,
    pub(crate) slow_bodies: usize,
    pub(crate) bytes_in_flight: usize,
    pub(crate) compress_over: Option<usize>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 8 << 20,
            stall_timeout: Duration::from_secs(30),
            least_rate: 4 << 10,
            grace: Duration::from_secs(30),
            slow_bodies: 128,
            bytes_in_flight: 256 << 20,
            compress_over: Some(8 << 10),
        }
    }
}

impl Limits {
    /// The largest body, both as sent and decompressed. 8 MiB unless set.
    #[must_use]
    pub fn with_body_bytes(mut self, bytes: usize) -> Self {
        self.body_bytes = bytes;
        self
    }

    /// The longest pause within a body. 30 s unless set.
    #[must_use]
    pub fn with_stall_timeout(mut self, timeout: Duration) -> Self {
        self.stall_timeout = timeout;
        self
    }

    /// The least rate of a body, in bytes a second, which counts once it has taken longer than `grace`. 4 KiB/s after 30 s
    /// unless set; a rate of 0 allows any.
    #[must_use]
    pub fn with_least_rate(mut self, bytes_per_second: usize, grace: Duration) -> Self {
        self.least_rate = bytes_per_second;
        self.grace = grace;
        self
    }

    /// How many bodies at once may take longer than the grace of [`Self::with_least_rate`]. One more is refused as too slow. 128
    /// unless set.
    #[must_use]
    pub fn with_slow_bodies(mut self, bodies: usize) -> Self {
        self.slow_bodies = bodies;
        self
    }

    /// How many bytes of bodies that are being received or decoded there may be at once, over all requests. A request beyond
    /// is told to come again (503). 256 MiB unless set.
    #[must_use]
    pub fn with_bytes_in_flight(mut self, bytes: usize) -> Self {
        self.bytes_in_flight = bytes;
        self
    }

    /// Compresses replies larger than `bytes` for clients that accept gzip, or zstd with the feature `zstd`; `None`
    /// compresses nothing. 8 KiB unless set.
    #[must_use]
    pub fn with_compression_over(mut self, bytes: Option<usize>) -> Self {
        self.compress_over = bytes;
        self
    }
}
