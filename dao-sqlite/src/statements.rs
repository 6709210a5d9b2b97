//! The prepared statements of one commit.

use rusqlite::CachedStatement;

use crate::connection::Store;
use crate::error::{Fail, Run};
use crate::put::Put;

/// Which statement it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// Puts so many rows of the index.
    Put(Put, usize),
    /// Writes so many rows of a type.
    Upsert(i64, usize),
    /// Removes a row of a type.
    Delete(i64),
    LookUp,
    UpdateRevision,
    UpdateChange,
}

/// Each is prepared when it is first needed. There are few, so a list is the fastest map.
pub(crate) struct Statements<'a> {
    store: &'a Store,
    all: Vec<(Which, CachedStatement<'a>)>,
}

impl<'a> Statements<'a> {
    pub(crate) const fn new(store: &'a Store) -> Self {
        Self { store, all: Vec::new() }
    }

    pub(crate) fn get(
        &mut self,
        which: Which,
        sql: impl FnOnce() -> String,
    ) -> Run<&mut CachedStatement<'a>> {
        let at = match self.all.iter().position(|(of, _)| *of == which) {
            Some(at) => at,
            None => {
                self.all.push((which, self.store.connection.prepare_cached(&sql())?));
                self.all.len() - 1
            }
        };
        self.all.get_mut(at).map(|(_, statement)| statement).ok_or_else(|| Fail::corrupt("no statement"))
    }
}
