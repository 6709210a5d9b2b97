use fastsync_core::source::PlannedChange;
use fastsync_core::source::rules::NotedType;
use fastsync_core::{FieldKind, IdKind, TypeSchema, Value};

use crate::sql::tests::{WITH_BACKTICKS, WITH_NUMBERS, column};
use crate::sql::{Column, Digits, Finding, Found, Holds, Step, adopt};

fn id() -> Column {
    Column { is_primary: true, ..column("id", Holds::Text(255)) }
}

fn problems(found: &[Found]) -> Vec<&str> {
    let mut problems = Vec::new();
    for Found { finding, .. } in found {
        if let Finding::Problem(text) = finding {
            problems.push(text.as_str());
        }
    }
    problems
}

fn steps(found: &[Found]) -> Vec<(Option<&str>, &Step)> {
    let mut steps = Vec::new();
    for Found { only_if, finding } in found {
        if let Finding::Step(step) = finding {
            steps.push((only_if.as_deref(), step));
        }
    }
    steps
}

#[test]
fn a_table_as_it_should_be_needs_nothing() {
    let schema = TypeSchema::builder("notes", "id").field("text", FieldKind::Text).build().unwrap();
    let own = Column { nullable: true, ..column("own", Holds::Other) };
    let columns = vec![id(), column("text", Holds::Text(9)), own];
    assert_eq!(adopt(&WITH_BACKTICKS, None, &NotedType::new(schema), columns), []);
}

#[test]
fn all_contradictions_are_named_at_once() {
    let schema = TypeSchema::builder("notes", "id")
        .field("text", FieldKind::Text)
        .field("size", FieldKind::Integer)
        .field("price", FieldKind::Decimal)
        .default_value("price", Value::Decimal("0.125".parse().unwrap()))
        .nullable_field("day", FieldKind::Date)
        .field("kind", FieldKind::Text)
        .restricted()
        .build()
        .unwrap();
    let columns = vec![
        Column { collation: "ci".to_owned(), is_generated: true, ..id() },
        Column {
            text_problem: Some("has character set latin1".to_owned()),
            ..column("TEXT", Holds::Text(9))
        },
        Column { is_primary: true, ..column("size", Holds::Real) },
        column("price", Holds::Decimal(Digits { whole: 5, scale: 2 })),
        column("day", Holds::Padded(10)),
        Column { nullable: true, ..column("kind", Holds::Text(10)) },
        column("extra", Holds::Other),
    ];
    let found = adopt(&WITH_BACKTICKS, None, &NotedType::new(schema), columns);
    let expected = [
        "table notes: column zone is missing",
        "column notes.id has collation ci, only bin compares by bytes",
        "column notes.id is generated",
        "table notes: the primary key is not (zone, id)",
        "column notes.text is called TEXT",
        "column notes.text has character set latin1",
        "column notes.size is something, which does not fit Integer",
        "column notes.size is part of the primary key",
        "column notes.price is something, which would change the default",
        "column notes.day is NOT NULL, the field may be null",
        "column notes.kind holds nulls, the field always has a value",
        "column notes.extra is no field, and needs a value in every row",
    ];
    assert_eq!(problems(&found), expected);
    let depending: Vec<_> = found.iter().filter_map(|found| found.only_if.as_deref()).collect();
    assert_eq!(depending, ["`kind` IS NULL"]);
}

#[test]
fn a_type_that_grew_renames_adds_opens_and_fills() {
    let before = TypeSchema::builder("notes", "id")
        .field("text", FieldKind::Text)
        .field("size", FieldKind::Integer)
        .build()
        .unwrap();
    let schema = TypeSchema::builder("notes", "id")
        .field("words", FieldKind::Text)
        .was("words", "text")
        .nullable_field("size", FieldKind::Integer)
        .field("rank", FieldKind::Integer)
        .default_value("rank", 7)
        .build()
        .unwrap();
    let earlier = NotedType::new(before);
    let size = Column { declared: "bigint(20)".to_owned(), ..column("size", Holds::Whole(i64::MIN)) };
    let columns = vec![id(), column("text", Holds::Text(9)), size];
    let noted = NotedType::new(schema);
    let found = adopt(&WITH_BACKTICKS, Some(&earlier), &noted, columns.clone());
    assert_eq!(problems(&found), [""; 0]);
    let texts: Vec<_> =
        steps(&found).into_iter().map(|(only_if, step)| (only_if, step.text.as_str())).collect();
    let alter = "ALTER TABLE `notes` MODIFY COLUMN `size` bigint(20) NULL, ADD COLUMN `rank` BIGINT NOT NULL DEFAULT (7)";
    assert_eq!(texts, [(None, "ALTER TABLE `notes` RENAME COLUMN `text` TO `words`"), (None, alter)]);
    assert!(
        steps(&found)[1].1.changes.iter().any(|change| matches!(change, PlannedChange::AllowNull { .. }))
    );

    let columns = columns.into_iter().map(|column| Column { collation: "C".to_owned(), ..column }).collect();
    let found = adopt(&WITH_NUMBERS, Some(&earlier), &noted, columns);
    let alter =
        "ALTER TABLE @`notes` ALTER COLUMN `size` DROP NOT NULL, ADD COLUMN `rank` bigint NOT NULL DEFAULT 7";
    assert!(steps(&found).iter().any(|(_, step)| step.text == alter), "{found:?}");
}

#[test]
fn rows_without_a_value_are_filled_where_there_are_any() {
    let schema = TypeSchema::builder("notes", "id")
        .field("rank", FieldKind::Integer)
        .default_value("rank", 7)
        .build()
        .unwrap();
    let rank = Column { nullable: true, ..column("rank", Holds::Whole(-1)) };
    let found = adopt(&WITH_BACKTICKS, None, &NotedType::new(schema), vec![id(), rank]);
    let [(Some("`rank` IS NULL"), step)] = steps(&found)[..] else { panic!("{found:?}") };
    assert!(step.text.starts_with("UPDATE `notes` SET `rank` = ? WHERE `rank` IS NULL"));
    assert_eq!(step.values.first(), Some(&(Holds::Whole(-1), Value::Integer(7))));
}

/// Where columns have native types, they become wider, or text, or may be null, as what is in them grows.
#[test]
fn native_columns_follow_their_type() {
    let before = TypeSchema::builder("notes", "id")
        .id_kind(IdKind::Uuid)
        .field("size", FieldKind::I16)
        .field("day", FieldKind::Date)
        .build()
        .unwrap();
    let after = TypeSchema::builder("notes", "id").field("size", FieldKind::I32).build().unwrap();
    let earlier = NotedType::new(before);
    let noted = NotedType { dropped: vec![earlier.schema.fields()[1].clone()], ..NotedType::new(after) };
    let id = Column { is_primary: true, ..column("id", Holds::Uuid) };
    let columns = vec![id, column("size", Holds::Whole(i16::MIN.into())), column("day", Holds::Date)];
    let found = adopt(&WITH_NUMBERS, Some(&earlier), &noted, columns.clone());
    let alter = "ALTER TABLE @`notes` ALTER COLUMN `id` TYPE text COLLATE \"C\", \
                 ALTER COLUMN `size` TYPE integer, ALTER COLUMN `day` DROP NOT NULL";
    let texts: Vec<_> = steps(&found).iter().map(|(_, step)| step.text.as_str()).collect();
    assert_eq!((problems(&found), texts), (vec![], vec![alter]));
    let found = adopt(&WITH_NUMBERS, None, &NotedType::new(noted.schema), columns);
    let expected = [
        "column notes.id is something, which does not fit its ids",
        "column notes.day is no field, and needs a value in every row",
    ];
    assert_eq!(problems(&found), expected);
}
