//! The client: a [`Transport`] over HTTP.

mod config;
mod connector;
mod dialect;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fastsync_codec::{Coding, Fault, Format, Message, UnpackError};
use fastsync_core::protocol::{PullReply, PullRequest, PushReply};
use fastsync_core::{Error, ErrorKind, Outgoing, PullAnswer, Result, Transport};
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use http::{Extensions, HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::client::legacy::{self, Client};

pub use config::HttpTransportBuilder;

use crate::body::{ReadError, Unwatched, collect};
use crate::headers::{self, ACCEPTED_CODINGS};
use crate::status::kind_of;
use connector::{Connector, Used};
use dialect::{Dialect, Writing};

/// Sends requests to a [`SyncService`](crate::SyncService). A cheap handle: clones share the connections.
///
/// # Behavior
///
/// - An error of the server has the kind that the server gave it. That a connection cannot be made, breaks, or
///   is refused by the certificate check is `Unavailable` (a captive portal looks like the latter); that the
///   answer is not there in time is `Timeout`; a message that the protocol does not allow, or larger than allowed, is
///   `Protocol`.
/// - What no FastSync server says is a matter of the network: an answer of another content type, a redirect (none is followed)
///   and any status without an error body of ours are `Unavailable`, also 401 and 403, but for 413, `TooLarge`, and 408 and
///   504, `Timeout`. So a sign-in page or a firewall signs nobody out. Whoever answers 401 before
///   [`SyncService`](crate::SyncService) sees the request sends such a body (its form is on the crate's page), or the client
///   tries on.
/// - Where the server says after how long to come back, the error's context has it as `retry_after`, in seconds
///   from 1 to 900.
/// - A request that fails on a connection from the pool before any of its answer arrived is sent once more: the
///   server may just have closed it. A request that is answered with 415 (unsupported media type) is sent again in
///   a form that every server knows: with gzip instead of zstd, then as JSON instead of MessagePack; the transport
///   remembers that. Nothing else is repeated.
/// - It needs a tokio runtime with time and I/O enabled. Bodies of a few megabytes are encoded on the thread that polls;
///   pages after which more follow are decoded on the runtime's threads for blocking work.
#[derive(Clone)]
pub struct HttpTransport {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client<Connector, Full<Bytes>>,
    push: Uri,
    pull: Uri,
    headers: HeaderMap,
    provider: Option<Arc<config::Headers>>,
    request_timeout: Duration,
    response_bytes: usize,
    dialect: Dialect,
    accept_compressed: bool,
    compress_over: Option<usize>,
}

/// A request as it goes over the wire.
struct Written {
    /// How it was to be written.
    writing: Writing,
    /// How it is compressed.
    coding: Option<Coding>,
    body: Bytes,
}

/// What came back.
enum Answer {
    /// A 200 with a message in this format.
    Message(Format, Bytes),
    /// The server does not know the format or the coding, and has read nothing.
    UnknownForm(Error),
}

/// Shows where requests go and no header.
impl fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTransport").field("push", &self.inner.push).finish_non_exhaustive()
    }
}

impl HttpTransport {
    /// A transport to the server at `base`, for example `https://example.com/sync`; requests go to `base/push`
    /// and `base/pull`.
    pub fn builder(base: impl Into<String>) -> HttpTransportBuilder {
        HttpTransportBuilder::new(base.into())
    }

    async fn deliver<Q: Message>(
        &self,
        fail: Fail,
        uri: &Uri,
        request: &Q,
        written: Option<Written>,
    ) -> Result<(Format, Bytes)> {
        let exchange = self.negotiate(fail, uri, request, written);
        tokio::time::timeout(self.inner.request_timeout, exchange).await.map_err(|_| {
            let limit = self.inner.request_timeout.as_millis();
            fail.kind(ErrorKind::Timeout, "the answer was not there in time").with_context("limit_ms", limit)
        })?
    }

    /// Sends a request in a form that the server knows.
    async fn negotiate<Q: Message>(
        &self,
        fail: Fail,
        uri: &Uri,
        request: &Q,
        mut written: Option<Written>,
    ) -> Result<(Format, Bytes)> {
        let inner = &*self.inner;
        loop {
            let writing = inner.dialect.writing();
            let Written { body, coding, .. } = match written.take().filter(|known| known.writing == writing) {
                Some(known) => known,
                None => self.write(fail, request, writing)?,
            };
            match self.exchange(fail, uri, body, writing.format, coding).await? {
                Answer::Message(format, bytes) => return Ok((format, bytes)),
                Answer::UnknownForm(error) if !inner.dialect.refused(writing.format, coding) => {
                    return Err(error);
                }
                Answer::UnknownForm(_) => {}
            }
        }
    }

    fn write<Q: Message>(&self, fail: Fail, request: &Q, writing: Writing) -> Result<Written> {
        let plain = writing
            .format
            .encode(request)
            .map_err(|error| fail.kind(error.kind(), "the request cannot be encoded").with_source(error))?;
        let packed = self.inner.compress_over.filter(|limit| plain.len() > *limit);
        let packed = packed.and_then(|_| writing.coding.pack(&plain));
        let coding = packed.is_some().then_some(writing.coding);
        Ok(Written { writing, coding, body: packed.unwrap_or_else(|| plain.into()) })
    }

    async fn exchange(
        &self,
        fail: Fail,
        uri: &Uri,
        body: Bytes,
        format: Format,
        coding: Option<Coding>,
    ) -> Result<Answer> {
        let client = &self.inner.client;
        let response = match client.request(self.request(uri, body.clone(), format, coding)).await {
            Err(error) if failed_on_used_connection(&error) => {
                client.request(self.request(uri, body, format, coding)).await
            }
            other => other,
        };
        let response = response.map_err(|error| fail.unreachable(error))?;
        if let Some(used) = response.extensions().get::<Used>() {
            used.set();
        }
        self.read(fail, response).await
    }

    fn request(
        &self,
        uri: &Uri,
        body: Bytes,
        format: Format,
        coding: Option<Coding>,
    ) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri.clone();
        let headers = request.headers_mut();
        headers.clone_from(&self.inner.headers);
        if let Some(provider) = &self.inner.provider {
            headers.extend(provider());
        }
        headers.insert(CONTENT_TYPE, headers::content_type(format));
        headers.insert(ACCEPT, headers::content_type(format));
        if self.inner.accept_compressed {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(ACCEPTED_CODINGS));
        }
        if let Some(coding) = coding {
            headers.insert(CONTENT_ENCODING, headers::content_encoding(coding));
        }
        request
    }

    async fn read(&self, fail: Fail, response: Response<Incoming>) -> Result<Answer> {
        let (parts, body) = response.into_parts();
        let format = headers::format(&parts.headers);
        if parts.status == StatusCode::OK {
            let Some(format) = format else {
                let message = "the answer is not from a FastSync server but from something on the way (a network's sign-in page, \
                               a proxy), or there is another service at this address";
                let error = fail.kind(ErrorKind::Unavailable, message);
                return Err(error.with_context("status", parts.status.as_u16()));
            };
            let bytes = self.content(fail, &parts.headers, body, self.inner.response_bytes).await?;
            return Ok(Answer::Message(format, bytes));
        }
        // A refusal is short. If it is not, or breaks off, its status still says enough.
        const LONGEST_REFUSAL: usize = 64 << 10;
        let content = match format {
            Some(Format::Json) => {
                self.content(fail, &parts.headers, body, LONGEST_REFUSAL).await.unwrap_or_default()
            }
            _ => Bytes::new(),
        };
        let error = fail.refused(parts.status, &parts.headers, &content);
        match parts.status {
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Ok(Answer::UnknownForm(error)),
            _ => Err(error),
        }
    }

    async fn content(&self, fail: Fail, headers: &HeaderMap, body: Incoming, limit: usize) -> Result<Bytes> {
        let too_large = || fail.protocol("the answer is too large").with_context("limit_bytes", limit);
        let coding = headers::coding(headers)
            .map_err(|()| fail.protocol("the answer has an encoding that was not asked for"))?;
        let bytes = collect(body, headers, limit, &mut Unwatched).await.map_err(|error| match error {
            ReadError::TooLarge => too_large(),
            ReadError::Broken(source) => fail
                .kind(ErrorKind::Unavailable, "the connection broke within the answer")
                .with_source(source),
            ReadError::TooSlow | ReadError::Busy => {
                fail.kind(ErrorKind::Timeout, "the answer stopped arriving")
            }
        })?;
        let Some(coding) = coding else { return Ok(bytes) };
        coding.unpack(&bytes, limit).map_err(|error| match error {
            UnpackError::TooLarge => too_large(),
            _ => fail.protocol("the answer is not what its encoding says"),
        })
    }
}

#[async_trait]
impl Transport for HttpTransport {
    async fn push(&self, push: &Outgoing) -> Result<PushReply> {
        let (fail, request) = (Fail("push"), push.request());
        let (format, reply) = self.deliver(fail, &self.inner.push, request, push.take()).await?;
        fail.decode(format, &reply)
    }

    fn prepare(&self, push: &Outgoing) {
        let (request, writing) = (push.request(), self.inner.dialect.writing());
        // What cannot be written fails when it is sent.
        if let Ok(written) = self.write(Fail("push"), request, writing) {
            push.keep(written);
        }
    }

    async fn pull(&self, request: &PullRequest) -> Result<PullAnswer> {
        let fail = Fail("pull");
        let (format, reply) = self.deliver(fail, &self.inner.pull, request, None).await?;
        match format.next_cursor(&reply) {
            None => fail.decode(format, &reply).map(|reply: PullReply| reply.into()),
            // On a thread of its own: here the next request is to be sent now.
            Some(next) => Ok(PullAnswer::ahead(next, async move {
                let read = tokio::task::spawn_blocking(move || fail.decode(format, &reply)).await;
                read.map_err(|error| {
                    fail.kind(ErrorKind::Unavailable, "the runtime ended while the answer was read")
                        .with_source(error)
                })?
            })),
        }
    }
}

/// Whether a request failed on a connection that had delivered an answer before.
fn failed_on_used_connection(error: &legacy::Error) -> bool {
    let mut extensions = Extensions::new();
    if let Some(connected) = error.connect_info() {
        connected.get_extras(&mut extensions);
    }
    extensions.get::<Used>().is_some_and(Used::get)
}

/// Makes the errors of one operation.
#[derive(Clone, Copy)]
struct Fail(&'static str);

impl Fail {
    fn kind(self, kind: ErrorKind, message: impl Into<String>) -> Error {
        Error::new(kind, self.0, message).with_backend("http")
    }

    fn protocol(self, message: impl Into<String>) -> Error {
        self.kind(ErrorKind::Protocol, message)
    }

    fn decode<T: Message>(self, format: Format, reply: &[u8]) -> Result<T> {
        format.decode(reply).map_err(|error| self.protocol(error.to_string()))
    }

    fn unreachable(self, error: legacy::Error) -> Error {
        let message = if error.is_connect() {
            "the server cannot be reached"
        } else {
            "the connection broke before the answer"
        };
        self.kind(ErrorKind::Unavailable, message).with_source(error)
    }

    fn refused(self, status: StatusCode, headers: &HeaderMap, content: &[u8]) -> Error {
        let fault = Fault::decode(content);
        let kind = kind_of(status, fault.as_ref().map(Fault::code));
        let error = match fault {
            Some(fault) => fault.into_error_of(kind, self.0).with_backend("http"),
            None if status.is_redirection() => self.kind(
                kind,
                "redirects are not followed: something on the way (a network's sign-in page, a proxy) answers in the server's \
                 place, or it has another address",
            ),
            None => self.kind(
                kind,
                "the answer is not from a FastSync server but from something on the way (a proxy, a firewall), or there is \
                 another service at this address",
            ),
        };
        let error = error.with_context("status", status.as_u16());
        match retry_after(headers) {
            Some(seconds) => error.with_context("retry_after", seconds),
            None => error,
        }
    }
}

/// The seconds of `Retry-After`, within reason; dates are ignored.
fn retry_after(headers: &HeaderMap) -> Option<u64> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(seconds.clamp(1, 900))
}
