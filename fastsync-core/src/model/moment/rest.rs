//! Reading a text from left to right.

use super::{BAD_OFFSET, Day, DayTime, NO_DATE, NO_DATE_TIME, NO_TIME, Parsed, TimeOfDay};

/// What is left to read of a text.
pub(super) struct Rest<'a>(pub(super) &'a [u8]);

impl Rest<'_> {
    /// A number of so many digits.
    fn digits(&mut self, count: usize) -> Option<u32> {
        let (digits, rest) = self.0.split_at_checked(count)?;
        let number = digits.iter().try_fold(0_u32, |number, byte| {
            byte.is_ascii_digit().then(|| number * 10 + u32::from(byte - b'0'))
        })?;
        self.0 = rest;
        Some(number)
    }

    /// Passes over one of these bytes; gives it.
    fn one_of(&mut self, bytes: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        bytes.contains(first).then(|| {
            self.0 = rest;
            *first
        })
    }

    pub(super) fn end(&self, problem: &'static str) -> Parsed<()> {
        if self.0.is_empty() { Ok(()) } else { Err(problem) }
    }

    pub(super) fn day(&mut self) -> Parsed<Day> {
        let mut read = || {
            let year = self.digits(4)?;
            self.one_of(b"-")?;
            let month = self.digits(2)?;
            self.one_of(b"-")?;
            Some((year, month, self.digits(2)?))
        };
        let (year, month, day) = read().ok_or(NO_DATE)?;
        Day::new(year.into(), month, day)
    }

    pub(super) fn time(&mut self) -> Parsed<TimeOfDay> {
        let mut read = || {
            let hour = self.digits(2)?;
            self.one_of(b":")?;
            let minute = self.digits(2)?;
            self.one_of(b":")?;
            let second = self.digits(2)?;
            let mut nanosecond = 0;
            if self.one_of(b".").is_some() {
                let count = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
                let missing = 9_u32.checked_sub(u32::try_from(count).ok()?).filter(|_| count > 0)?;
                nanosecond = self.digits(count)? * 10_u32.pow(missing);
            }
            Some((hour, minute, second, nanosecond))
        };
        let (hour, minute, second, nanosecond) = read().ok_or(NO_TIME)?;
        TimeOfDay::new(hour, minute, second, nanosecond)
    }

    pub(super) fn day_time(&mut self) -> Parsed<DayTime> {
        let day = self.day()?;
        self.one_of(b"Tt ").ok_or(NO_DATE_TIME)?;
        Ok(DayTime(day, self.time()?))
    }

    /// An offset from UTC in minutes, if there is one.
    pub(super) fn offset(&mut self) -> Parsed<Option<i32>> {
        let sign = match self.one_of(b"Zz+-") {
            None => return Ok(None),
            Some(b'+') => 1,
            Some(b'-') => -1,
            Some(_) => return Ok(Some(0)),
        };
        let mut read = || {
            let hours = self.digits(2).filter(|hours| *hours < 24)?;
            self.one_of(b":")?;
            let minutes = self.digits(2).filter(|minutes| *minutes < 60)?;
            i32::try_from(hours * 60 + minutes).ok()
        };
        read().map(|minutes| Some(sign * minutes)).ok_or(BAD_OFFSET)
    }
}
