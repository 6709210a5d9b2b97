//! Agreeing on a protocol version: the newest is offered, and if the server does not serve it, the highest that both have.

use std::borrow::Cow;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use async_trait::async_trait;

use crate::error::{Error, Result};
use crate::protocol::{PullRequest, PushReply};
use crate::transport::{Outgoing, PullAnswer, Transport};

/// How often a request is sent in another version before the server is believed to serve none.
const ATTEMPTS: usize = 3;

/// A transport whose requests are in a version that the server serves. What was agreed on is forgotten with the manager: the
/// next one offers the newest again.
#[derive(Debug)]
pub(super) struct Agreeing {
    transport: Arc<dyn Transport>,
    ours: RangeInclusive<u16>,
    /// The version of the next request.
    spoken: AtomicU16,
}

impl Agreeing {
    pub(super) fn new(transport: Arc<dyn Transport>, ours: RangeInclusive<u16>) -> Self {
        let spoken = AtomicU16::new(*ours.end());
        Self { transport, ours, spoken }
    }

    /// The highest version of both ends, if the server refuses a request for its version.
    fn common(&self, error: &Error) -> Option<u16> {
        let theirs = error.protocols()?;
        let highest = *theirs.end().min(self.ours.end());
        (highest >= *theirs.start() && highest >= *self.ours.start()).then_some(highest)
    }

    fn spoken(&self) -> u16 {
        self.spoken.load(Ordering::Relaxed)
    }

    /// The answer to a request in version `spoken`; `None` if the request is to be sent in another one, which is the next to
    /// be spoken. `sent` counts how often it was.
    fn answered<A>(&self, answer: Result<A>, spoken: u16, sent: &mut usize) -> Option<Result<A>> {
        *sent += 1;
        let refusal = answer.as_ref().err().filter(|_| *sent < ATTEMPTS);
        match refusal.and_then(|error| self.common(error)).filter(|common| *common != spoken) {
            Some(common) => {
                self.spoken.store(common, Ordering::Relaxed);
                None
            }
            None => Some(answer),
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Transport for Agreeing {
    async fn push(&self, push: &Outgoing) -> Result<PushReply> {
        let mut sent = 0;
        loop {
            let spoken = self.spoken();
            // It may have been written down in another version; then it is written as it is now.
            let answer = self.transport.push(&push.in_version(spoken)).await;
            if let Some(answer) = self.answered(answer, spoken, &mut sent) {
                return answer;
            }
        }
    }

    async fn pull(&self, request: &PullRequest) -> Result<PullAnswer> {
        let mut sent = 0;
        loop {
            let spoken = self.spoken();
            let mut request = Cow::Borrowed(request);
            if request.metadata.protocol != spoken {
                request.to_mut().metadata.protocol = spoken;
            }
            let answer = self.transport.pull(&request).await;
            if let Some(answer) = self.answered(answer, spoken, &mut sent) {
                return answer;
            }
        }
    }

    fn prepare(&self, push: &Outgoing) {
        self.transport.prepare(&push.in_version(self.spoken()));
    }
}
