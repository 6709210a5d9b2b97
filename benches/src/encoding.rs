//! How bodies are written on the wire.

use fastsync_transport_http::HttpTransportBuilder;
use serde::{Deserialize, Serialize};

/// A way to write bodies. A new one is a value here, with the settings that make a client ask for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Encoding {
    /// JSON as it is.
    Json,
    /// JSON with gzip, both ways.
    JsonGzip,
}

/// Bodies larger than this are compressed: what the server does by itself, too.
const COMPRESS_OVER: usize = 8 << 10;

impl Encoding {
    /// Every one.
    pub const ALL: [Self; 2] = [Self::Json, Self::JsonGzip];

    /// As people call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "JSON",
            Self::JsonGzip => "JSON, gzip",
        }
    }

    /// Whether it compresses.
    #[must_use]
    pub fn is_compressed(self) -> bool {
        match self {
            Self::Json => false,
            Self::JsonGzip => true,
        }
    }

    /// Makes a client use it.
    pub fn set(self, transport: HttpTransportBuilder) -> HttpTransportBuilder {
        match self {
            Self::Json => transport.accept_gzip(false),
            Self::JsonGzip => transport.accept_gzip(true).compress_requests_over(COMPRESS_OVER),
        }
    }
}
