//! Taking back pushes that a device has sent: their fate is decided, once and for all.

use super::Server;
use super::push::contention;
use super::receipt::{LastPush, Standing};
use crate::context::SyncContext;
use crate::error::Result;
use crate::model::{Author, SessionKind};
use crate::protocol::{PushReply, PushRequest};
use crate::source::{Commit, CommitOutcome, StateWrite, SyncableDataSourceExt as _, Writes};
use crate::store::StateKey;

/// How often the device's entry is looked at again because it moved: as often as the device has pushes under way, and more.
const ATTEMPTS: usize = 16;

impl Server {
    /// Answers with the receipt of the first session if it was processed, and else makes it and the later ones void.
    ///
    /// The entry of the device decides: the push and its withdrawal each expect it as they have read it, so that one of
    /// them finds what the other has stored, in whatever process.
    pub(super) async fn withdraw(&self, context: &SyncContext, request: &PushRequest) -> Result<PushReply> {
        request.check_withdrawal()?;
        let access = self.policy.zones(context).await?;
        let device = request.metadata.device;
        let key = StateKey::pushed_by(context.tenant.as_deref(), &context.user, device);
        for _ in 0..ATTEMPTS {
            let stored = self.store.source().entry(&key).await?;
            let last = LastPush::decode(stored.as_deref())?;
            match LastPush::standing_of_withdrawal(last.as_ref(), request.number, request.session) {
                Standing::Refused(reply) => return Ok(reply),
                Standing::Repeated(processed) => {
                    let columns = self.columns(&request.metadata.types);
                    return self.receipt(processed.told_in(&columns), &access, &columns).await;
                }
                Standing::Next => {}
            }
            let after = LastPush::withdrawn(last, request.number, &request.withdraw);
            let state = StateWrite::replace(key.clone(), stored, Some(after.encode()?));
            let commit = Commit {
                session: self.store.new_session(),
                kind: SessionKind::Push,
                author: Author { user: Some(context.user.clone()), device, number: request.number },
                at: self.store.now(),
                tag: self.store.new_tag().0,
                positioned: true,
                clears: Vec::new(),
                writes: Writes::Inline(Vec::new()),
                state: vec![state],
            };
            match self.store.source().commit_alone(commit).await? {
                CommitOutcome::Applied(_) | CommitOutcome::Duplicate(_) => {
                    return Ok(PushReply::Voided { last: after.number });
                }
                CommitOutcome::Conflicts { .. } => {}
            }
        }
        Err(contention())
    }
}
