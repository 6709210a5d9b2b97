//! What the server says of a table's columns.

use std::fmt;

use fastsync_core::Value;
use fastsync_dao_kit::sql::{Digits, Run};
use sqlx::PgConnection;

use crate::native::{MICROS, Native, is_as_fine};
use crate::sql::{Schema, integer, number, text, truth};

/// What a column of the user's own declaration holds, where that is less than every value of its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    Digits(Digits),
    /// At most so many characters; the server cuts spaces at the end without an error.
    Characters(usize),
    /// So many digits of a second; the server rounds.
    Fraction(usize),
}

impl Limit {
    /// Whether the column keeps a value as it is.
    pub(crate) fn holds(self, value: &Value) -> bool {
        match (self, value) {
            (Self::Digits(digits), Value::Decimal(number)) => digits.hold(*number),
            (Self::Characters(most), Value::Text(text) | Value::Json(text)) => {
                text.len() <= most || text.chars().count() <= most
            }
            (Self::Fraction(digits), Value::Text(text)) => is_as_fine(text, digits),
            _ => true,
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digits(Digits { whole, scale }) => {
                write!(f, "numeric({},{scale})", whole.saturating_add(*scale))
            }
            Self::Characters(most) => write!(f, "varchar({most})"),
            Self::Fraction(digits) => write!(f, "a type with {digits} digits of a second"),
        }
    }
}

/// A column of a table.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// As the server calls it: a column that is to be renamed has its later name in `name`.
    pub(crate) stored: String,
    /// None if no kind has such values.
    pub(crate) native: Option<Native>,
    /// Such as `character varying(20)`.
    pub(crate) full_type: String,
    /// Whether texts compare by their bytes.
    pub(crate) is_exact: bool,
    pub(crate) limit: Option<Limit>,
    pub(crate) nullable: bool,
    pub(crate) has_default: bool,
    /// It has a value that no statement gives it.
    pub(crate) is_generated: bool,
    pub(crate) is_primary: bool,
}

/// The columns of a table; none if it is not there.
pub(crate) async fn columns(connection: &mut PgConnection, schema: &Schema, table: &str) -> Run<Vec<Column>> {
    let select = "SELECT a.attname::text, CASE WHEN t.typnamespace = 'pg_catalog'::regnamespace THEN t.typname::text END, \
                  format_type(a.atttypid, a.atttypmod), a.atttypmod, \
                  COALESCE(l.collname IN ('C', 'POSIX') OR l.collname = 'ucs_basic', FALSE), \
                  NOT a.attnotnull, a.atthasdef OR a.attidentity <> '', a.attgenerated <> '' OR a.attidentity = 'a', \
                  COALESCE(a.attnum = ANY (i.indkey), FALSE) \
                  FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid \
                  JOIN pg_namespace AS n ON n.oid = c.relnamespace JOIN pg_type AS t ON t.oid = a.atttypid \
                  LEFT JOIN pg_collation AS l ON l.oid = a.attcollation \
                  LEFT JOIN pg_index AS i ON i.indrelid = c.oid AND i.indisprimary \
                  WHERE n.nspname = ? AND c.relname = ? AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";
    let mut columns = Vec::new();
    for row in schema.sql(select).bind(schema.name()).bind(table).all(connection).await? {
        let native = Native::of(text(&row, 1)?);
        columns.push(Column {
            name: text(&row, 0)?.to_owned(),
            stored: text(&row, 0)?.to_owned(),
            native,
            full_type: text(&row, 2)?.to_owned(),
            is_exact: truth(&row, 4)?,
            limit: limit(native, integer(&row, 3)?.unwrap_or(-1)),
            nullable: truth(&row, 5)?,
            has_default: truth(&row, 6)?,
            is_generated: truth(&row, 7)?,
            is_primary: number(&row, 8)? == 1,
        });
    }
    Ok(columns)
}

/// From the modifier of a type, which is -1 without a limit.
fn limit(native: Option<Native>, modifier: i64) -> Option<Limit> {
    const HEADER: i64 = 4;
    if let Some(Native::Time | Native::Timestamp | Native::Timestamptz) = native {
        return Some(Limit::Fraction(usize::try_from(modifier).unwrap_or(MICROS)));
    }
    let modifier = u64::try_from(modifier.checked_sub(HEADER)?).ok()?;
    match native? {
        Native::Numeric => {
            let (precision, scale) = ((modifier >> 16) & 0xffff, modifier & 0x7ff);
            // Below zero, it rounds before the point.
            let is_negative = scale > 1_023;
            let digits = Digits { whole: precision.saturating_sub(scale), scale };
            Some(Limit::Digits(if is_negative { Digits { whole: 0, scale: 0 } } else { digits }))
        }
        Native::Varchar => Some(Limit::Characters(usize::try_from(modifier).ok()?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_holds_what_has_no_more_digits() {
        let digits = limit(Some(Native::Numeric), ((5 << 16) | 2) + 4).unwrap();
        assert_eq!(digits.to_string(), "numeric(5,2)");
        for (number, is_held) in [
            ("0", true),
            ("999.99", true),
            ("-999.9", true),
            ("1000", false),
            ("0.001", false),
            ("-0.25", true),
        ] {
            assert_eq!(digits.holds(&Value::Decimal(number.parse().unwrap())), is_held, "{number}");
        }
        assert_eq!(limit(Some(Native::Numeric), -1), None);
    }

    #[test]
    fn a_column_holds_what_has_no_more_characters() {
        let three = limit(Some(Native::Varchar), 7).unwrap();
        assert!(three.holds(&"äöü".into()) && !three.holds(&"abc ".into()));
        assert_eq!(three.to_string(), "varchar(3)");
    }
}
