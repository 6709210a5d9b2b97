//! What a synchronisation did. Reports can be serialised, for logs and for screens in another language.

use std::collections::BTreeSet;

use serde::Serialize;

use super::WaitingEdits;
use crate::model::{Record, RecordKey, TypeName};
use crate::source::ResetReason;

/// What a push did.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PushReport {
    /// Sessions that the server processed.
    pub sessions: u64,
    /// Edits that the server stored as sent.
    pub applied: u64,
    /// Conflicts, and how each was settled.
    pub conflicts: Vec<SettledConflict>,
    /// Edits that the server refused; see [`SyncManager::rejected`](crate::SyncManager::rejected).
    pub rejected: u64,
    /// Edits that were made while this device's clock was ahead, and were given a time that the server takes.
    pub redated: u64,
    /// Whether this store turned out to be a copy of another one and took a new identity.
    pub forked: bool,
    /// Why everything was fetched anew before the edits were sent, if it was: the server has lost a part of its history.
    pub reset: Option<ResetReason>,
    /// Objects that the server turned out to have forgotten; see [`PullReport::forgotten`].
    pub forgotten: u64,
    /// Edits that the next push does not send either, and why. If a push fails, ask
    /// [`SyncManager::status`](crate::SyncManager::status).
    pub waiting: Vec<WaitingEdits>,
}

impl PushReport {
    /// What this push and the one after it did.
    pub(super) fn and(mut self, after: Self) -> Self {
        self.sessions += after.sessions;
        self.applied += after.applied;
        self.conflicts.extend(after.conflicts);
        self.rejected += after.rejected;
        self.redated += after.redated;
        self.forked |= after.forked;
        self.reset = self.reset.or(after.reset);
        self.forgotten += after.forgotten;
        self.waiting = after.waiting;
        self
    }
}

/// What a pull did.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PullReport {
    /// Records and tombstones received.
    pub received: u64,
    /// Conflicts with local edits, and how each was settled.
    pub conflicts: Vec<SettledConflict>,
    /// Why everything was fetched anew, if it was.
    pub reset: Option<ResetReason>,
    /// Objects that the server had acknowledged and has forgotten, and that stay on the device; see
    /// [`SyncManager::forgotten`](crate::SyncManager::forgotten) and [`WhenForgotten`](crate::WhenForgotten). 0 if that is
    /// [`Accept`](crate::WhenForgotten::Accept). The report of a `sync` counts those here as well that its push found; so `reset` has
    /// the push's reason too.
    pub forgotten: u64,
    /// Types that the server does not know, or not with all of their fields: their edits wait until it does.
    pub unknown_types: BTreeSet<TypeName>,
    /// Types of which the server asks for a later version of this application
    /// ([`TypeSchema::min_version`](crate::TypeSchema::min_version)): their edits wait until it is upgraded.
    pub outdated_types: BTreeSet<TypeName>,
    /// Records that this pull brought and this device cannot hold; see
    /// [`SyncManager::set_aside`](crate::SyncManager::set_aside).
    pub set_aside: u64,
    /// Records that were aside and are stored by this pull.
    pub from_aside: u64,
}

impl PullReport {
    /// What a pull did that a push needed first.
    pub(super) fn before_push(self) -> PushReport {
        let Self { conflicts, reset, forgotten, .. } = self;
        let reset = reset.filter(|reason| matches!(reason, ResetReason::History | ResetReason::Epoch));
        PushReport { conflicts, reset, forgotten, ..PushReport::default() }
    }
}

/// What a push and the pull after it did.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SyncReport {
    /// The push.
    pub push: PushReport,
    /// The pull.
    pub pull: PullReport,
}

impl SyncReport {
    /// Edits that wait for something else than the next sync, and why.
    #[must_use]
    pub fn waiting(&self) -> &[WaitingEdits] {
        &self.push.waiting
    }
}

/// A conflict and how it was settled.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SettledConflict {
    /// The object.
    pub key: RecordKey,
    /// How it was settled.
    pub settlement: Settlement,
    /// The local version that was replaced, if any. Not serialised: what users write does not belong in logs.
    #[serde(skip)]
    pub dropped: Option<Record>,
}

/// How a conflict was settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Settlement {
    /// The server's version stays; the local edit is dropped.
    KeptServer,
    /// The local edit stays.
    KeptClient,
    /// Both were merged.
    Merged,
}

/// What a client's store holds beside the records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ClientStatus {
    /// Edits that wait to be pushed, refused ones and forgotten objects included.
    pub pending: u64,
    /// Objects that the server had acknowledged and has forgotten, and that wait for a decision; see
    /// [`SyncManager::forgotten`](crate::SyncManager::forgotten).
    pub forgotten: u64,
    /// Edits that the server refused.
    pub rejected: u64,
    /// Whether a push was begun whose answer has not arrived yet.
    pub push_in_flight: bool,
    /// Whether a pull has been completed since the store was made, or took a new identity: of the zones of any manager.
    pub has_pulled: bool,
    /// Records of the server that this device cannot hold, of the manager's zones; see
    /// [`SyncManager::set_aside`](crate::SyncManager::set_aside).
    pub aside: u64,
    /// Whether a pull has been completed, no type is marked to be fetched anew, nothing of this manager's zones is aside, no
    /// edit waits, and the server is not known to have lost pushes that no pull has looked into. It says nothing of types that
    /// the server does not exchange ([`PullReport::unknown_types`], [`PullReport::outdated_types`]), of fields that an upgrade
    /// has added since the last pull, or of a zone that was never pulled.
    pub in_step: bool,
    /// Those of the pending edits that the next push does not send, and why: by type.
    pub waiting: Vec<WaitingEdits>,
}

/// Where a synchronisation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SyncProgress {
    /// What is going on.
    pub phase: SyncPhase,
    /// Records done in this phase.
    pub done: u64,
    /// Records in all, if known.
    pub total: Option<u64>,
}

/// What is going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SyncPhase {
    /// Edits are sent.
    Pushing,
    /// Records are received.
    Pulling,
    /// What was received is made visible.
    Applying,
}
