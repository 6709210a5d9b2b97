use proptest::prelude::*;

use crate::sql::tests::{WITH_BACKTICKS, WITH_NUMBERS};
use crate::sql::{Digits, Holds, rows_at_once, split_rows};
use fastsync_core::Value;

#[test]
fn rows_are_cut_into_few_sizes_within_the_limits() {
    let at_once = |left, columns| rows_at_once(&WITH_BACKTICKS, left, columns);
    assert_eq!([1, 3, 124, 125, 1_000].map(|left| at_once(left, 10)), [1, 2, 64, 64, 250]);
    assert_eq!([50, 1_000].map(|left| at_once(left, 1_000)), [32, 65]);
    assert_eq!(at_once(0, 0), 1);
    let at_once = |left| rows_at_once(&WITH_NUMBERS, left, 10);
    assert_eq!([0, 1, 3, 999, 5_000].map(at_once), [1, 1, 3, 999, 1_000]);
}

proptest! {
    /// All rows come, in order; each statement is within the limits or has one row.
    #[test]
    fn statements_hold_all_rows_and_no_more_than_they_may(
        rows in prop::collection::vec(0_usize..50, 0..1_500),
        columns in 1_usize..2_000,
        most in 1_usize..400,
    ) {
        let mut rest = rows.as_slice();
        let mut seen = Vec::new();
        while !rest.is_empty() {
            let (now, later) = split_rows(&WITH_BACKTICKS, rest, columns, (most, |row: &usize| *row));
            prop_assert!(now.len() == 1 || now.iter().sum::<usize>() <= most);
            prop_assert!((1..=250).contains(&now.len()) && now.len() * columns <= 65_535);
            seen.extend_from_slice(now);
            rest = later;
        }
        prop_assert_eq!(seen, rows);
    }
}

#[test]
fn a_column_holds_what_has_no_more_digits() {
    let digits = Digits { whole: 3, scale: 2 };
    for (number, is_held) in
        [("0", true), ("999.99", true), ("-999.9", true), ("1000", false), ("0.001", false), ("-0.25", true)]
    {
        assert_eq!(digits.hold(number.parse().unwrap()), is_held, "{number}");
    }
    assert!(!digits.hold_all() && Digits { whole: 28, scale: 28 }.hold_all());
    assert!(Digits { whole: 0, scale: 2 }.hold("0.25".parse().unwrap()));
}

#[test]
fn kinds_fit_columns_that_lose_nothing() {
    use fastsync_core::FieldKind::{Boolean, Bytes, Decimal, Integer, Json, Real, Text, Uuid};
    let columns = [
        (Holds::Boolean, vec![Boolean]),
        (Holds::Whole(-128), vec![Boolean, Integer]),
        (Holds::Real, vec![Real]),
        (Holds::Decimal(Digits::default()), vec![Decimal]),
        (Holds::Bytes(10), vec![Bytes]),
        (Holds::Text(35), vec![Text, Json]),
        (Holds::Text(36), vec![Text, Json, Uuid]),
        (Holds::Padded(36), vec![Uuid]),
        (Holds::Uuid, vec![Uuid]),
        (Holds::Json, vec![Json]),
        (Holds::Other, vec![]),
    ];
    for (column, fitting) in columns {
        for kind in [Boolean, Integer, Real, Decimal, Bytes, Text, Json, Uuid] {
            assert_eq!(column.fits(kind), fitting.contains(&kind), "{column:?} {kind:?}");
        }
    }
}

/// Fails if a server gets what it would round or cut without a word.
#[test]
fn columns_keep_what_they_do_not_change() {
    let digits = Digits { whole: 3, scale: 2 };
    for (holds, value, is_kept) in [
        (Holds::Decimal(digits), Value::Decimal("0.001".parse().unwrap()), false),
        (Holds::Text(3), "äöü".into(), true),
        (Holds::Text(3), "abc ".into(), false),
        (Holds::Time(1), "12:00:00.100000000".into(), true),
        (Holds::Instant(1), "2026-01-31T12:34:56.120000000Z".into(), false),
        (Holds::Text(3), Value::Null, true),
    ] {
        assert_eq!(holds.keeps(&value), is_kept, "{holds:?} {value:?}");
    }
}
