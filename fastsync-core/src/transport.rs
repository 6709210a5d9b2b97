//! How requests reach the server.

use std::any::Any;
use std::borrow::Cow;
use std::fmt::{self, Debug};
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
    async fn push(&self, push: &Outgoing) -> Result<PushReply>;

    /// Delivers a pull, and may answer before the records are read: the engine then asks for the next page at once, so that
    /// the server works on it while this one is read and stored. What is read later fails as the pull would.
    async fn pull(&self, request: &PullRequest) -> Result<PullAnswer>;

    /// Writes down what [`push`](Self::push) will send, and [keeps](Outgoing::keep) it. The engine calls it while an earlier
    /// push is under way, so that this one can leave the moment that one is answered. It does not wait for anything.
    ///
    /// Unless implemented, there is nothing to prepare.
    fn prepare(&self, push: &Outgoing) {
        let _ = push;
    }
}

/// A push that is about to be sent. Its transport can keep with it what [`Transport::prepare`] has serialised.
pub struct Outgoing {
    request: PushRequest,
    written: Arc<Mutex<Option<Written>>>,
}

/// What was kept of a push, with the version of the protocol that it is in.
type Written = (u16, Box<dyn Any + Send>);

impl Outgoing {
    /// What is sent.
    #[must_use]
    pub const fn request(&self) -> &PushRequest {
        &self.request
    }

    /// Keeps what a transport has written down of this push, in place of what was kept before.
    pub fn keep(&self, written: impl Any + Send) {
        *self.written() = Some((self.request.metadata.protocol, Box::new(written)));
    }

    /// Takes what was kept; none if that is no `T`, or if it was written in another version of the protocol.
    #[must_use]
    pub fn take<T: Any>(&self) -> Option<T> {
        let (version, kept) = self.written().take()?;
        let kept = kept.downcast().ok().filter(|_| version == self.request.metadata.protocol);
        kept.map(|kept| *kept)
    }

    /// The same push in a version of the protocol. Both share what is kept.
    pub(crate) fn in_version(&self, version: u16) -> Cow<'_, Self> {
        if self.request.metadata.protocol == version {
            return Cow::Borrowed(self);
        }
        let mut request = self.request.clone();
        request.metadata.protocol = version;
        Cow::Owned(Self { request, written: Arc::clone(&self.written) })
    }

    /// The request, to be changed. What was kept of it is dropped.
    pub(crate) fn request_mut(&mut self) -> &mut PushRequest {
        self.written = Arc::default();
        &mut self.request
    }

    fn written(&self) -> MutexGuard<'_, Option<Written>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<PushRequest> for Outgoing {
    fn from(request: PushRequest) -> Self {
        Self { request, written: Arc::default() }
    }
}

/// Reads the fields of its request.
impl Deref for Outgoing {
    type Target = PushRequest;

    fn deref(&self) -> &PushRequest {
        &self.request
    }
}

/// What is kept is not compared.
impl PartialEq for Outgoing {
    fn eq(&self, other: &Self) -> bool {
        self.request == other.request
    }
}

/// A clone has only the request: what is kept stays with the original.
impl Clone for Outgoing {
    fn clone(&self) -> Self {
        self.request.clone().into()
    }
}

/// Shows nothing of what is kept.
impl Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.request.fmt(f)
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
    /// As [`Transport::pull`]: what failed on the way, and `Protocol` if the message is not a reply.
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
    async fn push(&self, push: &Outgoing) -> Result<PushReply> {
        (**self).push(push).await
    }

    async fn pull(&self, request: &PullRequest) -> Result<PullAnswer> {
        (**self).pull(request).await
    }

    fn prepare(&self, push: &Outgoing) {
        (**self).prepare(push);
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
    async fn push(&self, push: &Outgoing) -> Result<PushReply> {
        self.handler.process_push(&self.context, push.request().clone()).await
    }

    async fn pull(&self, request: &PullRequest) -> Result<PullAnswer> {
        self.handler.process_pull(&self.context, request.clone()).await.map(PullAnswer::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{DeviceId, SessionId};
    use crate::protocol::SyncOperationMetadata;

    fn push() -> Outgoing {
        let id = uuid::Uuid::from_u128(7);
        let metadata = SyncOperationMetadata::new(DeviceId::from_uuid(id), std::iter::empty());
        PushRequest::withdrawal(metadata, 1, SessionId::from_uuid(id), std::iter::empty()).into()
    }

    /// Fails if something is sent that was written down of another push, or in another version, or if it is shown.
    #[test]
    fn what_is_kept_is_taken_once_and_in_its_version() {
        let push = push();
        push.keep("secret");
        assert!(!format!("{push:?}").contains("secret"));
        assert_eq!((push.clone().take::<&str>(), push.take::<&str>()), (None, Some("secret")));
        assert_eq!(push.take::<&str>(), None);
        push.keep(7_u8);
        assert_eq!((push.take::<&str>(), push.take::<u8>()), (None, None), "whoever asks first takes it");
        let later = push.in_version(9);
        later.keep("nine");
        assert_eq!(push.take::<&str>(), None);
        later.keep("nine");
        assert_eq!(push.in_version(9).take::<&str>(), Some("nine"));
    }
}
