//! What the server says of a table's columns.

use std::fmt;

use fastsync_core::Decimal;
use sqlx::MySqlConnection;

use crate::error::Run;
use crate::sql::{Sql, bytes, number, quoted, text};

/// The type of a column that holds every decimal number.
pub(crate) const DECIMAL: &str = "DECIMAL(56,28)";

/// A placeholder that is a decimal number.
pub(crate) const DECIMAL_MARK: &str = "CAST(? AS DECIMAL(56,28))";

/// How many digits a decimal column holds before and behind the point.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Digits {
    pub(crate) whole: u64,
    pub(crate) scale: u64,
}

impl Digits {
    /// Whether every number fits.
    pub(crate) fn hold_all(self) -> bool {
        self.whole >= Decimal::MAX_DIGITS.into() && self.scale >= Decimal::MAX_SCALE.into()
    }

    /// Whether the column holds the number as it is.
    pub(crate) fn hold(self, number: Decimal) -> bool {
        let whole = number.mantissa().unsigned_abs() / 10_u128.pow(number.scale());
        let digits = if whole == 0 { 0 } else { u64::from(whole.ilog10()).saturating_add(1) };
        digits <= self.whole && u64::from(number.scale()) <= self.scale
    }
}

impl fmt::Display for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DECIMAL({},{})", self.whole.saturating_add(self.scale), self.scale)
    }
}

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
    /// None for types that are not decimal.
    pub(crate) digits: Digits,
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
                  column_default IS NOT NULL, extra, column_key = 'PRI', \
                  CAST(COALESCE(numeric_precision, 0) AS UNSIGNED), CAST(COALESCE(numeric_scale, 0) AS UNSIGNED) \
                  FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = ? \
                  ORDER BY ordinal_position";
    let mut columns = Vec::new();
    for row in Sql::new(select).bind(table).all(connection).await? {
        let text_or_none =
            |at| bytes(&row, at).map(|found| found.map(String::from_utf8_lossy).unwrap_or_default());
        let (precision, scale) = (number(&row, 10)?, number(&row, 11)?);
        let extra = text(&row, 8)?.to_ascii_lowercase();
        columns.push(Column {
            name: text(&row, 0)?.to_owned(),
            stored: text(&row, 0)?.to_owned(),
            data_type: text(&row, 1)?.to_ascii_lowercase(),
            full_type: text(&row, 2)?.to_ascii_lowercase(),
            charset: text_or_none(3)?.into_owned(),
            collation: text_or_none(4)?.into_owned(),
            length: number(&row, 5)?,
            digits: Digits { whole: precision.saturating_sub(scale), scale },
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_holds_what_has_no_more_digits() {
        let digits = Digits { whole: 3, scale: 2 };
        for (number, is_held) in [
            ("0", true),
            ("999.99", true),
            ("-999.9", true),
            ("1000", false),
            ("0.001", false),
            ("-0.25", true),
        ] {
            assert_eq!(digits.hold(number.parse().unwrap()), is_held, "{number}");
        }
        assert!(!digits.hold_all() && Digits { whole: 28, scale: 28 }.hold_all());
        assert!(Digits { whole: 0, scale: 2 }.hold("0.25".parse().unwrap()));
        assert_eq!(digits.to_string(), "DECIMAL(5,2)");
    }
}
