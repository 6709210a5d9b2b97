//! How devices reach servers, and how an answer gets lost.

use std::sync::Arc;

use async_trait::async_trait;
use fastsync_core::protocol::{PullRequest, PushReply};
use fastsync_core::*;

/// The way from a device to a server.
#[async_trait]
pub trait Network: Send + Sync + 'static {
    /// Starts to serve, and gives a device's way there. Each device asks for a way of its own.
    async fn connect(&self, server: SyncManager<Server>) -> Arc<dyn Transport>;
}

/// Both ends in one process.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Loopback;

#[async_trait]
impl Network for Loopback {
    async fn connect(&self, server: SyncManager<Server>) -> Arc<dyn Transport> {
        Arc::new(LoopbackTransport::new(server, SyncContext::new("ada")))
    }
}

/// Loses the answers to pushes if it is told to: the server has applied them, and the device does not know.
#[derive(Debug, Clone)]
pub(super) struct Lossy {
    inner: Arc<dyn Transport>,
    loses: bool,
}

impl Lossy {
    pub(super) fn new(inner: Arc<dyn Transport>, loses: bool) -> Self {
        Self { inner, loses }
    }

    fn answer(&self, reply: Result<PushReply>) -> Result<PushReply> {
        if self.loses {
            return Err(Error::new(ErrorKind::Timeout, "push", "the answer is lost"));
        }
        reply
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Transport for Lossy {
    async fn push(&self, request: &Outgoing) -> Result<PushReply> {
        self.answer(self.inner.push(request).await)
    }
    fn prepare(&self, push: &Outgoing) {
        self.inner.prepare(push);
    }
    async fn pull(&self, request: &PullRequest) -> Result<PullAnswer> {
        self.inner.pull(request).await
    }
}
