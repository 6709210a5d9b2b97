//! What a field holds, and the one stored form of each value.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::model::{Decimal, Value, moment};

/// The kind of a field, which decides its column, its order, and the one form in which each value is stored and sent.
///
/// [`TypeSchema::admit`](crate::TypeSchema::admit) brings values into this form and refuses what has none. Every data source
/// filters and orders by it, so results are the same everywhere.
///
/// Dates and times are text whose order by bytes is their order in time. Years are 0000 to 9999. A leap second (`23:59:60`)
/// is refused: most types that read it back have no place for it, and seconds are counted without it. Fractions of a second
/// have at most nine digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FieldKind {
    /// True or false.
    Boolean,
    /// A signed 64-bit whole number.
    Integer,
    /// A whole number from -128 to 127.
    I8,
    /// A whole number from -32,768 to 32,767.
    I16,
    /// A whole number from -2,147,483,648 to 2,147,483,647.
    I32,
    /// A whole number from 0 to 255.
    U8,
    /// A whole number from 0 to 65,535.
    U16,
    /// A whole number from 0 to 4,294,967,295.
    U32,
    /// A finite 64-bit floating point number.
    Real,
    /// A decimal number of at most 28 digits, of which at most 28 stand behind the point, and exactly that number
    /// ([`Decimal`](crate::Decimal)). It is sent as text, `-12.5`, and ordered by size. Text with more zeros than it needs, and
    /// whole numbers, become that; text with an exponent is refused.
    Decimal,
    /// Text without NUL.
    Text,
    /// A UUID, as its hyphenated lower-case text.
    Uuid,
    /// A moment: `2026-01-31T12:00:00.000000000Z`. RFC 3339 text with any offset becomes that, in UTC and with nine digits.
    Instant,
    /// A date and a time of day on a clock that is not said: `2026-01-31T12:00:00.000000000`. Text with fewer digits of
    /// the fraction becomes that, text with an offset is refused.
    LocalDateTime,
    /// A day of the calendar: `2026-01-31`.
    Date,
    /// A time of day: `12:00:00.000000000`. Text with fewer digits of the fraction becomes that.
    Time,
    /// Bytes.
    Bytes,
    /// Anything else, as a JSON column.
    Json,
}

impl FieldKind {
    /// The whole numbers that a field of this kind holds; `None` if the kind is not one of whole numbers.
    #[must_use]
    pub const fn integers(self) -> Option<RangeInclusive<i64>> {
        Some(match self {
            Self::Integer => i64::MIN..=i64::MAX,
            Self::I8 => i8::MIN as i64..=i8::MAX as i64,
            Self::I16 => i16::MIN as i64..=i16::MAX as i64,
            Self::I32 => i32::MIN as i64..=i32::MAX as i64,
            Self::U8 => 0..=u8::MAX as i64,
            Self::U16 => 0..=u16::MAX as i64,
            Self::U32 => 0..=u32::MAX as i64,
            _ => return None,
        })
    }

    /// Whether values are [`Value::Integer`].
    #[must_use]
    pub const fn is_integer(self) -> bool {
        self.integers().is_some()
    }

    /// Whether values are [`Value::Text`], whose order is that of its bytes.
    #[must_use]
    pub const fn is_text(self) -> bool {
        self.text_bytes().is_some() || matches!(self, Self::Text)
    }

    /// How many bytes the text of every value has; `None` for kinds whose values differ in it, or are not text.
    #[must_use]
    pub const fn text_bytes(self) -> Option<usize> {
        Some(match self {
            Self::Uuid => 36,
            Self::Instant => 30,
            Self::LocalDateTime => 29,
            Self::Date => 10,
            Self::Time => 18,
            _ => return None,
        })
    }

    /// Whether every value of the other kind is one of this, in the same form: a field of the other kind may become one of
    /// this.
    #[must_use]
    pub fn takes(self, other: Self) -> bool {
        match (self.integers(), other.integers()) {
            (Some(ours), Some(theirs)) => ours.contains(theirs.start()) && ours.contains(theirs.end()),
            _ => self == other,
        }
    }

    /// `false`, `0`, `0.0`, empty, and `null` in JSON.
    pub(crate) fn zero(self) -> Value {
        match self {
            Self::Boolean => Value::Bool(false),
            Self::Integer | Self::I8 | Self::I16 | Self::I32 | Self::U8 | Self::U16 | Self::U32 => {
                Value::Integer(0)
            }
            Self::Real => Value::Real(0.0),
            Self::Decimal => Value::Decimal(Decimal::default()),
            Self::Text | Self::Uuid | Self::Instant | Self::LocalDateTime | Self::Date | Self::Time => {
                Value::Text(String::new())
            }
            Self::Bytes => Value::Bytes(Vec::new()),
            Self::Json => Value::Json("null".to_owned()),
        }
    }

    /// Whether [`Self::zero`] is a value of this kind. No text of a fixed form is empty, and null in JSON is no value.
    pub(super) fn has_zero(self) -> bool {
        self.text_bytes().is_none() && self != Self::Json
    }

    /// Brings a value into the stored form of this kind; says what is wrong with it if it has none.
    pub(crate) fn settle(self, value: &mut Value) -> Result<Option<&'static str>> {
        use base64::Engine as _;
        const OTHER: &str = "has a value of another kind";
        let fits = match (self, &mut *value) {
            (Self::Boolean, Value::Bool(_))
            | (Self::Decimal, Value::Decimal(_))
            | (Self::Bytes, Value::Bytes(_))
            | (Self::Json, Value::Json(_)) => true,
            (Self::Real, Value::Real(real)) => {
                *real += 0.0;
                real.is_finite()
            }
            (Self::Real, Value::Integer(whole)) => {
                let exact = whole.unsigned_abs() <= 1 << f64::MANTISSA_DIGITS;
                *value = Value::Real(*whole as f64);
                exact
            }
            (Self::Decimal, Value::Integer(whole)) => {
                *value = Value::Decimal(Decimal::from(*whole));
                true
            }
            (Self::Decimal, Value::Text(text)) => match Decimal::read(text) {
                Ok(number) => {
                    *value = Value::Decimal(number);
                    true
                }
                Err(problem) => return Ok(Some(problem)),
            },
            (Self::Text, Value::Text(text)) => {
                if text.contains('\0') {
                    return Ok(Some("holds NUL"));
                }
                true
            }
            (Self::Uuid, Value::Text(text)) => is_canonical_uuid(text),
            (Self::Instant, Value::Text(text)) => return Ok(moment::settle_instant(text).err()),
            (Self::LocalDateTime, Value::Text(text)) => return Ok(moment::settle_local(text).err()),
            (Self::Date, Value::Text(text)) => return Ok(text.parse::<moment::Day>().err()),
            (Self::Time, Value::Text(text)) => return Ok(moment::settle_time(text).err()),
            (Self::Bytes, Value::Text(text)) => {
                match base64::engine::general_purpose::STANDARD.decode(&*text) {
                    Ok(bytes) => {
                        *value = Value::Bytes(bytes);
                        true
                    }
                    Err(_) => false,
                }
            }
            (Self::Json, plain @ (Value::Bool(_) | Value::Integer(_) | Value::Real(_) | Value::Text(_))) => {
                *value = Value::json(plain)?;
                true
            }
            (kind, Value::Integer(whole)) => match kind.integers() {
                Some(range) if !range.contains(whole) => return Ok(Some(kind.width())),
                range => range.is_some(),
            },
            _ => false,
        };
        Ok((!fits).then_some(OTHER))
    }

    /// What is wrong with a whole number beyond this kind.
    const fn width(self) -> &'static str {
        match self {
            Self::I8 => "is not within -128 and 127",
            Self::I16 => "is not within -32768 and 32767",
            Self::I32 => "is not within -2147483648 and 2147483647",
            Self::U8 => "is not within 0 and 255",
            Self::U16 => "is not within 0 and 65535",
            Self::U32 => "is not within 0 and 4294967295",
            _ => "is beyond 64 bits",
        }
    }
}

pub(super) fn is_canonical_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: [FieldKind; 7] = [
        FieldKind::Integer,
        FieldKind::I8,
        FieldKind::I16,
        FieldKind::I32,
        FieldKind::U8,
        FieldKind::U16,
        FieldKind::U32,
    ];

    #[test]
    fn a_whole_number_is_within_the_width_of_its_kind() {
        for kind in WHOLE {
            let range = kind.integers().unwrap();
            let settled = |whole: i64| kind.settle(&mut Value::Integer(whole)).unwrap();
            assert_eq!((settled(*range.start()), settled(*range.end())), (None, None), "{kind:?}");
            for beyond in [range.start().checked_sub(1), range.end().checked_add(1)].into_iter().flatten() {
                let problem = settled(beyond).unwrap();
                assert!(problem.contains(&range.start().to_string()), "{kind:?}: {problem}");
                assert!(problem.contains(&range.end().to_string()), "{kind:?}: {problem}");
            }
            assert!(kind.settle(&mut Value::Real(1.0)).unwrap().is_some());
        }
    }

    #[test]
    fn a_kind_takes_what_it_holds() {
        for (wide, narrow) in [
            (FieldKind::I16, FieldKind::I8),
            (FieldKind::I16, FieldKind::U8),
            (FieldKind::I32, FieldKind::U16),
            (FieldKind::U32, FieldKind::U8),
            (FieldKind::Integer, FieldKind::U32),
        ] {
            assert!(wide.takes(narrow) && !narrow.takes(wide), "{wide:?} {narrow:?}");
        }
        assert!(!FieldKind::U32.takes(FieldKind::I8) && !FieldKind::I32.takes(FieldKind::U32));
        assert!(!FieldKind::Real.takes(FieldKind::I8) && !FieldKind::Text.takes(FieldKind::Uuid));
        assert!(WHOLE.iter().all(|kind| kind.takes(*kind) && FieldKind::Integer.takes(*kind)));
    }
}
