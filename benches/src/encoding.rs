//! How bodies are written on the wire.

use fastsync_transport_http::{Format, HttpTransportBuilder};
use serde::{Deserialize, Serialize};

/// A way to write bodies. A new one is a value here, with the settings that make a client ask for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Encoding {
    /// JSON as it is.
    Json,
    /// JSON with gzip, both ways.
    JsonGzip,
    /// MessagePack as it is.
    MessagePack,
    /// MessagePack with zstd, both ways.
    MessagePackZstd,
}

/// Bodies larger than this are compressed: what the server does by itself, too.
const COMPRESS_OVER: usize = 8 << 10;

impl Encoding {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Json, Self::JsonGzip, Self::MessagePack, Self::MessagePackZstd];

    /// As people call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "JSON",
            Self::JsonGzip => "JSON, gzip",
            Self::MessagePack => "MessagePack",
            Self::MessagePackZstd => "MessagePack, zstd",
        }
    }

    /// Whether it compresses.
    #[must_use]
    pub fn is_compressed(self) -> bool {
        match self {
            Self::Json | Self::MessagePack => false,
            Self::JsonGzip | Self::MessagePackZstd => true,
        }
    }

    /// Makes a client use it.
    pub fn set(self, transport: HttpTransportBuilder) -> HttpTransportBuilder {
        let format = match self {
            Self::Json | Self::JsonGzip => Format::Json,
            Self::MessagePack | Self::MessagePackZstd => Format::MessagePack,
        };
        let transport = transport.format(format).accept_compressed(self.is_compressed());
        if self.is_compressed() { transport.compress_requests_over(COMPRESS_OVER) } else { transport }
    }
}
