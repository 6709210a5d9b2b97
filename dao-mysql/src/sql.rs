//! Statements: their text and what is bound to it.
//!
//! Names in a text come from registered schemas only; every value is bound.

use std::fmt::Write as _;

use futures_util::TryStreamExt as _;
use sqlx::mysql::{MySqlArguments, MySqlQueryResult, MySqlRow};
use sqlx::{Arguments as _, AssertSqlSafe, Encode, MySql, MySqlConnection, Row as _, Type as SqlType};

use uuid::Uuid;

use crate::error::{Fail, Run};

/// The most rows that one statement asks for by their keys, and the most keys that one removes.
pub(crate) const MAX_ROWS: usize = 512;

/// The most rows that one statement writes: a quarter of a thousand. Every connection prepares its statements for
/// itself and is told of every placeholder then, so a statement of thousands of them costs as much as what it writes.
const MAX_WRITTEN: usize = 250;

/// The most placeholders that one statement has.
pub(crate) const MAX_PLACEHOLDERS: usize = 65_535;

/// A statement under construction.
#[derive(Debug, Default)]
pub(crate) struct Sql {
    text: String,
    arguments: MySqlArguments,
    failed: bool,
}

impl Sql {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    pub(crate) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Binds the next placeholder that stands in the text already.
    pub(crate) fn add<'v, T: Encode<'v, MySql> + SqlType<MySql>>(&mut self, value: T) -> &mut Self {
        self.failed |= self.arguments.add(value).is_err();
        self
    }

    /// Binds the next placeholders that stand in the text already.
    pub(crate) fn add_all<'v, T>(&mut self, values: impl IntoIterator<Item = T>) -> &mut Self
    where
        T: Encode<'v, MySql> + SqlType<MySql>,
    {
        for value in values {
            self.add(value);
        }
        self
    }

    /// [`Self::add`] for a chain of calls.
    #[must_use]
    pub(crate) fn bind<'v, T: Encode<'v, MySql> + SqlType<MySql>>(mut self, value: T) -> Self {
        self.add(value);
        self
    }

    /// Appends a placeholder and binds it.
    pub(crate) fn push_bind<'v, T: Encode<'v, MySql> + SqlType<MySql>>(&mut self, value: T) -> &mut Self {
        self.text.push('?');
        self.add(value)
    }

    /// Appends `(?, ?, ...)` for a list of texts, which is not empty. The list is filled up with its last text to a
    /// length that is used often, so that the server has seen the statement before.
    pub(crate) fn push_list<'v>(&mut self, texts: impl ExactSizeIterator<Item = &'v str>) -> &mut Self {
        let length = texts.len().next_power_of_two();
        self.push(&marks(length));
        let mut added = 0_usize;
        let mut last = "";
        for text in texts {
            self.add(text);
            last = text;
            added = added.saturating_add(1);
        }
        for _ in added..length {
            self.add(last);
        }
        self
    }

    fn query(self) -> Run<sqlx::query::Query<'static, MySql, MySqlArguments>> {
        if self.failed {
            return Err(Fail::invalid("bind", "a value cannot be sent to the server"));
        }
        Ok(sqlx::query_with(AssertSqlSafe(self.text), self.arguments))
    }

    pub(crate) async fn execute(self, connection: &mut MySqlConnection) -> Run<MySqlQueryResult> {
        Ok(self.query()?.execute(connection).await?)
    }

    pub(crate) async fn all(self, connection: &mut MySqlConnection) -> Run<Vec<MySqlRow>> {
        Ok(self.query()?.fetch_all(connection).await?)
    }

    /// Hands over every row as it comes, while the server is still making the next ones.
    pub(crate) async fn each(
        self,
        connection: &mut MySqlConnection,
        mut take: impl FnMut(&MySqlRow) -> Run<()> + Send,
    ) -> Run<()> {
        let mut rows = self.query()?.fetch(connection);
        while let Some(row) = rows.try_next().await? {
            take(&row)?;
        }
        Ok(())
    }

    pub(crate) async fn first(self, connection: &mut MySqlConnection) -> Run<Option<MySqlRow>> {
        Ok(self.all(connection).await?.into_iter().next())
    }
}

/// `(?, ?, ...)`.
pub(crate) fn marks(count: usize) -> String {
    let mut text = String::with_capacity(count.saturating_mul(2).saturating_add(2));
    text.push('(');
    for at in 0..count {
        text.push_str(if at == 0 { "?" } else { ",?" });
    }
    text.push(')');
    text
}

/// `(?, ...), (?, ...), ...`.
pub(crate) fn rows_of_marks(rows: usize, columns: usize) -> String {
    let row = marks(columns);
    let mut text = String::with_capacity(rows.saturating_mul(row.len().saturating_add(1)));
    for at in 0..rows {
        let _ = write!(text, "{}{row}", if at == 0 { "" } else { "," });
    }
    text
}

/// How many of `left` rows the next statement takes: as many as it may, or a power of two, so that few statements are
/// prepared; within the limits of rows and placeholders.
pub(crate) fn rows_at_once(left: usize, columns: usize) -> usize {
    let limit = MAX_WRITTEN.min(MAX_PLACEHOLDERS / columns.max(1)).max(1);
    if left >= limit { limit } else { 1 << left.max(1).ilog2() }
}

/// A column of a row as a whole number.
pub(crate) fn number(row: &MySqlRow, at: usize) -> Run<u64> {
    Ok(row.try_get_unchecked::<u64, _>(at)?)
}

/// A column of a row as bytes, whatever its character set; `None` if it is null.
pub(crate) fn bytes(row: &MySqlRow, at: usize) -> Run<Option<&[u8]>> {
    Ok(row.try_get_unchecked::<Option<&[u8]>, _>(at)?)
}

/// A column of a row as text.
pub(crate) fn text(row: &MySqlRow, at: usize) -> Run<&str> {
    let bytes = bytes(row, at)?.unwrap_or_default();
    std::str::from_utf8(bytes).map_err(|_| Fail::corrupt("a text of the database is not UTF-8"))
}

/// A column of 16 bytes.
pub(crate) fn uuid(row: &MySqlRow, at: usize) -> Run<Uuid> {
    let bytes = bytes(row, at)?.unwrap_or_default();
    Uuid::from_slice(bytes).map_err(|_| Fail::corrupt("an id of 16 bytes has another length"))
}

/// A registered name as an identifier. Names are letters, digits and `_`, so nothing has to be escaped.
pub(crate) fn quoted(name: impl std::fmt::Display) -> String {
    format!("`{name}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_cut_into_few_sizes_within_the_limits() {
        assert_eq!([1, 3, 124, 125, 1_000].map(|left| rows_at_once(left, 10)), [1, 2, 64, 64, 250]);
        assert_eq!([50, 1_000].map(|left| rows_at_once(left, 1_000)), [32, 65]);
        assert_eq!(rows_at_once(0, 0), 1);
    }
}
