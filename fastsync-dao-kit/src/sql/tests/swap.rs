use fastsync_core::{FieldKind, Value};
use proptest::prelude::*;

use crate::sql::swap::{StandIn, in_between};
use crate::sql::tests::column;
use crate::sql::{Column, Digits, Holds};

const KINDS: [(FieldKind, Holds); 7] = [
    (FieldKind::Integer, Holds::Whole(-128)),
    (FieldKind::Integer, Holds::Whole(i64::MIN)),
    (FieldKind::Real, Holds::Real),
    (FieldKind::Decimal, Holds::Decimal(Digits { whole: 5, scale: 2 })),
    (FieldKind::Text, Holds::Text(8)),
    (FieldKind::Text, Holds::Text(4_000)),
    (FieldKind::Bytes, Holds::Bytes(8)),
];

proptest! {
    /// Two rows never get the same, and nobody gets what the column does not hold.
    #[test]
    fn what_rows_have_in_between_differs_and_fits(a in 0_u32..100, b in 0_u32..100, next in ".{0,20}") {
        for (kind, holds) in KINDS {
            let column = column("x", holds);
            for stand_in in [StandIn::Odd, StandIn::Alike] {
                let next = (kind == FieldKind::Text).then(|| Value::Text(next.clone()));
                let value = |n| in_between(kind, &column, next.as_ref(), n, stand_in);
                prop_assert_eq!(value(a) == value(b), a == b, "{:?} {:?}", kind, stand_in);
                match value(a) {
                    Value::Integer(n) => {
                        let Holds::Whole(lowest) = holds else { panic!("{holds:?}") };
                        prop_assert!((lowest..=!lowest).contains(&n));
                    }
                    Value::Decimal(number) => prop_assert!(column.digits().hold(number)),
                    Value::Text(text) => prop_assert!(text.chars().count() as u64 <= column.length()),
                    Value::Bytes(bytes) => prop_assert!(bytes.len() as u64 <= column.length()),
                    Value::Real(real) => prop_assert!(real.is_finite()),
                    other => prop_assert!(false, "{:?}", other),
                }
            }
        }
    }
}

#[test]
fn a_column_that_may_be_null_is_null_in_between() {
    let column = Column { nullable: true, ..column("x", Holds::Real) };
    assert_eq!(in_between(FieldKind::Real, &column, None, 1, StandIn::Odd), Value::Null);
}
