//! What is asked of a data source, and what it finds.

use crate::model::{Position, Record, SessionId, Zone};

/// Whether types are prepared, or it is only said what that would change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preparation {
    /// The storage is changed.
    Apply,
    /// A dry run.
    Plan,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Found {
    /// The records, in order.
    pub records: Vec<Record>,
    /// How many there are in all, if it was asked.
    pub total: Option<u64>,
}

/// Which records that wait to be pushed to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PendingRequest {
    /// Only those edited by a later local commit than this one; 0 for all.
    pub after: u64,
    /// The most records.
    pub limit: usize,
    /// Whether to count all that wait.
    pub total: bool,
}

impl PendingRequest {
    /// How many there are, and none of them.
    pub const COUNT: Self = Self { after: 0, limit: 0, total: true };

    /// At most `limit` of those after this local commit.
    #[must_use]
    pub const fn after(change: u64, limit: usize) -> Self {
        Self { after: change, limit, total: false }
    }
}

/// Which audit entries to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditRequest {
    /// The one of this session, if it was committed.
    Session(SessionId),
    /// Those of a zone, in commit order.
    Zone {
        /// The zone.
        zone: Zone,
        /// Those after this position.
        after: Position,
        /// The most entries.
        limit: usize,
    },
}

/// Which state entries to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateRange {
    /// The one of this key.
    Key(String),
    /// All whose key begins with this text.
    Prefix(String),
}

/// What to remove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purge {
    /// Tombstones.
    Tombstones {
        /// Of this zone.
        zone: Zone,
        /// Those written at or below this position.
        through: Position,
    },
    /// Staged batches: of one session, or of all.
    Staged(Option<SessionId>),
}
