//! What travels beside the messages: headers with lists, and the error body.

use std::borrow::Cow;

#[cfg(test)]
use http::HeaderValue;
use http::{HeaderMap, HeaderName};
use serde::{Deserialize, Serialize};

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
    /// The oldest and the newest protocol version that are served, if the one of the request is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) protocols: Option<(u16, u16)>,
    /// The server's clock, in milliseconds since 1970-01-01 UTC, if an edit is dated after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) server_time_ms: Option<u64>,
    /// How many records a session may have, if it has more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) limit_records: Option<u64>,
    /// About how many bytes a session may have, if it has more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) limit_bytes: Option<u64>,
}

/// The value of a header that is there once.
pub(crate) fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    if values.next().is_some() { None } else { value.to_str().ok() }
}

/// How welcome `wanted` is to a header of the kind of `Accept`: 0 if it is not named, or has parameters of its own.
#[cfg(feature = "server")]
pub(crate) fn quality(headers: &HeaderMap, name: &HeaderName, wanted: &str) -> f32 {
    let texts = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let quality = |entry: &str| {
        let mut parts = entry.split(';').map(str::trim);
        if !parts.next()?.eq_ignore_ascii_case(wanted) {
            return None;
        }
        parts.try_fold(1.0, |_, weight| {
            let (name, weight) = weight.split_once('=')?;
            name.trim().eq_ignore_ascii_case("q").then(|| weight.trim().parse::<f32>().ok()).flatten()
        })
    };
    texts.flat_map(|text| text.split(',')).filter_map(quality).fold(0.0, f32::max)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn headers(name: &HeaderName, values: &[&'static str]) -> HeaderMap {
        values.iter().map(|value| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[cfg(feature = "server")]
    #[test]
    fn qualities() {
        use http::header::ACCEPT;
        for (value, expected) in [
            ("", 0.0),
            ("a/b", 1.0),
            ("A/B;q=0.5", 0.5),
            ("x/y, a/b ; q=0.25", 0.25),
            ("a/b;v=1", 0.0),
            ("a/b;q=NaN", 0.0),
            ("*/*", 0.0),
        ] {
            assert_eq!(quality(&headers(&ACCEPT, &[value]), &ACCEPT, "a/b"), expected, "{value}");
        }
    }
}
