//! Dates and times of the crates `chrono` and `time`.
//!
//! A value with an offset from UTC is the moment that it says: the offset is not kept, and what is read back is in UTC, or in
//! the zone of the device for `chrono::DateTime<Local>`. Where the offset counts, it is a field of its own.

use super::{FieldKind, FieldValue, mismatch};
use crate::error::{Error, Result};
use crate::model::{Value, moment};

/// What cannot be stored of a value.
fn refused(problem: &'static str) -> Error {
    Error::invalid("encode", format!("a date or time {problem}"))
}

/// Reads the text of a value.
fn read<T>(kind: FieldKind, value: &Value, parse: impl FnOnce(&str) -> Option<T>) -> Result<T> {
    let Value::Text(text) = value else { return Err(mismatch(kind)) };
    parse(text).ok_or_else(|| mismatch(kind))
}

macro_rules! moment_field {
    ($($type:ty: $kind:ident, $write:ident, $read:ident;)*) => {$(
        impl FieldValue for $type {
            const KIND: FieldKind = FieldKind::$kind;
            fn to_value(&self) -> Result<Value> {
                $write(*self).map(|at| Value::Text(at.to_string())).map_err(refused)
            }
            fn from_value(value: Value) -> Result<Self> {
                read(Self::KIND, &value, |text| $read(text.parse().ok()?))
            }
        }
    )*};
}

#[cfg(feature = "chrono")]
mod of_chrono {
    use chrono::{
        DateTime, Datelike as _, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Timelike as _, Utc,
    };

    use super::moment::{Day, DayTime, TimeOfDay, parse_instant, write_instant};
    use super::*;

    type Moment<T> = std::result::Result<T, &'static str>;

    fn day(date: NaiveDate) -> Moment<Day> {
        Day::new(date.year().into(), date.month(), date.day())
    }

    fn time(time: NaiveTime) -> Moment<TimeOfDay> {
        TimeOfDay::new(time.hour(), time.minute(), time.second(), time.nanosecond())
    }

    fn day_time(at: NaiveDateTime) -> Moment<DayTime> {
        Ok(DayTime(day(at.date())?, time(at.time())?))
    }

    fn to_date(Day { year, month, day }: Day) -> Option<NaiveDate> {
        NaiveDate::from_ymd_opt(year.into(), month.into(), day.into())
    }

    fn to_time(TimeOfDay { hour, minute, second, nanosecond }: TimeOfDay) -> Option<NaiveTime> {
        NaiveTime::from_hms_nano_opt(hour.into(), minute.into(), second.into(), nanosecond)
    }

    fn to_date_time(DayTime(day, time): DayTime) -> Option<NaiveDateTime> {
        Some(to_date(day)?.and_time(to_time(time)?))
    }

    moment_field! {
        NaiveDate: Date, day, to_date;
        NaiveTime: Time, time, to_time;
        NaiveDateTime: LocalDateTime, day_time, to_date_time;
    }

    /// `DateTime<Utc>`, `DateTime<FixedOffset>` and `DateTime<Local>`: the moment, without the offset.
    impl<Z: TimeZone> FieldValue for DateTime<Z>
    where
        Self: From<DateTime<Utc>>,
    {
        const KIND: FieldKind = FieldKind::Instant;
        fn to_value(&self) -> Result<Value> {
            day_time(self.naive_utc()).map(|at| Value::Text(write_instant(at))).map_err(refused)
        }
        fn from_value(value: Value) -> Result<Self> {
            let parse = |text: &str| to_date_time(parse_instant(text).ok()?);
            read(Self::KIND, &value, parse).map(|at| at.and_utc().into())
        }
    }
}

#[cfg(feature = "time")]
mod of_time {
    use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time, UtcOffset};

    use super::moment::{Day, DayTime, TimeOfDay, parse_instant, write_instant};
    use super::*;

    type Moment<T> = std::result::Result<T, &'static str>;

    fn day(date: Date) -> Moment<Day> {
        Day::new(date.year().into(), u8::from(date.month()).into(), date.day().into())
    }

    fn time_of_day(time: Time) -> Moment<TimeOfDay> {
        TimeOfDay::new(time.hour().into(), time.minute().into(), time.second().into(), time.nanosecond())
    }

    fn day_time(at: PrimitiveDateTime) -> Moment<DayTime> {
        Ok(DayTime(day(at.date())?, time_of_day(at.time())?))
    }

    fn to_date(Day { year, month, day }: Day) -> Option<Date> {
        Date::from_calendar_date(year.into(), Month::try_from(month).ok()?, day).ok()
    }

    fn to_time(TimeOfDay { hour, minute, second, nanosecond }: TimeOfDay) -> Option<Time> {
        Time::from_hms_nano(hour, minute, second, nanosecond).ok()
    }

    fn to_date_time(DayTime(day, time): DayTime) -> Option<PrimitiveDateTime> {
        Some(PrimitiveDateTime::new(to_date(day)?, to_time(time)?))
    }

    moment_field! {
        Date: Date, day, to_date;
        Time: Time, time_of_day, to_time;
        PrimitiveDateTime: LocalDateTime, day_time, to_date_time;
    }

    /// The moment, without the offset.
    impl FieldValue for OffsetDateTime {
        const KIND: FieldKind = FieldKind::Instant;
        fn to_value(&self) -> Result<Value> {
            let at = self.checked_to_offset(UtcOffset::UTC).ok_or("is not in the years 0000 to 9999 of UTC");
            let at = at.and_then(|at| day_time(PrimitiveDateTime::new(at.date(), at.time())));
            at.map(|at| Value::Text(write_instant(at))).map_err(refused)
        }
        fn from_value(value: Value) -> Result<Self> {
            let parse = |text: &str| to_date_time(parse_instant(text).ok()?);
            read(Self::KIND, &value, parse).map(PrimitiveDateTime::assume_utc)
        }
    }
}
