//! Writes that are not in the store yet, and reading through them.

use std::collections::{BTreeMap, btree_map};
use std::iter::Peekable;
use std::ops::Bound;

use fastsync_core::ObjectId;

use crate::kv::engine::View;
use crate::kv::fail::{Run, guarded};
use crate::kv::range::Range;
use crate::kv::runs::{Edit, Edits};

/// New values by key; `None` removes the row.
pub type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// Writes that are not in the store yet. They see those made before them.
pub(crate) struct Draft<'v, V> {
    view: &'v V,
    /// Of the jobs that are done.
    done: Changes,
    /// Of the job that runs.
    doing: Changes,
    /// Of the job that runs, not yet in rows.
    edits: Edits,
    number: u64,
    bytes: usize,
}

impl<'v, V: View> Draft<'v, V> {
    /// `number` is that of the last write in the store.
    pub(crate) fn new(view: &'v V, number: u64) -> Self {
        Self { view, done: Changes::new(), doing: Changes::new(), edits: Edits::default(), number, bytes: 0 }
    }

    pub(crate) fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.bytes = self.bytes.saturating_add(key.len()).saturating_add(value.len());
        self.doing.insert(key, Some(value));
    }

    pub(crate) fn remove(&mut self, key: Vec<u8>) {
        self.bytes = self.bytes.saturating_add(key.len());
        self.doing.insert(key, None);
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
        changes.extend(rows);
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

/// A key or a value of a draft: of the store, or new.
pub(crate) enum Drafted<B> {
    Stored(B),
    New(Vec<u8>),
}

impl<B: AsRef<[u8]>> AsRef<[u8]> for Drafted<B> {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Stored(bytes) => bytes.as_ref(),
            Self::New(bytes) => bytes,
        }
    }
}

impl<'v, V: View> View for Draft<'v, V> {
    // Nothing of it borrows from the draft, which goes on being written.
    type Bytes<'a>
        = Drafted<V::Bytes<'v>>
    where
        Self: 'a;

    fn get(&self, key: &[u8]) -> Run<Option<Self::Bytes<'_>>> {
        match self.doing.get(key).or_else(|| self.done.get(key)) {
            Some(change) => Ok(change.clone().map(Drafted::New)),
            None => Ok(self.view.get(key)?.map(Drafted::Stored)),
        }
    }

    fn scan(&self, range: Range) -> impl Iterator<Item = Run<(Self::Bytes<'_>, Self::Bytes<'_>)>> {
        let (done, doing) = (within(&self.done, &range), within(&self.doing, &range));
        let stored = self.view.scan(range).map(|row| row.map(stored));
        let with_done = Overlaid { below: stored.peekable(), above: done.into_iter().flatten().peekable() };
        Overlaid { below: with_done.peekable(), above: doing.into_iter().flatten().peekable() }
    }

    fn last(&self, mut range: Range) -> Run<Option<(Self::Bytes<'_>, Self::Bytes<'_>)>> {
        loop {
            let below = self.view.last(range.clone())?.map(stored);
            let changed = [&self.done, &self.doing].into_iter();
            let changed =
                changed.filter_map(|changes| within(changes, &range)?.next_back()).map(|(key, _)| key).max();
            let Some(changed) =
                changed.filter(|key| below.as_ref().is_none_or(|(row, _)| row.as_ref() <= key.as_slice()))
            else {
                return Ok(below);
            };
            if let Some(value) = self.get(changed)? {
                return Ok(Some((Drafted::New(changed.clone()), value)));
            }
            range.to.clone_from(changed);
        }
    }
}

fn stored<B>((key, value): (B, B)) -> (Drafted<B>, Drafted<B>) {
    (Drafted::Stored(key), Drafted::Stored(value))
}

/// The changes in a range; `None` if it is empty, since the map would not take it.
pub(crate) fn within<'a>(
    changes: &'a Changes,
    range: &Range,
) -> Option<btree_map::Range<'a, Vec<u8>, Option<Vec<u8>>>> {
    (!range.is_empty()).then(|| changes.range::<[u8], (Bound<&[u8]>, Bound<&[u8]>)>(range.bounds()))
}

/// Rows with changes laid over them.
struct Overlaid<I: Iterator, J: Iterator> {
    below: Peekable<I>,
    above: Peekable<J>,
}

impl<'a, B, I, J> Iterator for Overlaid<I, J>
where
    B: AsRef<[u8]>,
    I: Iterator<Item = Run<(Drafted<B>, Drafted<B>)>>,
    J: Iterator<Item = (&'a Vec<u8>, &'a Option<Vec<u8>>)>,
{
    type Item = I::Item;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some((change, _)) = self.above.peek() else { return self.below.next() };
            let (takes_change, hides_row) = match self.below.peek() {
                Some(Ok((row, _))) => (change.as_slice() <= row.as_ref(), change.as_slice() == row.as_ref()),
                Some(Err(_)) => (false, false),
                None => (true, false),
            };
            if hides_row {
                self.below.next();
            }
            if !takes_change {
                return self.below.next();
            }
            if let Some((key, Some(value))) = self.above.next() {
                return Some(Ok((Drafted::New(key.clone()), Drafted::New(value.clone()))));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kv::fail::Fail;
    use crate::kv::toy::{Rows, pair};

    fn rows(rows: &impl View, range: &Range) -> Vec<(Vec<u8>, Vec<u8>)> {
        rows.scan(range.clone()).map(|row| pair(row.unwrap())).collect()
    }

    proptest! {
        #[test]
        fn a_draft_reads_as_the_store_will(
            steps in prop::collection::vec((0..3_u8, 0..12_u8, any::<Option<u8>>()), 0..40),
            from in 0..12_u8,
            to in 0..12_u8,
        ) {
            let mut store = Rows::default();
            let mut model = BTreeMap::new();
            let mut in_order = steps;
            in_order.sort_by_key(|(layer, ..)| *layer);
            for (_, key, value) in in_order.iter().filter(|(layer, ..)| *layer == 0) {
                if let Some(value) = value {
                    store.insert(vec![*key], vec![*value]);
                    model.insert(vec![*key], vec![*value]);
                }
            }
            let mut draft = Draft::new(&store, 7);
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
                let last = draft.last(range.clone()).unwrap().map(pair);
                prop_assert_eq!(last.as_ref(), expected.last());
                prop_assert_eq!(rows(&draft, &range), expected);
            }
            for key in 0..12 {
                let found = draft.get(&[key]).unwrap().map(|value| value.as_ref().to_vec());
                prop_assert_eq!(found.as_ref(), model.get(&vec![key]));
            }
        }
    }
}
