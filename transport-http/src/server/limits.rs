//! What one request may cost.

use std::time::Duration;

/// Limits of one request, and when replies are compressed.
#[derive(Debug, Clone)]
pub struct Limits {
    pub(crate) body_bytes: usize,
    pub(crate) body_timeout: Duration,
    pub(crate) stall_timeout: Duration,
    pub(crate) compress_over: Option<usize>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 8 << 20,
            body_timeout: Duration::from_secs(30),
            stall_timeout: Duration::from_secs(10),
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

    /// The longest time for a whole body to arrive. 30 s unless set.
    #[must_use]
    pub fn with_body_timeout(mut self, timeout: Duration) -> Self {
        self.body_timeout = timeout;
        self
    }

    /// The longest pause within a body. 10 s unless set.
    #[must_use]
    pub fn with_stall_timeout(mut self, timeout: Duration) -> Self {
        self.stall_timeout = timeout;
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
