//! Content codings: how a body is compressed.

use bytes::Bytes;
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, HeaderValue};

use crate::gzip;
use crate::wire::only;
#[cfg(feature = "zstd")]
use crate::zstd;

/// Why a body cannot be decompressed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum UnpackError {
    /// It is not one whole compressed body with a right checksum.
    Malformed,
    /// It is larger than the limit once decompressed.
    TooLarge,
}

/// A way to compress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    Gzip,
    #[cfg(feature = "zstd")]
    Zstd,
}

impl Coding {
    /// The better ones first.
    const ALL: &[Self] = &[
        #[cfg(feature = "zstd")]
        Self::Zstd,
        Self::Gzip,
    ];

    /// The best one.
    #[cfg(all(feature = "client", feature = "zstd"))]
    pub(crate) const BEST: Self = Self::Zstd;
    #[cfg(all(feature = "client", not(feature = "zstd")))]
    pub(crate) const BEST: Self = Self::Gzip;

    const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            #[cfg(feature = "zstd")]
            Self::Zstd => "zstd",
        }
    }

    pub(crate) const fn header(self) -> HeaderValue {
        HeaderValue::from_static(self.name())
    }

    /// Decompresses, and stops at `limit` bytes of output.
    pub(crate) fn unpack(self, input: &[u8], limit: usize) -> Result<Bytes, UnpackError> {
        match self {
            Self::Gzip => gzip::decompress(input, limit),
            #[cfg(feature = "zstd")]
            Self::Zstd => zstd::decompress(input, limit),
        }
    }

    /// Compresses; `None` if that fails or does not make it smaller.
    pub(crate) fn pack(self, input: &[u8]) -> Option<Bytes> {
        match self {
            Self::Gzip => gzip::compress(input),
            #[cfg(feature = "zstd")]
            Self::Zstd => zstd::compress(input),
        }
    }

    /// The best one of those that a request's `Accept-Encoding` welcomes.
    #[cfg(feature = "server")]
    pub(crate) fn accepted(headers: &HeaderMap) -> Option<Self> {
        let mut best = None;
        let mut most = 0.0;
        for coding in Self::ALL {
            let quality = crate::wire::quality(headers, &http::header::ACCEPT_ENCODING, coding.name());
            if quality > most {
                (best, most) = (Some(*coding), quality);
            }
        }
        best
    }
}

/// What `Accept-Encoding` says of all codings.
#[cfg(feature = "client")]
pub(crate) const ACCEPTED: &str = if cfg!(feature = "zstd") { "zstd, gzip" } else { "gzip" };

/// The coding of the content, `Ok(None)` if it is as it is; an error if it is another one, or several.
pub(crate) fn of_content(headers: &HeaderMap) -> Result<Option<Coding>, ()> {
    if !headers.contains_key(CONTENT_ENCODING) {
        return Ok(None);
    }
    let text = only(headers, &CONTENT_ENCODING).ok_or(())?.trim();
    if text.eq_ignore_ascii_case("identity") {
        return Ok(None);
    }
    Coding::ALL.iter().copied().find(|coding| text.eq_ignore_ascii_case(coding.name())).map(Some).ok_or(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::tests::headers;

    #[test]
    fn only_single_known_codings_are_codings() {
        assert_eq!(of_content(&HeaderMap::new()), Ok(None));
        assert_eq!(of_content(&headers(&CONTENT_ENCODING, &["identity"])), Ok(None));
        assert_eq!(of_content(&headers(&CONTENT_ENCODING, &["GZIP"])), Ok(Some(Coding::Gzip)));
        let zstd = of_content(&headers(&CONTENT_ENCODING, &["zstd"]));
        assert_eq!(zstd.is_ok(), cfg!(feature = "zstd"));
        for bad in [&["gzip, gzip"] as &[_], &["gzip", "gzip"], &["br"], &[""], &["deflate"], &["gzip, zstd"]]
        {
            assert_eq!(of_content(&headers(&CONTENT_ENCODING, bad)), Err(()), "{bad:?}");
        }
    }

    #[cfg(feature = "server")]
    #[test]
    fn a_coding_is_used_only_where_it_is_accepted() {
        use http::header::ACCEPT_ENCODING;
        let accepted = |value: &'static str| Coding::accepted(&headers(&ACCEPT_ENCODING, &[value]));
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
