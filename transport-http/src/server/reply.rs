//! Answers.

use std::borrow::Cow;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use fastsync_core::{Error, ErrorKind};
use http::header::{
    ACCEPT_ENCODING, ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER, VARY,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode, Version};
use http_body::{Frame, SizeHint};
use http_body_util::Full;

use crate::gzip;
use crate::status::{fixed_message, status_of};
use crate::wire::{self, ErrorBody, ErrorDetail};

/// The body of an answer: bytes that are there already.
#[derive(Debug, Clone, Default)]
pub struct Body(Full<Bytes>, Bytes);

impl Body {
    fn new(bytes: Bytes) -> Self {
        Self(Full::new(bytes.clone()), bytes)
    }

    /// The bytes, for a framework with bodies of its own.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.1
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.0).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

/// An answer with a body of JSON, compressed if that pays and the client takes it.
pub(crate) fn json(
    status: StatusCode,
    body: Vec<u8>,
    request: &HeaderMap,
    compress_over: Option<usize>,
) -> Response<Body> {
    let packed = compress_over
        .filter(|threshold| body.len() > *threshold && accepts_gzip(request))
        .and_then(|_| gzip::compress(&body));
    let compressed = packed.is_some();
    let mut response = Response::new(Body::new(packed.unwrap_or_else(|| body.into())));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, wire::JSON);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if compress_over.is_some() {
        headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    }
    if compressed {
        headers.insert(CONTENT_ENCODING, wire::GZIP);
    }
    response
}

fn accepts_gzip(request: &HeaderMap) -> bool {
    request.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok()).any(|value| {
        value.split(',').any(|coding| {
            let mut parts = coding.split(';').map(str::trim);
            parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"))
                && parts.all(|weight| {
                    weight
                        .split_once('=')
                        .and_then(|(_, weight)| weight.trim().parse::<f32>().ok())
                        .is_some_and(|weight| weight > 0.0)
                })
        })
    })
}

/// A request that is not answered with a reply of the protocol.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    kind: ErrorKind,
    message: Cow<'static, str>,
    allow: Option<&'static str>,
    close: bool,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, kind, message: message.into(), allow: None, close: false }
    }

    /// What is told of an error: never more than its kind, unless it is about what the caller sent.
    pub(crate) fn of(error: &Error) -> Self {
        const LONGEST: usize = 512;
        let kind = error.kind();
        let message = fixed_message(kind)
            .map_or_else(|| Cow::Owned(error.message().chars().take(LONGEST).collect()), Cow::Borrowed);
        Self::new(status_of(kind), kind, message)
    }

    pub(crate) fn allowing(mut self, methods: &'static str) -> Self {
        self.allow = Some(methods);
        self
    }

    /// Ends the connection: the rest of the body will not be read.
    pub(crate) fn closing(mut self) -> Self {
        self.close = true;
        self
    }

    pub(crate) fn into_response(self, version: Version) -> Response<Body> {
        let retryable =
            matches!(self.kind, ErrorKind::Contention | ErrorKind::Unavailable | ErrorKind::Timeout);
        let detail = ErrorDetail { code: self.kind.code().into(), message: self.message, retryable };
        let body = wire::encode(&ErrorBody { error: detail }, 256).unwrap_or_default();
        let mut response = json(self.status, body, &HeaderMap::new(), None);
        let headers = response.headers_mut();
        if matches!(self.kind, ErrorKind::Contention | ErrorKind::Unavailable) {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(methods) = self.allow {
            headers.insert(ALLOW, HeaderValue::from_static(methods));
        }
        if self.close && version <= Version::HTTP_11 {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_used_only_where_it_is_accepted() {
        let accepted = |value: &'static str| {
            accepts_gzip(&HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(value))]))
        };
        for yes in ["gzip", "br, GZIP", "gzip;q=0.5", "deflate;q=0, gzip; q=1"] {
            assert!(accepted(yes), "{yes}");
        }
        for no in ["", "br", "gzip;q=0", "gzip; q=0.000", "gzip;q=x", "xgzip", "identity"] {
            assert!(!accepted(no), "{no}");
        }
    }

    #[test]
    fn an_internal_error_is_told_without_its_message() {
        for kind in ErrorKind::ALL.iter().copied() {
            let error =
                Error::new(kind, "commit", "secret").with_context("path", "secret").with_source("secret");
            let body = Refusal::of(&error).into_response(Version::HTTP_11).into_body().into_bytes();
            let told = String::from_utf8(body.to_vec()).unwrap();
            assert_eq!(told.contains("secret"), fixed_message(kind).is_none(), "{told}");
            assert!(told.contains(&format!("\"code\":\"{}\"", kind.code())), "{told}");
            assert!(told.contains(&format!("\"retryable\":{}", error.is_retryable())), "{told}");
        }
    }
}
