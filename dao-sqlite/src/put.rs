//! The statements that put rows into the index, one row or many at a time.
//!
//! A statement costs about as much as the row that it writes, so a commit of many rows is written by few statements.

use fastsync_core::source::Expect;

/// How many rows one statement puts where there are many, the most first.
const ROWS: [usize; 3] = [32, 8, 1];

/// The most parameters of a statement.
const MAX_PARAMETERS: usize = 32_766;

/// How many of `left` rows with so many columns the next statement puts: 1 at least.
pub(crate) fn rows_at_once(left: usize, columns: usize) -> usize {
    let most = (MAX_PARAMETERS / columns.max(1)).min(left);
    ROWS.into_iter().find(|rows| *rows <= most).unwrap_or(1)
}

/// The values of so many rows: `(?, ?), (?, ?)`.
pub(crate) fn values(rows: usize, columns: usize) -> String {
    let row = format!("({})", vec!["?"; columns].join(", "));
    vec![row; rows].join(", ")
}

/// What is done about a row that is there: the write itself checks what is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Put {
    /// It is overwritten.
    Upsert,
    /// It is overwritten unless it is pending.
    UpsertClean,
    /// It stays.
    Insert,
}

/// The columns of an index row that a put sets.
pub(crate) const COLUMNS: usize = 10;

const NAMES: &str =
    "zone, type, id, session, revision, incarnation, deleted, modified_at, modified_by, change";

const SET: &str = "UPDATE SET session = max(session, excluded.session), revision = excluded.revision, \
     incarnation = excluded.incarnation, deleted = excluded.deleted, modified_at = excluded.modified_at, \
     modified_by = excluded.modified_by, change = excluded.change";

impl Put {
    /// How a write with this expectation is put; `None` if it takes an update of the row that is there.
    pub(crate) const fn of(expect: Expect) -> Option<Self> {
        match expect {
            Expect::Anything => Some(Self::Upsert),
            Expect::Change(0) => Some(Self::UpsertClean),
            Expect::Absent => Some(Self::Insert),
            Expect::Revision(_) | Expect::Change(_) => None,
        }
    }

    pub(crate) fn sql(self, rows: usize) -> String {
        let (set, only) = match self {
            Self::Upsert => (SET, ""),
            Self::UpsertClean => (SET, " WHERE r.change = 0"),
            Self::Insert => ("NOTHING", ""),
        };
        format!(
            "INSERT INTO fastsync_records AS r ({NAMES}) VALUES {} ON CONFLICT (zone, type, id) DO {set}{only}",
            values(rows, COLUMNS)
        )
    }
}

macro_rules! update {
    ($where:literal) => {
        concat!(
            "UPDATE fastsync_records SET session = max(session, ?4), revision = ?5, incarnation = ?6, ",
            "deleted = ?7, modified_at = ?8, modified_by = ?9, change = ?10 ",
            "WHERE zone = ?1 AND type = ?2 AND id = ?3 AND ",
            $where
        )
    };
}

/// Updates of the row that is there; the expected value is the last parameter.
pub(crate) const UPDATE_REVISION: &str = update!("revision = ?11 AND change = 0");
pub(crate) const UPDATE_CHANGE: &str = update!("change = ?11");
