//! Statements about many rows.

use crate::sql::chunk::split_rows;
use crate::sql::driver::Link;
use crate::sql::fail::Run;
use crate::sql::statement::{Sql, rows_of_marks};

/// A statement about any number of rows, which stand in it as `(?, ...), ...`.
pub(crate) struct Many<'a> {
    /// What stands before and after the rows.
    pub(crate) around: (&'a str, &'a str),
    /// How many places a row has.
    pub(crate) columns: usize,
}

impl Many<'_> {
    /// Runs it over all rows, a part of them at a time.
    pub(crate) async fn execute<L: Link, R: Sync>(
        self,
        link: &mut L,
        rows: &[R],
        bind: impl Fn(&mut Sql<L::Arguments>, &R) + Send,
    ) -> Run<()> {
        self.within(link, rows, (usize::MAX, |_: &R| 0), bind).await
    }

    /// As [`Self::execute`], with no more than so many bytes at a time.
    pub(crate) async fn within<L: Link, R: Sync>(
        self,
        link: &mut L,
        rows: &[R],
        (most, bytes): (usize, impl Fn(&R) -> usize + Send),
        bind: impl Fn(&mut Sql<L::Arguments>, &R) + Send,
    ) -> Run<()> {
        let (begin, end) = self.around;
        let mut rest = rows;
        while !rest.is_empty() {
            let (now, later) = split_rows(link.dialect(), rest, self.columns, (most, &bytes));
            rest = later;
            let mut sql = Sql::new(begin);
            sql.push(&rows_of_marks(now.len(), self.columns)).push(end);
            now.iter().for_each(|row| bind(&mut sql, row));
            sql.execute(link).await?;
        }
        Ok(())
    }
}
