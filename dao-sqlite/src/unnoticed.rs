//! What the database would do by itself to rows of types: nobody would hear of it. No commit says so, so no client is sent it,
//! and an object that waits to be pushed waits for ever.

use std::collections::BTreeSet;

use fastsync_core::source::sql::written_tables;

use crate::connection::Store;
use crate::error::Run;
use crate::registry::quoted;

/// Names the foreign keys and triggers that change or delete rows of these types by themselves.
pub(crate) fn unnoticed(store: &Store, types: &BTreeSet<&str>, problems: &mut Vec<String>) -> Run<()> {
    for table in types {
        let sql = "SELECT DISTINCT \"table\", 'ON DELETE ' || on_delete, 'ON UPDATE ' || on_update \
                   FROM pragma_foreign_key_list(?1)";
        let mut statement = store.connection.prepare_cached(sql)?;
        let mut rows = statement.query([table])?;
        while let Some(row) = rows.next()? {
            let (parent, on_delete, on_update): (String, String, String) =
                (row.get(0)?, row.get(1)?, row.get(2)?);
            for action in [on_delete, on_update] {
                if ["CASCADE", "SET NULL", "SET DEFAULT"].iter().any(|acts| action.ends_with(acts)) {
                    problems.push(format!(
                        "table {table}: the foreign key to {parent} has {action}, which changes rows that nobody is told of; \
                         leave it out, and write or delete those objects in the same commit"
                    ));
                }
            }
        }
    }
    let sql = "SELECT name, tbl_name, sql FROM sqlite_schema WHERE type = 'trigger'";
    let mut statement = store.connection.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (trigger, on, sql): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let written = written_tables(body(&sql));
        for table in types.iter().filter(|table| written.contains(&table.to_lowercase())) {
            let (trigger, on) = (quoted(&trigger), quoted(&on));
            problems.push(format!(
                "table {table}: the trigger {trigger} on {on} writes to it, which nobody is told of; leave it out, and write those \
                 objects in the same commit"
            ));
        }
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
