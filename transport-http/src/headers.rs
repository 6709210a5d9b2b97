//! What headers say of a message: its format, its coding, and those that are welcome.

use fastsync_codec::{Coding, Format};
#[cfg(feature = "server")]
use http::header::{ACCEPT, ACCEPT_ENCODING};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};

pub(crate) const fn content_type(format: Format) -> HeaderValue {
    HeaderValue::from_static(format.media_type())
}

pub(crate) const fn content_encoding(coding: Coding) -> HeaderValue {
    HeaderValue::from_static(coding.name())
}

/// The format of the content. JSON is in UTF-8.
pub(crate) fn format(headers: &HeaderMap) -> Option<Format> {
    let mut parts = only(headers, &CONTENT_TYPE)?.split(';').map(str::trim);
    let media = parts.next()?;
    let format =
        Format::ALL.iter().copied().find(|format| media.eq_ignore_ascii_case(format.media_type()))?;
    let in_utf_8 = |parameter: &str| {
        parameter.split_once('=').is_some_and(|(name, value)| {
            name.eq_ignore_ascii_case("charset") && value.trim_matches('"').eq_ignore_ascii_case("utf-8")
        })
    };
    parts.all(|parameter| format == Format::Json && in_utf_8(parameter)).then_some(format)
}

/// The format that a request asks for: JSON unless it names the other one.
#[cfg(feature = "server")]
pub(crate) fn accepted_format(headers: &HeaderMap) -> Format {
    let quality = |format: Format| quality(headers, &ACCEPT, format.media_type());
    let binary = quality(Format::MessagePack);
    if binary > 0.0 && binary >= quality(Format::Json) { Format::MessagePack } else { Format::Json }
}

/// The coding of the content, `Ok(None)` if it is as it is; an error if it is another one, or several.
pub(crate) fn coding(headers: &HeaderMap) -> Result<Option<Coding>, ()> {
    if !headers.contains_key(CONTENT_ENCODING) {
        return Ok(None);
    }
    let text = only(headers, &CONTENT_ENCODING).ok_or(())?.trim();
    if text.eq_ignore_ascii_case("identity") {
        return Ok(None);
    }
    Coding::ALL.iter().copied().find(|coding| text.eq_ignore_ascii_case(coding.name())).map(Some).ok_or(())
}

/// The best coding of those that a request's `Accept-Encoding` welcomes.
#[cfg(feature = "server")]
pub(crate) fn accepted_coding(headers: &HeaderMap) -> Option<Coding> {
    let mut best = None;
    let mut most = 0.0;
    for coding in Coding::ALL {
        let quality = quality(headers, &ACCEPT_ENCODING, coding.name());
        if quality > most {
            (best, most) = (Some(*coding), quality);
        }
    }
    best
}

/// What `Accept-Encoding` says of all codings.
#[cfg(feature = "client")]
pub(crate) const ACCEPTED_CODINGS: &str = if cfg!(feature = "zstd") { "zstd, gzip" } else { "gzip" };

/// The value of a header that is there once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    if values.next().is_some() { None } else { value.to_str().ok() }
}

/// How welcome `wanted` is to a header of the kind of `Accept`: 0 if it is not named, or has parameters of its own.
#[cfg(feature = "server")]
fn quality(headers: &HeaderMap, name: &HeaderName, wanted: &str) -> f32 {
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
mod tests {
    use super::*;

    fn headers(name: &HeaderName, values: &[&'static str]) -> HeaderMap {
        values.iter().map(|value| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[cfg(feature = "server")]
    #[test]
    fn qualities() {
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

    #[test]
    fn only_json_in_utf_8_and_message_pack_are_formats() {
        for good in ["application/json", "Application/JSON", "application/json;charset=\"UTF-8\""] {
            assert_eq!(format(&headers(&CONTENT_TYPE, &[good])), Some(Format::Json), "{good}");
        }
        let binary = format(&headers(&CONTENT_TYPE, &["Application/MsgPack"]));
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
            assert_eq!(format(&headers(&CONTENT_TYPE, &[bad])), None, "{bad}");
        }
        assert_eq!(format(&HeaderMap::new()), None);
        let twice = headers(&CONTENT_TYPE, &["application/json", "application/json"]);
        assert_eq!(format(&twice), None);
    }

    #[cfg(feature = "server")]
    #[test]
    fn answers_are_json_unless_the_other_is_asked_for() {
        let accepted = |value: &'static str| accepted_format(&headers(&ACCEPT, &[value]));
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

    #[test]
    fn only_single_known_codings_are_codings() {
        assert_eq!(coding(&HeaderMap::new()), Ok(None));
        assert_eq!(coding(&headers(&CONTENT_ENCODING, &["identity"])), Ok(None));
        assert_eq!(coding(&headers(&CONTENT_ENCODING, &["GZIP"])), Ok(Some(Coding::Gzip)));
        let zstd = coding(&headers(&CONTENT_ENCODING, &["zstd"]));
        assert_eq!(zstd.is_ok(), cfg!(feature = "zstd"));
        for bad in [&["gzip, gzip"] as &[_], &["gzip", "gzip"], &["br"], &[""], &["deflate"], &["gzip, zstd"]]
        {
            assert_eq!(coding(&headers(&CONTENT_ENCODING, bad)), Err(()), "{bad:?}");
        }
    }

    #[cfg(feature = "server")]
    #[test]
    fn a_coding_is_used_only_where_it_is_accepted() {
        let accepted = |value: &'static str| accepted_coding(&headers(&ACCEPT_ENCODING, &[value]));
        for yes in ["gzip", "br, GZIP", "gzip;q=0.5", "deflate;q=0, gzip; q=1", "gzip, zstd;q=0.1"] {
            assert_eq!(accepted(yes), Some(Coding::Gzip), "{yes}");
        }
        for no in ["", "br", "gzip;q=0", "gzip; q=0.000", "gzip;q=x", "gzip;x=1", "xgzip", "identity"] {
            assert_eq!(accepted(no), None, "{no}");
        }
        #[cfg(feature = "zstd")]
        for best in ["zstd", "gzip, zstd", "gzip;q=0.5, zstd"] {
            assert_eq!(accepted(best), Some(Coding::Zstd), "{best}");
        }
    }
}
