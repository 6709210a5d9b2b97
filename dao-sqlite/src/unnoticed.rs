//! Foreign keys and triggers that would change rows of types without a commit.

use std::collections::BTreeSet;

use fastsync_dao_kit::sql::{foreign_key_problems, trigger_problems};

use crate::connection::Store;
use crate::error::Run;
use crate::registry::quoted;

/// Names them.
pub(crate) fn unnoticed(store: &Store, types: &BTreeSet<&str>, problems: &mut Vec<String>) -> Run<()> {
    for table in types {
        let sql = "SELECT DISTINCT \"table\", 'ON DELETE ' || on_delete, 'ON UPDATE ' || on_update \
                   FROM pragma_foreign_key_list(?1)";
        let mut statement = store.connection.prepare_cached(sql)?;
        let mut rows = statement.query([table])?;
        while let Some(row) = rows.next()? {
            let (parent, on_delete, on_update): (String, String, String) =
                (row.get(0)?, row.get(1)?, row.get(2)?);
            problems.extend(foreign_key_problems(table, &format!("to {parent}"), [&*on_delete, &*on_update]));
        }
    }
    let sql = "SELECT name, tbl_name, sql FROM sqlite_schema WHERE type = 'trigger'";
    let mut statement = store.connection.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (trigger, on, sql): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        problems.extend(trigger_problems(types, &quoted(&trigger), &quoted(&on), body(&sql)));
    }
    Ok(())
}

/// What a trigger does: its statement without the event, which has the words UPDATE and DELETE too.
fn body(trigger: &str) -> &str {
    let upper = trigger.to_ascii_uppercase();
    let at = upper.match_indices("BEGIN").map(|(at, _)| at).find(|at| {
        let around = |at: Option<usize>| {
            at.and_then(|at| upper.as_bytes().get(at)).is_none_or(u8::is_ascii_whitespace)
        };
        around(at.checked_sub(1)) && around(Some(at + "BEGIN".len()))
    });
    at.and_then(|at| trigger.get(at..)).unwrap_or(trigger)
}
