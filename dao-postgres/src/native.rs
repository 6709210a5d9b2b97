//! The column types that values are kept in: how a value is bound, and how it is read again.
//!
//! Each keeps every value of its kinds as it is. What a narrower column of a table of the user's would change is refused
//! before it is written.

use fastsync_core::{FieldKind, FieldName, FieldSchema, Value};
use fastsync_dao_kit::sql::{Digits, Fail, Holds, Row, Run};
use uuid::Uuid;

use crate::driver::PgAnswer;

/// The numbers of a type and of its arrays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Oids {
    pub(crate) one: u32,
    pub(crate) many: u32,
}

impl Oids {
    const fn new(one: u32, many: u32) -> Self {
        Self { one, many }
    }
}

pub(crate) const BOOL: Oids = Oids::new(16, 1000);
pub(crate) const BYTEA: Oids = Oids::new(17, 1001);
pub(crate) const INT8: Oids = Oids::new(20, 1016);
pub(crate) const TEXT: Oids = Oids::new(25, 1009);
pub(crate) const UUID: Oids = Oids::new(2950, 2951);

/// The type that values for such a column are bound as.
pub(crate) const fn oids(holds: Holds) -> Oids {
    match holds {
        Holds::Boolean => BOOL,
        Holds::Whole(_) => INT8,
        Holds::Real => Oids::new(701, 1022),
        Holds::Bytes(_) => BYTEA,
        Holds::Json => Oids::new(114, 199),
        Holds::Uuid => UUID,
        Holds::Date => Oids::new(1082, 1182),
        Holds::Time(_) => Oids::new(1083, 1183),
        Holds::Local(_) => Oids::new(1114, 1115),
        Holds::Instant(_) => Oids::new(1184, 1185),
        // The statement makes numbers of the texts of decimal ones.
        _ => TEXT,
    }
}

/// What a column of this type holds. `modifier`: as the catalogue has it, -1 without a limit.
pub(crate) fn holds(name: &str, modifier: i64) -> Holds {
    const HEADER: i64 = 4;
    let limit = modifier.checked_sub(HEADER).and_then(|limit| u64::try_from(limit).ok());
    let fraction = usize::try_from(modifier).unwrap_or(MICROS);
    match name {
        "bool" => Holds::Boolean,
        "int2" => Holds::Whole(i16::MIN.into()),
        "int4" => Holds::Whole(i32::MIN.into()),
        "int8" => Holds::Whole(i64::MIN),
        "float8" => Holds::Real,
        "numeric" => Holds::Decimal(limit.map_or(Digits::ALL, digits)),
        "text" => Holds::Text(u64::MAX),
        "varchar" => Holds::Text(limit.unwrap_or(u64::MAX)),
        "bytea" => Holds::Bytes(u64::MAX),
        "json" => Holds::Json,
        "uuid" => Holds::Uuid,
        "date" => Holds::Date,
        "time" => Holds::Time(fraction),
        "timestamp" => Holds::Local(fraction),
        "timestamptz" => Holds::Instant(fraction),
        _ => Holds::Other,
    }
}

fn digits(limit: u64) -> Digits {
    let (precision, scale) = ((limit >> 16) & 0xffff, limit & 0x7ff);
    // Below zero, it rounds before the point.
    let is_negative = scale > 1_023;
    let digits = Digits { whole: precision.saturating_sub(scale), scale };
    if is_negative { Digits { whole: 0, scale: 0 } } else { digits }
}

/// Appends a value in the binary form of [`oids`]; `false` if it is null.
pub(crate) fn write(holds: Holds, value: &Value, to: &mut Vec<u8>) -> bool {
    match (holds, value) {
        (_, Value::Null) => return false,
        (Holds::Whole(_), Value::Bool(value)) => to.extend_from_slice(&i64::from(*value).to_be_bytes()),
        (_, Value::Bool(value)) => to.push(u8::from(*value)),
        (_, Value::Integer(value)) => to.extend_from_slice(&value.to_be_bytes()),
        (_, Value::Real(value)) => to.extend_from_slice(&value.to_be_bytes()),
        (_, Value::Decimal(number)) => to.extend_from_slice(number.to_string().as_bytes()),
        (_, Value::Bytes(bytes)) => to.extend_from_slice(bytes),
        (Holds::Uuid, Value::Text(text)) => {
            to.extend_from_slice(Uuid::try_parse(text).unwrap_or_default().as_bytes());
        }
        (Holds::Date, Value::Text(text)) => to.extend_from_slice(&days(text).to_be_bytes()),
        (Holds::Time(_), Value::Text(text)) => to.extend_from_slice(&of_day(text).to_be_bytes()),
        (Holds::Local(_) | Holds::Instant(_), Value::Text(text)) => {
            let time = text.get(11..).map_or(0, of_day);
            to.extend_from_slice(&(i64::from(days(text)) * DAY + time).to_be_bytes());
        }
        (_, Value::Text(text) | Value::Json(text)) => to.extend_from_slice(text.as_bytes()),
    }
    true
}

/// An id as its column has it.
pub(crate) fn write_id(holds: Holds, id: &str, to: &mut Vec<u8>) {
    match holds {
        Holds::Uuid => to.extend_from_slice(Uuid::try_parse(id).unwrap_or_default().as_bytes()),
        Holds::Whole(_) => to.extend_from_slice(&id.parse::<i64>().unwrap_or_default().to_be_bytes()),
        _ => to.extend_from_slice(id.as_bytes()),
    }
}

/// The value of a field in a column of the user's table.
pub(crate) fn read(row: &PgAnswer, at: usize, field: &FieldSchema, holds: Holds) -> Run<Value> {
    let Some(stored) = row.bytes(at)? else { return Ok(Value::Null) };
    let text = |text: Option<String>| text.map(Value::Text).ok_or_else(|| wrong(&field.name));
    Ok(match (field.kind, holds) {
        (FieldKind::Boolean, _) => match row.integer(at)? {
            Some(value @ (0 | 1)) => Value::Bool(value == 1),
            _ => return Err(wrong(&field.name)),
        },
        (kind, _) if kind.is_integer() => row.integer(at)?.map_or(Value::Null, Value::Integer),
        (FieldKind::Real, _) => row.real(at)?.map_or(Value::Null, Value::Real),
        (FieldKind::Bytes, _) => Value::Bytes(stored.to_vec()),
        (FieldKind::Decimal, _) => row.decimal(at, field.name.as_str())?.map_or(Value::Null, Value::Decimal),
        (_, Holds::Uuid) => text(Uuid::from_slice(stored).ok().map(|uuid| uuid.to_string()))?,
        (_, Holds::Date) => text(row.integer(at)?.and_then(day))?,
        (_, Holds::Time(_) | Holds::Local(_) | Holds::Instant(_)) => {
            text(row.integer(at)?.and_then(|micros| moment(micros, holds)))?
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
const MICROS: usize = 6;

/// The microseconds of a time of day, `12:00:00.000000000`, which is one.
fn of_day(text: &str) -> i64 {
    let part = |range| text.get(range).and_then(|part: &str| part.parse::<i64>().ok()).unwrap_or_default();
    ((part(0..2) * 60 + part(3..5)) * 60 + part(6..8)) * 1_000_000 + part(9..15)
}

/// A moment that the server counts from 2000 on, or from midnight, as the kind's text; none if its year has not four digits.
fn moment(micros: i64, holds: Holds) -> Option<String> {
    let (seconds, fraction) = (micros.rem_euclid(DAY) / 1_000_000, micros.rem_euclid(1_000_000));
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let time = format!("{hour:02}:{minute:02}:{second:02}.{fraction:06}000");
    if matches!(holds, Holds::Time(_)) {
        // The server knows 24:00, which is no time of day.
        return (0..DAY).contains(&micros).then_some(time);
    }
    let zone = if matches!(holds, Holds::Instant(_)) { "Z" } else { "" };
    Some(format!("{}T{time}{zone}", day(micros.div_euclid(DAY))?))
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
        for (text, holds) in [
            ("2026-01-31T12:34:56.123456000Z", Holds::Instant(6)),
            ("1969-12-31T23:59:59.999999000Z", Holds::Instant(6)),
            ("0000-01-01T00:00:00.000000000", Holds::Local(6)),
            ("9999-12-31T23:59:59.999999000", Holds::Local(6)),
            ("00:00:00.000001000", Holds::Time(6)),
        ] {
            let mut bytes = Vec::new();
            assert!(write(holds, &text.into(), &mut bytes));
            let micros = i64::from_be_bytes(bytes.try_into().unwrap());
            assert_eq!(moment(micros, holds).as_deref(), Some(text));
        }
        assert_eq!(moment(DAY, Holds::Time(6)), None);
    }

    #[test]
    fn a_column_holds_what_its_type_and_modifier_say() {
        let numeric = |digits: i64, scale: i64| holds("numeric", ((digits << 16) | scale) + 4);
        assert_eq!(numeric(5, 2), Holds::Decimal(Digits { whole: 3, scale: 2 }));
        assert_eq!(numeric(5, 0x7ff), Holds::Decimal(Digits::default()), "a scale of -1");
        assert_eq!(holds("numeric", -1), Holds::Decimal(Digits::ALL));
        assert_eq!((holds("varchar", 7), holds("varchar", -1)), (Holds::Text(3), Holds::Text(u64::MAX)));
        assert_eq!((holds("time", -1), holds("timestamp", 3)), (Holds::Time(6), Holds::Local(3)));
        assert_eq!(["jsonb", "timetz", "float4", "bpchar"].map(|name| holds(name, -1)), [Holds::Other; 4]);
    }
}
