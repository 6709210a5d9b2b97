//! Media types: how a message is written as bytes.

use std::fmt;

use fastsync_core::protocol::Compact;
#[cfg(feature = "client")]
use fastsync_core::protocol::{Cursor, PullReply};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::BoxError;
use crate::wire::only;

/// How messages are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// `application/json`: every server reads it, and so do people.
    Json,
    /// `application/msgpack`: fewer bytes and less work at both ends.
    MessagePack,
}

/// A message as both formats have it.
pub(crate) trait Message: Serialize + DeserializeOwned + Sync {
    fn write_compact(&self, out: &mut Vec<u8>) -> Result<(), rmp_serde::encode::Error>;
    fn read_compact(bytes: &[u8]) -> Result<Self, DecodeError>;
}

impl<T: Serialize + DeserializeOwned + Sync> Message for T
where
    for<'a> Compact<&'a T>: Serialize,
    Compact<T>: DeserializeOwned,
{
    fn write_compact(&self, out: &mut Vec<u8>) -> Result<(), rmp_serde::encode::Error> {
        Compact(self).serialize(&mut rmp_serde::Serializer::new(out).with_struct_map())
    }

    fn read_compact(bytes: &[u8]) -> Result<Self, DecodeError> {
        read_message_pack::<Compact<T>>(bytes).map(|Compact(message)| message)
    }
}

impl Format {
    const fn name(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::MessagePack => "application/msgpack",
        }
    }

    pub(crate) const fn header(self) -> HeaderValue {
        HeaderValue::from_static(self.name())
    }

    /// The format of the content. JSON is in UTF-8.
    pub(crate) fn of_content(headers: &HeaderMap) -> Option<Self> {
        let mut parts = only(headers, &CONTENT_TYPE)?.split(';').map(str::trim);
        let media = parts.next()?;
        let format = [Self::Json, Self::MessagePack]
            .into_iter()
            .find(|format| media.eq_ignore_ascii_case(format.name()))?;
        let in_utf_8 = |parameter: &str| {
            parameter.split_once('=').is_some_and(|(name, value)| {
                name.eq_ignore_ascii_case("charset") && value.trim_matches('"').eq_ignore_ascii_case("utf-8")
            })
        };
        parts.all(|parameter| format == Self::Json && in_utf_8(parameter)).then_some(format)
    }

    /// The format that a request asks for: JSON unless it names the other one.
    #[cfg(feature = "server")]
    pub(crate) fn accepted(headers: &HeaderMap) -> Self {
        use http::header::ACCEPT;
        let quality = |format: Self| crate::wire::quality(headers, &ACCEPT, format.name());
        let binary = quality(Self::MessagePack);
        if binary > 0.0 && binary >= quality(Self::Json) { Self::MessagePack } else { Self::Json }
    }

    /// Writes a message with about `rows` rows.
    pub(crate) fn encode<T: Message>(self, message: &T, rows: usize) -> Result<Vec<u8>, BoxError> {
        let mut buffer = Vec::with_capacity(1024 + rows.saturating_mul(224).min(8 << 20));
        match self {
            Self::Json => serde_json::to_writer(&mut buffer, message)?,
            Self::MessagePack => message.write_compact(&mut buffer)?,
        }
        Ok(buffer)
    }

    /// Reads a message.
    pub(crate) fn decode<T: Message>(self, bytes: &[u8]) -> Result<T, DecodeError> {
        match self {
            Self::Json => read_json(bytes),
            Self::MessagePack => T::read_compact(bytes),
        }
    }

    /// Where a pull goes on after this reply, as its beginning says.
    #[cfg(feature = "client")]
    pub(crate) fn next_cursor(self, bytes: &[u8]) -> Option<Cursor> {
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
    #[cfg(feature = "server")]
    pub(crate) fn decode_plain<T: DeserializeOwned>(self, bytes: &[u8]) -> Result<T, DecodeError> {
        match self {
            Self::Json => read_json(bytes),
            Self::MessagePack => read_message_pack(bytes),
        }
    }
}

/// How deep messages may be nested, with all that is ignored in them. No message is nested as deep, and a thread's stack
/// holds far more. A nested value, at most 32 deep, is part of the nesting in JSON and text in MessagePack.
const MAX_DEPTH_JSON: usize = 64;
/// The reader refuses the depth that it is told, so it is told one more.
const MAX_DEPTH_MESSAGE_PACK: usize = 32;

/// Reads a JSON object.
fn read_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
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
fn read_message_pack<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    use rmp_serde::decode::Error;
    let error = |well_formed| DecodeError { format: Format::MessagePack, well_formed, place: None };
    // As in JSON: an array of the fields is none.
    if !matches!(bytes.first(), None | Some(0x80..=0x8f | 0xde | 0xdf)) {
        return Err(error(true));
    }
    let mut reader = rmp_serde::Deserializer::from_read_ref(bytes);
    reader.set_max_depth(MAX_DEPTH_MESSAGE_PACK + 1);
    let message = T::deserialize(&mut reader).map_err(|problem| {
        let malformed = matches!(
            problem,
            Error::InvalidMarkerRead(_)
                | Error::InvalidDataRead(_)
                | Error::Utf8Error(_)
                | Error::DepthLimitExceeded
        );
        error(!malformed)
    })?;
    // Nothing may follow: the next marker is not there to be read.
    match bool::deserialize(&mut reader) {
        Err(Error::InvalidMarkerRead(_)) => Ok(message),
        _ => Err(error(false)),
    }
}

/// Where a body stopped being what was expected. It never holds any of the content.
#[derive(Debug)]
pub(crate) struct DecodeError {
    format: Format,
    #[cfg_attr(not(feature = "server"), allow(dead_code))]
    pub(crate) well_formed: bool,
    place: Option<(usize, usize)>,
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
    use crate::wire::tests::headers;

    #[test]
    fn only_json_in_utf_8_and_message_pack_are_formats() {
        for good in ["application/json", "Application/JSON", "application/json;charset=\"UTF-8\""] {
            assert_eq!(Format::of_content(&headers(&CONTENT_TYPE, &[good])), Some(Format::Json), "{good}");
        }
        let binary = Format::of_content(&headers(&CONTENT_TYPE, &["Application/MsgPack"]));
        assert_eq!(binary, Some(Format::MessagePack));
        for bad in [
            "",
            "text/plain",
            "application/json; charset=utf-16",
            "application/jsonp",
            "application/json; version=2",
            "application/json, text/html",
            "application/msgpack; charset=utf-8",
            "application/x-msgpack",
        ] {
            assert_eq!(Format::of_content(&headers(&CONTENT_TYPE, &[bad])), None, "{bad}");
        }
        assert_eq!(Format::of_content(&HeaderMap::new()), None);
        let twice = headers(&CONTENT_TYPE, &["application/json", "application/json"]);
        assert_eq!(Format::of_content(&twice), None);
    }

    #[cfg(feature = "server")]
    #[test]
    fn answers_are_json_unless_the_other_is_asked_for() {
        use http::header::ACCEPT;
        let accepted = |value: &'static str| Format::accepted(&headers(&ACCEPT, &[value]));
        for json in [
            "",
            "*/*",
            "application/json",
            "application/msgpack;q=0",
            "application/msgpack;q=0.5, application/json",
        ] {
            assert_eq!(accepted(json), Format::Json, "{json}");
        }
        for binary in ["application/msgpack", "application/json;q=0.5, application/msgpack"] {
            assert_eq!(accepted(binary), Format::MessagePack, "{binary}");
        }
    }

    /// Fails if brackets in text count, or if one level more than allowed is read, ignored or not.
    #[test]
    fn json_is_bounded_in_depth() {
        #[derive(Debug, Deserialize)]
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
        // One level after the other is none more.
        assert_eq!(with(&format!("[{}[]]", "[],".repeat(1_000))).unwrap().a, 1);
    }

    #[test]
    fn json_errors_say_where_and_never_what() {
        #[derive(Debug, Deserialize)]
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
