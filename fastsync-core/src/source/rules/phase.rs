//! The order of the writes of a commit.

use crate::schema::TypeSchema;

/// One round over the writes of a commit, for tables that refer to each other: parents are written before their children and
/// deleted after them. Phases are done in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Phase {
    is_deletion: bool,
    rank: i64,
}

impl Phase {
    /// The round of a type's puts, or of its deletions.
    #[must_use]
    pub fn of(schema: &TypeSchema, is_deletion: bool) -> Self {
        let priority = i64::from(schema.priority());
        Self { is_deletion, rank: if is_deletion { -priority } else { priority } }
    }

    /// Whether it is a round of deletions.
    #[must_use]
    pub const fn is_deletion(&self) -> bool {
        self.is_deletion
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_are_written_first_and_deleted_last() {
        let of = |priority| TypeSchema::builder("notes", "id").priority(priority).build().unwrap();
        let (parent, child) = (of(0), of(5));
        let mut phases: Vec<_> =
            [&child, &parent].iter().flat_map(|schema| [true, false].map(|d| Phase::of(schema, d))).collect();
        phases.sort();
        let order = [(&parent, false), (&child, false), (&child, true), (&parent, true)];
        assert_eq!(phases, order.map(|(schema, is_deletion)| Phase::of(schema, is_deletion)));
        assert!(Phase::of(&parent, true).is_deletion() && !Phase::of(&parent, false).is_deletion());
    }
}
