//! Reading rows: from the tree alone, or through what is about to be written.

use std::collections::{BTreeMap, btree_map};
use std::iter::Peekable;
use std::ops::Bound;

use fastsync_core::ObjectId;
use sled::{IVec, Tree};

use crate::error::{Fail, Run, guarded};
use crate::key::Range;
use crate::runs::{Edit, Edits};

/// A walk over rows by their keys.
pub(crate) type Scan<'a> = Box<dyn Iterator<Item = Run<(IVec, IVec)>> + 'a>;

/// Where rows are read.
pub(crate) trait Rows {
    fn get(&self, key: &[u8]) -> Run<Option<IVec>>;
    fn scan(&self, range: &Range) -> Scan<'_>;
    /// The row of the range with the greatest key.
    fn last(&self, range: &Range) -> Run<Option<(IVec, IVec)>>;
}

impl Rows for Tree {
    fn get(&self, key: &[u8]) -> Run<Option<IVec>> {
        Ok(Self::get(self, key)?)
    }

    fn scan(&self, range: &Range) -> Scan<'_> {
        Box::new(self.range(bounds(range)).map(|row| row.map_err(Fail::from)))
    }

    fn last(&self, range: &Range) -> Run<Option<(IVec, IVec)>> {
        Ok(self.range(bounds(range)).next_back().transpose()?)
    }
}

fn bounds(range: &Range) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
    (range.from.clone(), Bound::Excluded(range.to.clone()))
}

/// New values by key; `None` removes the row.
pub(crate) type Changes = BTreeMap<IVec, Option<IVec>>;

/// Writes that are not in the tree yet. They see those made before them.
pub(crate) struct Draft<'a> {
    tree: &'a Tree,
    /// Of the jobs that are done.
    done: Changes,
    /// Of the job that runs.
    doing: Changes,
    /// Of the job that runs, not yet in rows.
    edits: Edits,
    number: u64,
    bytes: usize,
}

impl<'a> Draft<'a> {
    /// `number` is that of the last write in the tree.
    pub(crate) fn new(tree: &'a Tree, number: u64) -> Self {
        Self { tree, done: Changes::new(), doing: Changes::new(), edits: Edits::default(), number, bytes: 0 }
    }

    pub(crate) fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.bytes = self.bytes.saturating_add(key.len()).saturating_add(value.len());
        self.doing.insert(key.into(), Some(value.into()));
    }

    pub(crate) fn remove(&mut self, key: Vec<u8>) {
        self.bytes = self.bytes.saturating_add(key.len());
        self.doing.insert(key.into(), None);
    }

    /// Puts a record into a group of an index, or takes it out. It is in the rows when the job has ended.
    pub(crate) fn index(&mut self, group: Vec<u8>, id: &ObjectId, edit: Edit) {
        self.bytes = self.bytes.saturating_add(id.as_str().len());
        self.edits.push(group, id.clone(), edit);
    }

    /// The number of the job that runs, if it writes.
    pub(crate) fn number(&self) -> u64 {
        self.number.saturating_add(1)
    }

    /// About how much is to be written.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes what the job wrote if it went well, or leaves no trace of it; gives its result.
    pub(crate) fn end_job<T>(&mut self, result: Run<T>) -> Run<T> {
        let edits = std::mem::take(&mut self.edits);
        let indexed = result.and_then(|result| Ok((result, guarded(|| edits.settle(self))?)));
        let mut changes = std::mem::take(&mut self.doing);
        let (result, rows) = indexed?;
        changes.extend(rows.into_iter().map(|(key, value)| (key.into(), value.map(IVec::from))));
        if !changes.is_empty() {
            self.number = self.number();
            self.done.append(&mut changes);
        }
        Ok(result)
    }

    /// Everything to write, and the number of the last job that wrote.
    pub(crate) fn finish(self) -> (Changes, u64) {
        (self.done, self.number)
    }
}

impl Rows for Draft<'_> {
    fn get(&self, key: &[u8]) -> Run<Option<IVec>> {
        match self.doing.get(key).or_else(|| self.done.get(key)) {
            Some(change) => Ok(change.clone()),
            None => Rows::get(self.tree, key),
        }
    }

    fn scan(&self, range: &Range) -> Scan<'_> {
        let base = Rows::scan(self.tree, range);
        [&self.done, &self.doing].into_iter().fold(base, |below, changes| match within(changes, range) {
            Some(above) => Box::new(Overlaid { below: below.peekable(), above: above.peekable() }),
            None => below,
        })
    }

    fn last(&self, range: &Range) -> Run<Option<(IVec, IVec)>> {
        let mut range = range.clone();
        loop {
            let below = Rows::last(self.tree, &range)?;
            let changed = [&self.done, &self.doing].into_iter();
            let changed =
                changed.filter_map(|changes| within(changes, &range)?.next_back()).map(|(key, _)| key).max();
            let Some(changed) = changed.filter(|key| below.as_ref().is_none_or(|(row, _)| row <= *key))
            else {
                return Ok(below);
            };
            if let Some(value) = self.get(changed)? {
                return Ok(Some((changed.clone(), value)));
            }
            range.to = changed.to_vec();
        }
    }
}

type Changed<'a> = btree_map::Range<'a, IVec, Option<IVec>>;

/// The changes in a range; `None` if it is empty, since the map would not take it.
pub(crate) fn within<'a>(changes: &'a Changes, range: &Range) -> Option<Changed<'a>> {
    let from = match &range.from {
        Bound::Included(from) | Bound::Excluded(from) if *from >= range.to => return None,
        from => from.as_ref().map(Vec::as_slice),
    };
    Some(changes.range::<[u8], (Bound<&[u8]>, Bound<&[u8]>)>((from, Bound::Excluded(range.to.as_slice()))))
}

/// Rows with changes laid over them.
struct Overlaid<'a> {
    below: Peekable<Scan<'a>>,
    above: Peekable<Changed<'a>>,
}

impl Iterator for Overlaid<'_> {
    type Item = Run<(IVec, IVec)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (takes_change, hides_row) = match (self.below.peek(), self.above.peek()) {
                (Some(Ok((row, _))), Some((change, _))) => (*change <= row, *change == row),
                (None, Some(_)) => (true, false),
                _ => (false, false),
            };
            if hides_row {
                self.below.next();
            }
            if !takes_change {
                return self.below.next();
            }
            if let Some((key, Some(value))) = self.above.next() {
                return Some(Ok((key.clone(), value.clone())));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rows(rows: &dyn Rows, range: &Range) -> Vec<(Vec<u8>, Vec<u8>)> {
        rows.scan(range).map(|row| row.unwrap()).map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
    }

    proptest! {
        #[test]
        fn a_draft_reads_as_the_tree_will(
            steps in prop::collection::vec((0..3_u8, 0..12_u8, any::<Option<u8>>()), 0..40),
            from in 0..12_u8,
            to in 0..12_u8,
        ) {
            let db = sled::Config::new().temporary(true).flush_every_ms(None).open().unwrap();
            let mut model = BTreeMap::new();
            let mut in_order = steps;
            in_order.sort_by_key(|(layer, ..)| *layer);
            for (_, key, value) in in_order.iter().filter(|(layer, ..)| *layer == 0) {
                if let Some(value) = value {
                    db.insert([*key], &[*value]).unwrap();
                    model.insert(vec![*key], vec![*value]);
                }
            }
            let mut draft = Draft::new(&db, 7);
            for layer in 1..3 {
                for (_, key, value) in in_order.iter().filter(|(at, ..)| *at == layer) {
                    if let Some(value) = value {
                        draft.put(vec![*key], vec![*value]);
                        model.insert(vec![*key], vec![*value]);
                    } else {
                        draft.remove(vec![*key]);
                        model.remove(&vec![*key]);
                    }
                }
                if layer == 1 {
                    draft.end_job(Ok(())).unwrap();
                    // What a job wrote that failed is not seen.
                    draft.put(vec![from], vec![99]);
                    draft.remove(vec![to]);
                    assert!(draft.end_job::<()>(Err(Fail::corrupt("it failed"))).is_err());
                }
            }
            for bound in [Bound::Included(vec![from]), Bound::Excluded(vec![from])] {
                let range = Range { from: bound.clone(), to: vec![to] };
                let expected = model.iter().filter(|(key, _)| match &bound {
                    Bound::Included(from) => *key >= from,
                    _ => **key > vec![from],
                });
                let expected: Vec<_> =
                    expected.filter(|(key, _)| **key < vec![to]).map(|(k, v)| (k.clone(), v.clone())).collect();
                let last = draft.last(&range).unwrap().map(|(key, value)| (key.to_vec(), value.to_vec()));
                prop_assert_eq!(last.as_ref(), expected.last());
                prop_assert_eq!(rows(&draft, &range), expected);
            }
            for key in 0..12 {
                let found = draft.get(&[key]).unwrap().map(|value| value.to_vec());
                prop_assert_eq!(found.as_ref(), model.get(&vec![key]));
            }
        }
    }
}
