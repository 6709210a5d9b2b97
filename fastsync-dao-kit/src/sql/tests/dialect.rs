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
    assert_eq!(WITH_BACKTICKS.spell(step.text, ""), expected);
    let step = Step::create(&WITH_NUMBERS, &notes());
    let expected = "CREATE TABLE IF NOT EXISTS \"shop\".\"notes\" (\"zone\" text COLLATE \"C\" NOT NULL, \
                    \"id\" text COLLATE \"C\" NOT NULL, \"text\" text COLLATE \"C\" NOT NULL DEFAULT 'a b', \
                    \"day\" date NOT NULL, \"done\" boolean NULL, PRIMARY KEY (\"zone\", \"id\"))";
    assert_eq!(WITH_NUMBERS.spell(step.text, "\"shop\"."), expected);
}

#[test]
fn an_upsert_meets_the_row_of_its_key_only() {
    let kind = Type::new(1, notes(), &[], &WITH_BACKTICKS);
    assert_eq!(kind.insert, "INSERT INTO `notes` (`id`, `zone`, `text`, `day`, `done`) VALUES ");
    let expected = " ON DUPLICATE KEY UPDATE `id` = IF(`id` = VALUES(`id`) AND `zone` = VALUES(`zone`), `id`, \
                    (SELECT 1 UNION ALL SELECT 2)), `text` = VALUES(`text`), `day` = VALUES(`day`), `done` = VALUES(`done`)";
    assert_eq!((kind.upsert.as_str(), kind.columns), (expected, 5));
    let kind = Type::new(1, notes(), &[], &WITH_NUMBERS);
    let expected = "INSERT INTO @`notes` (`id`, `zone`, `text`, `day`, `done`) \
                    SELECT x.c0, ?, x.c1, x.c2, x.c3 FROM UNNEST(?,?,?,?) AS x (c0, c1, c2, c3)";
    assert_eq!(kind.insert, expected);
    let expected = " ON CONFLICT (`id`, `zone`) DO UPDATE SET `text` = EXCLUDED.`text`, `day` = EXCLUDED.`day`, \
                    `done` = EXCLUDED.`done`";
    assert_eq!(kind.upsert, expected);
    let bare = TypeSchema::builder("bare", "id").build().unwrap();
    assert_eq!(
        Type::new(1, bare, &[], &WITH_NUMBERS).upsert,
        " ON CONFLICT (`id`) DO UPDATE SET `id` = EXCLUDED.`id`"
    );
}

#[test]
fn places_are_numbered_and_names_quoted_at_the_end() {
    let mut sql = Sql::<Bound>::new("SELECT `change` FROM t WHERE a = ?").bind(7_u64);
    sql.push(" AND id").push_list(&WITH_NUMBERS, ["x", "y", "z"].into_iter());
    let expected = "SELECT \"change\" FROM t WHERE a = $1 AND id = ANY ($2)";
    let bound = ["7", "1 arrays:", "x", "y", "z", "end"].map(str::to_owned);
    assert_eq!(sent(sql, &WITH_NUMBERS), (expected.to_owned(), bound.into()));
    let mut sql = Sql::<Bound>::new("SELECT `change` FROM t WHERE id");
    sql.push_unlisted(&WITH_BACKTICKS, ["x", "y", "z"].into_iter());
    let expected = "SELECT `change` FROM t WHERE id NOT IN (?,?,?,?)";
    let bound = ["x", "y", "z", "z"].map(str::to_owned);
    assert_eq!(sent(sql, &WITH_BACKTICKS), (expected.to_owned(), bound.into()));
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
    let missing = |dialect: &crate::sql::Dialect| dialect.insert_missing("d", "id");
    assert_eq!(missing(&WITH_BACKTICKS), ("INSERT IGNORE INTO d (id) ".to_owned(), ""));
    assert_eq!(missing(&WITH_NUMBERS), ("INSERT INTO d (id) ".to_owned(), " ON CONFLICT DO NOTHING"));
}

/// A text that a schema brings must not be taken for a place or a name.
#[test]
fn a_constant_has_nothing_that_is_spelled() {
    for text in ["what?", "`x`", "'; DROP TABLE notes", "\\'", "ä", "@x fastsync_state"] {
        for dialect in [&WITH_BACKTICKS, &WITH_NUMBERS] {
            let literal = dialect.literal(&Value::from(text));
            assert_eq!(dialect.spell(literal.clone(), "shop."), literal);
        }
        assert!(!WITH_BACKTICKS.literal(&Value::from(text)).contains(text));
        let ended = WITH_NUMBERS.literal(&Value::from(text)) + " ?";
        assert!(WITH_NUMBERS.spell(ended, "shop.").ends_with("' $1"), "{text}");
    }
}

/// Fails if a name depends on what a connection has chosen, or a name of something else is qualified.
#[test]
fn names_of_tables_are_qualified() {
    let text = format!(
        "SELECT `fastsync_x`, a.fastsync_y, my_fastsync_z FROM fastsync_state, {} WHERE name = 'fastsync_q'",
        WITH_NUMBERS.table("notes")
    );
    let expected = "SELECT \"fastsync_x\", a.fastsync_y, my_fastsync_z FROM \"shop\".fastsync_state, \"shop\".\"notes\" \
                    WHERE name = 'fastsync_q'";
    assert_eq!(WITH_NUMBERS.spell(text, "\"shop\"."), expected);
    assert_eq!(WITH_BACKTICKS.table("notes"), "`notes`");
}
