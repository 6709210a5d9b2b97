//! How a message is written as bytes.

use fastsync_core::protocol::{Cursor, PullReply};
use fastsync_core::{Error, ErrorKind, Result};
use serde::de::DeserializeOwned;

use crate::decode::{DecodeError, MAX_DEPTH_MESSAGE_PACK, read_json, read_message_pack};
use crate::message::Message;

/// How messages are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// `application/json`: every server reads it, and so do people.
    Json,
    /// `application/msgpack`: fewer bytes and less work at both ends.
    MessagePack,
}

impl Format {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Json, Self::MessagePack];

    /// Its media type, without parameters.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::MessagePack => "application/msgpack",
        }
    }

    /// Writes a message.
    ///
    /// # Errors
    /// `InvalidInput` if the message has a value that the format cannot hold.
    pub fn encode<T: Message>(self, message: &T) -> Result<Vec<u8>> {
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| {
            Error::new(ErrorKind::InvalidInput, "encode", "the message cannot be encoded").with_source(source)
        };
        let mut buffer = Vec::with_capacity(1024 + message.rows().saturating_mul(224).min(8 << 20));
        match self {
            Self::Json => {
                serde_json::to_writer(&mut buffer, message).map_err(|error| failed(error.into()))?
            }
            Self::MessagePack => message
                .write_compact(&mut rmp_serde::Serializer::new(&mut buffer).with_struct_map())
                .map_err(|error| failed(error.into()))?,
        }
        Ok(buffer)
    }

    /// Reads a message: the whole of `bytes` and nothing but one message, nested at most 64 deep in JSON and 32 in MessagePack, with
    /// members that are not known passed over. How long `bytes` may be is for the transport to limit.
    ///
    /// # Errors
    /// If it is something else; the error never holds any of the content.
    pub fn decode<T: Message>(self, bytes: &[u8]) -> Result<T, DecodeError> {
        match self {
            Self::Json => read_json(bytes),
            Self::MessagePack => read_message_pack(bytes, |reader| T::read_compact(reader)),
        }
    }

    /// Where a pull goes on after this reply, as its beginning says; the records are not read. With it a transport can answer
    /// [ahead](fastsync_core::PullAnswer::ahead).
    #[must_use]
    pub fn next_cursor(self, bytes: &[u8]) -> Option<Cursor> {
        match self {
            Self::Json => PullReply::next_cursor(&mut serde_json::Deserializer::from_slice(bytes)),
            Self::MessagePack => {
                let mut reader = rmp_serde::Deserializer::from_read_ref(bytes);
                reader.set_max_depth(MAX_DEPTH_MESSAGE_PACK + 1);
                PullReply::next_cursor(&mut reader)
            }
        }
    }

    /// Reads something that is the same in all formats.
    pub(crate) fn decode_plain<T: DeserializeOwned>(self, bytes: &[u8]) -> Result<T, DecodeError> {
        match self {
            Self::Json => read_json(bytes),
            Self::MessagePack => read_message_pack(bytes, |reader| T::deserialize(reader)),
        }
    }
}
