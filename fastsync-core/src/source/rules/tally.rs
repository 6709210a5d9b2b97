//! What a session has written.

use std::collections::{BTreeMap, BTreeSet};

/// How many records a session has put, by type and zone: for the zones that it gets a position of, for its audit entry, and
/// for the number of a local commit. An acknowledgement and a clear are not counted.
///
/// `Z` and `T` are how a data source names zones and types.
#[derive(Debug, Clone)]
pub struct Tally<Z, T> {
    counts: BTreeMap<T, BTreeMap<Z, u64>>,
    edits: u64,
}

impl<Z, T> Default for Tally<Z, T> {
    fn default() -> Self {
        Self { counts: BTreeMap::new(), edits: 0 }
    }
}

impl<Z: Ord + Clone, T: Ord + Clone> Tally<Z, T> {
    /// Counts a put, which may wait to be pushed.
    pub fn put(&mut self, zone: &Z, kind: &T, pending: bool) {
        self.puts(zone, kind, 1, pending);
    }

    /// Counts several puts of one sort.
    pub fn puts(&mut self, zone: &Z, kind: &T, records: u64, pending: bool) {
        // Names are cloned when they are met first.
        let zones = match self.counts.get_mut(kind) {
            Some(zones) => zones,
            None => self.counts.entry(kind.clone()).or_default(),
        };
        match zones.get_mut(zone) {
            Some(count) => *count = count.saturating_add(records),
            None => drop(zones.insert(zone.clone(), records)),
        }
        self.edits = self.edits.saturating_add(if pending { records } else { 0 });
    }

    /// Takes a put back that was left out after all.
    pub fn take_back(&mut self, zone: &Z, kind: &T, pending: bool) {
        let count = self.counts.get_mut(kind).and_then(|zones| zones.get_mut(zone));
        if let Some(count) = count {
            *count = count.saturating_sub(1);
            self.edits = self.edits.saturating_sub(u64::from(pending));
        }
    }

    /// The zones that a record was put into.
    #[must_use]
    pub fn zones(&self) -> BTreeSet<Z> {
        let zones = self.counts.values().flatten().filter(|(_, count)| **count > 0);
        zones.map(|(zone, _)| zone.clone()).collect()
    }

    /// How many records of each type were put.
    #[must_use]
    pub fn by_type(&self) -> Vec<(T, u64)> {
        let sum =
            |zones: &BTreeMap<Z, u64>| zones.values().fold(0_u64, |sum, count| sum.saturating_add(*count));
        let types = self.counts.iter().map(|(kind, zones)| (kind.clone(), sum(zones)));
        types.filter(|(_, count)| *count > 0).collect()
    }

    /// Whether any of them waits to be pushed: then the commit has a number of its own.
    #[must_use]
    pub const fn has_edits(&self) -> bool {
        self.edits > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_back_was_never_put() {
        let mut tally = Tally::default();
        tally.put(&"north", &"notes", false);
        tally.put(&"south", &"notes", true);
        tally.puts(&"north", &"tasks", 2, false);
        assert_eq!(tally.zones(), BTreeSet::from(["north", "south"]));
        assert_eq!(tally.by_type(), [("notes", 2), ("tasks", 2)]);
        assert!(tally.has_edits());
        tally.take_back(&"south", &"notes", true);
        tally.take_back(&"north", &"notes", false);
        tally.take_back(&"west", &"notes", true);
        assert_eq!(tally.zones(), BTreeSet::from(["north"]));
        assert_eq!(tally.by_type(), [("tasks", 2)]);
        assert!(!tally.has_edits());
    }
}
