//! Edits that are not sent with the next push, and why.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use super::Client;
use super::collect::Withheld;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Record, TypeName, Zone};
use crate::source::{Clear, CommitOutcome, SyncableDataSourceExt as _, Writes};
use crate::store::{PendingReader, StateKey};

/// Edits of one type that no push sends, for one reason.
///
/// `Display` says it in one line, for a log or a status page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct WaitingEdits {
    /// The type.
    pub type_name: TypeName,
    /// How many.
    pub edits: u64,
    /// Why they are not sent.
    pub reason: WaitingReason,
}

/// Why edits are not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WaitingReason {
    /// This application does not register the type any more. Once it does, they are sent; a
    /// [`hard_reset`](crate::SyncManager::hard_reset) of this type with [`PendingEdits::Discard`](crate::PendingEdits::Discard)
    /// drops them, and the type's records.
    Unregistered,
    /// The server does not know the type, or not with all of its fields, or not with this kind of ids. Register it there.
    UnknownToServer,
    /// The server asks for a later version of the type: upgrade this application.
    Outdated,
    /// The server has forgotten their objects: see [`forgotten`](crate::SyncManager::forgotten).
    Forgotten,
    /// The type has new fields, which are not fetched yet in a zone that this manager does not pull: a manager that pulls it
    /// fetches them and sends the edits.
    Unfetched,
    /// The server refused them: see [`rejected`](crate::SyncManager::rejected).
    Refused,
    /// Their local commit stays whole, and another of its edits waits: its type is [unknown](Self::UnknownToServer),
    /// [outdated](Self::Outdated) or [unfetched](Self::Unfetched), or its object [waits for a decision](Self::Forgotten).
    Together,
}

impl fmt::Display for WaitingReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unregistered => "this application does not register the type",
            Self::UnknownToServer => "the server does not know the type, or not all of its fields",
            Self::Outdated => "the server asks for a later version of the type",
            Self::Forgotten => "the server has forgotten the objects, and nobody has decided about them",
            Self::Unfetched => {
                "the new fields of the type are not fetched in their zone, which another manager pulls"
            }
            Self::Refused => "the server refused them",
            Self::Together => "they belong to a local commit with other edits, which wait",
        })
    }
}

impl fmt::Display for WaitingEdits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { type_name, edits, reason } = self;
        let (noun, verb) = if *edits == 1 { ("edit", "waits") } else { ("edits", "wait") };
        write!(f, "{edits} {noun} of type {type_name} {verb}: {reason}")
    }
}

const PAGE: usize = 1_024;

impl Client {
    /// The edits that wait for something else than the next push, by type.
    pub(super) async fn waiting(&self) -> Result<Vec<WaitingEdits>> {
        if self.store.source().count_pending().await? == 0 {
            return Ok(Vec::new());
        }
        let withheld = self.withheld().await?;
        if withheld.is_nothing() && !self.has_unregistered().await? {
            return Ok(Vec::new());
        }
        let outdated = self.load_outdated_types().await?;
        let mut counts: BTreeMap<(TypeName, WaitingReason), u64> = BTreeMap::new();
        let mut pending = PendingReader::new(&self.store, PAGE);
        while let Some(page) = pending.next().await? {
            for local_commit in page.chunk_by(|a, b| a.metadata.change == b.metadata.change) {
                let together = withheld.holds_together(local_commit).then_some(WaitingReason::Together);
                for record in local_commit {
                    if let Some(reason) = withheld.reason(record, &outdated).or(together) {
                        *counts.entry((record.key.type_name.clone(), reason)).or_default() += 1;
                    }
                }
            }
        }
        let counted = counts.into_iter();
        Ok(counted.map(|((type_name, reason), edits)| WaitingEdits { type_name, edits, reason }).collect())
    }

    /// Whether edits of types that are not registered wait. Looked up once: none can be made while this store is open.
    async fn has_unregistered(&self) -> Result<bool> {
        let look = || async { Ok(!self.unregistered_edits(&[]).await?.is_empty()) };
        self.has_unregistered.get_or_try_init(look).await.copied()
    }

    /// What removes the edits of types that are not registered: of these, or of all if none is named.
    pub(super) async fn unregistered_edits(&self, types: &[TypeName]) -> Result<Vec<Clear>> {
        let mut newest: BTreeMap<(TypeName, Zone), u64> = BTreeMap::new();
        let mut pending = PendingReader::new(&self.store, PAGE);
        while let Some(page) = pending.next().await? {
            for Record { key, metadata, .. } in page {
                let is_asked = types.is_empty() || types.contains(&key.type_name);
                if is_asked && !self.endpoints.contains_key(&key.type_name) {
                    newest.insert((key.type_name, key.zone), metadata.change);
                }
            }
        }
        let clears = newest.into_iter();
        Ok(clears
            .map(|((type_name, zone), through_change)| Clear { type_name, zone, through_change })
            .collect())
    }

    /// Drops edits of types that are not registered.
    pub(super) async fn drop_edits(&self, clears: Vec<Clear>) -> Result<()> {
        if clears.is_empty() {
            return Ok(());
        }
        let session = self.store.new_session();
        // What was synchronised of them goes too, and comes back once the type is registered again.
        let refetch = clears.iter().map(|clear| StateKey::refetch_in(&clear.type_name, &clear.zone));
        let refetch = refetch.collect::<Result<Vec<_>>>()?;
        let commit = self.apply_commit(session, clears, Writes::Inline(Vec::new()), refetch);
        match self.store.source().commit_alone(commit).await? {
            CommitOutcome::Applied(_) | CommitOutcome::Duplicate(_) => Ok(()),
            CommitOutcome::Conflicts { .. } => {
                Err(Error::new(ErrorKind::Backend, "hard_reset", "a clear has no conflicts"))
            }
        }
    }
}

impl Withheld {
    /// Whether no edit can be withheld, but for those of types that are not registered.
    fn is_nothing(&self) -> bool {
        self.rejected.is_empty()
            && self.unknown_types.is_empty()
            && self.forgotten.is_empty()
            && self.unfetched.is_empty()
    }

    /// Why an edit is not sent; `None` if it is.
    fn reason(&self, record: &Record, outdated: &BTreeSet<TypeName>) -> Option<WaitingReason> {
        let name = &record.key.type_name;
        if !self.registered.contains(name) {
            Some(WaitingReason::Unregistered)
        } else if outdated.contains(name) {
            Some(WaitingReason::Outdated)
        } else if self.unknown_types.contains(name) {
            Some(WaitingReason::UnknownToServer)
        } else if self.forgotten.holds(record) {
            Some(WaitingReason::Forgotten)
        } else if self.is_unfetched(record) {
            Some(WaitingReason::Unfetched)
        } else {
            self.holds(record).then_some(WaitingReason::Refused)
        }
    }
}
