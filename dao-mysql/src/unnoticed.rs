//! What the server would do by itself to rows of types: nobody would hear of it. No commit says so, so no client is sent it.

use std::collections::BTreeSet;

use fastsync_core::source::sql::written_tables;
use sqlx::MySqlConnection;

use crate::error::Run;
use crate::sql::{Sql, text};

/// Names the foreign keys and triggers that change or delete rows of these types by themselves.
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
        let (key, parent) = (text(&row, 1)?, text(&row, 2)?);
        for action in [text(&row, 3)?, text(&row, 4)?] {
            if ["CASCADE", "SET NULL", "SET DEFAULT"].iter().any(|acts| action.ends_with(acts)) {
                problems.push(format!(
                    "table {table}: the foreign key {key} to {parent} has {action}, which changes rows that nobody is told of; \
                     leave it out, and write or delete those objects in the same commit"
                ));
            }
        }
    }
    let sql = "SELECT trigger_name, event_object_table, action_statement FROM information_schema.triggers \
               WHERE trigger_schema = DATABASE()";
    for row in Sql::new(sql).all(connection).await? {
        let (trigger, on, body) = (text(&row, 0)?, text(&row, 1)?, text(&row, 2)?);
        let written = written_tables(body);
        for table in types.iter().filter(|table| written.contains(&table.to_lowercase())) {
            problems.push(format!(
                "table {table}: the trigger {trigger} on {on} writes to it, which nobody is told of; leave it out, and write those \
                 objects in the same commit"
            ));
        }
        if let Some(table) = is_type(on).filter(|_| sets_new(body)) {
            problems.push(format!(
                "table {table}: the trigger {trigger} changes values as they are written (SET NEW), which nobody is told of; \
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
