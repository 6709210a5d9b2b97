//! How much goes together: the records of a page, the writes of a staged part.

use crate::source::{PageLimits, Write};

/// How much of a page is taken.
#[derive(Debug, Clone)]
pub struct Room {
    limits: PageLimits,
    records: usize,
    bytes: usize,
}

impl Room {
    /// An empty page.
    #[must_use]
    pub const fn new(limits: PageLimits) -> Self {
        Self { limits, records: 0, bytes: 0 }
    }

    /// About how many bytes the records have that it took.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes the next record, of about so many bytes; `false` if the page ends before it. The first one always fits.
    pub fn takes(&mut self, bytes: usize) -> bool {
        let sum = self.bytes.saturating_add(bytes);
        if self.records > 0 && (self.records >= self.limits.records || sum > self.limits.bytes) {
            return false;
        }
        self.bytes = sum;
        self.records = self.records.saturating_add(1);
        true
    }
}

/// Cuts a batch into parts of about at most so many bytes. A write counts as its record's bytes and `each` more. There is at
/// least one part, and a write that is larger is one alone.
pub fn cut(writes: &[Write], most: usize, each: usize) -> impl Iterator<Item = &[Write]> {
    let mut rest = Some(writes);
    std::iter::from_fn(move || {
        let writes = rest.take()?;
        let mut room = Room::new(PageLimits { records: usize::MAX, bytes: most });
        let fits = |write: &&Write| room.takes(write.approximate_bytes().saturating_add(each));
        let (part, after) = writes.split_at(writes.iter().take_while(fits).count());
        rest = Some(after).filter(|after| !after.is_empty());
        Some(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Action, Expect, OnMismatch};
    use crate::{Incarnation, ObjectId, RecordKey, Revision, TypeName, Zone};

    #[test]
    fn a_page_takes_one_record_and_no_more_than_fit() {
        let taken = |records, bytes, sizes: &[usize]| {
            let mut room = Room::new(PageLimits { records, bytes });
            sizes.iter().take_while(|size| room.takes(**size)).count()
        };
        assert_eq!(taken(2, 100, &[10, 10, 10]), 2);
        assert_eq!(taken(0, 0, &[10, 10]), 1);
        assert_eq!(taken(9, 100, &[60, 40, 1]), 2);
        assert_eq!(taken(9, 100, &[101, 1]), 1);
        assert_eq!(taken(9, usize::MAX, &[usize::MAX, usize::MAX]), 2);
    }

    #[test]
    fn parts_have_everything_once_and_at_most_what_fits() {
        let write = |id: u32| Write {
            action: Action::Acknowledge {
                key: RecordKey {
                    zone: Zone::Global,
                    type_name: TypeName::new("notes").unwrap(),
                    id: ObjectId::new(id.to_string()).unwrap(),
                },
                change: 1,
                revision: Revision::from_bits(1),
                incarnation: Incarnation::from_bits(1),
            },
            expect: Expect::Anything,
            on_mismatch: OnMismatch::Abort,
        };
        let writes: Vec<_> = (0..10).map(write).collect();
        let size = writes[0].approximate_bytes() + 8;
        for (most, lengths) in [(3 * size, vec![3, 3, 3, 1]), (10 * size, vec![10]), (1, vec![1; 10])] {
            let parts: Vec<_> = cut(&writes, most, 8).collect();
            assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), lengths);
            assert_eq!(parts.concat(), writes);
        }
        assert_eq!(cut(&[], 1, 8).collect::<Vec<_>>(), [&[] as &[Write]]);
    }
}
