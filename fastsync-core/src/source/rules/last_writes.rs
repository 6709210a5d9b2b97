//! Which write of a key counts.

use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::hash::BuildHasher;

use crate::model::RecordKey;

/// Which of the staged writes of a key counts: the last one, or none if one that was given with the commit replaces it. `A` is
/// a write's place.
///
/// It knows a key by two hashes with random keys, so that a commit of any size is looked through in memory that does not
/// depend on how long keys are: that two keys share both does not happen.
///
/// ```
/// use fastsync_core::source::rules::LastWrites;
/// use fastsync_core::{ObjectId, RecordKey, TypeName, Zone};
///
/// let key = |id: &str| -> fastsync_core::Result<RecordKey> {
///     let (type_name, id) = (TypeName::new("notes")?, ObjectId::new(id)?);
///     Ok(RecordKey { zone: Zone::Global, type_name, id })
/// };
/// let mut last = LastWrites::default();
/// last.replace(&key("c")?);
/// for (at, id) in ["a", "b", "a", "c"].into_iter().enumerate() {
///     last.note(&key(id)?, at);
/// }
/// assert!(last.is_superseded(&key("a")?, 0) && !last.is_superseded(&key("a")?, 2));
/// assert!(!last.is_superseded(&key("b")?, 1) && last.is_superseded(&key("c")?, 3));
/// # Ok::<(), fastsync_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct LastWrites<A> {
    hashers: [RandomState; 2],
    last: HashMap<(u64, u64), Option<A>>,
}

impl<A> Default for LastWrites<A> {
    fn default() -> Self {
        Self { hashers: [RandomState::new(), RandomState::new()], last: HashMap::new() }
    }
}

impl<A: PartialEq> LastWrites<A> {
    /// No staged write of this key counts, from here on.
    pub fn replace(&mut self, key: &RecordKey) {
        self.last.insert(self.hash(key), None);
    }

    /// Notes a staged write. Of one key, the later one comes later.
    pub fn note(&mut self, key: &RecordKey, at: A) {
        match self.last.entry(self.hash(key)) {
            Entry::Vacant(entry) => drop(entry.insert(Some(at))),
            Entry::Occupied(mut entry) => {
                if let Some(last) = entry.get_mut() {
                    *last = at;
                }
            }
        }
    }

    /// Whether another write of the key counts in place of this one: a later one that was noted, or one that replaces all.
    /// Of a key that was not noted, every write counts.
    pub fn is_superseded(&self, key: &RecordKey, at: A) -> bool {
        self.last.get(&self.hash(key)).is_some_and(|last| *last != Some(at))
    }

    /// Whether a write counts, of writes that come from the last one to the first. It is not to be mixed with
    /// [`Self::note`].
    pub fn counts_from_the_end(&mut self, key: &RecordKey) -> bool {
        self.last.insert(self.hash(key), None).is_none()
    }

    fn hash(&self, key: &RecordKey) -> (u64, u64) {
        let [one, two] = &self.hashers;
        (one.hash_one(key), two.hash_one(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ObjectId, TypeName, Zone};

    fn key(id: &str) -> RecordKey {
        let (type_name, id) = (TypeName::new("notes").unwrap(), ObjectId::new(id).unwrap());
        RecordKey { zone: Zone::Global, type_name, id }
    }

    /// Fails if the two ways to look through a commit, forwards and backwards, choose other writes.
    #[test]
    fn both_directions_agree() {
        let staged = ["a", "b", "a", "c", "b", "a", "d"];
        let replaced = ["d", "e"];
        let (mut forwards, mut backwards) = (LastWrites::default(), LastWrites::<usize>::default());
        for id in replaced {
            forwards.replace(&key(id));
            backwards.replace(&key(id));
        }
        staged.iter().enumerate().for_each(|(at, id)| forwards.note(&key(id), at));
        let one: Vec<_> =
            (0..staged.len()).filter(|at| !forwards.is_superseded(&key(staged[*at]), *at)).collect();
        let mut two: Vec<_> =
            (0..staged.len()).rev().filter(|at| backwards.counts_from_the_end(&key(staged[*at]))).collect();
        two.reverse();
        assert_eq!((one, two), (vec![3, 4, 5], vec![3, 4, 5]));
        assert!(!forwards.is_superseded(&key("x"), 0), "it was not noted");
    }
}
