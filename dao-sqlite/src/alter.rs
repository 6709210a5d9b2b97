//! Carrying out the steps that change a user's table. All of one `prepare` are in one transaction.

use fastsync_core::source::PlannedChange;
use fastsync_core::{ErrorKind, FieldKind, FieldName, TypeName, TypeSchema};
use fastsync_dao_kit::sql::{Holds, Sql, Step, quoted};
use rusqlite::ErrorCode;

use crate::catalog;
use crate::connection::Store;
use crate::dialect::{execute, spelled};
use crate::error::{Fail, Run};

/// Whether only SQLite can say if the step is possible.
pub(crate) fn may_be_refused(step: &Step) -> bool {
    step.changes.iter().any(|change| matches!(change, PlannedChange::AllowNull { .. }))
}

pub(crate) fn carry_out(store: &Store, schema: &TypeSchema, step: &Step) -> Run<()> {
    if let [PlannedChange::AllowNull { type_name, field }] = step.changes.as_slice() {
        return allow_null(store, type_name, field);
    }
    if step.values.is_empty() {
        store.connection.execute_batch(&spelled(step.text.clone()))?;
    } else {
        let mut sql = Sql::new(step.text.as_str());
        sql.add_all(step.values.iter().map(|(holds, value)| (*holds, value)));
        execute(store, sql)?;
    }
    // The text of a default is a decimal fraction, which SQLite reads as a neighbour of the number.
    let added = step.changes.iter().filter_map(|change| match change {
        PlannedChange::AddField { field, .. } => Some(schema.fields().get(schema.position_of(field)?)?),
        _ => None,
    });
    for field in added.filter(|field| field.kind == FieldKind::Real && field.default.is_some()) {
        let column = quoted(&field.name);
        let update = format!("UPDATE {} SET {column} = ?1 WHERE {column} IS NOT ?1", quoted(schema.name()));
        execute(store, Sql::new(update).bind((Holds::Real, &field.initial())))?;
    }
    Ok(())
}

/// Puts a column without the rule in place of one that has it, since SQLite cannot change a column. Indexes that are no
/// constraints are made again; whatever else hangs on the column keeps it as it is.
fn allow_null(store: &Store, table: &TypeName, field: &FieldName) -> Run<()> {
    let select =
        "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = ?1 AND sql IS NOT NULL";
    let indexes: Vec<(String, String)> =
        store.all(select, [table.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    for (name, _) in &indexes {
        store.connection.execute_batch(&format!("DROP INDEX \"{}\"", name.replace('"', "\"\"")))?;
    }
    let columns = catalog::columns(store, table.as_str())?;
    let Some(column) = columns.into_iter().find(|column| column.name == field.as_str()) else {
        return Ok(());
    };
    let replace = format!(
        "ALTER TABLE {0} ADD COLUMN fastsync_next {2}; UPDATE {0} SET fastsync_next = {1}; \
         ALTER TABLE {0} DROP COLUMN {1}; ALTER TABLE {0} RENAME COLUMN fastsync_next TO {1};",
        quoted(table),
        quoted(field),
        column.declared
    );
    if let Err(error) = store.connection.execute_batch(&spelled(replace)) {
        if error.sqlite_error_code() != Some(ErrorCode::Unknown) {
            return Err(error.into());
        }
        // A constraint, a trigger or a view names the column.
        let message = format!(
            "column {table}.{field} is NOT NULL, the field may be null, and SQLite cannot replace the column ({error}): \
             copy the rows to a table without NOT NULL"
        );
        return Err(Fail::new(ErrorKind::Config, "prepare", message));
    }
    for (_, sql) in indexes {
        store.connection.execute_batch(&sql)?;
    }
    Ok(())
}
