use fastsync_core::{Comparison, Decimal, FieldKind, FieldName, Filter, Order, TypeSchema, Value};

use crate::sql::tests::{self, Bound, WITH_BACKTICKS, WITH_NUMBERS, sent};
use crate::sql::{Column, Dialect, Holds, Sql, Type, order_by, push_filter};

fn column(name: &str, collation: &str) -> Column {
    Column { collation: collation.to_owned(), ..tests::column(name, Holds::Text(100)) }
}

fn kind(dialect: &'static Dialect) -> Type {
    let schema = TypeSchema::builder("notes", "id")
        .field("text", FieldKind::Text)
        .field("title", FieldKind::Text)
        .field("size", FieldKind::Integer)
        .field("price", FieldKind::Decimal)
        .field("day", FieldKind::Date)
        .build()
        .unwrap();
    let day = tests::column("day", if dialect.has_zeros { Holds::Text(10) } else { Holds::Date });
    let day = Column { collation: dialect.collation.to_owned(), ..day };
    Type::new(1, schema, &[column("text", dialect.collation), column("title", "other"), day], dialect)
}

fn name(name: &str) -> FieldName {
    FieldName::new(name).unwrap()
}

fn written(dialect: &'static Dialect, filter: &Filter) -> (String, Vec<String>) {
    let mut sql = Sql::<Bound>::default();
    push_filter(&mut sql, &kind(dialect), filter).unwrap();
    sent(sql, dialect)
}

#[test]
fn conditions_are_written_for_each_database() {
    let size = |comparison| Filter::Compare(name("size"), comparison, Value::Integer(3));
    let price = Filter::Compare(name("price"), Comparison::Less, Value::Decimal(Decimal::new(1, 0).unwrap()));
    let cases = [
        (Filter::All, "1", "TRUE"),
        (Filter::Or(vec![]), "0", "FALSE"),
        (size(Comparison::Equal), "(u.`size` = ?)", "(u.\"size\" = $1)"),
        (
            Filter::Not(Box::new(Filter::Or(vec![size(Comparison::Less), Filter::IsNull(name("text"))]))),
            "NOT ((IFNULL(u.`size` < ?, 0) OR (u.`text` IS NULL)))",
            "NOT ((COALESCE(u.\"size\" < $1, FALSE) OR (u.\"text\" IS NULL)))",
        ),
        (
            Filter::And(vec![price, Filter::In(name("size"), vec![Value::Integer(1), Value::Integer(2)])]),
            "((u.`price` < CAST(? AS DECIMAL(56,28))) AND (u.`size` IN (?,?)))",
            "((u.\"price\" < $1::numeric) AND (u.\"size\" = ANY ($2)))",
        ),
        (Filter::In(name("size"), vec![]), "0", "FALSE"),
        (
            Filter::StartsWith(name("text"), "ab".to_owned()),
            "(u.`text` >= ? AND u.`text` < ?)",
            "(u.\"text\" >= $1 AND u.\"text\" < $2)",
        ),
        (
            Filter::StartsWith(name("day"), "2026-1".to_owned()),
            "(u.`day` >= ? AND u.`day` < ?)",
            "(day(u.\"day\") >= $1 AND day(u.\"day\") < $2)",
        ),
        (
            Filter::Contains(name("title"), "5%".to_owned()),
            "(CONVERT(u.`title` USING utf8mb4) COLLATE bin LIKE ? ESCAPE '!')",
            "(u.\"title\" COLLATE \"C\" LIKE $1 ESCAPE '!')",
        ),
    ];
    for (filter, backticks, numbers) in cases {
        assert_eq!(written(&WITH_BACKTICKS, &filter).0, backticks);
        assert_eq!(written(&WITH_NUMBERS, &filter).0, numbers);
    }
    let (_, bound) = written(&WITH_BACKTICKS, &Filter::Contains(name("title"), "5%_!".to_owned()));
    assert_eq!(bound, ["%5!%!_!!%"]);
}

#[test]
fn an_order_ends_with_the_id() {
    let order = [Order::new(name("title"), true), Order::new(name("size"), false)];
    let expected = "CONVERT(u.`title` USING utf8mb4) COLLATE bin DESC, u.`size` ASC, u.`id`";
    assert_eq!(order_by(&kind(&WITH_BACKTICKS), &order), expected);
    assert_eq!(order_by(&kind(&WITH_BACKTICKS), &[]), "u.`id`");
    let expected = "u.`title` COLLATE \"C\" DESC NULLS LAST, u.`size` ASC NULLS FIRST, u.`id`";
    assert_eq!(order_by(&kind(&WITH_NUMBERS), &order), expected);
}
