use fastsync_core::{FieldKind, TypeSchema, Value};

use crate::sql::tests::{Bound, WITH_BACKTICKS, WITH_NUMBERS, sent};
use crate::sql::{Sql, Step, Type};

fn notes() -> TypeSchema {
    TypeSchema::builder("notes", "id")
        .field("text", FieldKind::Text)
        .default_value("text", "a b")
        .field("day", FieldKind::Date)
        .nullable_field("done", FieldKind::Boolean)
        .restricted()
        .build()
        .unwrap()
}

#[test]
fn a_table_is_made_as_each_database_spells_it() {
    let step = Step::create(&WITH_BACKTICKS, &notes());
    let expected = "CREATE TABLE IF NOT EXISTS `notes` (`zone` VARCHAR(128) NOT NULL, `id` VARCHAR(255) NOT NULL, \
                    `text` LONGTEXT COLLATE bin NOT NULL DEFAULT (CONVERT(X'612062' USING utf8mb4)), \
                    `day` VARCHAR(10) COLLATE bin NOT NULL DEFAULT (''), \
                    `done` TINYINT(1) NULL, PRIMARY KEY (`zone`, `id`)) ENGINE = InnoDB";
    assert_eq!(WITH_BACKTICKS.spell(step.text), expected);
    let step = Step::create(&WITH_NUMBERS, &notes());
    let spelled = WITH_NUMBERS.spell(step.text);
    assert!(
        spelled.starts_with("CREATE TABLE IF NOT EXISTS \"notes\" (\"zone\" VARCHAR(128) COLLATE \"C\" NOT")
    );
    assert!(
        spelled.contains("NOT NULL DEFAULT convert_from('\\x612062', 'UTF8'), \"day\" VARCHAR(10)"),
        "{spelled}"
    );
}

#[test]
fn an_upsert_meets_the_row_of_its_key_only() {
    let kind = Type::new(1, notes(), &[], &WITH_BACKTICKS);
    assert_eq!(kind.insert, "INSERT INTO `notes` (`id`, `zone`, `text`, `day`, `done`) VALUES ");
    let expected = " ON DUPLICATE KEY UPDATE `id` = IF(`id` = VALUES(`id`) AND `zone` = VALUES(`zone`), `id`, \
                    (SELECT 1 UNION ALL SELECT 2)), `text` = VALUES(`text`), `day` = VALUES(`day`), `done` = VALUES(`done`)";
    assert_eq!((kind.upsert.as_str(), kind.columns), (expected, 5));
    let kind = Type::new(1, notes(), &[], &WITH_NUMBERS);
    let expected = " ON CONFLICT (`id`, `zone`) DO UPDATE SET `text` = EXCLUDED.`text`, `day` = EXCLUDED.`day`, \
                    `done` = EXCLUDED.`done`";
    assert_eq!(kind.upsert, expected);
    let bare = TypeSchema::builder("bare", "id").build().unwrap();
    assert_eq!(Type::new(1, bare, &[], &WITH_NUMBERS).upsert, " ON CONFLICT (`id`) DO NOTHING");
}

#[test]
fn places_are_numbered_and_names_quoted_at_the_end() {
    let mut sql = Sql::<Bound>::new("SELECT `change` FROM t WHERE a = ?").bind(7_u64);
    sql.push(" AND id IN ").push_list(["x", "y", "z"].into_iter());
    let expected = "SELECT \"change\" FROM t WHERE a = $1 AND id IN ($2,$3,$4,$5)";
    assert_eq!(
        sent(sql, &WITH_NUMBERS),
        (expected.to_owned(), ["7", "x", "y", "z", "z"].map(str::to_owned).into())
    );
}

#[test]
fn numbers_are_raised_and_given() {
    let raise = |dialect: &crate::sql::Dialect| dialect.raise("z", "head", ", tag = ?", "n = ?");
    assert_eq!(raise(&WITH_BACKTICKS), "UPDATE z SET head = LAST_INSERT_ID(head + 1), tag = ? WHERE n = ?");
    assert_eq!(raise(&WITH_NUMBERS), "UPDATE z SET head = head + 1, tag = ? WHERE n = ? RETURNING head");
    assert_eq!(
        (WITH_BACKTICKS.giving("n"), WITH_NUMBERS.giving("n")),
        (String::new(), " RETURNING n".to_owned())
    );
    let missing = |dialect: &crate::sql::Dialect| dialect.insert_missing("d", "id", "(?)");
    assert_eq!(missing(&WITH_BACKTICKS), "INSERT IGNORE INTO d (id) VALUES (?)");
    assert_eq!(missing(&WITH_NUMBERS), "INSERT INTO d (id) VALUES (?) ON CONFLICT DO NOTHING");
}

/// A text that a schema brings must not be taken for a place or a name.
#[test]
fn a_constant_has_nothing_that_is_spelled() {
    for text in ["what?", "`x`", "'; DROP TABLE notes", "\\'", "ä"] {
        for dialect in [&WITH_BACKTICKS, &WITH_NUMBERS] {
            let literal = dialect.literal(&Value::from(text));
            assert_eq!(dialect.spell(literal.clone()), literal);
            assert!(!literal.contains(text), "{literal}");
        }
    }
}
