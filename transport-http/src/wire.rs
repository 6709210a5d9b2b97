//! What travels: media types, encodings, JSON, and the error body.

use std::borrow::Cow;
use std::fmt;

use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");
pub(crate) const GZIP: HeaderValue = HeaderValue::from_static("gzip");

/// The body of every answer but 200.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ErrorBody<'a> {
    #[serde(borrow)]
    pub(crate) error: ErrorDetail<'a>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ErrorDetail<'a> {
    #[serde(borrow)]
    pub(crate) code: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(crate) message: Cow<'a, str>,
    #[serde(default)]
    pub(crate) retryable: bool,
}

/// Whether the content is `application/json`, in UTF-8.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let Some(text) = only(headers, &CONTENT_TYPE) else { return false };
    let mut parts = text.split(';').map(str::trim);
    parts.next().is_some_and(|media| media.eq_ignore_ascii_case("application/json"))
        && parts.all(|parameter| {
            parameter.split_once('=').is_some_and(|(name, value)| {
                name.eq_ignore_ascii_case("charset") && value.trim_matches('"').eq_ignore_ascii_case("utf-8")
            })
        })
}

/// How the content is encoded.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Identity,
    Gzip,
}

/// The encoding of the content; `None` if it is another one, or several.
pub(crate) fn encoding(headers: &HeaderMap) -> Option<Encoding> {
    if !headers.contains_key(CONTENT_ENCODING) {
        return Some(Encoding::Identity);
    }
    let text = only(headers, &CONTENT_ENCODING)?.trim();
    if text.eq_ignore_ascii_case("gzip") {
        Some(Encoding::Gzip)
    } else if text.eq_ignore_ascii_case("identity") {
        Some(Encoding::Identity)
    } else {
        None
    }
}

fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    if values.next().is_some() { None } else { value.to_str().ok() }
}

/// Where JSON stopped being what was expected. It never holds any of the content.
#[derive(Debug)]
pub(crate) struct JsonError {
    pub(crate) well_formed: bool,
    line: usize,
    column: usize,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problem = if self.well_formed {
            "does not have the form that the protocol asks for"
        } else {
            "is not valid JSON"
        };
        write!(f, "the body {problem} (line {}, column {})", self.line, self.column)
    }
}

/// Decodes a JSON object.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, JsonError> {
    // serde would also take an array of the fields.
    let start = bytes.iter().find(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
    if start.is_some_and(|byte| *byte == b'[') {
        return Err(JsonError { well_formed: true, line: 1, column: 1 });
    }
    serde_json::from_slice(bytes).map_err(|error| JsonError {
        well_formed: error.is_data(),
        line: error.line(),
        column: error.column(),
    })
}

/// Encodes into a buffer that starts with room for `capacity` bytes.
pub(crate) fn encode<T: Serialize>(value: &T, capacity: usize) -> Result<Vec<u8>, serde_json::Error> {
    let mut buffer = Vec::with_capacity(capacity);
    serde_json::to_writer(&mut buffer, value)?;
    Ok(buffer)
}

/// About how many bytes a message with so many rows takes.
pub(crate) fn capacity_for(rows: usize) -> usize {
    1024 + rows.saturating_mul(224).min(8 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &HeaderName, values: &[&'static str]) -> HeaderMap {
        values.iter().map(|value| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn only_json_in_utf_8_is_json() {
        for good in ["application/json", "Application/JSON", "application/json;charset=\"UTF-8\""] {
            assert!(is_json(&headers(&CONTENT_TYPE, &[good])), "{good}");
        }
        for bad in [
            "",
            "text/plain",
            "application/json; charset=utf-16",
            "application/jsonp",
            "application/json; version=2",
            "application/json, text/html",
        ] {
            assert!(!is_json(&headers(&CONTENT_TYPE, &[bad])), "{bad}");
        }
        assert!(!is_json(&HeaderMap::new()));
        assert!(!is_json(&headers(&CONTENT_TYPE, &["application/json", "application/json"])));
    }

    #[test]
    fn only_identity_and_gzip_are_encodings() {
        assert_eq!(encoding(&HeaderMap::new()), Some(Encoding::Identity));
        assert_eq!(encoding(&headers(&CONTENT_ENCODING, &["GZIP"])), Some(Encoding::Gzip));
        for bad in [&["zstd"] as &[_], &["gzip, gzip"], &["gzip", "gzip"], &["br"], &[""], &["deflate"]] {
            assert_eq!(encoding(&headers(&CONTENT_ENCODING, bad)), None, "{bad:?}");
        }
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
            assert_eq!(decode::<Form>(text.as_bytes()).unwrap_err().to_string(), expected);
        }
    }
}
