//! What SQLite says of tables.

use std::collections::{BTreeMap, BTreeSet};

use fastsync_core::TypeName;
use fastsync_dao_kit::sql::{Column, Holds, Table, Uniques, foreign_key_problems, trigger_problems};

use rusqlite::Params;

use crate::connection::Store;
use crate::error::{Fail, Run};

/// The table of a type of this name; `None` if there is none.
pub(crate) fn table(store: &Store, name: &TypeName) -> Run<Option<Table>> {
    if name.as_str().to_ascii_lowercase().starts_with("sqlite_") {
        let problem = format!("type {name}: SQLite keeps names that begin with `sqlite_` for itself");
        return Ok(Some(Table { problem: Some(problem), ..Table::default() }));
    }
    let select = "SELECT type, name FROM sqlite_schema WHERE name = ?1 COLLATE NOCASE AND type <> 'trigger'";
    let found = store.one(select, [name.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let Some((kind, found)): Option<(String, String)> = found else { return Ok(None) };
    let problem = if kind != "table" {
        Some(format!("type {name}: the database has another thing of this name ({kind} {found})"))
    } else if found != name.as_str() {
        Some(format!("type {name}: the table is called {found}"))
    } else {
        None
    };
    let columns = if problem.is_none() { columns(store, name.as_str())? } else { Vec::new() };
    Ok(Some(Table { problem, columns, flaws: Vec::new() }))
}

/// The columns of a table, in their order; none if it is not there.
pub(crate) fn columns(store: &Store, table: &str) -> Run<Vec<Column>> {
    let select = "SELECT name, type, \"notnull\" = 0, dflt_value IS NOT NULL, pk > 0, hidden <> 0 \
                  FROM pragma_table_xinfo(?1)";
    store.all(select, [table], |row| {
        let (name, declared): (String, String) = (row.get(0)?, row.get(1)?);
        let (holds, affinity) = affinity(&declared);
        let (_, collation, ..) = store.connection.column_metadata(Some("main"), table, name.as_str())?;
        let collation = collation.map(|name| name.to_string_lossy().to_ascii_uppercase());
        Ok(Column {
            stored: name.clone(),
            name,
            holds,
            full_type: format!("{declared} (affinity {affinity})"),
            declared,
            key_type: (affinity != "TEXT").then_some("TEXT"),
            text_problem: None,
            collation: collation.unwrap_or_default(),
            nullable: row.get(2)?,
            has_default: row.get(3)?,
            is_generated: row.get(5)?,
            is_primary: row.get(4)?,
        })
    })
}

/// SQLite's rules for the affinity of a declared type, and what a column of it holds.
fn affinity(declared: &str) -> (Holds, &'static str) {
    let declared = declared.to_ascii_uppercase();
    let has = |parts: &[&str]| parts.iter().any(|part| declared.contains(part));
    if has(&["INT"]) {
        (Holds::Whole(i64::MIN), "INTEGER")
    } else if has(&["CHAR", "CLOB", "TEXT"]) {
        (Holds::TextOrDecimal, "TEXT")
    } else if declared.is_empty() || has(&["BLOB"]) {
        (Holds::Bytes(u64::MAX), "BLOB")
    } else if has(&["REAL", "FLOA", "DOUB"]) {
        (Holds::Real, "REAL")
    } else {
        (Holds::Boolean, "NUMERIC")
    }
}

/// The unique keys of a table but the primary one, and the columns that rows of other tables refer to, as the table calls
/// them. A part of a key that is an expression has no name. What a row refers to is looked at when the commit ends.
pub(crate) fn uniques(store: &Store, table: &str) -> Run<Uniques> {
    let select = "SELECT l.name, ifnull(i.name, '') FROM pragma_index_list(?1) AS l, pragma_index_info(l.name) AS i \
                  WHERE l.\"unique\" = 1 AND l.origin <> 'pk'";
    let mut keys: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (key, column) in store.all(select, [table], |row| Ok((row.get(0)?, row.get(1)?)))? {
        keys.entry(key).or_default().insert(column);
    }
    let select = "SELECT c.name FROM sqlite_schema AS s, pragma_foreign_key_list(s.name) AS f, pragma_table_info(?1) AS c \
                  WHERE s.type = 'table' AND lower(f.\"table\") = lower(?1) AND c.name = f.\"to\" COLLATE NOCASE";
    let referred = store.all(select, [table], |row| Ok(row.get(0)?))?.into_iter().collect();
    Ok(Uniques { keys: keys.into_values().collect(), referred, ..Uniques::default() })
}

/// Foreign keys and triggers that would change rows of types without a commit, in words.
pub(crate) fn unnoticed(store: &Store, types: &BTreeSet<&str>) -> Run<Vec<String>> {
    let mut problems = Vec::new();
    for table in types {
        let select = "SELECT DISTINCT \"table\", 'ON DELETE ' || on_delete, 'ON UPDATE ' || on_update \
                      FROM pragma_foreign_key_list(?1)";
        for [parent, on_delete, on_update] in texts(store, select, [table])? {
            problems.extend(foreign_key_problems(table, &format!("to {parent}"), [&*on_delete, &*on_update]));
        }
    }
    let select = "SELECT name, tbl_name, sql FROM sqlite_schema WHERE type = 'trigger'";
    for [trigger, on, sql] in texts(store, select, [])? {
        problems.extend(trigger_problems(types, &format!("\"{trigger}\""), &format!("\"{on}\""), body(&sql)));
    }
    Ok(problems)
}

/// The first columns of all rows.
fn texts<const N: usize>(store: &Store, select: &str, params: impl Params) -> Run<Vec<[String; N]>> {
    store.all(select, params, |row| {
        let texts: Vec<_> = (0..N).map(|at| row.get(at)).collect::<rusqlite::Result<_>>()?;
        texts.try_into().map_err(|_| Fail::corrupt("a row of the catalog has other columns"))
    })
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
