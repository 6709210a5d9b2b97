//! Ready handlers: one value that answers `POST .../push` and `POST .../pull`, in any framework or in none.
//!
//! What came through to the engine is answered with HTTP 200 and an envelope
//! `{"success": .., "status": .., "data": ..}`, as the original's servers do: some of its clients take any other status
//! for a broken connection. What did not (no such path, no valid identity, a body that is too large or no JSON) has the
//! status in both places.

mod paced;
mod rates;

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use fastsync_core::{Error, ErrorKind, Result, SyncContext};
use fastsync_transport_http::server::{self, Intake, Received};
use http::header::{CONNECTION, CONTENT_TYPE, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use fastsync_transport_http::Limits;
pub use paced::Body;

use crate::{FastSyncCompat, PullReply, Refusal};
use rates::Rates;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Authenticating = Pin<Box<dyn Future<Output = Result<SyncContext>> + Send>>;
type Authenticate = dyn Fn(&Parts) -> Authenticating + Send + Sync;
type ErrorHook = dyn Fn(&Error) + Send + Sync;

/// The limits of a service unless others are set: bodies of 64 MiB, since an original client pushes all that it has at once and
/// cannot be told to send less, and 512 MiB of all bodies together; otherwise those of [`Limits`].
#[must_use]
pub fn default_limits() -> Limits {
    Limits::default().with_body_bytes(64 << 20).with_bytes_in_flight(512 << 20)
}

/// Answers the requests of original clients. A cheap handle: clones share everything.
///
/// It is a [`tower_service::Service`], so that axum nests it, and [`CompatService::handle`] is the same as a plain
/// function. It needs a tokio runtime with time enabled. Requests may be compressed, and replies are for clients that take
/// it. Cross-origin headers are the business of a layer in front of it.
#[derive(Clone)]
pub struct CompatService {
    inner: Arc<Inner>,
}

struct Inner {
    compat: FastSyncCompat,
    authenticate: Box<Authenticate>,
    intake: Intake,
    client_timeout: Duration,
    rates: Rates,
    mount: String,
    on_error: Option<Box<ErrorHook>>,
}

impl fmt::Debug for CompatService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompatService").field("mount", &self.inner.mount).finish_non_exhaustive()
    }
}

/// Builds a [`CompatService`].
#[must_use]
pub struct CompatServiceBuilder(Inner);

impl fmt::Debug for CompatServiceBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompatServiceBuilder").field("limits", self.0.intake.limits()).finish_non_exhaustive()
    }
}

impl CompatServiceBuilder {
    /// Sets the limits of a request, and of all together. [`default_limits`] unless set.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.0.intake = Intake::new(limits);
        self
    }

    /// How long the clients wait for a reply. A client that is slower than its reply is long asks for all of it again, so
    /// the replies of a user whose replies are taken slowly are made to arrive in half of this time. 60 s unless set.
    pub fn client_timeout(mut self, timeout: Duration) -> Self {
        self.0.client_timeout = timeout;
        self
    }

    /// Sets the path under which requests arrive, for example `/express`: to be used where nothing in front strips
    /// it (plain hyper, axum's `route_service`; not axum's `nest_service`).
    pub fn mounted_at(mut self, path: &str) -> Self {
        let path = path.trim_matches('/');
        self.0.mount = if path.is_empty() { String::new() } else { format!("/{path}") };
        self
    }

    /// Calls `hook` with every error of the engine and of the authentication, for the server's own log: clients are
    /// told the kind of an internal error and nothing else.
    pub fn on_error(mut self, hook: impl Fn(&Error) + Send + Sync + 'static) -> Self {
        self.0.on_error = Some(Box::new(hook));
        self
    }

    /// The service.
    #[must_use]
    pub fn build(self) -> CompatService {
        CompatService { inner: Arc::new(self.0) }
    }
}

/// The body of every answer.
#[derive(Serialize)]
struct Envelope<T> {
    success: bool,
    status: u16,
    data: Option<T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Refusal>,
}

/// What a push answers with: the clients look at `success` alone.
#[derive(Serialize)]
struct Processed {
    processed: usize,
}

/// A request that did not come through to the engine.
struct Refused(StatusCode, &'static str);

/// How many refusals an answer names.
const MAX_NAMED: usize = 100;

enum Route {
    Push,
    Pull,
}

impl CompatService {
    /// A service in front of `compat`. `authenticate` tells who sends the request with a head; its error refuses the
    /// request. There is no default.
    pub fn builder<F, Fut>(compat: FastSyncCompat, authenticate: F) -> CompatServiceBuilder
    where
        F: Fn(&Parts) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<SyncContext>> + Send + 'static,
    {
        CompatServiceBuilder(Inner {
            compat,
            authenticate: Box::new(move |parts: &Parts| -> Authenticating { Box::pin(authenticate(parts)) }),
            intake: Intake::new(default_limits()),
            client_timeout: Duration::from_secs(60),
            rates: Rates::default(),
            mount: String::new(),
            on_error: None,
        })
    }

    /// Answers a request. It never fails: what goes wrong is in the answer.
    pub async fn handle<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body + Send,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        let (parts, body) = request.into_parts();
        match self.answer(&parts, body).await {
            Ok(response) => response,
            Err(Refused(status, message)) => {
                let envelope = failure(status, message.to_owned(), Vec::new());
                // What is left of a body that was not received cannot be read past.
                let mut response = self.json(&parts, status, &envelope);
                if status == StatusCode::REQUEST_TIMEOUT && parts.version < http::Version::HTTP_2 {
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                response
            }
        }
    }

    async fn answer<B>(&self, parts: &Parts, body: B) -> std::result::Result<Response<Body>, Refused>
    where
        B: http_body::Body + Send,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        let route = self.route(parts)?;
        let context = (self.inner.authenticate)(parts).await.map_err(|error| {
            self.tell(&error);
            if error.is_retryable() {
                Refused(StatusCode::SERVICE_UNAVAILABLE, "who sends the request could not be told; try again")
            } else {
                Refused(StatusCode::UNAUTHORIZED, "the request carries no valid identity")
            }
        })?;
        let received = self.read(parts, body).await?;
        Ok(match route {
            Route::Push => {
                let payload = decode(received.bytes())?;
                drop(received);
                match self.inner.compat.process_push(&context, payload).await {
                    Err(error) => self.failed(parts, &error),
                    Ok(reply) if reply.refused.is_empty() => {
                        // What is said of them is for people: the clients look at `success` alone.
                        let remarks = reply.undone.into_iter().chain(reply.mended).collect();
                        self.success(parts, Processed { processed: reply.processed }, remarks)
                    }
                    Ok(reply) => {
                        let message = format!(
                            "{} could not be stored; {} others were",
                            reply.refused.len(),
                            reply.processed
                        );
                        self.json(
                            parts,
                            StatusCode::OK,
                            &failure(StatusCode::UNPROCESSABLE_ENTITY, message, reply.refused),
                        )
                    }
                }
            }
            Route::Pull => {
                let request = decode(received.bytes())?;
                drop(received);
                let most = self.inner.rates.aim(&context, self.inner.client_timeout);
                match self.inner.compat.inner.process_pull(&context, request, most).await {
                    Err(error) => self.failed(parts, &error),
                    Ok(reply) => self.paced(parts, context, reply),
                }
            }
        })
    }

    /// Paths are compared as they came, byte by byte.
    fn route(&self, parts: &Parts) -> std::result::Result<Route, Refused> {
        let route = match parts.uri.path().strip_prefix(&*self.inner.mount) {
            Some("/push") => Route::Push,
            Some("/pull") => Route::Pull,
            _ => return Err(Refused(StatusCode::NOT_FOUND, "there is nothing at this path")),
        };
        if parts.method == Method::POST {
            Ok(route)
        } else {
            Err(Refused(StatusCode::METHOD_NOT_ALLOWED, "the method must be POST"))
        }
    }

    async fn read<B>(&self, parts: &Parts, body: B) -> std::result::Result<Received, Refused>
    where
        B: http_body::Body + Send,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        // A page of another site cannot send this type without being allowed to.
        let media = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()?.split(';').next());
        if !media.is_some_and(|media| media.trim().eq_ignore_ascii_case("application/json")) {
            let message = "the content type must be application/json";
            return Err(Refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
        }
        let received = self.inner.intake.receive(&parts.headers, body).await;
        received.map_err(|error| Refused(error.status(), error.message()))
    }

    /// A reply that sees how fast it is taken.
    fn paced(&self, parts: &Parts, context: SyncContext, reply: PullReply) -> Response<Body> {
        let PullReply { payload, refused } = reply;
        let envelope = Envelope::success(payload, refused);
        let (response, json) = self.encode(parts, StatusCode::OK, &envelope);
        response.map(|body| Body::watched(body.into_bytes(), Arc::clone(&self.inner), context, json))
    }

    fn success<T: Serialize>(&self, parts: &Parts, data: T, errors: Vec<Refusal>) -> Response<Body> {
        self.json(parts, StatusCode::OK, &Envelope::success(data, errors))
    }

    fn json<T: Serialize>(
        &self,
        parts: &Parts,
        status: StatusCode,
        envelope: &Envelope<T>,
    ) -> Response<Body> {
        self.encode(parts, status, envelope).0.map(|body| Body::new(body.into_bytes()))
    }

    /// An answer, with how many bytes of JSON it has.
    fn encode<T: Serialize>(
        &self,
        parts: &Parts,
        status: StatusCode,
        envelope: &Envelope<T>,
    ) -> (Response<server::Body>, usize) {
        let encoded = serde_json::to_vec(envelope);
        let status = if encoded.is_ok() { status } else { StatusCode::INTERNAL_SERVER_ERROR };
        let json = encoded.unwrap_or_default();
        let bytes = json.len();
        (server::json_response(self.inner.intake.limits(), &parts.headers, status, json), bytes)
    }

    fn tell(&self, error: &Error) {
        if let Some(hook) = &self.inner.on_error {
            hook(error);
        }
    }

    /// What is told of an error: never more than its kind, unless it is about what the client sent.
    fn failed(&self, parts: &Parts, error: &Error) -> Response<Body> {
        self.tell(error);
        let (status, message) = match error.kind() {
            ErrorKind::InvalidInput => (StatusCode::BAD_REQUEST, error.message()),
            ErrorKind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, error.message()),
            ErrorKind::Unauthorized => (StatusCode::UNAUTHORIZED, "the request carries no valid identity"),
            ErrorKind::Contention => (StatusCode::CONFLICT, "the records kept moving; try again"),
            ErrorKind::Unavailable | ErrorKind::Timeout => {
                (StatusCode::SERVICE_UNAVAILABLE, "the server is busy or cannot reach its storage; try again")
            }
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "the server failed"),
        };
        self.json(parts, StatusCode::OK, &failure(status, message.to_owned(), Vec::new()))
    }
}

impl<B> tower_service::Service<Request<B>> for CompatService
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = std::result::Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::result::Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move { Ok(service.handle(request).await) })
    }
}

/// Decodes a request. What is wrong with it is not quoted.
fn decode<T: DeserializeOwned>(bytes: &[u8]) -> std::result::Result<T, Refused> {
    // serde would also take an array of the fields.
    let start = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    start
        .filter(|byte| **byte == b'{')
        .and_then(|_| serde_json::from_slice(bytes).ok())
        .ok_or(Refused(StatusCode::BAD_REQUEST, "the body does not have the form that the protocol asks for"))
}

impl<T> Envelope<T> {
    fn success(data: T, errors: Vec<Refusal>) -> Self {
        let errors = errors.into_iter().take(MAX_NAMED).collect();
        Self { success: true, status: 200, data: Some(data), error: None, errors }
    }
}

fn failure(status: StatusCode, message: String, errors: Vec<Refusal>) -> Envelope<()> {
    let errors = errors.into_iter().take(MAX_NAMED).collect();
    Envelope { success: false, status: status.as_u16(), data: None, error: Some(message), errors }
}
