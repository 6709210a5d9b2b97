//! How requests reach the server.

use std::{
    any::Any,
    fmt::{self, Debug},
    sync::Arc,
};

use async_trait::async_trait;
use futures_util::future::{self, BoxFuture};

use crate::context::SyncContext;
use crate::error::Result;
use crate::protocol::{Cursor, PullReply, PullRequest, PushReply, PushRequest};

/// Carries a client's requests to a server and the answers back.
///
/// # Contract
///
/// - Errors of the server come back with the kind that the server gave them; failures on the way are
///   `Unavailable` (nothing is known of the outcome either) or `Timeout`. So is what something on the way says in the server's
///   place (a network's sign-in page, a firewall's refusal), but that a request is too large for it, `TooLarge`. A message of the
///   server's that the protocol does not allow is `Protocol`.
/// - The same request may be sent again at any time; a transport may itself retry only if it repeats the request
///   unchanged.
/// - A request is written in the form of the protocol version that its metadata names, and its reply read in that form. What the
///   server says of the versions that it serves comes back with its error ([`Error::protocols`](crate::Error::protocols)).
/// - Cancellation: dropping the future may or may not have delivered the request.
#[async_trait]
pub trait Transport: Debug + Send + Sync + 'static {
    /// Delivers a push.
    async fn push(&self, request: &PushRequest) -> Result<PushReply>;

    /// Writes down what [`push`](Self::push) would send of this request. The engine calls it while an earlier push is under
    /// way, so that this one can leave the moment that one is answered. It does not wait for anything.
    ///
    /// Unless implemented, there is nothing to prepare.
    fn prepare_push(&self, request: &PushRequest) -> Option<PreparedPush> {
        let _ = request;
        None
    }

    /// Delivers a push as [`push`](Self::push) does. `prepared` is what [`prepare_push`](Self::prepare_push) made of the
    /// same request.
    async fn push_prepared(&self, request: &PushRequest, prepared: PreparedPush) -> Result<PushReply> {
        drop(prepared);
        self.push(request).await
    }

    /// Delivers a pull.
    async fn pull(&self, request: &PullRequest) -> Result<PullReply>;

    /// Delivers a pull as [`pull`](Self::pull) does, and may answer before the records are read: the engine then asks
    /// for the next page at once, so that the server works on it while this one is read and stored.
    ///
    /// What is read later fails as `pull` would. Unless implemented, it is `pull`.
    async fn pull_ahead(&self, request: &PullRequest) -> Result<PullAnswer> {
        self.pull(request).await.map(PullAnswer::from)
    }
}

/// A push as its transport has written it down. Only that transport knows what is in it.
pub struct PreparedPush(Box<dyn Any + Send + Sync>);

impl PreparedPush {
    /// A push that is this.
    pub fn new(content: impl Any + Send + Sync) -> Self {
        Self(Box::new(content))
    }

    /// What it was made of; none if that is no `T`.
    #[must_use]
    pub fn into_inner<T: Any>(self) -> Option<T> {
        self.0.downcast().ok().map(|content| *content)
    }
}

/// Shows nothing of what is sent.
impl Debug for PreparedPush {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PreparedPush").finish_non_exhaustive()
    }
}

/// The answer to a pull, of which it is known where the next one begins.
pub struct PullAnswer {
    next: Option<Cursor>,
    reply: BoxFuture<'static, Result<PullReply>>,
}

impl PullAnswer {
    /// An answer that goes on at `next`, as the beginning of its wire form says
    /// ([`PullReply::next_cursor`]), and is read by `reply`.
    pub fn ahead(next: Cursor, reply: impl Future<Output = Result<PullReply>> + Send + 'static) -> Self {
        Self { next: Some(next), reply: Box::pin(reply) }
    }

    /// Where the pull goes on; none if this is its end.
    #[must_use]
    pub const fn next(&self) -> Option<&Cursor> {
        self.next.as_ref()
    }

    /// Reads the reply.
    ///
    /// # Errors
    /// It is no reply.
    pub async fn read(self) -> Result<PullReply> {
        self.reply.await
    }
}

impl From<PullReply> for PullAnswer {
    fn from(reply: PullReply) -> Self {
        Self { next: reply.next().cloned(), reply: Box::pin(future::ready(Ok(reply))) }
    }
}

/// Shows where it goes on.
impl Debug for PullAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PullAnswer").field("next", &self.next).finish_non_exhaustive()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<T: Transport + ?Sized> Transport for Arc<T> {
    async fn push(&self, request: &PushRequest) -> Result<PushReply> {
        (**self).push(request).await
    }

    fn prepare_push(&self, request: &PushRequest) -> Option<PreparedPush> {
        (**self).prepare_push(request)
    }

    async fn push_prepared(&self, request: &PushRequest, prepared: PreparedPush) -> Result<PushReply> {
        (**self).push_prepared(request, prepared).await
    }

    async fn pull(&self, request: &PullRequest) -> Result<PullReply> {
        (**self).pull(request).await
    }

    async fn pull_ahead(&self, request: &PullRequest) -> Result<PullAnswer> {
        (**self).pull_ahead(request).await
    }
}

/// The server's end of a transport: what a route calls once the request is authenticated and decoded.
///
/// [`SyncManager`](crate::SyncManager)`<Server>` is one; a wrapper around it (limits, metrics, another protocol version) is
/// another. A reply is in the version that the metadata of its request names.
#[async_trait]
pub trait SyncHandler: Send + Sync + 'static {
    /// Processes a push on behalf of `context`.
    ///
    /// # Errors
    /// Typed by [`ErrorKind`](crate::ErrorKind); nothing is changed then.
    async fn process_push(&self, context: &SyncContext, request: PushRequest) -> Result<PushReply>;

    /// Processes a pull on behalf of `context`.
    ///
    /// # Errors
    /// Typed by [`ErrorKind`](crate::ErrorKind).
    async fn process_pull(&self, context: &SyncContext, request: PullRequest) -> Result<PullReply>;
}

/// Hands requests to a server in the same process, as one authenticated user: for tests, and for a server and a
/// client in one program.
#[derive(Clone)]
pub struct LoopbackTransport {
    handler: Arc<dyn SyncHandler>,
    context: SyncContext,
}

impl LoopbackTransport {
    /// A transport to `handler` in which every request comes from `context`.
    pub fn new(handler: impl SyncHandler, context: SyncContext) -> Self {
        Self { handler: Arc::new(handler), context }
    }
}

impl Debug for LoopbackTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoopbackTransport").field("context", &self.context).finish_non_exhaustive()
    }
}

#[async_trait]
impl Transport for LoopbackTransport {
    async fn push(&self, request: &PushRequest) -> Result<PushReply> {
        self.handler.process_push(&self.context, request.clone()).await
    }

    async fn pull(&self, request: &PullRequest) -> Result<PullReply> {
        self.handler.process_pull(&self.context, request.clone()).await
    }
}
