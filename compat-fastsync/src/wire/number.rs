//! Numbers as the original clients write them.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A number of the original protocol: whole or with a fraction, whatever the client's platform makes of it. Written
/// without a fraction where it has none.
#[derive(Debug, Clone, Copy, Default, PartialEq, PartialOrd)]
pub struct Number(pub f64);

/// Above it a 64-bit float is not exact.
const EXACT: f64 = 9_007_199_254_740_992.0;

impl Number {
    /// The whole part; 0 for what is negative or not exact.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
    pub fn whole(self) -> u64 {
        if (0.0..=EXACT).contains(&self.0) { self.0 as u64 } else { 0 }
    }
}

impl From<u64> for Number {
    fn from(whole: u64) -> Self {
        Self(whole as f64)
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.fract() == 0.0 && (0.0..=EXACT).contains(&self.0) {
            serializer.serialize_u64(self.whole())
        } else {
            serializer.serialize_f64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Number;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }
            fn visit_i64<E>(self, value: i64) -> Result<Number, E> {
                Ok(Number(value as f64))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Number, E> {
                Ok(Number(value as f64))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Number, E> {
                Ok(Number(value))
            }
            fn visit_unit<E>(self) -> Result<Number, E> {
                Ok(Number::default())
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_and_real_numbers_are_the_same() {
        for (json, whole) in [("7", 7), ("7.0", 7), ("7.9", 7), ("-1", 0), ("1e300", 0), ("null", 0)] {
            assert_eq!(serde_json::from_str::<Number>(json).unwrap().whole(), whole, "{json}");
        }
        for bad in ["\"7\"", "{\"$gt\":0}", "[7]", "true"] {
            assert!(serde_json::from_str::<Number>(bad).is_err(), "{bad}");
        }
        for (number, json) in [(7.0, "7"), (1_795_294_580.37, "1795294580.37"), (0.0, "0")] {
            assert_eq!(serde_json::to_string(&Number(number)).unwrap(), json);
        }
    }
}
