//! Columns of a table that is there already: facts that a driver reads from the catalog.

use std::fmt;

use fastsync_core::{Decimal, FieldKind};

/// How many digits a decimal column holds before and behind the point.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Digits {
    /// Before the point.
    pub whole: u64,
    /// Behind the point.
    pub scale: u64,
}

impl Digits {
    /// Whether every number fits.
    #[must_use]
    pub fn hold_all(self) -> bool {
        self.whole >= Decimal::MAX_DIGITS.into() && self.scale >= Decimal::MAX_SCALE.into()
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

impl fmt::Display for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DECIMAL({},{})", self.whole.saturating_add(self.scale), self.scale)
    }
}

/// What a column holds without changing it. A value that is too long, too large or too fine is
/// refused when it is written.
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
    /// Nothing that fields are made of.
    Other,
}

impl Holds {
    /// Whether values of a kind fit.
    #[must_use]
    pub fn fits(self, kind: FieldKind) -> bool {
        match (kind, self) {
            (FieldKind::Boolean, Self::Boolean | Self::Whole(_)) => true,
            (kind, Self::Whole(_)) => kind.is_integer(),
            (FieldKind::Real, Self::Real)
            | (FieldKind::Decimal, Self::Decimal(_))
            | (FieldKind::Bytes, Self::Bytes(_)) => true,
            (kind, Self::TextOrDecimal) => is_text(kind) || kind == FieldKind::Decimal,
            (kind, Self::Text(length) | Self::Padded(length)) if is_text(kind) => match kind.text_bytes() {
                // It has no trailing spaces that could be lost.
                Some(bytes) => u64::try_from(bytes).is_ok_and(|bytes| length >= bytes),
                None => matches!(self, Self::Text(_)),
            },
            _ => false,
        }
    }
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
            Holds::TextOrDecimal => Digits { whole: u64::MAX, scale: u64::MAX },
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
