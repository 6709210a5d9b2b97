//! The client: a [`Transport`] over HTTP.

mod config;
mod connector;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fastsync_core::protocol::{PullReply, PullRequest, PushReply, PushRequest};
use fastsync_core::{Error, ErrorKind, Result, Transport};
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use http::{Extensions, HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::client::legacy::{self, Client};
use serde::{Serialize, de::DeserializeOwned};

pub use config::HttpTransportBuilder;

use crate::body::{ReadError, collect};
use crate::gzip::{GzipError, compress, decompress};
use crate::status::kind_of;
use crate::wire::{self, Encoding, ErrorBody, capacity_for};
use connector::{Connector, Used};

/// Sends requests to a [`SyncService`](crate::SyncService). A cheap handle: clones share the connections.
///
/// # Behavior
///
/// - An error of the server has the kind that the server gave it. That a connection cannot be made, breaks, or
///   is refused by the certificate check is `Unavailable` (a captive portal looks like the latter); that the
///   answer is not there in time is `Timeout`; an answer that no FastSync server gives, larger than allowed, or a
///   redirect (none is followed) is `Protocol`.
/// - Where the server says after how long to come back, the error's context has it as `retry_after`, in seconds
///   from 1 to 900.
/// - A request that fails on a connection from the pool before any of its answer arrived is sent once more: the
///   server may just have closed it. Nothing else is repeated.
/// - It needs a tokio runtime with time and I/O enabled. Bodies of a few megabytes are encoded and decoded on the
///   thread that polls.
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
    accept_gzip: bool,
    compress_over: Option<usize>,
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

    async fn call<Q: Serialize + Sync, R: DeserializeOwned>(
        &self,
        operation: &'static str,
        uri: &Uri,
        request: &Q,
        rows: usize,
    ) -> Result<R> {
        let fail = Fail(operation);
        let body = wire::encode(request, capacity_for(rows)).map_err(|error| {
            fail.kind(ErrorKind::InvalidInput, "the request cannot be encoded").with_source(error)
        })?;
        let exchange = self.exchange(fail, uri, body);
        let reply = tokio::time::timeout(self.inner.request_timeout, exchange).await.map_err(|_| {
            let limit = self.inner.request_timeout.as_millis();
            fail.kind(ErrorKind::Timeout, "the answer was not there in time").with_context("limit_ms", limit)
        })??;
        wire::decode(&reply).map_err(|error| fail.protocol(error.to_string()))
    }

    /// Sends one request and gives the body of its answer if that is a 200 with JSON.
    async fn exchange(&self, fail: Fail, uri: &Uri, body: Vec<u8>) -> Result<Bytes> {
        let inner = &*self.inner;
        let packed = inner.compress_over.filter(|limit| body.len() > *limit).and_then(|_| compress(&body));
        let compressed = packed.is_some();
        let body = packed.unwrap_or_else(|| body.into());
        let response = match inner.client.request(self.request(uri, body.clone(), compressed)).await {
            Err(error) if failed_on_used_connection(&error) => {
                inner.client.request(self.request(uri, body, compressed)).await
            }
            other => other,
        };
        let response = response.map_err(|error| fail.unreachable(error))?;
        if let Some(used) = response.extensions().get::<Used>() {
            used.set();
        }
        self.read(fail, response).await
    }

    fn request(&self, uri: &Uri, body: Bytes, compressed: bool) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri.clone();
        let headers = request.headers_mut();
        headers.clone_from(&self.inner.headers);
        if let Some(provider) = &self.inner.provider {
            headers.extend(provider());
        }
        headers.insert(CONTENT_TYPE, wire::JSON);
        headers.insert(ACCEPT, wire::JSON);
        if self.inner.accept_gzip {
            headers.insert(ACCEPT_ENCODING, wire::GZIP);
        }
        if compressed {
            headers.insert(CONTENT_ENCODING, wire::GZIP);
        }
        request
    }

    async fn read(&self, fail: Fail, response: Response<Incoming>) -> Result<Bytes> {
        let (parts, body) = response.into_parts();
        let json = wire::is_json(&parts.headers);
        if parts.status == StatusCode::OK {
            return if json {
                self.content(fail, &parts.headers, body, self.inner.response_bytes).await
            } else {
                Err(fail.protocol("the answer is not JSON: is there another service at this address?"))
            };
        }
        // A refusal is short. If it is not, or breaks off, its status still says enough.
        const LONGEST_REFUSAL: usize = 64 << 10;
        let content = match json {
            true => self.content(fail, &parts.headers, body, LONGEST_REFUSAL).await.unwrap_or_default(),
            false => Bytes::new(),
        };
        Err(fail.refused(parts.status, &parts.headers, &content))
    }

    async fn content(&self, fail: Fail, headers: &HeaderMap, body: Incoming, limit: usize) -> Result<Bytes> {
        let too_large = || fail.protocol("the answer is too large").with_context("limit_bytes", limit);
        let encoding = wire::encoding(headers)
            .ok_or_else(|| fail.protocol("the answer has an encoding that was not asked for"))?;
        let bytes = collect(body, headers, limit, None).await.map_err(|error| match error {
            ReadError::TooLarge => too_large(),
            ReadError::Broken(source) => fail
                .kind(ErrorKind::Unavailable, "the connection broke within the answer")
                .with_source(source),
            ReadError::Stalled => fail.kind(ErrorKind::Timeout, "the answer stopped arriving"),
        })?;
        match encoding {
            Encoding::Identity => Ok(bytes),
            Encoding::Gzip => decompress(&bytes, limit).map_err(|error| match error {
                GzipError::TooLarge => too_large(),
                GzipError::Malformed => fail.protocol("the answer is not what gzip makes"),
            }),
        }
    }
}

#[async_trait]
impl Transport for HttpTransport {
    async fn push(&self, request: &PushRequest) -> Result<PushReply> {
        self.call("push", &self.inner.push, request, request.payload.len()).await
    }

    async fn pull(&self, request: &PullRequest) -> Result<PullReply> {
        self.call("pull", &self.inner.pull, request, 0).await
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

    fn unreachable(self, error: legacy::Error) -> Error {
        let message = if error.is_connect() {
            "the server cannot be reached"
        } else {
            "the connection broke before the answer"
        };
        self.kind(ErrorKind::Unavailable, message).with_source(error)
    }

    fn refused(self, status: StatusCode, headers: &HeaderMap, content: &[u8]) -> Error {
        let body = serde_json::from_slice::<ErrorBody<'_>>(content).ok();
        let detail = body.as_ref().map(|body| &body.error);
        let kind = kind_of(status, detail.map(|detail| &*detail.code));
        let message: String = match detail {
            // Whoever wrote it, it goes into logs and dialogs.
            Some(detail) => detail.message.chars().filter(|c| !c.is_control()).take(512).collect(),
            None if status.is_redirection() => "redirects are not followed".to_owned(),
            None => "the request was refused".to_owned(),
        };
        let error = self.kind(kind, message).with_context("status", status.as_u16());
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
