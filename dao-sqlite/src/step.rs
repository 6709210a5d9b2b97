//! The steps that change a user's table.

use std::fmt::Write as _;

use fastsync_core::source::PlannedChange;
use fastsync_core::{ErrorKind, FieldKind, FieldName, FieldSchema, TypeName, Value};
use rusqlite::{ErrorCode, OptionalExtension, params_from_iter};

use crate::codec::Bind;
use crate::connection::Store;
use crate::error::{Fail, Run};
use crate::registry::quoted;

/// One change of a table, and how it is made. All of one `prepare` are in one transaction.
pub(crate) struct Step {
    pub(crate) change: PlannedChange,
    action: Action,
}

enum Action {
    Statement(String),
    Update(String, Vec<Value>),
    /// Lets a column be null that could not.
    AllowNull {
        table: TypeName,
        field: FieldName,
    },
}

impl Step {
    pub(crate) fn statement(change: PlannedChange, sql: String) -> Self {
        Self { change, action: Action::Statement(sql) }
    }

    pub(crate) fn add(table: &TypeName, field: &FieldSchema) -> Self {
        let sql = format!("ALTER TABLE {} ADD COLUMN {}", quoted(table), column(field));
        Self::statement(PlannedChange::AddField { type_name: table.clone(), field: field.name.clone() }, sql)
    }

    pub(crate) fn rename(table: &TypeName, from: &FieldName, to: &FieldName) -> Self {
        let sql = format!("ALTER TABLE {} RENAME COLUMN {} TO {}", quoted(table), quoted(from), quoted(to));
        let change =
            PlannedChange::RenameField { type_name: table.clone(), from: from.clone(), to: to.clone() };
        Self::statement(change, sql)
    }

    pub(crate) fn allow_null(table: &TypeName, field: &FieldName) -> Self {
        let change = PlannedChange::AllowNull { type_name: table.clone(), field: field.clone() };
        Self { change, action: Action::AllowNull { table: table.clone(), field: field.clone() } }
    }

    /// Gives the rows that have no value for a field its initial one.
    pub(crate) fn fill(table: &TypeName, field: &FieldSchema) -> Self {
        let column = quoted(&field.name);
        let mut sql = format!("UPDATE {} SET {column} = ?1 WHERE {column} IS NULL", quoted(table));
        let mut values = vec![field.initial()];
        if !field.has_zero() {
            // Rows that were written while the schema left the field out.
            let _ = write!(sql, " OR {column} = ?2");
            values.push(field.zero());
        }
        let change = PlannedChange::FillField { type_name: table.clone(), field: field.name.clone() };
        Self { change, action: Action::Update(sql, values) }
    }

    /// Corrects what the text of a default, which is a decimal fraction, did to it in a column that was just added.
    pub(crate) fn exact(table: &TypeName, field: &FieldSchema) -> Self {
        let column = quoted(&field.name);
        let sql = format!("UPDATE {} SET {column} = ?1 WHERE {column} IS NOT ?1", quoted(table));
        let change = PlannedChange::AddField { type_name: table.clone(), field: field.name.clone() };
        Self { change, action: Action::Update(sql, vec![field.initial()]) }
    }

    /// Whether only SQLite can say if the step is possible.
    pub(crate) fn may_be_refused(&self) -> bool {
        matches!(self.action, Action::AllowNull { .. })
    }

    pub(crate) fn run(&self, store: &Store) -> Run<()> {
        match &self.action {
            Action::Statement(sql) => store.connection.execute_batch(sql)?,
            Action::Update(sql, values) => {
                store.connection.execute(sql, params_from_iter(values.iter().map(Bind)))?;
            }
            Action::AllowNull { table, field } => allow_null(store, table, field)?,
        }
        Ok(())
    }
}

/// Puts a column without the rule in place of one that has it, since SQLite cannot change a column. Indexes that are no
/// constraints are made again; whatever else hangs on the column keeps it as it is.
fn allow_null(store: &Store, table: &TypeName, field: &FieldName) -> Run<()> {
    let connection = &store.connection;
    let select =
        "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = ?1 AND sql IS NOT NULL";
    let mut statement = connection.prepare_cached(select)?;
    let indexes = statement.query_map([table.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let indexes = indexes.collect::<Result<Vec<(String, String)>, _>>()?;
    for (name, _) in &indexes {
        connection.execute_batch(&format!("DROP INDEX \"{}\"", name.replace('"', "\"\"")))?;
    }
    let select = "SELECT type FROM pragma_table_xinfo(?1) WHERE name = ?2";
    let declared: Option<String> =
        connection.query_row(select, (table.as_str(), field.as_str()), |row| row.get(0)).optional()?;
    let Some(declared) = declared else { return Ok(()) };
    let replace = format!(
        "ALTER TABLE {0} ADD COLUMN fastsync_next {declared}; UPDATE {0} SET fastsync_next = {1}; \
         ALTER TABLE {0} DROP COLUMN {1}; ALTER TABLE {0} RENAME COLUMN fastsync_next TO {1};",
        quoted(table),
        quoted(field)
    );
    if let Err(error) = connection.execute_batch(&replace) {
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
        connection.execute_batch(&sql)?;
    }
    Ok(())
}

/// A column. One that has no nulls has the kind's zero if it has no other default, so that a schema can leave it out later.
pub(crate) fn column(field: &FieldSchema) -> String {
    let kind = match field.kind {
        FieldKind::Boolean => "INTEGER",
        kind if kind.is_integer() => "INTEGER",
        FieldKind::Real => "REAL",
        FieldKind::Bytes => "BLOB",
        _ => "TEXT",
    };
    let mut column = format!("{} {kind}", quoted(&field.name));
    if !field.nullable {
        column.push_str(" NOT NULL");
    }
    if !field.nullable || field.default.is_some() {
        let _ = write!(column, " DEFAULT {}", literal(&field.initial()));
    }
    column
}

/// A value in SQL. Text has no NUL, JSON escapes it.
fn literal(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Bool(value) => i64::from(*value).to_string(),
        Value::Integer(value) => value.to_string(),
        Value::Real(value) => format!("{value:e}"),
        Value::Text(text) | Value::Json(text) => format!("'{}'", text.replace('\'', "''")),
        Value::Decimal(number) => format!("'{number}'"),
        Value::Bytes(bytes) => {
            let hex = bytes.iter().fold(String::new(), |mut hex, byte| {
                let _ = write!(hex, "{byte:02x}");
                hex
            });
            format!("x'{hex}'")
        }
    }
}
