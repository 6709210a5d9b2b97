//! Answers.

use std::borrow::Cow;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use fastsync_codec::{Fault, Format};
use fastsync_core::{Error, ErrorKind};
use http::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER, VARY, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode, Version};
use http_body::{Frame, SizeHint};
use http_body_util::Full;

use super::limits::Limits;
use crate::headers;
use crate::status::status_of;

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

/// An answer with a body, compressed if that pays and the client takes it.
pub(crate) fn message(
    format: Format,
    body: Vec<u8>,
    request: &HeaderMap,
    compress_over: Option<usize>,
) -> Response<Body> {
    let packed = compress_over.filter(|threshold| body.len() > *threshold).and_then(|_| {
        let coding = headers::accepted_coding(request)?;
        Some((coding, coding.pack(&body)?))
    });
    let coding = packed.as_ref().map(|(coding, _)| *coding);
    let mut response = Response::new(Body::new(packed.map_or_else(|| body.into(), |(_, packed)| packed)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, headers::content_type(format));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(VARY, HeaderValue::from_static("accept, accept-encoding"));
    if let Some(coding) = coding {
        headers.insert(CONTENT_ENCODING, headers::content_encoding(coding));
    }
    response
}

/// An answer in JSON for routes beside the protocol's: compressed if it is larger than the limit says and the request takes it,
/// never kept by anyone on the way, and of no other type than it says.
#[must_use]
pub fn json_response(
    limits: &Limits,
    request: &HeaderMap,
    status: StatusCode,
    json: Vec<u8>,
) -> Response<Body> {
    let mut response = message(Format::Json, json, request, limits.compress_over);
    *response.status_mut() = status;
    response
}

/// A request that is not answered with a reply of the protocol.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    kind: ErrorKind,
    /// The encoded fault.
    body: Vec<u8>,
    allow: Option<&'static str>,
    close: bool,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, kind, body: Fault::new(kind, message).encode(), allow: None, close: false }
    }

    /// What is told of an error: never more than its kind, unless it is about what the caller sent.
    pub(crate) fn of(error: &Error) -> Self {
        let kind = error.kind();
        Self { status: status_of(kind), kind, body: Fault::of(error).encode(), allow: None, close: false }
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
        let mut response = message(Format::Json, self.body, &HeaderMap::new(), None);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.remove(VARY);
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
