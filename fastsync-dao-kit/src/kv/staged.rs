//! Committing what was staged, however much it is: decided at once, carried out in [`Steps`].

use std::collections::BTreeSet;

use fastsync_core::SessionId;
use fastsync_core::source::rules::LastWrites;
use fastsync_core::source::{Clear, Commit, CommitOutcome, Receipt, Write};

use crate::kv::draft::Draft;
use crate::kv::engine::{Engine, View};
use crate::kv::fail::Run;
use crate::kv::key;
use crate::kv::registry::Registry;
use crate::kv::rows;
use crate::kv::session::{self, Checked, Stamp, check_form, duplicate};
use crate::kv::staging::{parts_of, staged};
use crate::kv::steps::{At, Decision, Steps};
use crate::kv::store::Store;

pub(crate) fn commit<E: Engine>(
    store: &Store<E>,
    commit: Commit,
    overrides: Vec<Write>,
) -> Run<CommitOutcome> {
    let drafted = store.draft(|registry, draft| decide(registry, draft, commit, overrides))?;
    let steps = Steps::of_decision(store.registry());
    store.apply(drafted.changes, drafted.number, steps)?;
    Ok(drafted.result)
}

fn decide(
    registry: &Registry,
    draft: &mut Draft<'_, impl View>,
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
    let last = last_writes(draft, commit.session, &overrides)?;
    let mut left_out = BTreeSet::new();
    let mut checked = Checked::default();
    let given = parts_of(&overrides).filter(|part| !part.is_empty()).map(|part| Ok(part.to_vec()));
    let staged = staged(draft, commit.session).map(|part| (part, true));
    for (number, (part, is_staged)) in (0..).zip(staged.chain(given.map(|part| (part, false)))) {
        for (place, mut write) in (0..).zip(part?) {
            if is_staged && last.is_superseded(write.action.key(), (number, place)) {
                left_out.insert((number, place));
                continue;
            }
            let kind = registry.get(&write.action.key().type_name)?;
            // A type may have been prepared anew since.
            write.admit(&kind.schema)?;
            let name = write.action.key();
            let before = draft.get(&key::record(&name.zone, kind.n, &name.id))?;
            if !checked.write(kind, &write, before.as_ref().map(AsRef::as_ref))? {
                left_out.insert((number, place));
            }
        }
    }
    let passed = match checked.end(draft, &commit)? {
        Ok(passed) => passed,
        Err(outcome) => return Ok(outcome),
    };
    let session = commit.session;
    let clears = commit.clears.iter();
    let clears = clears
        .map(|Clear { type_name, zone, through_change }| (type_name.clone(), zone.clone(), *through_change))
        .collect();
    let (stamp, receipt): (Stamp, Receipt) = session::draft(draft, commit, passed)?;
    for (number, part) in (0..).zip(parts_of(&overrides).filter(|part| !part.is_empty())) {
        draft.put(key::override_part(session, number), rows::encode(part)?);
    }
    draft.put(key::DECISION.to_vec(), rows::encode(&Decision { session, stamp, clears, left_out })?);
    Ok(CommitOutcome::Applied(receipt))
}

/// Which of the staged writes count.
fn last_writes(rows: &impl View, session: SessionId, overrides: &[Write]) -> Run<LastWrites<At>> {
    let mut last = LastWrites::default();
    overrides.iter().for_each(|write| last.replace(write.action.key()));
    for (number, part) in (0..).zip(staged(rows, session)) {
        for (place, write) in (0..).zip(part?) {
            last.note(write.action.key(), (number, place));
        }
    }
    Ok(last)
}

#[cfg(test)]
mod tests {
    use fastsync_core::source::{Action, StateWrite, Writes};
    use fastsync_core::{Position, Query, SyncableDataSource, Zone};

    use fastsync_core::source::SyncableDataSourceExt as _;

    use super::*;
    use crate::kv::KvDataSource;
    use crate::kv::tests::{commit, items, open};
    use crate::kv::toy::{Disk, Toy};
    use crate::kv::upgrade::upgrades;

    const OLD: u64 = 5_000;
    const NEW: u64 = 6_000;

    /// A store with old records, and new ones staged that are to take their place.
    async fn prepared(disk: &Disk) -> (Commit, Vec<Write>) {
        let source = open(disk).await;
        source.commit_alone(commit(1, OLD.into())).await.unwrap();
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

    /// Commits, goes so many steps, and is gone. Gives whether there were so many.
    fn die_after(steps: usize, disk: &Disk, swap: Commit, overrides: Vec<Write>) -> bool {
        let engine = Toy { dies_after: Some(steps), ..Toy::open(disk) };
        let store = Store::open(engine, upgrades()).unwrap();
        let died = super::commit(&store, swap, overrides).is_err();
        assert_eq!(store.read(|_, _| Ok(())).is_err(), died, "nothing is shown of what is half done");
        died
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_decided_session_is_finished_by_the_next_process() {
        for steps in 0.. {
            let disk = Disk::default();
            let (swap, overrides) = prepared(&disk).await;
            let session = swap.session;
            let died = die_after(steps, &disk, swap.clone(), overrides.clone());
            let source = KvDataSource::open(2, || Ok(Toy::open(&disk))).unwrap();
            let all = Query::all(items(), Zone::Global);
            let found = source.find(&all).await.unwrap();
            assert_eq!(found.records.len() as u64, NEW, "after {steps} steps");
            let given =
                found.records.iter().filter(|record| record.body.as_deref() == Some(&["given".into()][..]));
            assert_eq!(given.count(), overrides.len());
            assert_eq!(source.entry("swapped").await.unwrap(), Some(vec![1]));
            let summary = source.session(session).await.unwrap().unwrap();
            assert_eq!(summary.counts, [(items(), NEW)]);
            assert_eq!(summary.positions, [(Zone::Global, Position(2))]);
            let again = source.commit_alone(swap).await.unwrap();
            assert!(matches!(again, CommitOutcome::Duplicate(_)), "{again:?}");
            assert_eq!(source.count(&all).await.unwrap(), NEW);
            if !died {
                assert!(steps > 4, "it took {steps} steps only");
                return;
            }
        }
    }
}
