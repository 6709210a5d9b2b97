//! A way to a server on which something refuses requests.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use fastsync_core::protocol::{PullRequest, PushReply, PushRequest};
use fastsync_core::*;

use super::{ClientSide, ServerSide};

type Rule = Box<dyn FnMut(&PushRequest) -> Option<Error> + Send>;

/// A loopback behind something that refuses pushes by a rule.
pub struct Gate {
    to: LoopbackTransport,
    rule: Mutex<Rule>,
    /// What came to the gate, and whether it went through.
    pub pushes: Mutex<Vec<(PushRequest, bool)>>,
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Gate")
    }
}

impl Gate {
    /// A client's manager behind a gate that lets everything through.
    pub fn before(server: &ServerSide, client: &ClientSide, user: &str) -> (SyncManager<Client>, Arc<Self>) {
        let to = LoopbackTransport::new(server.manager.clone(), SyncContext::new(user));
        let gate = Arc::new(Self { to, rule: Mutex::new(Box::new(|_| None)), pushes: Mutex::default() });
        (client.manager().transport(Arc::clone(&gate)).build().unwrap(), gate)
    }

    pub fn refuse(&self, rule: impl FnMut(&PushRequest) -> Option<Error> + Send + 'static) {
        *self.rule.lock().unwrap() = Box::new(rule);
    }

    pub fn open(&self) {
        self.refuse(|_| None);
    }

    /// The sizes of the pushes that went through.
    pub fn passed(&self) -> Vec<usize> {
        let pushes = self.pushes.lock().unwrap();
        let pushes = pushes.iter().filter(|(request, passed)| *passed && request.withdraw.is_empty());
        pushes.map(|(request, _)| request.payload.len()).collect()
    }

    /// How many pushes were refused.
    pub fn refused(&self) -> usize {
        self.pushes.lock().unwrap().iter().filter(|(_, passed)| !passed).count()
    }
}

pub fn refusal(kind: ErrorKind) -> Error {
    Error::new(kind, "push", "the request was refused")
}

#[async_trait]
impl Transport for Gate {
    async fn push(&self, request: &Outgoing) -> Result<PushReply> {
        let refusal = (self.rule.lock().unwrap())(request);
        self.pushes.lock().unwrap().push((request.request().clone(), refusal.is_none()));
        match refusal {
            Some(error) => Err(error),
            None => self.to.push(request).await,
        }
    }

    async fn pull(&self, request: &PullRequest) -> Result<PullAnswer> {
        self.to.pull(request).await
    }
}
