//! Statements about many rows.

use crate::sql::chunk::split_rows;
use crate::sql::dialect::{Lists, Upsert};
use crate::sql::driver::Link;
use crate::sql::fail::{Fail, Run};
use crate::sql::statement::Sql;

/// A statement about any number of rows.
pub(crate) struct Many<'a> {
    /// What stands before and after the rows.
    pub(crate) around: (&'a str, &'a str),
    /// How many places a row has.
    pub(crate) columns: usize,
    /// Whether the rows are inserted, not listed.
    pub(crate) inserts: bool,
}

impl<'a> Many<'a> {
    /// An insert of rows.
    pub(crate) const fn insert(begin: &'a str, columns: usize, end: &'a str) -> Self {
        Self { around: (begin, end), columns, inserts: true }
    }

    /// Runs it over all rows, a part of them at a time; answers how many rows it changed.
    pub(crate) async fn execute<L: Link, R: Sync>(
        self,
        link: &mut L,
        rows: &[R],
        bind: impl Fn(&mut Sql<L::Arguments>, &R) + Send,
    ) -> Run<u64> {
        self.within(link, rows, (usize::MAX, |_: &R| 0), bind).await
    }

    /// As [`Self::execute`], with no more than so many bytes at a time.
    pub(crate) async fn within<L: Link, R: Sync>(
        self,
        link: &mut L,
        rows: &[R],
        (most, bytes): (usize, impl Fn(&R) -> usize + Send),
        bind: impl Fn(&mut Sql<L::Arguments>, &R) + Send,
    ) -> Run<u64> {
        let (begin, end) = self.around;
        let dialect = link.dialect();
        let mut written = 0_u64;
        let mut rest = rows;
        while !rest.is_empty() {
            let (now, later) = split_rows(dialect, rest, self.columns, (most, &bytes));
            rest = later;
            let mut sql = Sql::new(begin);
            if self.inserts && matches!(dialect.lists, Lists::Places(_)) {
                sql.push("VALUES ");
            }
            sql.push_rows(dialect, now, self.columns, &bind).push(end);
            written = written.saturating_add(sql.execute(link).await?.rows);
        }
        Ok(written)
    }
}

/// What an insert of rows with [`passing_over`](crate::sql::Dialect::passing_over) came to: `Moved` if not all of them were
/// new, since somebody else has inserted one meanwhile.
pub(crate) fn all_new<L: Link>(link: &L, written: Run<u64>, rows: usize) -> Run<()> {
    let written = written.map_err(Fail::or_moved)?;
    match link.dialect().forms.upsert {
        Upsert::OnConflict if Ok(written) != u64::try_from(rows) => Err(Fail::Moved),
        _ => Ok(()),
    }
}
