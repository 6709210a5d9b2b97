//! A server that notes what it does.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use benches::time::{now, since};
use fastsync_core::protocol::{PullReply, PullRequest, PushReply, PushRequest};
use fastsync_core::{Result, Server, SyncContext, SyncHandler, SyncManager};

/// Hands requests to a server and notes the last pull, and what the last push took.
#[derive(Clone)]
pub(super) struct Watched {
    server: SyncManager<Server>,
    noted: Arc<Mutex<Noted>>,
}

#[derive(Default)]
struct Noted {
    pull: Option<PullRequest>,
    push_millis: f64,
}

impl Watched {
    pub(super) fn new(server: SyncManager<Server>) -> Self {
        Self { server, noted: Arc::default() }
    }

    /// The last pull that came, as it came.
    pub(super) fn last_pull(&self) -> Option<PullRequest> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner).pull.clone()
    }

    /// What the last push took.
    pub(super) fn push_millis(&self) -> f64 {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner).push_millis
    }
}

#[async_trait]
impl SyncHandler for Watched {
    async fn process_push(&self, context: &SyncContext, request: PushRequest) -> Result<PushReply> {
        let start = now();
        let reply = self.server.process_push(context, request).await;
        let millis = since(start) * 1e3;
        self.noted.lock().unwrap_or_else(PoisonError::into_inner).push_millis = millis;
        reply
    }

    async fn process_pull(&self, context: &SyncContext, request: PullRequest) -> Result<PullReply> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner).pull = Some(request.clone());
        self.server.process_pull(context, request).await
    }
}
