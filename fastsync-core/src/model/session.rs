//! Sessions and their place in a zone's history.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::model::{DeviceId, SessionId, Timestamp, TypeName, Zone};

/// A session's place in its zone's commit order: 1, 2, 3, ... A reader that sees position n sees every session
/// at or below n. 0 is the beginning, before the first session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(pub u64);

impl Position {
    /// Before the first session.
    pub const START: Self = Self(0);

    /// The position after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// 64 random bits of a session: `(position, tag)` names one point of one history, so that a restored backup or
/// a lagging copy is noticed.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tag(pub u64);

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Why a session was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SessionKind {
    /// A server accepts what a device pushed.
    Push,
    /// The server application itself writes through a repository.
    Direct,
    /// The application edits a client's store.
    Edit,
    /// A client stores what the server sent, or what became of its push.
    Apply,
}

impl SessionKind {
    /// The name that it is stored under.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Direct => "direct",
            Self::Edit => "edit",
            Self::Apply => "apply",
        }
    }

    /// The kind of this name.
    ///
    /// # Errors
    /// `Corrupt` if the name is unknown.
    pub fn from_name(name: &str) -> Result<Self> {
        let all = [Self::Push, Self::Direct, Self::Edit, Self::Apply];
        let found = all.into_iter().find(|kind| kind.name() == name);
        found.ok_or_else(|| Error::new(ErrorKind::Corrupt, "decode", "a session is of an unknown kind"))
    }
}

/// Who wrote a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Author {
    /// The authenticated user; `None` where there is none (a local edit).
    pub user: Option<String>,
    /// The device.
    pub device: DeviceId,
    /// The device's number of the push; 0 where it is not a push.
    pub number: u64,
}

/// The audit entry of a committed session: who, when, from which device, what and how much.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionSummary {
    /// The session.
    pub id: SessionId,
    /// Why it was written.
    pub kind: SessionKind,
    /// Who wrote it.
    pub author: Author,
    /// When it was committed, by the clock of the committing process.
    pub committed_at: Timestamp,
    /// Its place in each zone that it wrote to.
    pub positions: Vec<(Zone, Position)>,
    /// How many records of each type it wrote (deletions included).
    pub counts: Vec<(TypeName, u64)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails if a kind is stored under another name by one data source than by another: some store the name, some the entry.
    #[test]
    fn a_kind_has_one_name_however_it_is_stored() {
        let kinds = [SessionKind::Push, SessionKind::Direct, SessionKind::Edit, SessionKind::Apply];
        let names = ["push", "direct", "edit", "apply"];
        for (kind, name) in kinds.into_iter().zip(names) {
            assert_eq!((kind.name(), serde_json::to_value(kind).unwrap()), (name, name.into()));
            assert_eq!(SessionKind::from_name(name).unwrap(), kind);
        }
        assert_eq!(SessionKind::from_name("Push").unwrap_err().kind(), ErrorKind::Corrupt);
    }
}
