//! What the server says of a table's columns.

use sqlx::MySqlConnection;

use crate::error::Run;
use crate::sql::{Sql, bytes, number, quoted, text};

/// A column of a table.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// As the server calls it: a column that is to be renamed has its later name in `name`.
    pub(crate) stored: String,
    /// Such as `varchar`.
    pub(crate) data_type: String,
    /// Such as `bigint(20) unsigned`.
    pub(crate) full_type: String,
    /// Empty if it is not text.
    pub(crate) charset: String,
    pub(crate) collation: String,
    /// The most characters or bytes; 0 for other types.
    pub(crate) length: u64,
    pub(crate) nullable: bool,
    pub(crate) has_default: bool,
    pub(crate) is_generated: bool,
    pub(crate) is_primary: bool,
}

impl Column {
    /// The column as it is, but that it may be null.
    pub(crate) fn with_nulls(&self) -> String {
        let Self { name, full_type, charset, collation, .. } = self;
        let text = if charset.is_empty() {
            String::new()
        } else {
            format!(" CHARACTER SET {charset} COLLATE {collation}")
        };
        format!("{} {full_type}{text} NULL", quoted(name))
    }
}

/// The columns of a table; none if it is not there.
pub(crate) async fn columns(connection: &mut MySqlConnection, table: &str) -> Run<Vec<Column>> {
    let select = "SELECT column_name, data_type, column_type, character_set_name, collation_name, \
                  CAST(COALESCE(character_maximum_length, 0) AS UNSIGNED), is_nullable = 'YES', \
                  column_default IS NOT NULL, extra, column_key = 'PRI' \
                  FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = ? \
                  ORDER BY ordinal_position";
    let mut columns = Vec::new();
    for row in Sql::new(select).bind(table).all(connection).await? {
        let text_or_none =
            |at| bytes(&row, at).map(|found| found.map(String::from_utf8_lossy).unwrap_or_default());
        let extra = text(&row, 8)?.to_ascii_lowercase();
        columns.push(Column {
            name: text(&row, 0)?.to_owned(),
            stored: text(&row, 0)?.to_owned(),
            data_type: text(&row, 1)?.to_ascii_lowercase(),
            full_type: text(&row, 2)?.to_ascii_lowercase(),
            charset: text_or_none(3)?.into_owned(),
            collation: text_or_none(4)?.into_owned(),
            length: number(&row, 5)?,
            nullable: number(&row, 6)? == 1,
            // MySQL says `DEFAULT_GENERATED` of a column whose default is an expression.
            has_default: number(&row, 7)? == 1 || extra.contains("auto_increment"),
            is_generated: extra.contains("virtual generated")
                || extra.contains("stored generated")
                || extra.contains("persistent"),
            is_primary: number(&row, 9)? == 1,
        });
    }
    Ok(columns)
}
