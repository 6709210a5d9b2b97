//! Foreign keys and triggers that would change rows of types without a commit.

use std::collections::BTreeSet;

use fastsync_dao_kit::sql::{Link as _, Row as _, Run, Sql, foreign_key_problems, trigger_problems};

use crate::driver::PgLink;

/// Names them.
pub(crate) async fn unnoticed(link: &mut PgLink, schema: &str, types: &BTreeSet<&str>) -> Run<Vec<String>> {
    let mut problems = Vec::new();
    let sql = "SELECT c.relname::text, k.conname::text, f.relname::text, k.confdeltype::text, k.confupdtype::text \
               FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = k.conrelid \
               JOIN pg_namespace AS n ON n.oid = c.relnamespace JOIN pg_class AS f ON f.oid = k.confrelid \
               WHERE k.contype = 'f' AND n.nspname = ? ORDER BY 1, 2";
    for row in link.all(Sql::new(sql).bind(schema)).await? {
        let Some(table) = types.get(row.text(0)?) else { continue };
        let foreign_key = format!("{} to {}", row.text(1)?, row.text(2)?);
        let [delete, update] = [("DELETE", row.text(3)?), ("UPDATE", row.text(4)?)]
            .map(|(event, action)| format!("ON {event} {}", named(action)));
        problems.extend(foreign_key_problems(table, &foreign_key, [&delete, &update]));
    }
    let sql = "SELECT t.tgname::text, c.relname::text, n.nspname = ?, p.prosrc, t.tgtype & 3 = 3 FROM pg_trigger AS t \
               JOIN pg_class AS c ON c.oid = t.tgrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace \
               JOIN pg_proc AS p ON p.oid = t.tgfoid WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' ORDER BY 1, 2";
    for row in link.all(Sql::new(sql).bind(schema)).await? {
        let (trigger, on, body) = (row.text(0)?, row.text(1)?, row.text(3)?);
        problems.extend(trigger_problems(types, trigger, on, body));
        let is_ours = row.number(2)? == 1 && types.contains(on);
        if is_ours && row.number(4)? == 1 && sets_new(body) {
            problems.push(format!(
                "table {on}: the trigger {trigger} changes values as they are written (NEW): no client would hear of it; \
                 leave it out, and set them in the application"
            ));
        }
    }
    Ok(problems)
}

/// What a foreign key does, from its letter in the catalogue.
fn named(action: &str) -> &'static str {
    match action {
        "c" => "CASCADE",
        "n" => "SET NULL",
        "d" => "SET DEFAULT",
        "r" => "RESTRICT",
        _ => "NO ACTION",
    }
}

/// Whether a function changes the row that is written: it assigns to `NEW` or a column of it.
fn sets_new(body: &str) -> bool {
    let is_row = |word: &str| word == "new" || word.starts_with("new.");
    let body = body.to_lowercase().replace(":=", "=").replace('=', " = ").replace(',', " ");
    body.split(';').any(|statement| {
        let words: Vec<_> = statement.split_whitespace().collect();
        let begins = |before: Option<&&str>| {
            before.is_none_or(|word| matches!(*word, "begin" | "then" | "else" | "loop"))
        };
        // Elsewhere, `=` compares.
        let assigns = |(at, pair): (usize, &[&str])| {
            let before = at.checked_sub(1).and_then(|at| words.get(at));
            matches!(pair, [row, "="] if is_row(row) && begins(before))
        };
        words.windows(2).enumerate().any(assigns)
            || words.iter().skip_while(|word| **word != "into").any(|word| is_row(word))
    })
}

#[cfg(test)]
mod tests {
    use super::sets_new;

    #[test]
    fn a_trigger_that_changes_its_row_is_told_from_one_that_reads_it() {
        for body in [
            "BEGIN NEW.a := 1; RETURN NEW; END",
            "BEGIN\n  new.a = 1;\n  RETURN new;\nEND",
            "BEGIN x := 1; IF NEW.a = 1 THEN NEW.b := 2; END IF; RETURN NEW; END",
            "BEGIN SELECT max(n) INTO NEW.a FROM log; RETURN NEW; END",
        ] {
            assert!(sets_new(body), "{body}");
        }
        for body in [
            "BEGIN INSERT INTO log VALUES (NEW.a); RETURN NEW; END",
            "BEGIN a := NEW.a; RETURN NEW; END",
            "BEGIN IF NEW.a = 1 THEN RAISE EXCEPTION 'no'; END IF; RETURN NEW; END",
            "BEGIN UPDATE log SET n = NEW.a WHERE a = NEW.b; RETURN NULL; END",
        ] {
            assert!(!sets_new(body), "{body}");
        }
    }
}
