//! A database that alters tables one part at a time, has decimal numbers as text, and a `LIKE` that folds case: like SQLite.

use fastsync_core::source::PlannedChange;
use fastsync_core::source::rules::NotedType;
use fastsync_core::{Comparison, Decimal, FieldKind, FieldName, Filter, Order, TypeSchema, Value};

use crate::sql::tests::{Bound, WITH_NUMBERS, column, sent};
use crate::sql::{
    Column, Dialect, Finding, Forms, Found, Holds, Lists, Literals, Marks, Sql, Type, adopt, order_by,
    push_filter,
};

const EMBEDDED: Dialect = Dialect {
    marks: Marks::Question,
    lists: Lists::Places(100),
    folds_names: true,
    has_zeros: true,
    literals: Literals { text: "'{doubled}'", decimal: "'{}'", ..WITH_NUMBERS.literals },
    decimal_mark: "?",
    by_size: "{} COLLATE size",
    contains: Some("instr({}, ?) > 0"),
    forms: Forms { alters_together: false, ..WITH_NUMBERS.forms },
    ..WITH_NUMBERS
};

fn prices() -> TypeSchema {
    TypeSchema::builder("prices", "id")
        .field("price", FieldKind::Decimal)
        .default_value("price", Value::Decimal("0.5".parse().unwrap()))
        .field("name", FieldKind::Text)
        .default_value("name", "it's `?`")
        .build()
        .unwrap()
}

fn name(name: &str) -> FieldName {
    FieldName::new(name).unwrap()
}

fn written(filter: &Filter) -> (String, Vec<String>) {
    let kind = Type::new(
        1,
        prices(),
        &[Column { collation: "C".into(), ..column("name", Holds::TextOrDecimal) }],
        &EMBEDDED,
    );
    let mut sql = Sql::<Bound>::default();
    push_filter(&mut sql, &kind, filter).unwrap();
    sent(sql, &EMBEDDED)
}

/// Fails if the quotes of names reach into a default, which would change it.
#[test]
fn each_missing_column_is_a_step_with_its_default_as_it_is() {
    let id = Column { is_primary: true, collation: "C".into(), ..column("id", Holds::TextOrDecimal) };
    let steps: Vec<_> = adopt(&EMBEDDED, None, &NotedType::new(prices()), vec![id])
        .into_iter()
        .filter_map(|Found { finding, .. }| match finding {
            Finding::Step(step) => Some((EMBEDDED.spell(step.text, ""), step.changes)),
            Finding::Problem(_) => None,
        })
        .collect();
    let added = |field: &str| {
        vec![PlannedChange::AddField { type_name: prices().name().clone(), field: name(field) }]
    };
    let alter = "ALTER TABLE \"prices\" ADD COLUMN";
    assert_eq!(
        steps,
        [
            (format!("{alter} \"price\" numeric NOT NULL DEFAULT '0.5'"), added("price")),
            (format!("{alter} \"name\" text COLLATE \"C\" NOT NULL DEFAULT 'it''s `?`'"), added("name")),
        ]
    );
}

#[test]
fn numbers_compare_by_size_and_parts_of_texts_by_a_function() {
    let half = Value::Decimal(Decimal::new(5, 1).unwrap());
    let price = Filter::Compare(name("price"), Comparison::Less, half);
    assert_eq!(written(&price).0, "(u.\"price\" COLLATE size < ?)");
    let part = Filter::Contains(name("name"), "5%".to_owned());
    assert_eq!(written(&part), ("(instr(u.\"name\", ?) > 0)".to_owned(), vec!["5%".to_owned()]));
    let kind = Type::new(1, prices(), &[], &EMBEDDED);
    let order = order_by(&kind, &[Order::new(name("price"), false)]);
    assert_eq!(EMBEDDED.spell(order, ""), "u.\"price\" COLLATE size ASC NULLS FIRST, u.\"id\"");
}

#[test]
fn a_column_of_text_holds_texts_and_numbers_of_all_digits() {
    for kind in [FieldKind::Text, FieldKind::Json, FieldKind::Date, FieldKind::Decimal] {
        assert!(Holds::TextOrDecimal.fits(kind), "{kind:?}");
    }
    for kind in [FieldKind::Integer, FieldKind::Real, FieldKind::Boolean, FieldKind::Bytes] {
        assert!(!Holds::TextOrDecimal.fits(kind), "{kind:?}");
    }
    let column = column("price", Holds::TextOrDecimal);
    assert!(column.digits().hold_all() && column.length() == u64::MAX);
}

/// Fails if thousands of conditions are one chain, which is as deep as it is long.
#[test]
fn many_conditions_are_a_tree() {
    let depth = |text: &str| {
        let (mut now, mut most) = (0_u32, 0);
        for character in text.chars() {
            match character {
                '(' => now += 1,
                ')' => now -= 1,
                _ => {}
            }
            most = most.max(now);
        }
        most
    };
    let is_null = || Filter::IsNull(name("name"));
    for count in [2, 64, 65, 5_000] {
        let (text, _) = written(&Filter::Or((0..count).map(|_| is_null()).collect()));
        assert_eq!(text.matches("IS NULL").count(), count);
        assert!(depth(&text) < 12, "{count}: {}", depth(&text));
        let chain = text.split(['(', ')']).filter(|part| *part == " OR ").count();
        assert_eq!(chain, count - 1);
    }
}
