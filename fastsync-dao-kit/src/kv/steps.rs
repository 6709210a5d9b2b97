//! Carrying out a staged commit.
//!
//! An engine's batch may have to be in memory as a whole, so the records of a large session cannot be one. The decision
//! can: it holds everything but the records, which lie in the store already. From the moment it is durable the session is
//! committed; readers see it when its records are carried to their places. If the process dies on the way, opening the
//! store goes on with it, unless the engine has dropped the decision as well. Each step may be done again.

use std::collections::BTreeSet;
use std::sync::Arc;

use fastsync_core::source::Write;
use fastsync_core::{SessionId, TypeName, Zone};
use serde::{Deserialize, Serialize};

use crate::kv::draft::{Changes, Draft};
use crate::kv::engine::View;
use crate::kv::fail::Run;
use crate::kv::key;
use crate::kv::range::Range;
use crate::kv::record::Place;
use crate::kv::registry::Registry;
use crate::kv::rows;
use crate::kv::session::{Stamp, draft_record};
use crate::kv::staging::parts;

/// About how many bytes a step writes.
const STEP_BYTES: usize = 2 << 20;

/// How many records a step clears.
const STEP_RECORDS: usize = 4_000;

/// A write's place: its part, and its place in the part. Later writes of a key have greater places.
pub(crate) type At = (u32, u32);

/// A session that is committed and not yet carried out. There is one at most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Decision {
    pub(crate) session: SessionId,
    pub(crate) stamp: Stamp,
    /// What is still to be removed before the records are written.
    pub(crate) clears: Vec<(TypeName, Zone, u64)>,
    /// The writes that do not count: those of a key that is written again later, and those that are skipped.
    pub(crate) left_out: BTreeSet<At>,
}

/// What follows from the first changes of a [write](crate::kv::Engine::write): batches, one after the other.
///
/// How far it went is not stored: a new process begins again.
#[derive(Debug, Default)]
pub struct Steps {
    /// The types; `None` if nothing follows.
    registry: Option<Arc<Registry>>,
    /// The last record that the first clear has looked at.
    cleared: Option<Vec<u8>>,
    /// The last part that was written, and the number of the next one.
    written: Option<Vec<u8>>,
    part: u32,
}

impl Steps {
    /// Those of the decision that is stored, if one is.
    pub(crate) fn of_decision(registry: Arc<Registry>) -> Self {
        Self { registry: Some(registry), ..Self::default() }
    }

    /// The next batch; `None` after the last one. `rows` has the batches before it.
    ///
    /// # Errors
    /// Those of the engine; `Corrupt` if what is stored cannot be read.
    pub fn next<V: View>(&mut self, rows: &V) -> Run<Option<Changes>> {
        let Some(registry) = self.registry.clone() else { return Ok(None) };
        let Some(value) = rows.get(key::DECISION)? else { return Ok(None) };
        let decision: Decision = rows::decode(value.as_ref())?;
        let mut draft = Draft::new(rows, 0);
        if decision.clears.is_empty() {
            self.write(&registry, rows, &mut draft, &decision)?;
        } else {
            self.clear(&registry, rows, &mut draft, decision)?;
        }
        draft.end_job(Ok(()))?;
        Ok(Some(draft.finish().0))
    }

    /// Removes some of the records that the first clear takes.
    fn clear<V: View>(
        &mut self,
        registry: &Registry,
        rows: &V,
        draft: &mut Draft<'_, V>,
        mut decision: Decision,
    ) -> Run<()> {
        let Some((name, zone, through)) = decision.clears.first() else { return Ok(()) };
        let kind = registry.get(name)?;
        let prefix = key::records(zone, kind.n);
        let range = match self.cleared.take() {
            Some(key) => Range::following(prefix.clone(), key),
            None => Range::prefix(prefix.clone()),
        };
        for row in rows.scan(range).take(STEP_RECORDS) {
            let (key, value) = row?;
            let (head, _) = rows::head(value.as_ref())?;
            if head.change <= *through {
                let id = key::id_of(&prefix, key.as_ref())?;
                Place { kind, zone, id: &id }.remove(draft, &head);
            }
            self.cleared = Some(key.as_ref().to_vec());
        }
        if self.cleared.is_none() {
            // Done with this one, and never again: the records that follow are not to be cleared.
            decision.clears.remove(0);
            draft.put(key::DECISION.to_vec(), rows::encode(&decision)?);
        }
        Ok(())
    }

    /// Writes some of the records; after the last ones, what was staged and the decision go.
    fn write<V: View>(
        &mut self,
        registry: &Registry,
        rows: &V,
        draft: &mut Draft<'_, V>,
        decision: &Decision,
    ) -> Run<()> {
        for row in parts(rows, decision.session, self.written.as_ref()) {
            let (key, value) = row?;
            for (place, mut write) in (0..).zip(rows::decode::<Vec<Write>>(value.as_ref())?) {
                if decision.left_out.contains(&(self.part, place)) {
                    continue;
                }
                let kind = registry.get(&write.action.key().type_name)?;
                write.admit(&kind.schema)?;
                let name = write.action.key();
                let before = draft.get(&key::record(&name.zone, kind.n, &name.id))?;
                draft_record(draft, kind, write.action, before.as_ref().map(AsRef::as_ref), &decision.stamp)?;
            }
            self.part = self.part.saturating_add(1);
            self.written = Some(key.as_ref().to_vec());
            if draft.bytes() >= STEP_BYTES {
                return Ok(());
            }
        }
        for row in parts(rows, decision.session, None) {
            draft.remove(row?.0.as_ref().to_vec());
        }
        draft.remove(key::DECISION.to_vec());
        Ok(())
    }
}
