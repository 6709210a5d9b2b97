//! Columns of a table that is there already: facts that a driver reads from the catalog.

use fastsync_core::{Decimal, FieldKind, Value};
use uuid::Uuid;

/// How many digits a decimal column holds before and behind the point.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Digits {
    /// Before the point.
    pub whole: u64,
    /// Behind the point.
    pub scale: u64,
}

impl Digits {
    /// Those of every number.
    pub const ALL: Self = Self { whole: Decimal::MAX_DIGITS as u64, scale: Decimal::MAX_SCALE as u64 };

    /// Whether every number fits.
    #[must_use]
    pub fn hold_all(self) -> bool {
        self.whole >= Self::ALL.whole && self.scale >= Self::ALL.scale
    }

    /// Whether the column holds the number as it is.
    #[must_use]
    pub fn hold(self, number: Decimal) -> bool {
        let whole = number.mantissa().unsigned_abs().checked_div(10_u128.saturating_pow(number.scale()));
        let whole = whole.unwrap_or_default();
        let digits = if whole == 0 { 0 } else { u64::from(whole.ilog10()).saturating_add(1) };
        digits <= self.whole && u64::from(number.scale()) <= self.scale
    }
}

/// What a column holds without changing it. A value that is too large is refused when it is written; what a server would
/// round or cut without an error is refused before.
///
/// Moments of native types have so many digits of a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// Truths.
    Boolean,
    /// Whole numbers from this one on, which is negative.
    Whole(i64),
    /// Floating point numbers of 64 bits.
    Real,
    /// Decimal numbers.
    Decimal(Digits),
    /// Bytes, at most so many.
    Bytes(u64),
    /// Text of at most so many characters.
    Text(u64),
    /// Text of at most so many characters, whose trailing spaces are lost.
    Padded(u64),
    /// Text of any length, and decimal numbers as text.
    TextOrDecimal,
    /// The text of JSON as it is, in a type of its own.
    Json,
    /// UUIDs, in a type of their own.
    Uuid,
    /// Days, in a type of their own.
    Date,
    /// Times of day, in a type of their own.
    Time(usize),
    /// Days with a time, in a type of their own.
    Local(usize),
    /// Moments, in a type of their own.
    Instant(usize),
    /// Nothing that fields are made of.
    Other,
}

/// How many digits of a second the moments of servers have at most.
const MICROS: usize = 6;

/// Longer texts than any record has.
const UNBOUNDED: u64 = 1 << 31;

impl Holds {
    /// What a column is taken to hold that the catalog says nothing of.
    pub(crate) fn of(kind: FieldKind) -> Self {
        match kind {
            FieldKind::Boolean => Self::Boolean,
            kind if kind.is_integer() => Self::Whole(Self::lowest(kind).unwrap_or(i64::MIN)),
            FieldKind::Real => Self::Real,
            FieldKind::Decimal => Self::Decimal(Digits::ALL),
            FieldKind::Bytes => Self::Bytes(u64::MAX),
            _ => Self::Text(u64::MAX),
        }
    }

    /// The least number of the narrowest type of 16, 32 or 64 bits that holds a kind of whole numbers.
    pub(crate) fn lowest(kind: FieldKind) -> Option<i64> {
        let integers = kind.integers()?;
        let lowest = [i16::MIN.into(), i32::MIN.into(), i64::MIN];
        lowest.into_iter().find(|lowest| *lowest <= *integers.start() && *integers.end() <= !*lowest)
    }

    /// Whether values of a kind fit.
    #[must_use]
    pub fn fits(self, kind: FieldKind) -> bool {
        match (kind, self) {
            (FieldKind::Boolean, Self::Boolean | Self::Whole(_)) => true,
            (kind, Self::Whole(_)) => kind.is_integer(),
            (FieldKind::Real, Self::Real)
            | (FieldKind::Decimal, Self::Decimal(_))
            | (FieldKind::Bytes, Self::Bytes(_))
            | (FieldKind::Json, Self::Json)
            | (FieldKind::Uuid, Self::Uuid)
            | (FieldKind::Date, Self::Date)
            | (FieldKind::Time, Self::Time(_))
            | (FieldKind::LocalDateTime, Self::Local(_))
            | (FieldKind::Instant, Self::Instant(_)) => true,
            (kind, Self::TextOrDecimal) => is_text(kind) || kind == FieldKind::Decimal,
            (kind, Self::Text(length) | Self::Padded(length)) if is_text(kind) => match kind.text_bytes() {
                // It has no trailing spaces that could be lost.
                Some(bytes) => u64::try_from(bytes).is_ok_and(|bytes| length >= bytes),
                None => matches!(self, Self::Text(_)),
            },
            _ => false,
        }
    }

    /// Whether it keeps a value of a kind that fits as it is. Servers cut spaces at the end, and round, without an error.
    #[must_use]
    pub fn keeps(self, value: &Value) -> bool {
        match (self, value) {
            (Self::Decimal(digits), Value::Decimal(number)) => digits.hold(*number),
            (Self::Text(most), Value::Text(text) | Value::Json(text)) => {
                let most = usize::try_from(most).unwrap_or(usize::MAX);
                text.len() <= most || text.chars().count() <= most
            }
            (Self::Time(digits) | Self::Local(digits) | Self::Instant(digits), Value::Text(text)) => {
                is_as_fine(text, digits)
            }
            _ => true,
        }
    }

    /// Whether there are values of this kind that it does not keep as they are.
    pub(crate) fn is_narrow(self, kind: FieldKind) -> bool {
        match self {
            Self::Decimal(digits) => !digits.hold_all(),
            Self::Text(most) => most < UNBOUNDED && kind.text_bytes().is_none(),
            Self::Time(_) | Self::Local(_) | Self::Instant(_) => true,
            _ => false,
        }
    }

    /// Whether a value is compared as the column's type has it; otherwise as text. Part of a UUID is no UUID.
    pub(crate) fn compares(self, value: &Value) -> bool {
        match (self, value) {
            (Self::Json, _) => false,
            (Self::Uuid, Value::Text(text)) => {
                Uuid::try_parse(text).is_ok_and(|uuid| uuid.to_string() == *text)
            }
            (Self::Time(_) | Self::Local(_) | Self::Instant(_), Value::Text(text)) => {
                is_as_fine(text, MICROS)
            }
            _ => true,
        }
    }

    pub(crate) const fn is_text(self) -> bool {
        matches!(self, Self::Text(_) | Self::Padded(_) | Self::TextOrDecimal)
    }
}

/// Whether the text of a moment has so many digits of a second, and then zeros.
fn is_as_fine(text: &str, digits: usize) -> bool {
    let fraction = text.split_once('.').map_or("", |(_, fraction)| fraction);
    fraction.bytes().skip(digits).all(|digit| matches!(digit, b'0' | b'Z'))
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name; of a column that is to be renamed the later one.
    pub name: String,
    /// Its name in the table as it is.
    pub stored: String,
    /// What it holds.
    pub holds: Holds,
    /// Its type as messages name it, such as `bigint(20) unsigned`.
    pub full_type: String,
    /// Its type as an `ALTER TABLE` takes it, with character set and collation.
    pub declared: String,
    /// The type that a column of ids has; it is of that type if this is `None`.
    pub key_type: Option<&'static str>,
    /// What is wrong with it for text, such as `has character set latin1, utf8mb4 is needed`.
    pub text_problem: Option<String>,
    /// Its collation; empty if it is not text.
    pub collation: String,
    /// Whether it may be null.
    pub nullable: bool,
    /// Whether a row can be written without a value for it.
    pub has_default: bool,
    /// Whether the database computes it.
    pub is_generated: bool,
    /// Whether it is of the primary key.
    pub is_primary: bool,
}

impl Column {
    /// The digits of a decimal column; none of one that holds no such numbers.
    #[must_use]
    pub const fn digits(&self) -> Digits {
        match self.holds {
            Holds::Decimal(digits) => digits,
            Holds::TextOrDecimal => Digits::ALL,
            _ => Digits { whole: 0, scale: 0 },
        }
    }

    /// How many characters or bytes it holds at most; 0 for types without such a limit.
    #[must_use]
    pub const fn length(&self) -> u64 {
        match self.holds {
            Holds::Bytes(length) | Holds::Text(length) | Holds::Padded(length) => length,
            Holds::TextOrDecimal => u64::MAX,
            _ => 0,
        }
    }
}

/// Whether values of a kind are text in a table.
#[must_use]
pub const fn is_text(kind: FieldKind) -> bool {
    kind.is_text() || matches!(kind, FieldKind::Json)
}
