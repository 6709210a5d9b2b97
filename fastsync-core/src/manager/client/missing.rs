//! What a walk that fetched types anew did not bring: it was deleted, and goes, or the server has forgotten it, and stays.

use std::collections::HashSet;

use super::Client;
use super::forgotten::{Marks, WhenForgotten, kept_life, unbased};
use super::pull::PullPlan;
use super::walk::Walk;
use crate::error::Result;
use crate::model::{Record, RecordKey, Revision, SyncMetadata};
use crate::query::{Comparison, Filter, Query};
use crate::source::{Action, Clear, OnMismatch, StateWrite, Write};
use crate::store::{PendingReader, unchanged};

/// How many local records are looked at at once.
const PAGE: u64 = 512;

/// How many writes a pull ends with in memory, beside those of its only page; more are staged.
const MOST: usize = 4 * 512;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Missing {
    pub(super) is_any: bool,
    pub(super) forgotten: u64,
    /// The entries that mark what was forgotten.
    pub(super) marks: Vec<StateWrite>,
    /// What was forgotten and has no edits.
    pub(super) unedited: Vec<RecordKey>,
}

impl Client {
    /// Adds a write for each local record that is missing: to those in memory, or staged. `None` if another process has taken
    /// the walk over.
    pub(super) async fn missing(
        &self,
        plan: &PullPlan,
        walk: &mut Walk,
        anew: &[Clear],
        marks: &Marks,
        inline: &mut Option<Vec<Write>>,
    ) -> Result<Option<Missing>> {
        let mut missing = Missing::default();
        if anew.is_empty() {
            return Ok(Some(missing));
        }
        let brought = self.brought(walk).await?;
        for scope in anew {
            let keeps = plan.lost.zones.contains(&scope.zone) && self.when_forgotten != WhenForgotten::Accept;
            let id_field = self.store.schema(&scope.type_name)?.id_field().clone();
            let mut query =
                Query { limit: Some(PAGE), ..Query::all(scope.type_name.clone(), scope.zone.clone()) };
            loop {
                let page = self.store.source().find(&query).await?.records;
                let Some(last) = page.last() else { break };
                let (id, count) = (last.key.id.as_str().to_owned(), page.len() as u64);
                let mut writes = Vec::new();
                for local in page {
                    let is_brought =
                        if keeps { brought.has_life(&local) } else { brought.has_object(&local.key) };
                    let SyncMetadata { change, revision, .. } = local.metadata;
                    let is_edited = local.metadata.is_pending();
                    // What was never acknowledged is not forgotten, and what is given up goes below.
                    let is_own = is_edited
                        && (!keeps
                            || revision.is_none()
                            || change <= scope.through_change
                            || marks.holds(&local));
                    if is_brought || is_own {
                        continue;
                    }
                    if keeps {
                        missing.forgotten += 1;
                        missing.marks.push(Marks::entry(&local.key, kept_life(&local))?);
                        if !is_edited {
                            missing.unedited.push(local.key.clone());
                        }
                        writes.push(unbased(local));
                    } else {
                        writes.push(removal(local));
                    }
                }
                missing.is_any |= !writes.is_empty();
                if !self.add_to_end(walk, inline, writes).await? {
                    return Ok(None);
                }
                if count < PAGE {
                    break;
                }
                query.filter = Filter::Compare(id_field.clone(), Comparison::Greater, id.into());
            }
        }
        let gives_up = |local: &Record| {
            let RecordKey { zone, type_name, .. } = &local.key;
            let mut scopes = anew.iter().filter(|scope| scope.zone == *zone && scope.type_name == *type_name);
            scopes.any(|scope| local.metadata.change <= scope.through_change) && !marks.holds(local)
        };
        if anew.iter().any(|scope| scope.through_change > 0) {
            let mut pending = PendingReader::new(&self.store, MOST);
            while let Some(page) = pending.next().await? {
                let mut writes = Vec::new();
                for local in page.into_iter().filter(|local| gives_up(local)) {
                    // What comes and cannot be read lies aside.
                    if !brought.has_object(&local.key) || walk.asides.give_up(&local.key) {
                        writes.push(removal(local));
                    }
                }
                if !self.add_to_end(walk, inline, writes).await? {
                    return Ok(None);
                }
            }
        }
        Ok(Some(missing))
    }

    async fn add_to_end(
        &self,
        walk: &mut Walk,
        inline: &mut Option<Vec<Write>>,
        more: Vec<Write>,
    ) -> Result<bool> {
        if more.is_empty() {
            return Ok(true);
        }
        if let Some(writes) = inline {
            // The end of another life of the same object may have come.
            let keys: HashSet<&RecordKey> = more.iter().map(|write| write.action.key()).collect();
            writes.retain(|write| !keys.contains(write.action.key()));
            if writes.len() + more.len() <= MOST {
                writes.extend(more);
                return Ok(true);
            }
            let writes = std::mem::take(writes);
            *inline = None;
            if !self.stage_end(walk, writes).await? {
                return Ok(false);
            }
        }
        self.stage_end(walk, more).await
    }
}

/// Removes a record that the server does not have, if it is still the one that was looked at.
fn removal(local: Record) -> Write {
    let expect = unchanged(&local);
    let metadata = SyncMetadata { revision: Revision::NONE, change: 0, ..local.metadata };
    let record = Record { key: local.key, body: None, metadata };
    Write { action: Action::Put { record, pending: false }, expect, on_mismatch: OnMismatch::Abort }
}
