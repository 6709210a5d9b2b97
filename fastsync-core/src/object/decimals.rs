//! Decimal numbers of the crate `rust_decimal`.

use super::{FieldKind, FieldValue, mismatch};
use crate::error::Result;
use crate::model::{Decimal, Value};

/// A number of 29 digits, of which this type has some, is refused. Zeros at the end of a fraction are not kept.
impl FieldValue for rust_decimal::Decimal {
    const KIND: FieldKind = FieldKind::Decimal;
    fn to_value(&self) -> Result<Value> {
        Decimal::new(self.mantissa(), self.scale()).map(Value::Decimal)
    }
    fn from_value(value: Value) -> Result<Self> {
        let Value::Decimal(number) = value else { return Err(mismatch(Self::KIND)) };
        Self::try_from_i128_with_scale(number.mantissa(), number.scale()).map_err(|_| mismatch(Self::KIND))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_28_digits_come_back() {
        let most = "9".repeat(28);
        for text in ["0", "-0.00", "1.50", "-12.5", "0.0000000000000000000000000001", &most] {
            let number: rust_decimal::Decimal = text.parse().unwrap();
            let value = number.to_value().unwrap();
            assert!(value == Value::Decimal(text.parse().unwrap()), "{text}");
            assert_eq!(rust_decimal::Decimal::from_value(value).unwrap(), number);
        }
        assert!(rust_decimal::Decimal::MAX.to_value().is_err());
        assert!(rust_decimal::Decimal::from_value(Value::Real(1.0)).is_err());
    }
}
