//! The server's end: `process_push`, `process_pull`.

mod builder;
mod check;
mod complete;
mod digest;
mod pull;
mod push;
mod receipt;
mod restamp;
mod settle;
mod submit;
mod under_way;
mod withdraw;

use std::{collections::BTreeMap, fmt};

use async_trait::async_trait;

pub use builder::{ServerBuilder, ServerLimits};
pub use restamp::Restamp;
pub use submit::{Submission, SubmittedEdit};
use under_way::UnderWay;

use super::SyncManager;
use super::endpoint::Endpoint;
use crate::context::{SyncContext, ZonePolicy};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{DeviceId, TypeName};
use crate::protocol::{
    CursorSeal, Holder, PullReply, PullRequest, PushReply, PushRequest, SyncOperationMetadata,
};
use crate::store::Store;
use crate::transport::SyncHandler;

/// The state of a server's manager.
pub struct Server {
    store: Store,
    endpoints: BTreeMap<TypeName, Endpoint>,
    policy: Box<dyn ZonePolicy>,
    limits: ServerLimits,
    seal: CursorSeal,
    epoch: u64,
    pushes: UnderWay,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("store", &self.store)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// Whether this end can serve the sender at all.
    fn check_sender(&self, context: &SyncContext, metadata: &SyncOperationMetadata) -> Result<()> {
        metadata.check_protocol()?;
        metadata.check_features()?;
        if context.device.is_some_and(|device| device != metadata.device) {
            return Err(Error::new(
                ErrorKind::Unauthorized,
                "authorise",
                "the request comes from another device",
            ));
        }
        Ok(())
    }

    fn holder<'a>(&self, context: &'a SyncContext, device: DeviceId) -> Holder<'a> {
        Holder { tenant: context.tenant.as_deref(), user: &context.user, device }
    }
}

impl SyncManager<Server> {
    /// The server's store. Repositories on it write sessions that every client receives.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    /// Processes a push on behalf of `context`: the whole handler of a push route.
    ///
    /// All of the session is committed at one position of its zones, or nothing is. Conflicting objects are
    /// settled by the type's handler. An edit in a zone that the user may not write is refused with code `zone`,
    /// whether the zone exists or not. The same request again, at any later time, gives the same receipt and
    /// changes nothing. A withdrawal ([`PushRequest::withdraw`]) is answered with the receipt, or the push is never
    /// processed.
    ///
    /// # Errors
    /// `UnknownType`, `UnknownZone` (a zone of the wrong sort for its type), `InvalidInput`, `TooLarge`, `ClockSkew`,
    /// `UpgradeRequired`, `Unauthorized`, `Contention`; `Unsupported` if a newer release processed the device's last push;
    /// those of the data source. Nothing is changed then.
    ///
    /// Cancellation: a dropped future leaves the whole session or none of it; the device asks again.
    pub async fn process_push(&self, context: &SyncContext, request: PushRequest) -> Result<PushReply> {
        self.inner.process_push(context, request).await
    }

    /// Processes a pull on behalf of `context`: the whole handler of a pull route.
    ///
    /// # Errors
    /// `BadCursor`, `UnknownZone`, `InvalidInput`, `UpgradeRequired`, `Unauthorized`; those of the data source.
    pub async fn process_pull(&self, context: &SyncContext, request: PullRequest) -> Result<PullReply> {
        self.inner.process_pull(context, request).await
    }
}

#[async_trait]
impl SyncHandler for SyncManager<Server> {
    async fn process_push(&self, context: &SyncContext, request: PushRequest) -> Result<PushReply> {
        self.inner.process_push(context, request).await
    }

    async fn process_pull(&self, context: &SyncContext, request: PullRequest) -> Result<PullReply> {
        self.inner.process_pull(context, request).await
    }
}
