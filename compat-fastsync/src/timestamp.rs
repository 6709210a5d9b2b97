//! Timestamps: each platform of the original has a unit of its own.

use fastsync_core::Timestamp;

use crate::wire::Number;

/// The unit that a client writes times in, told by their size: each range is decades wide around today.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Seconds,
    Milliseconds,
    Microseconds,
}

/// Times before 2001 are placeholders (0, 999).
const EARLIEST_SECONDS: f64 = 1e9;

impl Unit {
    /// The unit of a time; `None` if it is no time.
    pub(crate) fn of(time: Number) -> Option<Self> {
        match time.0 {
            seconds if (EARLIEST_SECONDS..1e11).contains(&seconds) => Some(Self::Seconds),
            millis if (EARLIEST_SECONDS * 1e3..1e14).contains(&millis) => Some(Self::Milliseconds),
            micros if (EARLIEST_SECONDS * 1e6..1e17).contains(&micros) => Some(Self::Microseconds),
            _ => None,
        }
    }

    /// A time in this unit, whole: one client of the original takes no fractions.
    pub(crate) fn write(self, time: Timestamp) -> Number {
        Number::from(match self {
            Self::Seconds => time.as_millis() / 1_000,
            Self::Milliseconds => time.as_millis(),
            Self::Microseconds => time.as_millis().saturating_mul(1_000),
        })
    }
}

/// The time that a client means; `None` if it is no time.
pub(crate) fn read(time: Number) -> Option<Timestamp> {
    let millis = match Unit::of(time)? {
        Unit::Seconds => time.0 * 1e3,
        Unit::Milliseconds => time.0,
        Unit::Microseconds => time.0 / 1e3,
    };
    Some(Timestamp::from_millis(Number(millis).whole()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_told_apart() {
        for (time, unit) in [
            (1_795_294_580.37, Some(Unit::Seconds)),
            (1_795_294_580.0, Some(Unit::Seconds)),
            (1_795_294_580_370.0, Some(Unit::Milliseconds)),
            (1_795_294_580_370_000.0, Some(Unit::Microseconds)),
            (999.0, None),
            (0.0, None),
            (-1.0, None),
            (f64::NAN, None),
            (638_000_000_000_000_000.0, None), // ticks of another platform's counter row
        ] {
            assert_eq!(Unit::of(Number(time)), unit, "{time}");
            if unit.is_some() {
                assert_eq!(read(Number(time)).unwrap().as_millis() / 1_000, 1_795_294_580);
            }
        }
        let time = Timestamp::from_millis(1_795_294_580_370);
        for unit in [Unit::Seconds, Unit::Milliseconds, Unit::Microseconds] {
            assert_eq!(Unit::of(unit.write(time)), Some(unit));
        }
    }
}
