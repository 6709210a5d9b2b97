//! Decimal numbers, exactly.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::error::{Error, Result};

/// A decimal number: of at most 28 digits, of which at most 28 stand behind the point. Every data source holds it exactly,
/// and orders it as a number.
///
/// Each number has one text: `-12.5`, without exponent, plus, leading zeros, and zeros at the end of a fraction.
///
/// ```
/// use fastsync_core::Decimal;
///
/// let price: Decimal = "12.50".parse()?;
/// assert_eq!(price.to_string(), "12.5");
/// assert!(price > "9".parse()?);
/// assert_eq!(price, Decimal::new(1_250, 2)?);
/// # Ok::<(), fastsync_core::Error>(())
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Decimal {
    /// Two halves of an `i128`, whose alignment would make every value larger.
    high: i64,
    low: u64,
    scale: u8,
}

const NO_NUMBER: &str = "is not a decimal number such as -12.5, without an exponent";
const TOO_LONG: &str = "has more than 28 digits";
const TOO_FINE: &str = "has more than 28 digits behind the point";

/// The first number with a digit too many.
const LIMIT: u128 = 10_u128.pow(Decimal::MAX_DIGITS);

impl Decimal {
    /// The most digits, leading zeros not counted.
    pub const MAX_DIGITS: u32 = 28;

    /// The most digits behind the point.
    pub const MAX_SCALE: u32 = 28;

    /// `mantissa` with the point `scale` digits from its end.
    ///
    /// # Errors
    /// `InvalidInput` if the number has too many digits.
    pub fn new(mantissa: i128, scale: u32) -> Result<Self> {
        Self::trimmed(mantissa < 0, mantissa.unsigned_abs(), scale).map_err(refused)
    }

    /// The number's digits, without the point.
    #[must_use]
    pub fn mantissa(self) -> i128 {
        (i128::from(self.high) << 64) | i128::from(self.low)
    }

    /// How many of the digits stand behind the point.
    #[must_use]
    pub fn scale(self) -> u32 {
        self.scale.into()
    }

    /// Reads a text; says what is wrong with it, in words that follow a name.
    pub(crate) fn read(text: &str) -> std::result::Result<Self, &'static str> {
        let (is_negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(whole) || !is_number(fraction) {
            return Err(NO_NUMBER);
        }
        let fraction = fraction.trim_end_matches('0');
        let mut mantissa = 0_u128;
        for digit in whole.bytes().chain(fraction.bytes()) {
            mantissa = mantissa * 10 + u128::from(digit - b'0');
            if mantissa >= LIMIT {
                return Err(if fraction.len() > 28 { TOO_FINE } else { TOO_LONG });
            }
        }
        let scale = u32::try_from(fraction.len()).map_err(|_| TOO_FINE)?;
        Self::trimmed(is_negative, mantissa, scale)
    }

    fn trimmed(
        is_negative: bool,
        mut mantissa: u128,
        mut scale: u32,
    ) -> std::result::Result<Self, &'static str> {
        while scale > 0 && mantissa.is_multiple_of(10) {
            // Of zero nothing is left to divide.
            (mantissa, scale) = if mantissa == 0 { (0, 0) } else { (mantissa / 10, scale - 1) };
        }
        if mantissa >= LIMIT {
            return Err(TOO_LONG);
        }
        let scale = u8::try_from(scale).ok().filter(|scale| u32::from(*scale) <= Self::MAX_SCALE);
        let mantissa = i128::try_from(mantissa).map_err(|_| TOO_LONG)?;
        let mantissa = if is_negative { -mantissa } else { mantissa };
        let (high, low) = halves(mantissa);
        Ok(Self { high, low, scale: scale.ok_or(TOO_FINE)? })
    }

    /// What stands before the point, and what behind it in units of the finest fraction; both have the number's sign.
    fn parts(self) -> (i128, i128) {
        let unit = 10_i128.pow(self.scale());
        let mantissa = self.mantissa();
        (mantissa / unit, mantissa % unit * 10_i128.pow(Self::MAX_SCALE - self.scale()))
    }
}

#[allow(clippy::cast_possible_truncation, reason = "the halves are cut on purpose")]
const fn halves(whole: i128) -> (i64, u64) {
    ((whole >> 64) as i64, whole.cast_unsigned() as u64)
}

fn refused(problem: &'static str) -> Error {
    Error::invalid("decimal", format!("a number {problem}"))
}

/// By size. This is the order of decimal numbers on every data source.
impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        self.parts().cmp(&other.parts())
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = 10_u128.pow(self.scale());
        let (sign, digits) = (if self.high < 0 { "-" } else { "" }, self.mantissa().unsigned_abs());
        write!(f, "{sign}{}", digits / unit)?;
        if self.scale == 0 {
            return Ok(());
        }
        write!(f, ".{:0width$}", digits % unit, width = usize::from(self.scale))
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Decimal {
    type Err = Error;

    /// Reads digits with or without a point; zeros may lead, and end the fraction.
    fn from_str(text: &str) -> Result<Self> {
        Self::read(text).map_err(refused)
    }
}

macro_rules! from_whole {
    ($($type:ty),*) => {$(
        impl From<$type> for Decimal {
            fn from(whole: $type) -> Self {
                let (high, low) = halves(whole.into());
                Self { high, low, scale: 0 }
            }
        }
    )*};
}

from_whole!(i8, i16, i32, i64, u8, u16, u32, u64);

/// As text.
impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Decimal;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the text of a decimal number")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> std::result::Result<Decimal, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn a_number_has_one_text() {
        let most = "9".repeat(28);
        let least = format!("0.{}1", "0".repeat(27));
        for (text, form) in [
            ("0", "0"),
            ("-0", "0"),
            ("-0.000", "0"),
            ("000", "0"),
            ("007", "7"),
            ("1.50", "1.5"),
            ("-1.0", "-1"),
            ("1000", "1000"),
            ("0.1", "0.1"),
            ("00.10", "0.1"),
            (&most, &most),
            (&least, &least),
            (&format!("00{most}.{}", "0".repeat(40)), &most),
        ] {
            assert_eq!(decimal(text).to_string(), form, "{text}");
        }
    }

    #[test]
    fn what_is_no_number_or_too_long_is_refused() {
        let long = "1".repeat(29);
        let fine = format!("0.{}1", "0".repeat(28));
        for (text, problem) in [
            ("", NO_NUMBER),
            ("-", NO_NUMBER),
            (".5", NO_NUMBER),
            ("5.", NO_NUMBER),
            ("+1", NO_NUMBER),
            ("--1", NO_NUMBER),
            ("1e3", NO_NUMBER),
            ("1,5", NO_NUMBER),
            ("1.2.3", NO_NUMBER),
            (" 1", NO_NUMBER),
            ("NaN", NO_NUMBER),
            ("\u{661}", NO_NUMBER),
            (&long, TOO_LONG),
            ("12345678901234567.890123456789", TOO_LONG),
            (&fine, TOO_FINE),
            (&format!("1{}", "0".repeat(5_000)), TOO_LONG),
            (&format!("0.{}1", "0".repeat(5_000)), TOO_FINE),
        ] {
            assert_eq!(Decimal::read(text), Err(problem), "{text}");
        }
        assert!(Decimal::new(i128::MIN, 0).is_err() && Decimal::new(1, 29).is_err());
        assert_eq!(Decimal::new(10, 29).unwrap(), decimal(&format!("0.{}1", "0".repeat(27))));
        assert_eq!(Decimal::new(0, u32::MAX).unwrap(), Decimal::default());
    }

    #[test]
    fn numbers_are_ordered_by_size() {
        let most = "9".repeat(28);
        let sorted = [
            &format!("-{most}"),
            "-10",
            "-9",
            "-1.5",
            "-1",
            &format!("-0.{}1", "0".repeat(27)),
            "0",
            &format!("0.{}1", "0".repeat(27)),
            "0.5",
            "1",
            "1.05",
            "1.5",
            "9",
            "10",
            &most,
        ]
        .map(decimal);
        for (at, a) in sorted.iter().enumerate() {
            for (other, b) in sorted.iter().enumerate() {
                assert_eq!(a.cmp(b), at.cmp(&other), "{a} {b}");
            }
        }
    }

    prop_compose! {
        fn any_decimal()(mantissa in -9_999_999_999_999_999_999_999_999_999_i128..=9_999_999_999_999_999_999_999_999_999, cut in 0..28_u32, scale in 0..=28_u32) -> Decimal {
            Decimal::new(mantissa / 10_i128.pow(cut), scale).unwrap()
        }
    }

    proptest! {
        #[test]
        fn text_and_parts_come_back(a in any_decimal(), zeros in 0..5_usize) {
            let text = a.to_string();
            prop_assert_eq!(decimal(&text), a);
            let padded = format!("{text}{}{}", if text.contains('.') { "" } else { "." }, "0".repeat(zeros + 1));
            prop_assert_eq!(decimal(&padded).to_string(), text);
            prop_assert_eq!(Decimal::new(a.mantissa(), a.scale()).unwrap(), a);
            prop_assert_eq!(serde_json::from_str::<Decimal>(&serde_json::to_string(&a).unwrap()).unwrap(), a);
        }

        /// Against the digits of both, with the same number of places.
        #[test]
        fn the_order_is_that_of_the_digits(a in any_decimal(), b in any_decimal()) {
            let key = |number: Decimal| {
                let text = number.to_string();
                let text = text.trim_start_matches('-');
                let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
                format!("{whole:0>28}{fraction:0<28}")
            };
            let expected = match (a.mantissa() < 0, b.mantissa() < 0) {
                (false, false) => key(a).cmp(&key(b)),
                (true, true) => key(b).cmp(&key(a)),
                (a, b) => b.cmp(&a),
            };
            prop_assert_eq!(a.cmp(&b), expected);
            prop_assert_eq!(a == b, expected.is_eq());
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[-+.0-9eE]{0,60}") {
            if let Ok(number) = Decimal::read(&text) {
                prop_assert_eq!(decimal(&number.to_string()), number);
            }
        }
    }
}
