//! A type of the simulations as a later release of the application has it.

use fastsync_core::SyncableObject;

use super::{Mergeable, union};

/// A [`Note`](super::Note) of the next release: a field has another name, and one is new.
#[derive(Debug, Clone, PartialEq, Eq, SyncableObject)]
#[syncable(name = "notes", version = 2, priority = 5, restricted)]
pub struct LaterNote {
    /// The id.
    #[syncable(id)]
    pub id: String,
    /// Text that grows by tokens only.
    #[syncable(was = "tokens")]
    pub words: String,
    /// Text that grows by tokens only, which the release before does not know.
    pub marks: String,
}

impl Mergeable for LaterNote {
    fn merge(&self, other: &Self) -> Self {
        Self {
            id: self.id.clone(),
            words: union(&self.words, &other.words),
            marks: union(&self.marks, &other.marks),
        }
    }
}
