//! A range of keys.

use std::ops::Bound;

/// Keys from `from` up to but not including `to`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Range {
    /// The first key, or the one before it.
    pub from: Bound<Vec<u8>>,
    /// The first key that is no longer in the range.
    pub to: Vec<u8>,
}

impl Range {
    /// Whether no key can be in it: it ends before it begins.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match &self.from {
            Bound::Included(from) | Bound::Excluded(from) => *from >= self.to,
            Bound::Unbounded => self.to.is_empty(),
        }
    }

    /// Both ends, as maps and engines take them. Some panic where the range [is empty](Self::is_empty).
    #[must_use]
    pub fn bounds(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        (self.from.as_ref().map(Vec::as_slice), Bound::Excluded(&self.to))
    }

    /// Every key that begins so.
    pub(crate) fn prefix(prefix: Vec<u8>) -> Self {
        Self { to: after(prefix.clone()), from: Bound::Included(prefix) }
    }

    /// Every key of the prefix that is greater.
    pub(crate) fn following(prefix: Vec<u8>, key: Vec<u8>) -> Self {
        Self { to: after(prefix), from: Bound::Excluded(key) }
    }
}

/// The first key after those that begin so. (Tags are letters, so there is always one.)
pub(crate) fn after(mut prefix: Vec<u8>) -> Vec<u8> {
    while let Some(last) = prefix.pop() {
        if let Some(next) = last.checked_add(1) {
            prefix.push(next);
            return prefix;
        }
    }
    prefix
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_after_a_prefix_skips_its_last_255s() {
        assert_eq!(after(vec![1, 255, 255]), [2]);
        assert_eq!(after(vec![1, 2]), [1, 3]);
    }

    #[test]
    fn a_range_that_ends_where_it_begins_is_empty() {
        let range = |from, to: u8| Range { from, to: vec![to] };
        for (from, to, is_empty) in [(1, 2, false), (2, 2, true), (3, 2, true)] {
            assert_eq!(range(Bound::Included(vec![from]), to).is_empty(), is_empty);
            assert_eq!(range(Bound::Excluded(vec![from]), to).is_empty(), is_empty);
        }
    }
}
