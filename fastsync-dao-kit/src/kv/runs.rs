//! The indexes over records: the feed, the tombstones, and what waits to be pushed.
//!
//! What an engine costs goes by the row, not by the byte. So the entries of a group, which are the records that one commit put
//! into one index, share rows: each holds a run of them, under the key of its first. Runs of a group do not overlap.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use fastsync_core::ObjectId;

use crate::kv::engine::View;
use crate::kv::fail::Run;
use crate::kv::key;
use crate::kv::range::Range;
use crate::kv::rows;

/// The longest run. An entry that leaves costs its run a rewrite.
const LENGTH: usize = 32;

/// Entries that come into their groups, and those that leave.
#[derive(Debug, Default)]
pub(crate) struct Edits(BTreeMap<Vec<u8>, Vec<(ObjectId, Edit)>>);

/// Rows to write, or to remove, by key.
type Rewritten = Vec<(Vec<u8>, Option<Vec<u8>>)>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Edit {
    Enter,
    Leave,
}

impl Edits {
    pub(crate) fn push(&mut self, group: Vec<u8>, id: ObjectId, edit: Edit) {
        self.0.entry(group).or_default().push((id, edit));
    }

    /// The rows that change by these edits.
    pub(crate) fn settle(self, rows: &impl View) -> Run<Rewritten> {
        let mut changes = Vec::new();
        for (group, mut edits) in self.0 {
            // Of two edits of one entry the later one counts.
            edits.sort_by(|(a, _), (b, _)| a.cmp(b));
            let mut rest = edits.as_slice();
            while let Some((first, _)) = rest.first() {
                let run = Stored::around(rows, &group, first)?;
                let length = run.reach(rows, &group, rest)?;
                let (mine, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
                run.apply(&group, mine, &mut changes)?;
                rest = after;
            }
        }
        Ok(changes)
    }
}

/// A run as it is stored, or the room for one.
struct Stored {
    /// Its row, if it is stored.
    key: Option<Vec<u8>>,
    ids: Vec<ObjectId>,
}

impl Stored {
    /// The run that an entry belongs to: the last one that does not begin after it, or the first.
    fn around(rows: &impl View, group: &[u8], id: &ObjectId) -> Run<Self> {
        let row = match rows.last(up_to(group, id))? {
            None => rows.scan(Range::prefix(group.to_vec())).next().transpose()?,
            row => row,
        };
        let Some((key, value)) = row else { return Ok(Self { key: None, ids: Vec::new() }) };
        let mut ids = vec![key::id_of(group, key.as_ref())?];
        ids.extend(others(value.as_ref())?);
        Ok(Self { key: Some(key.as_ref().to_vec()), ids })
    }

    /// How many of the edits, which begin with one of this run, are of this run.
    fn reach(&self, rows: &impl View, group: &[u8], edits: &[(ObjectId, Edit)]) -> Run<usize> {
        let Some(key) = &self.key else { return Ok(edits.len()) };
        let within = edits.partition_point(|(id, _)| self.ids.last().is_some_and(|last| id <= last));
        if within == edits.len() {
            return Ok(within);
        }
        match rows.scan(Range::following(group.to_vec(), key.clone())).next() {
            None => Ok(edits.len()),
            Some(row) => {
                let next = key::id_of(group, row?.0.as_ref())?;
                Ok(edits.partition_point(|(id, _)| *id < next))
            }
        }
    }

    fn apply(self, group: &[u8], edits: &[(ObjectId, Edit)], changes: &mut Rewritten) -> Run<()> {
        let mut ids: BTreeSet<ObjectId> = self.ids.into_iter().collect();
        for (id, edit) in edits {
            match edit {
                Edit::Enter => drop(ids.insert(id.clone())),
                Edit::Leave => drop(ids.remove(id)),
            }
        }
        let ids: Vec<_> = ids.into_iter().collect();
        if let Some(key) = self.key
            && ids.first().is_none_or(|first| key::entry(group, first) != key)
        {
            changes.push((key, None));
        }
        // Of equal length, so that each has room.
        let length = ids.len().div_ceil(ids.len().div_ceil(LENGTH).max(1)).max(1);
        for run in ids.chunks(length) {
            let Some((first, others)) = run.split_first() else { continue };
            let value = if others.is_empty() { Vec::new() } else { rows::encode(others)? };
            changes.push((key::entry(group, first), Some(value)));
        }
        Ok(())
    }
}

/// The group's rows that do not begin after an entry.
fn up_to(group: &[u8], id: &ObjectId) -> Range {
    let mut to = key::entry(group, id);
    to.push(0);
    Range { from: Bound::Included(group.to_vec()), to }
}

/// What a run holds beside its first entry.
fn others(value: &[u8]) -> Run<Vec<ObjectId>> {
    if value.is_empty() { Ok(Vec::new()) } else { rows::decode(value) }
}

/// Where to begin reading so that no entry after this one is missed. The walk begins with entries up to it if they share
/// a run.
pub(crate) fn from_around(rows: &impl View, group: &[u8], id: &ObjectId) -> Run<Vec<u8>> {
    Ok(rows.last(up_to(group, id))?.map_or_else(|| group.to_vec(), |(key, _)| key.as_ref().to_vec()))
}

/// The entries of a walk over rows. `read` tells a row's group and its first entry.
pub(crate) fn entries<G: Clone, B: AsRef<[u8]>>(
    scan: impl Iterator<Item = Run<(B, B)>>,
    read: impl Fn(&[u8]) -> Run<(G, ObjectId)>,
) -> impl Iterator<Item = Run<(G, ObjectId)>> {
    let run = move |row: Run<(B, B)>| {
        let (key, value) = row?;
        let (group, first) = read(key.as_ref())?;
        Run::Ok((group, first, others(value.as_ref())?))
    };
    scan.flat_map(move |row| {
        let (failed, run) = match run(row) {
            Ok((group, first, others)) => {
                let ids = std::iter::once(first).chain(others);
                (None, Some(ids.map(move |id| Ok((group.clone(), id)))))
            }
            Err(fail) => (Some(Err(fail)), None),
        };
        failed.into_iter().chain(run.into_iter().flatten())
    })
}

/// How many entries the rows of a range hold.
pub(crate) fn count(rows: &impl View, range: Range) -> Run<u64> {
    rows.scan(range).try_fold(0_u64, |count, row| {
        let others = others(row?.1.as_ref())?.len();
        Ok(count.saturating_add(1).saturating_add(u64::try_from(others).unwrap_or(u64::MAX)))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kv::draft::Draft;
    use crate::kv::toy::{Rows, apply};

    const GROUPS: [&[u8]; 3] = [b"pa", b"pb", b"pc"];

    fn id(n: u16) -> ObjectId {
        ObjectId::new(format!("{n:x}")).unwrap()
    }

    fn read(key: &[u8]) -> Run<(Vec<u8>, ObjectId)> {
        let (group, _) = key.split_at(2);
        Ok((group.to_vec(), key::id_of(group, key)?))
    }

    fn found(rows: &impl View, range: Range) -> Vec<(Vec<u8>, ObjectId)> {
        entries(rows.scan(range), read).map(Result::unwrap).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        /// Commits of edits lead to the entries that a set would have, in order, whatever the runs are.
        #[test]
        fn runs_hold_what_entered_and_did_not_leave(
            commits in prop::collection::vec(
                (
                    prop::collection::vec((0..3_usize, 0..400_u16, prop::bool::weighted(0.6)), 0..150),
                    any::<bool>(),
                ),
                1..8,
            ),
            after in (0..3_usize, 0..400_u16),
        ) {
            let mut db = Rows::default();
            let mut model = BTreeSet::new();
            let mut draft = Draft::new(&db, 0);
            for (edits, writes_out) in &commits {
                for (group, n, enters) in edits {
                    let entry = (GROUPS[*group].to_vec(), id(*n));
                    let edit = if *enters { Edit::Enter } else { Edit::Leave };
                    draft.index(entry.0.clone(), &entry.1, edit);
                    if *enters { model.insert(entry); } else { model.remove(&entry); }
                }
                draft.end_job(Ok(())).unwrap();
                if *writes_out {
                    let (changes, _) = draft.finish();
                    apply(&mut db, changes);
                    draft = Draft::new(&db, 0);
                }
            }
            let all = Range::prefix(b"p".to_vec());
            let expected: Vec<_> = model.iter().cloned().collect();
            prop_assert_eq!(found(&draft, all.clone()), expected.clone());
            prop_assert_eq!(count(&draft, all.clone()).unwrap(), expected.len() as u64);

            let (group, after) = (GROUPS[after.0], id(after.1));
            let from = from_around(&draft, group, &after).unwrap();
            let rest = found(&draft, Range { from: Bound::Included(from), ..all });
            let place = (group.to_vec(), after);
            let read = rest.iter().filter(|entry| **entry <= place).count();
            prop_assert!(read <= LENGTH, "{} entries are read again", read);
            let expected: Vec<_> = model.range(&place..).filter(|entry| **entry != place).cloned().collect();
            prop_assert_eq!(&rest[read..], expected);
        }
    }

    #[test]
    fn entries_that_come_together_share_rows() {
        let db = Rows::default();
        let mut draft = Draft::new(&db, 0);
        let rows = |draft: &Draft<'_, Rows>| draft.scan(Range::prefix(b"p".to_vec())).count();
        for n in 0..1_000 {
            draft.index(b"pa".to_vec(), &id(n), Edit::Enter);
        }
        draft.end_job(Ok(())).unwrap();
        assert_eq!(rows(&draft), 1_000_usize.div_ceil(LENGTH));
        for n in 0..1_000 {
            draft.index(b"pa".to_vec(), &id(n), Edit::Leave);
        }
        draft.end_job(Ok(())).unwrap();
        assert_eq!(rows(&draft), 0);
    }

    #[test]
    fn a_row_that_is_no_run_is_corrupt() {
        let mut db = Rows::default();
        db.insert(b"pa1".to_vec(), vec![rows::VERSION, 1, 9]);
        let all = Range::prefix(b"p".to_vec());
        assert!(entries(db.scan(all.clone()), read).any(|entry| entry.is_err()));
        assert!(count(&db, all).is_err());
        let mut draft = Draft::new(&db, 0);
        draft.index(b"pa".to_vec(), &id(2), Edit::Enter);
        assert!(draft.end_job(Ok(())).is_err());
    }
}
