//! The server: one value that answers `POST /push` and `POST /pull`, in any framework or in none.

mod auth;
mod guard;
mod intake;
mod limits;
mod reply;
mod serve;

use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use fastsync_codec::{Format, Message};
use fastsync_core::{Error, ErrorKind, SyncContext, SyncHandler};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};

pub use auth::{Authenticate, bearer_token};
pub use intake::{Intake, IntakeError, Received};
pub use limits::Limits;
pub use reply::{Body, json_response};
pub use serve::{Listener, ServeConfig, serve};

use crate::BoxError;
use crate::headers;
use reply::Refusal;

/// Answers the requests of [`HttpTransport`](crate::HttpTransport)s. A cheap handle: clones share everything.
///
/// It is a [`tower_service::Service`], so that axum nests it, and [`SyncService::handle`] is the same as a plain
/// function. It needs a tokio runtime with time enabled. Bodies of a few megabytes are encoded and decoded on
/// the thread that polls, which takes some milliseconds.
///
/// If the client goes away, hyper drops the future, and with it the handler's.
#[derive(Clone)]
pub struct SyncService {
    inner: Arc<Inner>,
}

struct Inner {
    handler: Arc<dyn SyncHandler>,
    authenticate: Box<dyn Authenticate>,
    intake: Intake,
    mount: String,
    on_error: Option<Box<ErrorHook>>,
}

type ErrorHook = dyn Fn(&Error) + Send + Sync;

impl fmt::Debug for SyncService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SyncService")
            .field("limits", self.inner.intake.limits())
            .field("mount", &self.inner.mount)
            .finish_non_exhaustive()
    }
}

/// A [`SyncService`] that still needs to know how requests are authenticated.
#[must_use]
pub struct NeedsAuthentication(Arc<dyn SyncHandler>);

impl fmt::Debug for NeedsAuthentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NeedsAuthentication")
    }
}

impl NeedsAuthentication {
    /// Sets how requests are authenticated. There is no default.
    pub fn authenticate(self, authenticate: impl Authenticate) -> SyncServiceBuilder {
        SyncServiceBuilder(Inner {
            handler: self.0,
            authenticate: Box::new(authenticate),
            intake: Intake::new(Limits::default()),
            mount: String::new(),
            on_error: None,
        })
    }
}

/// Builds a [`SyncService`].
#[must_use]
pub struct SyncServiceBuilder(Inner);

impl fmt::Debug for SyncServiceBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SyncServiceBuilder").field("limits", self.0.intake.limits()).finish_non_exhaustive()
    }
}

impl SyncServiceBuilder {
    /// Sets the limits of a request, and of all together.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.0.intake = Intake::new(limits);
        self
    }

    /// Sets the path under which requests arrive, for example `/sync`: to be used where nothing in front strips
    /// it (plain hyper, axum's `route_service`; not axum's `nest_service`).
    pub fn mounted_at(mut self, path: &str) -> Self {
        let path = path.trim_matches('/');
        self.0.mount = if path.is_empty() { String::new() } else { format!("/{path}") };
        self
    }

    /// Calls `hook` with every error of the handler and of the authentication, for the server's own log: clients
    /// are told the kind of an internal error and nothing else.
    pub fn on_error(mut self, hook: impl Fn(&Error) + Send + Sync + 'static) -> Self {
        self.0.on_error = Some(Box::new(hook));
        self
    }

    /// The service.
    #[must_use]
    pub fn build(self) -> SyncService {
        SyncService { inner: Arc::new(self.0) }
    }
}

#[derive(Debug, Clone, Copy)]
enum Route {
    Push,
    Pull,
}

impl SyncService {
    /// A service in front of `handler`: a server's `SyncManager`, or a wrapper around one.
    pub fn builder(handler: impl SyncHandler) -> NeedsAuthentication {
        Self::builder_shared(Arc::new(handler))
    }

    /// A service in front of a handler that is shared already.
    pub fn builder_shared(handler: Arc<dyn SyncHandler>) -> NeedsAuthentication {
        NeedsAuthentication(handler)
    }

    /// Answers a request. It never fails: what goes wrong is in the status and the body of the answer.
    pub async fn handle<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body + Send,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        let (parts, body) = request.into_parts();
        let answer = self.answer(&parts, body).await;
        answer.unwrap_or_else(|refusal| refusal.into_response(parts.version))
    }

    async fn answer<B>(&self, parts: &Parts, body: B) -> Result<Response<Body>, Refusal>
    where
        B: http_body::Body + Send,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        let route = self.route(parts)?;
        let context = self.authenticate(parts).await?;
        let (format, received) = self.read(parts, body).await?;
        let handler = &self.inner.handler;
        match route {
            Route::Push => {
                let request = request(format, received.bytes())?;
                drop(received);
                let reply =
                    handler.process_push(&context, request).await.map_err(|error| self.refuse(&error))?;
                self.reply(parts, &reply)
            }
            Route::Pull => {
                let request = request(format, received.bytes())?;
                drop(received);
                let reply =
                    handler.process_pull(&context, request).await.map_err(|error| self.refuse(&error))?;
                self.reply(parts, &reply)
            }
        }
    }

    /// Paths are compared as they came, byte by byte: nothing is decoded, normalised or taken for something else.
    fn route(&self, parts: &Parts) -> Result<Route, Refusal> {
        let route = match parts.uri.path().strip_prefix(&*self.inner.mount) {
            Some("/push") => Route::Push,
            Some("/pull") => Route::Pull,
            _ => {
                let refusal = Refusal::new(
                    StatusCode::NOT_FOUND,
                    ErrorKind::Unsupported,
                    "there is nothing at this path",
                );
                return Err(refusal);
            }
        };
        if parts.method != Method::POST {
            let refusal = Refusal::new(
                StatusCode::METHOD_NOT_ALLOWED,
                ErrorKind::Unsupported,
                "the method must be POST",
            );
            return Err(refusal.allowing("POST"));
        }
        Ok(route)
    }

    async fn authenticate(&self, parts: &Parts) -> Result<SyncContext, Refusal> {
        self.inner.authenticate.authenticate(parts).await.map_err(|error| {
            let refusal = self.refuse(&error);
            match error.kind() {
                ErrorKind::Unavailable
                | ErrorKind::Timeout
                | ErrorKind::Contention
                | ErrorKind::Config
                | ErrorKind::Corrupt
                | ErrorKind::Backend
                | ErrorKind::StorageFull
                | ErrorKind::Protocol => refusal,
                _ => Refusal::of(&Error::new(ErrorKind::Unauthorized, "authenticate", "")),
            }
        })
    }

    async fn read<B>(&self, parts: &Parts, body: B) -> Result<(Format, Received), Refusal>
    where
        B: http_body::Body + Send,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        let format = headers::format(&parts.headers).ok_or_else(|| {
            let message = "the content type must be application/json or application/msgpack";
            Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, ErrorKind::Unsupported, message)
        })?;
        let intake = &self.inner.intake;
        let received = intake.receive(&parts.headers, body).await.map_err(|error| {
            let kind = match error {
                IntakeError::TooLarge | IntakeError::TooLargeUnpacked => ErrorKind::TooLarge,
                IntakeError::TooSlow => ErrorKind::Timeout,
                IntakeError::Busy => ErrorKind::Unavailable,
                IntakeError::UnknownCoding => ErrorKind::Unsupported,
                IntakeError::Broken | IntakeError::Malformed => ErrorKind::InvalidInput,
            };
            let message = if kind == ErrorKind::TooLarge {
                format!("a request body may have at most {} bytes", intake.limits().body_bytes).into()
            } else {
                Cow::Borrowed(error.message())
            };
            let refusal = Refusal::new(error.status(), kind, message);
            if error.is_within() { refusal.closing() } else { refusal }
        })?;
        Ok((format, received))
    }

    fn refuse(&self, error: &Error) -> Refusal {
        if let Some(hook) = &self.inner.on_error {
            hook(error);
        }
        Refusal::of(error)
    }

    fn reply<T: Message>(&self, parts: &Parts, reply: &T) -> Result<Response<Body>, Refusal> {
        let format = headers::accepted_format(&parts.headers);
        let body = format.encode(reply).map_err(|error| {
            self.refuse(
                &Error::new(ErrorKind::Backend, "reply", "a reply cannot be encoded").with_source(error),
            )
        })?;
        Ok(reply::message(format, body, &parts.headers, self.inner.intake.limits().compress_over))
    }
}

impl<B> tower_service::Service<Request<B>> for SyncService
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move { Ok(service.handle(request).await) })
    }
}

fn request<T: Message>(format: Format, bytes: &[u8]) -> Result<T, Refusal> {
    fastsync_codec::request(format, bytes).map_err(|error| Refusal::of(&error))
}
