//! How requests reach the server.

use std::{
    fmt::{self, Debug},
    sync::Arc,
};

use async_trait::async_trait;

use crate::context::SyncContext;
use crate::error::Result;
use crate::protocol::{PullReply, PullRequest, PushReply, PushRequest};

/// Carries a client's requests to a server and the answers back.
///
/// # Contract
///
/// - Errors of the server come back with the kind that the server gave them; failures on the way are
///   `Unavailable` (nothing is known of the outcome either) or `Timeout`, and an answer that is no answer
///   (another service's page, a truncated body) is `Protocol`.
/// - The same request may be sent again at any time; a transport may itself retry only if it repeats the request
///   unchanged.
/// - Cancellation: dropping the future may or may not have delivered the request.
#[async_trait]
pub trait Transport: Debug + Send + Sync + 'static {
    /// Delivers a push.
    async fn push(&self, request: &PushRequest) -> Result<PushReply>;

    /// Delivers a pull.
    async fn pull(&self, request: &PullRequest) -> Result<PullReply>;
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<T: Transport + ?Sized> Transport for Arc<T> {
    async fn push(&self, request: &PushRequest) -> Result<PushReply> {
        (**self).push(request).await
    }

    async fn pull(&self, request: &PullRequest) -> Result<PullReply> {
        (**self).pull(request).await
    }
}

/// The server's end of a transport: what a route calls once the request is authenticated and decoded.
///
/// [`SyncManager`](crate::SyncManager)`<Server>` is one; a wrapper around it (limits, metrics) is another.
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
