//! The network between a client and the server: it loses, repeats and delays, and things happen meanwhile.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use async_trait::async_trait;
use fastsync_core::protocol::{PullReply, PullRequest, PushReply, PushRequest};
use fastsync_core::{Clock as _, Error, ErrorKind, Outgoing, PullAnswer, Result, SyncContext, Transport};

use super::case::{Call, Upgrade};
use super::edit::{Who, edit};
use super::mutation::Mutation;
use super::versions;
use super::world::{World, user_of};

/// What an upgrade within a call is counted as: of its types, of its protocol.
const UPGRADED_MEANWHILE: [&str; 2] =
    ["upgrades of the server during a call", "protocol upgrades of the server during a call"];

/// What outlives a client's process: what the network will do, and what it has carried.
#[derive(Debug, Default)]
pub(super) struct Wire {
    calls: Mutex<VecDeque<Call>>,
    sent: Mutex<Vec<PushRequest>>,
    pages: Mutex<u64>,
    lost: AtomicBool,
    refused: Mutex<Vec<ErrorKind>>,
    torn: AtomicBool,
}

impl Wire {
    /// Sets what happens to the next calls; those after them go through.
    pub(super) fn expect(&self, calls: &[Call]) {
        *lock(&self.calls) = calls.iter().cloned().collect();
        self.lost.store(false, Ordering::SeqCst);
        lock(&self.refused).clear();
    }

    /// Whether a call may have failed so since [`Self::expect`].
    pub(super) fn may_have_failed(&self, kind: ErrorKind) -> bool {
        lock(&self.refused).contains(&kind)
            || (kind == ErrorKind::Unavailable && self.lost.load(Ordering::SeqCst))
    }

    /// Notes whether the client's types are of different times, because only some of them were fetched anew.
    pub(super) fn set_torn(&self, torn: bool) {
        self.torn.store(torn, Ordering::SeqCst);
    }

    /// Whether the client's types are of different times.
    pub(super) fn is_torn(&self) -> bool {
        self.torn.load(Ordering::SeqCst)
    }

    /// A push that was sent at some time.
    pub(super) fn sent(&self, which: usize) -> Option<PushRequest> {
        let sent = lock(&self.sent);
        which.checked_rem(sent.len()).and_then(|at| sent.get(at)).cloned()
    }

    fn next(&self) -> Call {
        lock(&self.calls).pop_front().unwrap_or(Call::Fine)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A client's transport.
#[derive(Debug, Clone)]
pub(super) struct Link {
    world: Weak<World>,
    client: usize,
}

/// What happens to the answer of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Arrives,
    Lost,
    Refused(ErrorKind),
}

/// What a server, or something before it, may answer to any request. (`BadCursor` says that it is another server.)
const REFUSALS: [ErrorKind; 12] = [
    ErrorKind::InvalidInput,
    ErrorKind::TooLarge,
    ErrorKind::UnknownType,
    ErrorKind::UnknownZone,
    ErrorKind::Unauthorized,
    ErrorKind::ClockSkew,
    ErrorKind::UpgradeRequired,
    ErrorKind::Contention,
    ErrorKind::Timeout,
    ErrorKind::StorageFull,
    ErrorKind::Protocol,
    ErrorKind::Backend,
];

impl Link {
    /// The transport of this client.
    pub(super) fn new(world: Weak<World>, client: usize) -> Self {
        Self { world, client }
    }

    fn world(&self) -> Result<Arc<World>> {
        self.world.upgrade().ok_or_else(lost)
    }

    fn context(&self) -> SyncContext {
        SyncContext::new(user_of(self.client))
    }

    /// What happens before the request arrives; how often it arrives.
    async fn before(&self, world: &Arc<World>, call: &Call) -> Result<(usize, Fate)> {
        let wire = world.wire(self.client);
        match call {
            Call::Fine | Call::RefuseLarge { .. } => Ok((1, Fate::Arrives)),
            Call::LoseRequest => {
                world.ledger.note("requests lost");
                wire.lost.store(true, Ordering::SeqCst);
                Err(lost())
            }
            Call::LoseAnswer => {
                world.ledger.note("answers lost");
                wire.lost.store(true, Ordering::SeqCst);
                Ok((1, Fate::Lost))
            }
            Call::Refuse { kind, processed } => {
                world.ledger.note("calls refused");
                let kind = REFUSALS[usize::from(*kind) % REFUSALS.len()];
                lock(&wire.refused).push(kind);
                Ok((usize::from(*processed), Fate::Refused(kind)))
            }
            Call::Twice => {
                world.ledger.note("requests that arrived twice");
                Ok((2, Fate::Arrives))
            }
            Call::Meanwhile { edit: what, after, yields } => {
                for _ in 0..*yields {
                    tokio::task::yield_now().await;
                }
                if !after {
                    world.ledger.note("edits during a call");
                    edit(world, Who::Client(self.client), what).await;
                }
                Ok((1, Fate::Arrives))
            }
            Call::ServerMeanwhile { edit: what } => {
                world.ledger.note("edits of the server during a call");
                edit(world, Who::Server, what).await;
                Ok((1, Fate::Arrives))
            }
            Call::PushMeanwhile { client } => {
                let other = usize::from(*client) % world.client_count();
                if other != self.client {
                    self.push_meanwhile(world, other).await;
                }
                Ok((1, Fate::Arrives))
            }
            // A storage that one process has to itself cannot change hands within a call.
            Call::UpgradeMeanwhile { .. } if world.setup.server.is_some() => Ok((1, Fate::Arrives)),
            Call::UpgradeMeanwhile { to } => {
                let is_upgraded = world.upgrade_server(*to, UPGRADED_MEANWHILE).await;
                if is_upgraded && *to == Upgrade::Types {
                    // The release before may have refused a type, which the later one then does not name.
                    lock(&wire.refused).push(ErrorKind::UnknownType);
                }
                Ok((1, Fate::Arrives))
            }
        }
    }

    async fn push_meanwhile(&self, world: &Arc<World>, other: usize) {
        world.ledger.note("pushes of others during a call");
        // It may be refused for its clock; nothing else is expected to fail, and what matters shows at the end.
        let _ = world.client(other).manager.push().await;
    }

    async fn after(&self, world: &Arc<World>, call: &Call) {
        if let Call::Meanwhile { edit: what, after: true, .. } = call {
            world.ledger.note("edits during a call");
            edit(world, Who::Client(self.client), what).await;
        }
    }
}

#[async_trait]
impl Transport for Link {
    async fn push(&self, request: &Outgoing) -> Result<PushReply> {
        let world = self.world()?;
        let wire = world.wire(self.client);
        let request = &versions::write_push(request.request());
        lock(&wire.sent).push(request.clone());
        let call = wire.next();
        if let Call::RefuseLarge { records } = call
            && request.payload.len() > usize::from(records)
        {
            world.ledger.note("pushes refused on the way");
            return Err(Error::new(ErrorKind::TooLarge, "transport", "the request is too large"));
        }
        let (times, fate) = self.before(&world, &call).await?;
        if let (0, Fate::Refused(kind)) = (times, fate) {
            return Err(refusal(&world, kind));
        }
        let mut reply = versions::serve_push(&world, &self.context(), request.clone()).await;
        for _ in 1..times {
            let again = versions::serve_push(&world, &self.context(), request.clone()).await;
            if let (Ok(first), Ok(again)) = (&reply, &again)
                && first != again
            {
                world.ledger.violated("a repeated push has another receipt");
            }
            reply = again;
        }
        if !request.withdraw.is_empty() && matches!(reply, Ok(PushReply::Voided { .. })) {
            world.ledger.note("pushes withdrawn");
        }
        self.after(&world, &call).await;
        match fate {
            Fate::Arrives => reply.map(|reply| versions::read_push_reply(request.metadata.protocol, reply)),
            Fate::Lost => Err(lost()),
            Fate::Refused(kind) => Err(refusal(&world, kind)),
        }
    }

    async fn pull(&self, request: &PullRequest) -> Result<PullAnswer> {
        let world = self.world()?;
        let wire = world.wire(self.client);
        let call = wire.next();
        let (times, fate) = self.before(&world, &call).await?;
        let request = &versions::write_pull(request);
        let mut reply = versions::serve_pull(&world, &self.context(), request.clone()).await;
        for _ in 1..times {
            reply = versions::serve_pull(&world, &self.context(), request.clone()).await;
        }
        self.after(&world, &call).await;
        if let Ok(PullReply::Page(page)) = &mut reply {
            let mut pages = lock(&wire.pages);
            *pages += 1;
            if world.mutation == Some(Mutation::DropRecord) && pages.is_multiple_of(7) {
                page.payload.groups.pop();
            }
        }
        match fate {
            Fate::Arrives => {
                reply.map(|reply| versions::read_pull_reply(request.metadata.protocol, reply).into())
            }
            Fate::Lost => Err(lost()),
            Fate::Refused(kind) => Err(refusal(&world, kind)),
        }
    }
}

fn refusal(world: &World, kind: ErrorKind) -> Error {
    let error = Error::new(kind, "transport", "refused for no reason");
    match kind {
        ErrorKind::ClockSkew => error.with_context(Error::SERVER_TIME_MS, world.clock(0).now().as_millis()),
        _ => error,
    }
}

fn lost() -> Error {
    Error::new(ErrorKind::Unavailable, "transport", "the connection broke")
}
