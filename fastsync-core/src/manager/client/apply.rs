//! Storing what the server sent or answered, without overwriting a local edit.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;

use futures_util::FutureExt as _;

use super::outgrown::Grown;
use super::rejected::refusals_meet;
use super::settle::SettledWrite;
use super::{Client, SettledConflict};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Hlc, Record, RecordKey, SessionId};
use crate::source::{
    Action, Clear, CommitOutcome, Conflict, ConflictReason, Expect, OnMismatch, StateWrite, Write, Writes,
};
use crate::store::{StateKey, unchanged};

/// How often a commit is tried again when no new conflict turns up and the known ones keep moving.
const ATTEMPTS: usize = 64;

/// After how many of them local edits are made to wait: one that is made again and again, as fast as the storage takes it,
/// would be in front of every attempt.
const PATIENCE: usize = 8;

/// What is to be stored in one local commit.
#[derive(Debug)]
pub(super) struct Application {
    pub(super) session: SessionId,
    pub(super) clears: Vec<Clear>,
    pub(super) writes: Incoming,
    pub(super) state: Vec<StateWrite>,
    /// Objects that the server no longer has.
    pub(super) gone: BTreeSet<RecordKey>,
    pub(super) grown: Grown,
}

#[derive(Debug)]
pub(super) enum Incoming {
    Inline(Vec<Write>),
    /// Staged under the session's id.
    Staged,
}

/// A write of a record that came from the server: applies unless a local edit is pending.
pub(super) fn incoming(record: Record) -> Write {
    Write {
        action: Action::Put { record, pending: false },
        expect: Expect::Change(0),
        on_mismatch: OnMismatch::Abort,
    }
}

/// A key that conflicted: what the server sent, and what was made of it and the local edit.
struct SettledKey {
    server: Record,
    result: SettledWrite,
}

fn is_cleared(local: &Record, clears: &[Clear]) -> bool {
    clears.iter().any(|clear| {
        clear.type_name == local.key.type_name
            && clear.zone == local.key.zone
            && local.metadata.change <= clear.through_change
    })
}

fn is_acknowledgement(write: &Write) -> bool {
    matches!(write.action, Action::Acknowledge { .. })
}

fn sent_by_server(conflict: &Conflict) -> Result<Record> {
    match &conflict.write.action {
        Action::Put { record, .. } => Ok(record.clone()),
        Action::Acknowledge { .. } => {
            Err(Error::new(ErrorKind::Backend, "apply", "an acknowledgement cannot conflict"))
        }
    }
}

impl Client {
    /// Commits, settling each conflict with a local edit. Gives the conflicts, or `None` if another process moved
    /// the state meanwhile and nothing was stored.
    pub(super) async fn apply(&self, application: Application) -> Result<Option<Vec<SettledConflict>>> {
        let Application { session, clears, mut writes, state, gone, grown } = application;
        let mut settled: BTreeMap<RecordKey, SettledKey> = BTreeMap::new();
        let mut refusals = if gone.is_empty() { None } else { Some(self.load_refusals().await?) };
        let mut attempts = 0;
        let mut alone = None;
        while attempts < ATTEMPTS {
            if attempts >= PATIENCE && alone.is_none() {
                alone = Some(self.store.hold_edits().await);
            }
            let writes = match &mut writes {
                // An acknowledgement cannot conflict, so they are not needed a second time.
                Incoming::Inline(writes) if writes.iter().all(is_acknowledgement) => {
                    Writes::Inline(std::mem::take(writes))
                }
                Incoming::Staged => Writes::Staged {
                    overrides: settled.values().map(|settled| settled.result.write.clone()).collect(),
                },
                Incoming::Inline(writes) => Writes::Inline(
                    writes
                        .iter()
                        .map(|write| {
                            settled.get(write.action.key()).map_or(write, |settled| &settled.result.write)
                        })
                        .cloned()
                        .collect(),
                ),
            };
            let seen = settled.iter().map(|(key, settled)| (key, Some(&settled.server)));
            let seen = seen.chain(gone.iter().map(|key| (key, None)));
            let mut state = state.clone();
            if let Some(refusals) = &refusals {
                state.extend(refusals_meet(refusals, seen)?);
            }
            let commit = self.apply_commit(session, clears.clone(), writes, state);
            match self.store.source().commit(commit).await? {
                CommitOutcome::Applied(_) | CommitOutcome::Duplicate(_) => {
                    return Ok(Some(
                        settled.into_values().filter_map(|settled| settled.result.report).collect(),
                    ));
                }
                CommitOutcome::Conflicts { state, .. } if !state.is_empty() => return Ok(None),
                CommitOutcome::Conflicts { writes, .. } => {
                    attempts += 1;
                    if refusals.is_none() {
                        refusals = Some(self.load_refusals().await?);
                    }
                    for conflict in writes {
                        let key = conflict.write.action.key().clone();
                        // The first conflict names what the server sent, later ones what was made of it.
                        let server = match settled.remove(&key) {
                            Some(earlier) => earlier.server,
                            None => {
                                attempts = 0;
                                sent_by_server(&conflict)?
                            }
                        };
                        let mut settling =
                            pin!(self.settle_conflict(server.clone(), conflict, &clears, &grown));
                        let result = match settling.as_mut().now_or_never() {
                            Some(result) => result?,
                            // What a handler waits for may be an edit.
                            None => {
                                alone = None;
                                settling.await?
                            }
                        };
                        settled.insert(key, SettledKey { server, result });
                    }
                }
            }
        }
        Err(Error::new(ErrorKind::Contention, "apply", "local edits keep moving"))
    }

    async fn settle_conflict(
        &self,
        server: Record,
        conflict: Conflict,
        clears: &[Clear],
        grown: &Grown,
    ) -> Result<SettledWrite> {
        match (conflict.reason, conflict.current) {
            (ConflictReason::Constraint(message), _) => {
                Err(Error::new(ErrorKind::Constraint, "apply", message).with_record(&server.key))
            }
            // An edit that this very commit gives up is in nobody's way.
            (ConflictReason::Mismatch, Some(local)) if is_cleared(&local, clears) => Ok(SettledWrite {
                write: Write { expect: unchanged(&local), ..incoming(server) },
                report: None,
            }),
            (ConflictReason::Mismatch, Some(local)) if local.metadata.is_pending() => {
                self.settle(server, local, grown).await
            }
            // What was pending no longer is.
            (ConflictReason::Mismatch, _) => Ok(SettledWrite { write: incoming(server), report: None }),
        }
    }

    /// The entry that keeps the clock ahead of everything seen, over restarts too.
    pub(super) fn observe(&self, newest: Option<Hlc>) -> Result<Option<StateWrite>> {
        let Some(newest) = newest else { return Ok(None) };
        self.store.hybrid().observe(self.store.clock(), newest);
        StateKey::clock(self.store.hybrid().last()).map(Some)
    }
}
