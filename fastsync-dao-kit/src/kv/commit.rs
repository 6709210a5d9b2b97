//! Committing the writes that are given with a session: first everything that can fail is checked, then everything is
//! drafted.

use std::collections::BTreeMap;
use std::sync::Arc;

use fastsync_core::source::{Commit, CommitOutcome, Write};

use crate::kv::draft::Draft;
use crate::kv::engine::View;
use crate::kv::fail::Run;
use crate::kv::key;
use crate::kv::record::clear;
use crate::kv::registry::{Kind, Registry};
use crate::kv::session::{self, Checked, check_form, draft_record, duplicate};

/// What is done with one record.
struct Planned<B> {
    kind: Arc<Kind>,
    write: Write,
    /// The record's row before this commit.
    before: Option<B>,
}

pub(crate) fn commit<V: View>(
    registry: &Registry,
    draft: &mut Draft<'_, V>,
    commit: Commit,
    writes: Vec<Write>,
) -> Run<CommitOutcome> {
    if let Some(outcome) = duplicate(draft, &commit)? {
        return Ok(outcome);
    }
    check_form(registry, &commit, &writes)?;
    // By the records' keys, so that neighbours are written one after the other.
    let mut plan = BTreeMap::new();
    for mut write in writes {
        let kind = Arc::clone(registry.get(&write.action.key().type_name)?);
        write.admit(&kind.schema)?;
        let name = write.action.key();
        plan.insert(key::record(&name.zone, kind.n, &name.id), Planned { kind, write, before: None });
    }
    let mut checked = Checked::default();
    let mut left_out = Vec::new();
    for (key, planned) in &mut plan {
        planned.before = draft.get(key)?;
        if !checked.write(&planned.kind, &planned.write, planned.before.as_ref().map(AsRef::as_ref))? {
            left_out.push(key.clone());
        }
    }
    let passed = match checked.end(draft, &commit)? {
        Ok(passed) => passed,
        Err(outcome) => return Ok(outcome),
    };
    for key in left_out {
        plan.remove(&key);
    }
    for cleared in &commit.clears {
        clear(draft, &**registry.get(&cleared.type_name)?, &cleared.zone, cleared.through_change)?;
    }
    let has_clears = !commit.clears.is_empty();
    let (stamp, receipt) = session::draft(draft, commit, passed)?;
    for (key, Planned { kind, write, before }) in plan {
        let before = if has_clears { draft.get(&key)? } else { before };
        draft_record(draft, &kind, write.action, before.as_ref().map(AsRef::as_ref), &stamp)?;
    }
    Ok(CommitOutcome::Applied(receipt))
}
