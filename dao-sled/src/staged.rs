//! Committing what was staged, however much it is: decided at once, carried out in steps.
//!
//! A batch of sled's is in memory as a whole, so the records of a large session cannot be one. The decision can: it
//! holds everything but the records, which lie in the store already. From the moment it is durable the session is
//! committed; readers wait until its records are carried to their places, and if the process dies on the way, opening
//! the store goes on with it. Each step may be done again.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};

use fastsync_core::source::{Clear, Commit, CommitOutcome, Receipt, Write};
use fastsync_core::{SessionId, TypeName, Zone};
use serde::{Deserialize, Serialize};

use crate::error::Run;
use crate::key::{self, Range};
use crate::record::Place;
use crate::registry::Registry;
use crate::rows;
use crate::session::{self, Checked, Stamp, check_form, draft_record, duplicate};
use crate::staging::{cut, parts, staged};
use crate::store::Store;
use crate::tree::{Changes, Draft, Rows};

/// About how many bytes a step writes.
const STEP_BYTES: usize = 2 << 20;

/// How many records a step clears.
const STEP_RECORDS: usize = 4_000;

/// A write's place: its part, and its place in the part. Later writes of a key have greater places.
type At = (u32, u32);

/// A session that is committed and not yet carried out. There is one at most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Decision {
    session: SessionId,
    stamp: Stamp,
    /// What is still to be removed before the records are written.
    clears: Vec<(TypeName, Zone, u64)>,
    /// The writes that do not count: those of a key that is written again later, and those that are skipped.
    left_out: BTreeSet<At>,
}

pub(crate) fn commit(store: &Store, commit: Commit, overrides: Vec<Write>) -> Run<CommitOutcome> {
    let registry = store.registry();
    let mut draft = store.draft();
    let decided = decide(&registry, &mut draft, commit, overrides);
    match draft.end_job(decided)? {
        CommitOutcome::Applied(receipt) => {
            let (changes, number) = draft.finish();
            store.apply_in_steps(changes, number, |rows| carry_out(&registry, rows))?;
            Ok(CommitOutcome::Applied(receipt))
        }
        other => Ok(other),
    }
}

fn decide(
    registry: &Registry,
    draft: &mut Draft<'_>,
    commit: Commit,
    mut overrides: Vec<Write>,
) -> Run<CommitOutcome> {
    if let Some(outcome) = duplicate(draft, &commit)? {
        return Ok(outcome);
    }
    check_form(registry, &commit, &overrides)?;
    for write in &mut overrides {
        write.admit(&registry.get(&write.action.key().type_name)?.schema)?;
    }
    let mut left_out = superseded(registry, draft, commit.session, &overrides)?;
    let mut checked = Checked::default();
    let given = cut(&overrides).filter(|part| !part.is_empty()).map(|part| Ok(part.to_vec()));
    for (number, part) in (0..).zip(staged(draft, commit.session).chain(given)) {
        for (place, mut write) in (0..).zip(part?) {
            if left_out.contains(&(number, place)) {
                continue;
            }
            let kind = registry.get(&write.action.key().type_name)?;
            // A type may have been prepared anew since.
            write.admit(&kind.schema)?;
            let name = write.action.key();
            let before = draft.get(&key::record(&name.zone, kind.n, &name.id))?;
            if !checked.write(kind, &write, before.as_deref())? {
                left_out.insert((number, place));
            }
        }
    }
    checked.state(draft, &commit)?;
    if let Some(outcome) = checked.stops() {
        return Ok(outcome);
    }
    let session = commit.session;
    let clears = commit.clears.iter();
    let clears = clears
        .map(|Clear { type_name, zone, through_change }| (type_name.clone(), zone.clone(), *through_change))
        .collect();
    let (stamp, receipt): (Stamp, Receipt) = session::draft(draft, commit, checked)?;
    for (number, part) in (0..).zip(cut(&overrides).filter(|part| !part.is_empty())) {
        draft.put(key::override_part(session, number), rows::encode(part)?);
    }
    draft.put(key::DECISION.to_vec(), rows::encode(&Decision { session, stamp, clears, left_out })?);
    Ok(CommitOutcome::Applied(receipt))
}

/// The writes of keys that are written again later. It takes 24 bytes a key to know them.
fn superseded(
    registry: &Registry,
    rows: &dyn Rows,
    session: SessionId,
    overrides: &[Write],
) -> Run<BTreeSet<At>> {
    let hashers = [RandomState::new(), RandomState::new()];
    let hash = |write: &Write| {
        let name = write.action.key();
        let key = key::record(&name.zone, registry.get(&name.type_name)?.n, &name.id);
        Run::Ok(hashers.each_ref().map(|hasher| hasher.hash_one(&key)))
    };
    let mut last = HashMap::new();
    for write in overrides {
        last.insert(hash(write)?, None);
    }
    let mut superseded = BTreeSet::new();
    for (number, part) in (0..).zip(staged(rows, session)) {
        for (place, write) in (0..).zip(part?) {
            let at: At = (number, place);
            match last.entry(hash(&write)?).or_insert(Some(at)) {
                None => drop(superseded.insert(at)),
                Some(before) if *before != at => drop(superseded.insert(std::mem::replace(before, at))),
                Some(_) => {}
            }
        }
    }
    Ok(superseded)
}

/// The next step of a decision; `None` if there is nothing (more) to carry out.
fn step(registry: &Registry, rows: &sled::Tree, at: &mut Progress) -> Run<Option<Changes>> {
    let Some(value) = Rows::get(rows, key::DECISION)? else { return Ok(None) };
    let mut decision: Decision = rows::decode(&value)?;
    let mut draft = Draft::new(rows, 0);
    if let Some((name, zone, through)) = decision.clears.first() {
        let kind = registry.get(name)?;
        let prefix = key::records(zone, kind.n);
        let range = match at.cleared.take() {
            Some(key) => Range::following(prefix.clone(), key),
            None => Range::prefix(prefix.clone()),
        };
        for row in Rows::scan(rows, &range).take(STEP_RECORDS) {
            let (key, value) = row?;
            let (head, _) = rows::head(&value)?;
            if head.change <= *through {
                let id = key::id_of(&prefix, &key)?;
                Place { kind, zone, id: &id }.remove(&mut draft, &head);
            }
            at.cleared = Some(key.to_vec());
        }
        if at.cleared.is_none() {
            // Done with this one, and never again: the records that follow are not to be cleared.
            decision.clears.remove(0);
            draft.put(key::DECISION.to_vec(), rows::encode(&decision)?);
        }
    } else {
        let mut more = false;
        for row in parts(rows, decision.session, at.written.as_ref()) {
            let (key, value) = row?;
            for (place, mut write) in (0..).zip(rows::decode::<Vec<Write>>(&value)?) {
                if decision.left_out.contains(&(at.part, place)) {
                    continue;
                }
                let kind = registry.get(&write.action.key().type_name)?;
                write.admit(&kind.schema)?;
                let name = write.action.key();
                let before = draft.get(&key::record(&name.zone, kind.n, &name.id))?;
                draft_record(&mut draft, kind, write.action, before.as_deref(), &decision.stamp)?;
            }
            at.part = at.part.saturating_add(1);
            at.written = Some(key.to_vec());
            if draft.bytes() >= STEP_BYTES {
                more = true;
                break;
            }
        }
        if !more {
            for row in parts(rows, decision.session, None) {
                draft.remove(row?.0.to_vec());
            }
            draft.remove(key::DECISION.to_vec());
        }
    }
    draft.end_job(Ok(()))?;
    Ok(Some(draft.finish().0))
}

/// How far a decision is carried out. It is not stored: a new process begins again.
#[derive(Default)]
struct Progress {
    /// The last record that the first clear has looked at.
    cleared: Option<Vec<u8>>,
    /// The last part that was written, and the number of the next one.
    written: Option<Vec<u8>>,
    part: u32,
}

/// Carries out what was decided, also by a process that died meanwhile.
pub(crate) fn carry_out(registry: &Registry, rows: &sled::Tree) -> Run<()> {
    let mut progress = Progress::default();
    while let Some(changes) = step(registry, rows, &mut progress)? {
        rows.apply_batch(crate::store::batch(changes))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use fastsync_core::source::{Action, StateWrite, Writes};
    use fastsync_core::{ErrorKind, Position, Query, SyncableDataSource};

    use super::*;
    use crate::error::Fail;
    use crate::tests::{commit, items, open};
    use crate::{SledConfig, SledDataSource};

    const OLD: u64 = 5_000;
    const NEW: u64 = 6_000;

    /// A store with old records, and new ones staged that are to take their place.
    async fn prepared(folder: &std::path::Path) -> (Commit, Vec<Write>) {
        let source = open(folder).await;
        source.commit(commit(1, OLD.into())).await.unwrap();
        let mut swap = commit(2, NEW.into());
        let Writes::Inline(writes) = std::mem::replace(&mut swap.writes, Writes::Inline(Vec::new())) else {
            panic!("writes")
        };
        let mut overrides = Vec::new();
        for (sequence, batch) in (0..).zip(writes.chunks(700)) {
            // Every batch begins with a write that the last one replaces, and ends with one that is overridden.
            let mut batch = batch.to_vec();
            batch.insert(0, writes[writes.len() - 1].clone());
            let mut replaced = batch[1].clone();
            if let Action::Put { record, .. } = &mut replaced.action {
                record.body = Some(vec!["given".into()]);
            }
            overrides.push(replaced);
            source.stage(swap.session, sequence, batch).await.unwrap();
        }
        swap.clears = vec![Clear { type_name: items(), zone: Zone::Global, through_change: 0 }];
        swap.state = vec![StateWrite::set("swapped", Some(vec![1]))];
        (swap, overrides)
    }

    /// Decides, goes so many steps, and is gone. Gives whether there were so many.
    fn die_after(steps: usize, folder: &std::path::Path, commit: Commit, overrides: Vec<Write>) -> bool {
        let store = Store::open(&SledConfig::new(folder), crate::upgrade::UPGRADES).unwrap();
        let registry = store.registry();
        let mut draft = store.draft();
        let decided = decide(&registry, &mut draft, commit, overrides);
        assert!(matches!(draft.end_job(decided), Ok(CommitOutcome::Applied(_))));
        let (changes, number) = draft.finish();
        let mut went = 0;
        let died = store.apply_in_steps(changes, number, |rows| {
            let mut progress = Progress::default();
            while went < steps {
                let Some(changes) = step(&registry, rows, &mut progress)? else { break };
                rows.apply_batch(crate::store::batch(changes))?;
                went += 1;
            }
            rows.flush()?;
            Err(Fail::new(ErrorKind::Backend, "the process died"))
        });
        assert!(died.is_err() && store.read(|_, _| Ok(())).is_err(), "nothing is shown of what is half done");
        went == steps
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_decided_session_is_finished_by_the_next_process() {
        for steps in 0.. {
            let folder = tempfile::tempdir().unwrap();
            let (swap, overrides) = prepared(folder.path()).await;
            let session = swap.session;
            let went = die_after(steps, folder.path(), swap.clone(), overrides.clone());
            let source = SledDataSource::open(folder.path()).unwrap();
            let all = Query::all(items(), Zone::Global);
            let found = source.find(&all).await.unwrap();
            assert_eq!(found.len() as u64, NEW, "after {steps} steps");
            let given = found.iter().filter(|record| record.body.as_deref() == Some(&["given".into()][..]));
            assert_eq!(given.count(), overrides.len());
            assert_eq!(source.state("swapped").await.unwrap(), Some(vec![1]));
            let summary = source.session(session).await.unwrap().unwrap();
            assert_eq!(summary.counts, [(items(), NEW)]);
            assert_eq!(summary.positions, [(Zone::Global, Position(2))]);
            let again = source.commit(swap).await.unwrap();
            assert!(matches!(again, CommitOutcome::Duplicate(_)), "{again:?}");
            assert_eq!(source.count(&all).await.unwrap(), NEW);
            if !went {
                assert!(steps > 4, "it took {steps} steps only");
                return;
            }
        }
    }
}
