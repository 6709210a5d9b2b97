//! Foreign keys and triggers that would change rows of types without a commit.

use std::collections::BTreeSet;

use fastsync_core::source::sql::{foreign_key_problems, trigger_problems};
use sqlx::MySqlConnection;

use crate::error::Run;
use crate::sql::{Sql, text};

/// Names them.
pub(crate) async fn unnoticed(
    connection: &mut MySqlConnection,
    types: &BTreeSet<&str>,
    problems: &mut Vec<String>,
) -> Run<()> {
    let is_type = |name: &str| types.iter().find(|table| table.eq_ignore_ascii_case(name));
    let sql = "SELECT table_name, constraint_name, referenced_table_name, CONCAT('ON DELETE ', delete_rule), \
               CONCAT('ON UPDATE ', update_rule) FROM information_schema.referential_constraints \
               WHERE constraint_schema = DATABASE()";
    for row in Sql::new(sql).all(connection).await? {
        let Some(table) = is_type(text(&row, 0)?) else { continue };
        let foreign_key = format!("{} to {}", text(&row, 1)?, text(&row, 2)?);
        problems.extend(foreign_key_problems(table, &foreign_key, [text(&row, 3)?, text(&row, 4)?]));
    }
    let sql = "SELECT trigger_name, event_object_table, action_statement FROM information_schema.triggers \
               WHERE trigger_schema = DATABASE()";
    for row in Sql::new(sql).all(connection).await? {
        let (trigger, on, body) = (text(&row, 0)?, text(&row, 1)?, text(&row, 2)?);
        problems.extend(trigger_problems(types, trigger, on, body));
        if let Some(table) = is_type(on).filter(|_| sets_new(body)) {
            problems.push(format!(
                "table {table}: the trigger {trigger} changes values as they are written (SET NEW): no client would hear of it; \
                 leave it out, and set them in the application"
            ));
        }
    }
    Ok(())
}

/// Whether a trigger changes the row that is written.
fn sets_new(body: &str) -> bool {
    let words: Vec<_> = body.to_ascii_uppercase().split_whitespace().map(str::to_owned).collect();
    words.windows(2).any(|pair| {
        let is_row = |word: &str| word.starts_with("NEW.") || word.starts_with("`NEW`.");
        matches!(pair, [set, new] if (set == "SET" || set.ends_with(',')) && is_row(new))
    })
}

#[cfg(test)]
mod tests {
    use super::sets_new;

    #[test]
    fn a_trigger_that_changes_its_row_is_told_from_one_that_reads_it() {
        for body in ["SET NEW.a = 1", "BEGIN SET @x = 1, new.a = 2; END", "set\n  `NEW`.`a` = 1"] {
            assert!(sets_new(body), "{body}");
        }
        for body in ["INSERT INTO log VALUES (NEW.a)", "SET @a = NEW.a", "UPDATE log SET newest = NEW.a"] {
            assert!(!sets_new(body), "{body}");
        }
    }
}
