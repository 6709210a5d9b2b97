//! Days and times as text: read, checked, and written in the one form of their kind.
//!
//! The form has a fixed length, from the year down to the nanosecond, so that its bytes have the order of time.

mod rest;

use std::fmt;
use std::str::FromStr;

use rest::Rest;

/// What is wrong with a text, in words that follow the name of a field.
type Parsed<T> = Result<T, &'static str>;

const NO_DATE: &str = "is not a date such as 2026-01-31, of the years 0000 to 9999";
const NO_DAY: &str = "is not a day of the calendar";
const NO_TIME: &str = "is not a time such as 23:59:59.5, with at most nine digits of the fraction";
const NO_DATE_TIME: &str = "is not a date and time such as 2026-01-31T23:59:59.5";
const NO_TIME_OF_DAY: &str = "is not a time of the day";
const LEAP_SECOND: &str = "is in a leap second, which is not stored: use the second before or after it";
const NO_OFFSET: &str = "has no offset from UTC such as Z or +02:00, which makes it a moment";
const BAD_OFFSET: &str = "has an offset from UTC that is not one, such as Z or +02:00";
const LOCAL_OFFSET: &str = "has an offset from UTC, and is to be a local time";
const OUT_OF_YEARS: &str = "is not in the years 0000 to 9999 of UTC";

const MAX_YEAR: u16 = 9_999;
const MINUTES_OF_DAY: i32 = 24 * 60;

/// A day of the calendar. It displays as `2026-01-31`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Day {
    pub(crate) year: u16,
    pub(crate) month: u8,
    pub(crate) day: u8,
}

/// A time of day. It displays as `23:59:59.000000000`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TimeOfDay {
    pub(crate) hour: u8,
    pub(crate) minute: u8,
    pub(crate) second: u8,
    pub(crate) nanosecond: u32,
}

/// A day and a time of it. It displays as `2026-01-31T23:59:59.000000000`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DayTime(pub(crate) Day, pub(crate) TimeOfDay);

impl Day {
    /// A day of any calendar that counts as this one does.
    pub(crate) fn new(year: i64, month: u32, day: u32) -> Parsed<Self> {
        let year = u16::try_from(year).ok().filter(|year| *year <= MAX_YEAR).ok_or(OUT_OF_YEARS)?;
        let small = |number| u8::try_from(number).map_err(|_| NO_DAY);
        let new = Self { year, month: small(month)?, day: small(day)? };
        if (1..=new.days_of_month()).contains(&new.day) { Ok(new) } else { Err(NO_DAY) }
    }

    /// 0 if there is no such month.
    const fn days_of_month(self) -> u8 {
        let is_leap_year =
            self.year.is_multiple_of(4) && !self.year.is_multiple_of(100) || self.year.is_multiple_of(400);
        match self.month {
            4 | 6 | 9 | 11 => 30,
            2 if is_leap_year => 29,
            2 => 28,
            1..=12 => 31,
            _ => 0,
        }
    }

    fn next(self) -> Option<Self> {
        let Self { year, month, day } = self;
        Some(match (day < self.days_of_month(), month < 12) {
            (true, _) => Self { day: day + 1, ..self },
            (_, true) => Self { month: month + 1, day: 1, ..self },
            _ if year < MAX_YEAR => Self { year: year + 1, month: 1, day: 1 },
            _ => return None,
        })
    }

    fn previous(self) -> Option<Self> {
        let Self { year, month, day } = self;
        let last_of = |month: Self| Self { day: month.days_of_month(), ..month };
        Some(match (day > 1, month > 1) {
            (true, _) => Self { day: day - 1, ..self },
            (_, true) => last_of(Self { month: month - 1, ..self }),
            _ => last_of(Self { year: year.checked_sub(1)?, month: 12, ..self }),
        })
    }
}

impl TimeOfDay {
    /// A time of day, in which a second may be 60 or a nanosecond a second or more only to say that it is a leap second.
    pub(crate) fn new(hour: u32, minute: u32, second: u32, nanosecond: u32) -> Parsed<Self> {
        let below = |number: u32, limit: u8| {
            u8::try_from(number).ok().filter(|number| *number < limit).ok_or(NO_TIME_OF_DAY)
        };
        if second == 60 || nanosecond >= 1_000_000_000 {
            return Err(LEAP_SECOND);
        }
        let (hour, minute, second) = (below(hour, 24)?, below(minute, 60)?, below(second, 60)?);
        Ok(Self { hour, minute, second, nanosecond })
    }
}

impl DayTime {
    /// The time in UTC of one with this offset from it.
    fn without_offset(self, minutes: i32) -> Parsed<Self> {
        let Self(day, time) = self;
        let at = i32::from(time.hour) * 60 + i32::from(time.minute) - minutes;
        let day = match at.div_euclid(MINUTES_OF_DAY) {
            0 => Some(day),
            1 => day.next(),
            _ => day.previous(),
        };
        let at = at.rem_euclid(MINUTES_OF_DAY).unsigned_abs();
        let time = TimeOfDay::new(at / 60, at % 60, time.second.into(), time.nanosecond)?;
        Ok(Self(day.ok_or(OUT_OF_YEARS)?, time))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}:{:02}.{:09}", self.hour, self.minute, self.second, self.nanosecond)
    }
}

impl fmt::Display for DayTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}T{}", self.0, self.1)
    }
}

impl FromStr for Day {
    type Err = &'static str;

    fn from_str(text: &str) -> Parsed<Self> {
        let mut rest = Rest(text.as_bytes());
        let day = rest.day()?;
        rest.end(NO_DATE)?;
        Ok(day)
    }
}

impl FromStr for TimeOfDay {
    type Err = &'static str;

    fn from_str(text: &str) -> Parsed<Self> {
        let mut rest = Rest(text.as_bytes());
        let time = rest.time()?;
        rest.end(NO_TIME)?;
        Ok(time)
    }
}

/// A local date and time.
impl FromStr for DayTime {
    type Err = &'static str;

    fn from_str(text: &str) -> Parsed<Self> {
        let mut rest = Rest(text.as_bytes());
        let at = rest.day_time()?;
        match rest.offset() {
            Ok(None) => rest.end(NO_DATE_TIME).map(|()| at),
            _ => Err(LOCAL_OFFSET),
        }
    }
}

/// The moment in UTC that a text with any offset says.
pub(crate) fn parse_instant(text: &str) -> Parsed<DayTime> {
    let mut rest = Rest(text.as_bytes());
    let at = rest.day_time()?;
    let minutes = rest.offset()?.ok_or(NO_OFFSET)?;
    rest.end(BAD_OFFSET)?;
    at.without_offset(minutes)
}

/// The text of a moment.
pub(crate) fn write_instant(at: DayTime) -> String {
    format!("{at}Z")
}

pub(crate) fn settle_instant(text: &mut String) -> Parsed<()> {
    let at = parse_instant(text)?;
    replace(text, 30, b"TZ", || write_instant(at));
    Ok(())
}

pub(crate) fn settle_local(text: &mut String) -> Parsed<()> {
    let at: DayTime = text.parse()?;
    replace(text, 29, b"T", || at.to_string());
    Ok(())
}

pub(crate) fn settle_time(text: &mut String) -> Parsed<()> {
    let at: TimeOfDay = text.parse()?;
    replace(text, 18, b"", || at.to_string());
    Ok(())
}

/// Writes a text anew that was read, unless it shows by its length and by these bytes that it has its one form.
fn replace(text: &mut String, length: usize, bytes: &[u8], written: impl FnOnce() -> String) {
    let has = |byte: &u8| text.as_bytes().contains(byte);
    if text.len() != length || !bytes.iter().all(has) {
        *text = written();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn instant(text: &str) -> Parsed<String> {
        parse_instant(text).map(write_instant)
    }

    #[test]
    fn a_moment_is_in_utc_and_has_nine_digits() {
        for (text, settled) in [
            ("2026-11-21T10:00:00Z", "2026-11-21T10:00:00.000000000Z"),
            ("2026-11-21t10:00:00.5z", "2026-11-21T10:00:00.500000000Z"),
            ("2026-11-21 10:00:00.123456789Z", "2026-11-21T10:00:00.123456789Z"),
            ("2026-12-31T23:30:00-01:00", "2027-01-01T00:30:00.000000000Z"),
            ("2024-03-01T00:00:00+00:01", "2024-02-29T23:59:00.000000000Z"),
            ("2023-03-01T05:29:59.9+05:30", "2023-02-28T23:59:59.900000000Z"),
            ("2000-01-01T12:00:00+23:59", "1999-12-31T12:01:00.000000000Z"),
            ("0000-01-01T00:00:00-00:00", "0000-01-01T00:00:00.000000000Z"),
            ("9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59.999999999Z"),
        ] {
            assert_eq!(instant(text).as_deref(), Ok(settled), "{text}");
        }
    }

    #[test]
    fn what_is_no_moment_is_refused_with_a_reason() {
        for (text, problem) in [
            ("", NO_DATE),
            ("2026-1-31T00:00:00Z", NO_DATE),
            ("+10000-01-01T00:00:00Z", NO_DATE),
            ("-001-01-01T00:00:00Z", NO_DATE),
            ("2026-13-01T00:00:00Z", NO_DAY),
            ("2026-00-01T00:00:00Z", NO_DAY),
            ("2026-02-30T00:00:00Z", NO_DAY),
            ("1900-02-29T00:00:00Z", NO_DAY),
            ("2026-04-31T00:00:00Z", NO_DAY),
            ("2026-01-00T00:00:00Z", NO_DAY),
            ("2026-01-31", NO_DATE_TIME),
            ("2026-01-31T", NO_TIME),
            ("2026-01-31T10:00Z", NO_TIME),
            ("2026-01-31T10:00:00.Z", NO_TIME),
            ("2026-01-31T10:00:00,5Z", NO_OFFSET),
            ("2026-01-31T10:00:00.0000000000Z", NO_TIME),
            ("2026-01-31T24:00:00Z", NO_TIME_OF_DAY),
            ("2026-01-31T10:60:00Z", NO_TIME_OF_DAY),
            ("2026-01-31T10:00:61Z", NO_TIME_OF_DAY),
            ("2016-12-31T23:59:60Z", LEAP_SECOND),
            ("2026-01-31T10:00:00", NO_OFFSET),
            ("2026-01-31T10:00:00+0200", BAD_OFFSET),
            ("2026-01-31T10:00:00+24:00", BAD_OFFSET),
            ("2026-01-31T10:00:00+02:60", BAD_OFFSET),
            ("2026-01-31T10:00:00Z ", BAD_OFFSET),
            ("2026-01-31T10:00:00Z\u{e9}", BAD_OFFSET),
            ("0000-01-01T00:00:00+00:01", OUT_OF_YEARS),
            ("9999-12-31T23:59:59-00:01", OUT_OF_YEARS),
        ] {
            assert_eq!(instant(text), Err(problem), "{text}");
        }
        assert_eq!("2026-01-31T10:00:00Z".parse::<DayTime>(), Err(LOCAL_OFFSET));
        assert_eq!("2026-01-31T10:00:00+2".parse::<DayTime>(), Err(LOCAL_OFFSET));
        assert_eq!("2026-01-31T10:00:00x".parse::<DayTime>(), Err(NO_DATE_TIME));
        assert_eq!("2026-01-31T10:00:00Z".parse::<Day>(), Err(NO_DATE));
        assert_eq!("10:00:00Z".parse::<TimeOfDay>(), Err(NO_TIME));
        assert_eq!(Day::new(10_000, 1, 1), Err(OUT_OF_YEARS));
        assert_eq!(Day::new(-1, 1, 1), Err(OUT_OF_YEARS));
        assert_eq!(TimeOfDay::new(23, 59, 59, 1_500_000_000), Err(LEAP_SECOND));
    }

    #[test]
    fn days_follow_each_other_through_every_year() {
        let mut day = Day::new(0, 1, 1).unwrap();
        let mut days = 1;
        while let Some(next) = day.next() {
            assert!(next > day);
            assert_eq!(next.previous(), Some(day));
            if day.day > 27 {
                assert!(next.to_string() > day.to_string());
                assert_eq!(next.to_string().parse(), Ok(next));
            }
            day = next;
            days += 1;
        }
        // 25 times 400 years.
        assert_eq!((day.to_string().as_str(), days), ("9999-12-31", 25 * 146_097));
        assert_eq!(Day::new(0, 1, 1).unwrap().previous(), None);
    }

    prop_compose! {
        fn day_time()(year in 0..=9_999_i64, month in 1..=12_u32, day in 1..=28_u32, time in time()) -> DayTime {
            DayTime(Day::new(year, month, day).unwrap(), time)
        }
    }

    prop_compose! {
        fn time()(hour in 0..24_u32, minute in 0..60_u32, second in 0..60_u32, nanosecond in 0..1_000_000_000_u32) -> TimeOfDay {
            TimeOfDay::new(hour, minute, second, nanosecond).unwrap()
        }
    }

    proptest! {
        #[test]
        fn the_order_of_the_text_is_that_of_time(a in day_time(), b in day_time()) {
            prop_assert_eq!(write_instant(a).cmp(&write_instant(b)), a.cmp(&b));
            prop_assert_eq!(a.to_string().cmp(&b.to_string()), a.cmp(&b));
            prop_assert_eq!(a.1.to_string().cmp(&b.1.to_string()), a.1.cmp(&b.1));
        }

        #[test]
        fn what_is_settled_stays(at in day_time(), digits in 0..=9_usize, minutes in -1_439..1_440_i32) {
            let sign = if minutes < 0 { '-' } else { '+' };
            let (hours, rest) = (minutes.abs() / 60, minutes.abs() % 60);
            let text = at.to_string();
            let cut = if digits == 0 { 19 } else { 20 + digits };
            let mut text = format!("{}{sign}{hours:02}:{rest:02}", &text[..cut]);
            if settle_instant(&mut text).is_ok() {
                let before = text.clone();
                prop_assert_eq!(text.len(), 30);
                prop_assert_eq!(settle_instant(&mut text), Ok(()));
                prop_assert_eq!(text, before);
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}", like in "[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.+Z-]{0,24}") {
            for mut text in [text, like] {
                let _ = text.parse::<Day>();
                let _ = settle_time(&mut text.clone());
                let _ = settle_local(&mut text.clone());
                let _ = settle_instant(&mut text);
            }
        }
    }
}
