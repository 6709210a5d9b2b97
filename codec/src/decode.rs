//! Reading within bounds.

use std::fmt;

use fastsync_core::{Error, ErrorKind};
use rmp_serde::decode::ReadRefReader;
use serde::{Deserialize as _, de::DeserializeOwned};

use crate::format::Format;

pub(crate) type MessagePack<'a> = rmp_serde::Deserializer<ReadRefReader<'a, [u8]>>;

/// How deep messages may be nested, with all that is ignored in them. No message is nested as deep, and a thread's stack
/// holds far more. A nested value, at most 32 deep, is part of the nesting in JSON and text in MessagePack.
const MAX_DEPTH_JSON: usize = 64;
/// The reader's limit is the first depth that it refuses, so it gets one more.
pub(crate) const MAX_DEPTH_MESSAGE_PACK: usize = 32;

/// Reads a JSON object.
pub(crate) fn read_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    // serde would also take an array of the fields.
    let start = bytes.iter().find(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
    if start.is_some_and(|byte| *byte == b'[') {
        return Err(DecodeError { format: Format::Json, well_formed: true, place: Some((1, 1)) });
    }
    // The reader passes over what it ignores without counting how deep it is.
    if let Some(at) = too_deep(bytes) {
        return Err(DecodeError { format: Format::Json, well_formed: true, place: Some(place(bytes, at)) });
    }
    serde_json::from_slice(bytes).map_err(|error| DecodeError {
        format: Format::Json,
        well_formed: error.is_data(),
        place: Some((error.line(), error.column())),
    })
}

/// Where JSON is nested deeper than allowed. In text that is no JSON the answer may be anything.
fn too_deep(text: &[u8]) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match byte {
            b'[' | b'{' => {
                depth += 1;
                if depth > MAX_DEPTH_JSON {
                    return Some(at);
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => at = end_of_string(text, at + 1),
            _ => {}
        }
        at += 1;
    }
    None
}

/// Where the quote is that ends a string which begins here.
fn end_of_string(text: &[u8], mut at: usize) -> usize {
    loop {
        let rest = text.get(at..).unwrap_or_default();
        match rest.iter().position(|byte| matches!(byte, b'"' | b'\\')) {
            Some(found) if rest.get(found) == Some(&b'"') => return at + found,
            Some(found) => at += found + 2,
            None => return text.len(),
        }
    }
}

/// The line and the column of a byte, both from 1.
fn place(text: &[u8], at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or_default();
    let line = before.iter().filter(|byte| **byte == b'\n').count();
    let column = before.iter().rev().take_while(|byte| **byte != b'\n').count();
    (line + 1, column + 1)
}

/// Reads a map of MessagePack.
pub(crate) fn read_message_pack<'a, T>(
    bytes: &'a [u8],
    read: impl FnOnce(&mut MessagePack<'a>) -> Result<T, rmp_serde::decode::Error>,
) -> Result<T, DecodeError> {
    use rmp_serde::decode::Error as Fail;
    let error = |well_formed| DecodeError { format: Format::MessagePack, well_formed, place: None };
    // As in JSON, an array of the fields is not a message.
    if !matches!(bytes.first(), None | Some(0x80..=0x8f | 0xde | 0xdf)) {
        return Err(error(true));
    }
    let mut reader = rmp_serde::Deserializer::from_read_ref(bytes);
    reader.set_max_depth(MAX_DEPTH_MESSAGE_PACK + 1);
    let message = read(&mut reader).map_err(|problem| {
        let malformed = matches!(
            problem,
            Fail::InvalidMarkerRead(_)
                | Fail::InvalidDataRead(_)
                | Fail::Utf8Error(_)
                | Fail::DepthLimitExceeded
        );
        error(!malformed)
    })?;
    // Nothing may follow: the next marker is not there to be read.
    match bool::deserialize(&mut reader) {
        Err(Fail::InvalidMarkerRead(_)) => Ok(message),
        _ => Err(error(false)),
    }
}

/// Where a body stopped being what was expected. It never holds any of the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeError {
    format: Format,
    well_formed: bool,
    place: Option<(usize, usize)>,
}

impl DecodeError {
    /// Whether the bytes are of the format, and only not the message that was to be read.
    #[must_use]
    pub const fn is_well_formed(&self) -> bool {
        self.well_formed
    }
}

impl std::error::Error for DecodeError {}

/// `Protocol`: the other end broke the protocol. For what a client sent, [`request`](crate::request) has the right kind.
impl From<DecodeError> for Error {
    fn from(error: DecodeError) -> Self {
        Self::new(ErrorKind::Protocol, "decode", error.to_string())
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.well_formed, self.format) {
            (true, _) => "the body does not have the form that the protocol asks for",
            (false, Format::Json) => "the body is not valid JSON",
            (false, Format::MessagePack) => "the body is not valid MessagePack",
        })?;
        match self.place {
            Some((line, column)) => write!(f, " (line {line}, column {column})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails if brackets in text count, or if one level more than allowed is read, ignored or not.
    #[test]
    fn json_is_bounded_in_depth() {
        #[derive(Debug, serde::Deserialize)]
        struct Form {
            a: u8,
        }
        let nested = |depth: usize| format!("{}{}", "[{\"b\":".repeat(depth / 2), "}]".repeat(depth / 2));
        let with = |more: &str| read_json::<Form>(format!("{{\"a\":1,\n \"b\":{more}}}").as_bytes());
        let deep = nested(62).replace(":}", ":[]}");
        assert_eq!(with(&deep).unwrap().a, 1, "63 levels in a map");
        let error = with(&nested(64).replace(":}", ":0}")).unwrap_err();
        assert!(error.to_string().contains("line 2, column"), "{error}");
        let brackets = "[{".repeat(100);
        for text in [&*format!("\"{brackets}\""), &*format!("\"\\\"{brackets}\""), "\"\\\\\"", "\"[\""] {
            assert_eq!(with(text).unwrap().a, 1, "{text}");
        }
        for unfinished in [&*format!("\"{brackets}"), "\"\\", "\"\\\"", &*brackets] {
            assert!(with(unfinished).is_err(), "{unfinished}");
        }
        // Siblings do not add to the depth.
        assert_eq!(with(&format!("[{}[]]", "[],".repeat(1_000))).unwrap().a, 1);
    }

    #[test]
    fn json_errors_say_where_and_never_what() {
        #[derive(Debug, serde::Deserialize)]
        #[allow(dead_code)]
        struct Form {
            a: u8,
        }
        for (text, expected) in [
            (
                "{\"a\":\"secret\"}",
                "the body does not have the form that the protocol asks for (line 1, column 13)",
            ),
            ("{\n secret", "the body is not valid JSON (line 2, column 2)"),
            (" [1]", "the body does not have the form that the protocol asks for (line 1, column 1)"),
        ] {
            assert_eq!(read_json::<Form>(text.as_bytes()).unwrap_err().to_string(), expected);
        }
    }
}
