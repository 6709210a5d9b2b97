//! What is asked of a data source, and what it finds.

use crate::model::{Position, Record, SessionId, Zone};

/// Whether to prepare types, or to say what preparing them would change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preparation {
    /// Change the storage.
    Apply,
    /// Change nothing: a dry run.
    Plan,
}

/// Records, and how many there are.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Found {
    /// The records, in order.
    pub records: Vec<Record>,
    /// Their total number, whatever the limit; `None` unless the request asked for it.
    pub total: Option<u64>,
}

/// A request for records that wait to be pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PendingRequest {
    /// Only records edited by a local commit with a greater number; 0 for all.
    pub after: u64,
    /// The most records.
    pub limit: usize,
    /// Whether to count all that wait.
    pub total: bool,
}

impl PendingRequest {
    /// The total alone, without records.
    pub const COUNT: Self = Self { after: 0, limit: 0, total: true };

    /// At most `limit` records edited after this local commit.
    #[must_use]
    pub const fn after(change: u64, limit: usize) -> Self {
        Self { after: change, limit, total: false }
    }
}

/// A request for audit entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditRequest {
    /// That of one session; none if it was not committed.
    Session(SessionId),
    /// Those of a zone's sessions, in commit order.
    Zone {
        /// The zone.
        zone: Zone,
        /// Only sessions after this position.
        after: Position,
        /// The most entries.
        limit: usize,
    },
}

/// A request for state entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateRange {
    /// The entry with this key.
    Key(String),
    /// All entries whose key begins with this text.
    Prefix(String),
}

/// A request to remove what is no longer needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purge {
    /// Tombstones.
    Tombstones {
        /// Of this zone.
        zone: Zone,
        /// Only those written at or below this position.
        through: Position,
    },
    /// Staged batches: of one session, or of all.
    Staged(Option<SessionId>),
}
