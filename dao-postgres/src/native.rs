//! The column types that values are kept in: how a value is bound, and how it is read again.
//!
//! Each keeps every value of its kinds as it is. What a narrower column of a table of the user's would change is refused
//! before it is written.

use fastsync_core::{FieldKind, FieldName, FieldSchema, IdKind, Value};
use fastsync_dao_kit::sql::{Fail, Run};
use uuid::Uuid;

use crate::sql::{
    BOOL, BYTEA, DATE, FLOAT8, INT8, JSON, Scalar as _, TEXT, TIME, TIMESTAMP, TIMESTAMPTZ, UUID, bytes,
    integer,
};
use sqlx::postgres::PgRow;

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Native {
    Bool,
    Small,
    Int,
    Big,
    Double,
    Numeric,
    Text,
    Varchar,
    Bytea,
    Json,
    Uuid,
    Date,
    Time,
    Timestamp,
    Timestamptz,
}

impl Native {
    /// The type that the server calls by this name; none for those that hold no kind exactly.
    pub(crate) fn of(name: &str) -> Option<Self> {
        Some(match name {
            "bool" => Self::Bool,
            "int2" => Self::Small,
            "int4" => Self::Int,
            "int8" => Self::Big,
            "float8" => Self::Double,
            "numeric" => Self::Numeric,
            "text" => Self::Text,
            "varchar" => Self::Varchar,
            "bytea" => Self::Bytea,
            "json" => Self::Json,
            "uuid" => Self::Uuid,
            "date" => Self::Date,
            "time" => Self::Time,
            "timestamp" => Self::Timestamp,
            "timestamptz" => Self::Timestamptz,
            _ => return None,
        })
    }

    /// The type of a column that is made for a kind. Moments have nine digits of a second, where the server's types have six, so
    /// they are text.
    pub(crate) const fn for_kind(kind: FieldKind) -> Self {
        match kind {
            FieldKind::Boolean => Self::Bool,
            FieldKind::I8 | FieldKind::U8 | FieldKind::I16 => Self::Small,
            FieldKind::U16 | FieldKind::I32 => Self::Int,
            FieldKind::U32 | FieldKind::Integer => Self::Big,
            FieldKind::Real => Self::Double,
            FieldKind::Decimal => Self::Numeric,
            FieldKind::Bytes => Self::Bytea,
            FieldKind::Json => Self::Json,
            FieldKind::Uuid => Self::Uuid,
            FieldKind::Date => Self::Date,
            _ => Self::Text,
        }
    }

    pub(crate) const fn for_id(kind: IdKind) -> Self {
        match kind {
            IdKind::Uuid => Self::Uuid,
            IdKind::Integer => Self::Big,
            _ => Self::Text,
        }
    }

    /// As SQL declares it.
    pub(crate) const fn declared(self) -> &'static str {
        match self {
            Self::Bool => "boolean",
            Self::Small => "smallint",
            Self::Int => "integer",
            Self::Big => "bigint",
            Self::Double => "double precision",
            Self::Numeric => "numeric",
            Self::Text => "text COLLATE \"C\"",
            Self::Varchar => "varchar",
            Self::Bytea => "bytea",
            Self::Json => "json",
            Self::Uuid => "uuid",
            Self::Date => "date",
            Self::Time => "time",
            Self::Timestamp => "timestamp",
            Self::Timestamptz => "timestamptz",
        }
    }

    /// Whether a column of this type can hold values of a kind without changing them. A value that is too large or too long for
    /// it is refused when it is written.
    pub(crate) fn fits(self, kind: FieldKind) -> bool {
        let is_text = matches!(self, Self::Text | Self::Varchar);
        match kind {
            kind if kind.is_integer() => self.width() > 0,
            FieldKind::Json => is_text || self == Self::Json,
            FieldKind::Uuid => is_text || self == Self::Uuid,
            FieldKind::Date => is_text || self == Self::Date,
            FieldKind::Time => is_text || self == Self::Time,
            FieldKind::LocalDateTime => is_text || self == Self::Timestamp,
            FieldKind::Instant => is_text || self == Self::Timestamptz,
            kind if kind.is_text() => is_text,
            kind => self == Self::for_kind(kind),
        }
    }

    pub(crate) fn fits_id(self, kind: IdKind) -> bool {
        let is_text = matches!(self, Self::Text | Self::Varchar);
        is_text || self == Self::for_id(kind) || kind == IdKind::Integer && self.width() > 0
    }

    /// How many bytes a whole number has; 0 for other types.
    pub(crate) const fn width(self) -> u8 {
        match self {
            Self::Small => 2,
            Self::Int => 4,
            Self::Big => 8,
            _ => 0,
        }
    }

    /// The numbers of the type that values are bound as, and of its arrays.
    pub(crate) const fn oids(self) -> (u32, u32) {
        match self {
            Self::Bool => BOOL,
            Self::Small | Self::Int | Self::Big => INT8,
            Self::Double => FLOAT8,
            Self::Numeric | Self::Text | Self::Varchar => TEXT,
            Self::Bytea => BYTEA,
            Self::Json => JSON,
            Self::Uuid => UUID,
            Self::Date => DATE,
            Self::Time => TIME,
            Self::Timestamp => TIMESTAMP,
            Self::Timestamptz => TIMESTAMPTZ,
        }
    }

    /// What turns what is bound into the type of the column, where an assignment does not.
    pub(crate) const fn cast(self) -> &'static str {
        if matches!(self, Self::Numeric) { "::numeric" } else { "" }
    }

    /// How a column of this type is selected, so that [`read`] takes it.
    pub(crate) fn selected(self, column: &str) -> String {
        if self == Self::Numeric { format!("{column}::text") } else { column.to_owned() }
    }

    /// The column as the text of its value, which compares by bytes.
    pub(crate) fn as_text(self, column: &str) -> String {
        match self {
            Self::Date => dated(column, "-MM-DD"),
            Self::Timestamp => dated(column, "-MM-DD\"T\"HH24:MI:SS.US\"000\""),
            Self::Timestamptz => {
                dated(&format!("({column} AT TIME ZONE 'UTC')"), "-MM-DD\"T\"HH24:MI:SS.US\"000Z\"")
            }
            Self::Time => format!("to_char({column}, 'HH24:MI:SS.US\"000\"') COLLATE \"C\""),
            Self::Text | Self::Varchar => format!("{column} COLLATE \"C\""),
            _ => format!("{column}::text COLLATE \"C\""),
        }
    }

    /// Whether what is compared is bound as the column's type; otherwise as text. Part of a UUID is no UUID.
    pub(crate) fn compares(self, value: &Value) -> bool {
        match (self, value) {
            (Self::Json, _) => false,
            (Self::Uuid, Value::Text(text)) => {
                Uuid::try_parse(text).is_ok_and(|uuid| uuid.to_string() == *text)
            }
            (Self::Time | Self::Timestamp | Self::Timestamptz, Value::Text(text)) => is_as_fine(text, MICROS),
            _ => true,
        }
    }

    /// Appends a value in the binary form of [`Self::oids`]; `false` if it is null.
    pub(crate) fn write(self, value: &Value, to: &mut Vec<u8>) -> bool {
        match (self, value) {
            (_, Value::Null) => return false,
            (_, Value::Bool(value)) => value.write(to),
            (_, Value::Integer(value)) => value.write(to),
            (_, Value::Real(value)) => to.extend_from_slice(&value.to_be_bytes()),
            (_, Value::Decimal(number)) => number.to_string().write(to),
            (_, Value::Bytes(bytes)) => bytes.as_slice().write(to),
            (Self::Uuid, Value::Text(text)) => Uuid::try_parse(text).unwrap_or_default().write(to),
            (Self::Date, Value::Text(text)) => to.extend_from_slice(&days(text).to_be_bytes()),
            (Self::Time, Value::Text(text)) => of_day(text).write(to),
            (Self::Timestamp | Self::Timestamptz, Value::Text(text)) => {
                let time = text.get(11..).map_or(0, of_day);
                (i64::from(days(text)) * DAY + time).write(to);
            }
            (_, Value::Text(text) | Value::Json(text)) => text.as_str().write(to),
        }
        true
    }
}

/// An id as its column has it.
pub(crate) fn write_id(native: Native, id: &str, to: &mut Vec<u8>) {
    match native {
        Native::Uuid => Uuid::try_parse(id).unwrap_or_default().write(to),
        native if native.width() > 0 => id.parse::<i64>().unwrap_or_default().write(to),
        _ => id.write(to),
    }
}

/// The value of a field in a column of the user's table.
pub(crate) fn read(row: &PgRow, at: usize, field: &FieldSchema, native: Native) -> Run<Value> {
    let Some(stored) = bytes(row, at)? else { return Ok(Value::Null) };
    Ok(match (field.kind, native) {
        (FieldKind::Boolean, _) => Value::Bool(stored != [0]),
        (kind, _) if kind.is_integer() => integer(row, at)?.map_or(Value::Null, Value::Integer),
        (FieldKind::Real, _) => {
            let bits = stored.try_into().map_err(|_| wrong(&field.name))?;
            Value::Real(f64::from_be_bytes(bits))
        }
        (FieldKind::Bytes, _) => Value::Bytes(stored.to_vec()),
        (FieldKind::Decimal, _) => {
            let number = std::str::from_utf8(stored).ok().and_then(|text| text.parse().ok());
            Value::Decimal(number.ok_or_else(|| wrong(&field.name))?)
        }
        (_, Native::Uuid) => {
            Value::Text(Uuid::from_slice(stored).map_err(|_| wrong(&field.name))?.to_string())
        }
        (_, Native::Date) => {
            let days = integer(row, at)?.and_then(day);
            Value::Text(days.ok_or_else(|| wrong(&field.name))?)
        }
        (_, Native::Time | Native::Timestamp | Native::Timestamptz) => {
            let text = integer(row, at)?.and_then(|micros| moment(micros, native));
            Value::Text(text.ok_or_else(|| wrong(&field.name))?)
        }
        (FieldKind::Json, _) => Value::Json(owned(stored, &field.name)?),
        _ => Value::Text(owned(stored, &field.name)?),
    })
}

fn owned(stored: &[u8], column: &FieldName) -> Run<String> {
    Ok(std::str::from_utf8(stored).map_err(|_| wrong(column))?.to_owned())
}

fn wrong(column: &FieldName) -> Fail {
    Fail::corrupt(format!("column {column} holds what is no value of its field"))
}

/// The first of March of the year 0, which the days of an era are counted from, as days before 2000.
const ERA_BEGIN: i64 = -730_425;

/// The days of 400 years.
const ERA: i64 = 146_097;

/// The days from 2000 on to a day of the calendar, `2026-01-31`, which is one.
fn days(text: &str) -> i32 {
    let part = |range| text.get(range).and_then(|part: &str| part.parse::<i64>().ok()).unwrap_or_default();
    let (year, month, day) = (part(0..4), part(5..7), part(8..10));
    // Years that begin in March end with the day that may be missing.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let in_year = (153 * month + 2) / 5 + day - 1;
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let days = ERA_BEGIN + era * ERA + of_era * 365 + of_era / 4 - of_era / 100 + in_year;
    i32::try_from(days).unwrap_or_default()
}

/// The day of the calendar so many days from 2000 on; none if its year has not four digits.
fn day(days: i64) -> Option<String> {
    let days = days.checked_sub(ERA_BEGIN)?;
    let (era, day) = (days.div_euclid(ERA), days.rem_euclid(ERA));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let in_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * in_year + 2) / 153;
    let day = in_year - (153 * month + 2) / 5 + 1;
    let year = year + era * 400 + i64::from(month > 9);
    let month = if month > 9 { month - 9 } else { month + 3 };
    (0..=9999).contains(&year).then(|| format!("{year:04}-{month:02}-{day:02}"))
}

/// A day in microseconds, which the server counts moments in.
const DAY: i64 = 86_400_000_000;

/// How many digits of a second the server's moments have.
pub(crate) const MICROS: usize = 6;

/// The microseconds of a time of day, `12:00:00.000000000`, which is one.
fn of_day(text: &str) -> i64 {
    let part = |range| text.get(range).and_then(|part: &str| part.parse::<i64>().ok()).unwrap_or_default();
    ((part(0..2) * 60 + part(3..5)) * 60 + part(6..8)) * 1_000_000 + part(9..15)
}

/// A moment that the server counts from 2000 on, or from midnight, as the kind's text; none if its year has not four digits.
fn moment(micros: i64, native: Native) -> Option<String> {
    let (seconds, fraction) = (micros.rem_euclid(DAY) / 1_000_000, micros.rem_euclid(1_000_000));
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let time = format!("{hour:02}:{minute:02}:{second:02}.{fraction:06}000");
    if native == Native::Time {
        // The server knows 24:00, which is no time of day.
        return (0..DAY).contains(&micros).then_some(time);
    }
    let zone = if native == Native::Timestamptz { "Z" } else { "" };
    Some(format!("{}T{time}{zone}", day(micros.div_euclid(DAY))?))
}

/// Whether the text of a moment has so many digits of a second, and then zeros.
pub(crate) fn is_as_fine(text: &str, digits: usize) -> bool {
    let fraction = text.split_once('.').map_or("", |(_, fraction)| fraction);
    fraction.bytes().skip(digits).all(|digit| matches!(digit, b'0' | b'Z'))
}

/// A day or moment as text, whatever `DateStyle` is; the year before 1 is 0.
fn dated(column: &str, rest: &str) -> String {
    format!(
        "(CASE WHEN {column} < DATE '0001-01-01' THEN '0000' || to_char({column}, '{rest}') \
         ELSE to_char({column}, 'YYYY{rest}') END) COLLATE \"C\""
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_from_2000_on_and_back() {
        for (text, count) in [
            ("2000-01-01", 0),
            ("1999-12-31", -1),
            ("1970-01-01", -10_957),
            ("2000-02-29", 59),
            ("2000-03-01", 60),
            ("2024-02-29", 8_825),
            ("0001-01-01", -730_119),
            ("0000-01-01", -730_485),
            ("9999-12-31", 2_921_939),
        ] {
            assert_eq!((days(text), day(count).as_deref()), (i32::try_from(count).unwrap(), Some(text)));
        }
        assert_eq!((day(-730_486), day(2_921_940), day(i64::from(i32::MAX))), (None, None, None));
    }

    #[test]
    fn moments_are_counted_in_microseconds_and_back() {
        for (text, native) in [
            ("2026-01-31T12:34:56.123456000Z", Native::Timestamptz),
            ("1969-12-31T23:59:59.999999000Z", Native::Timestamptz),
            ("0000-01-01T00:00:00.000000000", Native::Timestamp),
            ("9999-12-31T23:59:59.999999000", Native::Timestamp),
            ("00:00:00.000001000", Native::Time),
        ] {
            let mut bytes = Vec::new();
            assert!(native.write(&text.into(), &mut bytes));
            let micros = i64::from_be_bytes(bytes.try_into().unwrap());
            assert_eq!(moment(micros, native).as_deref(), Some(text));
            assert!(native.compares(&text.into()) && is_as_fine(text, MICROS));
        }
        assert_eq!(moment(DAY, Native::Time), None);
        assert!(!Native::Time.compares(&"00:00:00.000000001".into()));
        assert!(!is_as_fine("2026-01-31T12:34:56.120000000Z", 1));
    }

    #[test]
    fn a_column_fits_the_kinds_that_it_holds_exactly() {
        let name = |name| Native::of(name);
        assert!(Native::Uuid.fits(FieldKind::Uuid) && Native::Text.fits(FieldKind::Instant));
        assert!(!Native::Uuid.fits(FieldKind::Text) && !Native::Double.fits(FieldKind::Decimal));
        assert!(Native::Small.fits(FieldKind::Integer) && !Native::Bool.fits(FieldKind::I8));
        assert_eq!([name("jsonb"), name("timetz"), name("float4"), name("bpchar")], [None; 4]);
    }
}
