//! How a message is compressed.

use bytes::Bytes;

use crate::gzip;
#[cfg(feature = "zstd")]
use crate::zstd;

/// Why bytes cannot be unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnpackError {
    /// They are not one whole compressed message with a right checksum.
    Malformed,
    /// They are more than the limit once unpacked.
    TooLarge,
}

impl std::fmt::Display for UnpackError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the bytes are not one whole member or frame of their coding",
            Self::TooLarge => "the message is larger than the limit",
        })
    }
}

impl std::error::Error for UnpackError {}

/// A way to compress. Every end knows gzip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Coding {
    /// One gzip member.
    Gzip,
    /// One zstd frame with a window of at most 8 MiB: smaller, and less work at both ends.
    #[cfg(feature = "zstd")]
    Zstd,
}

impl Coding {
    /// All of them, the better ones first.
    pub const ALL: &'static [Self] = &[
        #[cfg(feature = "zstd")]
        Self::Zstd,
        Self::Gzip,
    ];

    /// The best one.
    #[cfg(feature = "zstd")]
    pub const BEST: Self = Self::Zstd;
    /// The best one.
    #[cfg(not(feature = "zstd"))]
    pub const BEST: Self = Self::Gzip;

    /// Its name, as HTTP has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            #[cfg(feature = "zstd")]
            Self::Zstd => "zstd",
        }
    }

    /// Decompresses, and stops at `limit` bytes of output: a small message that would become a large one costs no memory.
    ///
    /// # Errors
    /// If it would be more, or is not one whole compressed message.
    pub fn unpack(self, input: &[u8], limit: usize) -> Result<Bytes, UnpackError> {
        match self {
            Self::Gzip => gzip::decompress(input, limit),
            #[cfg(feature = "zstd")]
            Self::Zstd => zstd::decompress(input, limit),
        }
    }

    /// Compresses; `None` if that fails or does not make it smaller.
    #[must_use]
    pub fn pack(self, input: &[u8]) -> Option<Bytes> {
        match self {
            Self::Gzip => gzip::compress(input),
            #[cfg(feature = "zstd")]
            Self::Zstd => zstd::compress(input),
        }
    }
}
