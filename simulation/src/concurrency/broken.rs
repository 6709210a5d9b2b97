//! A data source whose positions are taken before the commit, as auto-increments and sequences are: what the run has
//! to catch. With the position taken at the commit it is sound, which shows that nothing else is caught.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use fastsync_core::source::{
    Action, Changes, ChangesPage, ChangesRequest, Commit, CommitOutcome, Head, Layer, PageLimits, Point,
    SyncableDataSourceExt as _, Turn, Writes,
};
use fastsync_core::{Position, Record, Result, Revision, SyncableDataSource, Tag};

use crate::random::Seeded;

/// When a session gets its position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// Before its transaction: another one may commit a later position first, and a reader go past it.
    BeforeCommit,
    /// With its transaction.
    AtCommit,
}

/// Every so often a session of some size is held between its position and its commit, for so many milliseconds at most.
const HELD: u64 = 2;
const HELD_FOR: u32 = 2_000;

/// A data source with positions of its own. Knows one zone only.
#[derive(Debug, Clone)]
pub(super) struct Numbered {
    inner: Arc<dyn SyncableDataSource>,
    taken: Taken,
    random: Seeded,
    committing: Arc<tokio::sync::Mutex<()>>,
    positions: Arc<RwLock<Positions>>,
}

#[derive(Debug, Default)]
struct Positions {
    last: u64,
    /// The last one that a reader was told of.
    read: u64,
    visible: HashMap<Revision, u64>,
}

impl Numbered {
    pub(super) fn new(inner: Arc<dyn SyncableDataSource>, taken: Taken, random: Seeded) -> Self {
        Self { inner, taken, random, committing: Arc::default(), positions: Arc::default() }
    }

    fn take(&self) -> u64 {
        let mut positions = self.positions.write().unwrap_or_else(PoisonError::into_inner);
        positions.last += 1;
        positions.last
    }

    fn show(&self, revision: Revision, position: u64) {
        let mut positions = self.positions.write().unwrap_or_else(PoisonError::into_inner);
        positions.visible.insert(revision, position);
    }

    /// Waits until a reader has gone past this position, which makes it one that the reader misses. On a store where
    /// that takes chance, pauses alone would not show the fault at every try.
    async fn hold(&self, position: u64) {
        for _ in 0..HELD_FOR {
            let read = self.positions.read().unwrap_or_else(PoisonError::into_inner).read;
            if read > position {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    async fn number(&self, commit: Commit) -> Result<CommitOutcome> {
        let Some(revision) = revision_of(&commit).filter(|_| commit.positioned) else {
            return self.inner().commit_alone(commit).await;
        };
        match self.taken {
            Taken::BeforeCommit => {
                let position = self.take();
                if commit_is_large(&commit) && position.is_multiple_of(HELD) {
                    self.hold(position).await;
                } else {
                    self.pause().await;
                }
                let outcome = self.inner().commit_alone(commit).await?;
                if matches!(outcome, CommitOutcome::Applied(_)) {
                    self.show(revision, position);
                }
                Ok(outcome)
            }
            Taken::AtCommit => {
                self.pause().await;
                let _committing = self.committing.lock().await;
                let outcome = self.inner().commit_alone(commit).await?;
                if matches!(outcome, CommitOutcome::Applied(_)) {
                    self.show(revision, self.take());
                }
                Ok(outcome)
            }
        }
    }

    async fn pause(&self) {
        tokio::time::sleep(Duration::from_micros(self.random.below(3_000))).await;
    }
}

/// Whether it has objects that no other session writes, which nothing makes up for.
fn commit_is_large(commit: &Commit) -> bool {
    let (Writes::Inline(writes) | Writes::Staged { overrides: writes }) = &commit.writes;
    writes.len() > 4
}

fn revision_of(commit: &Commit) -> Option<Revision> {
    let (Writes::Inline(writes) | Writes::Staged { overrides: writes }) = &commit.writes;
    writes.iter().find_map(|write| match &write.action {
        Action::Put { record, .. } => Some(record.metadata.revision),
        Action::Acknowledge { .. } => None,
    })
}

impl Layer for Numbered {
    type Inner = dyn SyncableDataSource;

    fn inner(&self) -> &Self::Inner {
        &*self.inner
    }

    fn backend(&self) -> &'static str {
        "numbered"
    }

    async fn commit(&self, commit: Commit, turn: Turn) -> Result<CommitOutcome> {
        turn.comes().await;
        // To the end, whoever waits for it: what the storage took needs its position, although the push was given up.
        let this = self.clone();
        match tokio::spawn(async move { this.number(commit).await }).await {
            Ok(outcome) => outcome,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    async fn changes(&self, request: &ChangesRequest) -> Result<Changes> {
        let all = ChangesRequest {
            after: Point::START.into(),
            limits: PageLimits { records: usize::MAX, bytes: usize::MAX },
            ..request.clone()
        };
        let _committing = self.committing.lock().await;
        let Changes::Page(page) = self.inner().changes(&all).await? else {
            return Ok(Changes::ResetRequired(fastsync_core::source::ResetReason::History));
        };
        let positions = self.positions.read().unwrap_or_else(PoisonError::into_inner);
        let mut sessions: BTreeMap<u64, Vec<Record>> = BTreeMap::new();
        for record in page.records {
            let position = positions.visible.get(&record.metadata.revision);
            if let Some(position) = position.filter(|position| **position > request.after.position().0) {
                sessions.entry(*position).or_default().push(record);
            }
        }
        let head = positions.visible.values().max().copied().unwrap_or(0);
        // Whole sessions, at least one.
        let mut records = Vec::new();
        let mut next = None;
        for (position, session) in sessions {
            if !records.is_empty() && records.len() + session.len() > request.limits.records {
                next = next.or(Some(position - 1));
                break;
            }
            records.extend(session);
        }
        let reached = next.unwrap_or(head.max(request.after.position().0));
        drop(positions);
        let mut positions = self.positions.write().unwrap_or_else(PoisonError::into_inner);
        positions.read = positions.read.max(reached);
        Ok(Changes::Page(ChangesPage {
            records,
            next: point(reached),
            head: Head { position: Position(head), tag: Tag(head) },
            caught_up: next.is_none(),
            remaining: None,
        }))
    }
}

fn point(position: u64) -> Point {
    Point { position: Position(position), tag: Tag(position), ..Point::START }
}
