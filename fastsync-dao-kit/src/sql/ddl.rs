//! Tables of types: how they are made, and the steps that change one.

use fastsync_core::source::PlannedChange;
use fastsync_core::{FieldName, FieldSchema, TypeName, TypeSchema, Value, ZoneRestriction};

use crate::sql::column::Holds;
use crate::sql::dialect::Dialect;
use crate::sql::statement::quoted;

/// A statement that changes a table or its rows, and how a plan describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What it changes.
    pub changes: Vec<PlannedChange>,
    /// Its text, as the kit writes it.
    pub text: String,
    /// What is bound to it.
    pub values: Vec<(Holds, Value)>,
}

impl Step {
    /// Makes the table of a type.
    #[must_use]
    pub fn create(dialect: &Dialect, schema: &TypeSchema) -> Self {
        let id = quoted(schema.id_field());
        let restricted = schema.restriction() == ZoneRestriction::Restricted;
        let mut parts = Vec::new();
        if restricted {
            parts.push(format!("`zone` {} NOT NULL", dialect.columns.key.replace("{}", "128")));
        }
        parts.push(format!("{id} {} NOT NULL", dialect.id_type(schema.id_kind())));
        parts.extend(schema.fields().iter().map(|field| dialect.column(field)));
        let zone = if restricted { "`zone`, " } else { "" };
        parts.push(format!("PRIMARY KEY ({zone}{id})"));
        let (table, columns) = (dialect.table(schema.name().as_str()), parts.join(", "));
        let text = format!("CREATE TABLE IF NOT EXISTS {table} ({columns}){}", dialect.table_options);
        let change = PlannedChange::MakeTable { type_name: schema.name().clone() };
        Self { changes: vec![change], text, values: Vec::new() }
    }

    /// Renames a column.
    #[must_use]
    pub fn rename(dialect: &Dialect, table: &TypeName, from: &FieldName, to: &FieldName) -> Self {
        let of = dialect.table(table.as_str());
        let text = format!("ALTER TABLE {of} RENAME COLUMN {} TO {}", quoted(from), quoted(to));
        let (type_name, from, to) = (table.clone(), from.clone(), to.clone());
        let changes = vec![PlannedChange::RenameField { type_name, from, to }];
        Self { changes, text, values: Vec::new() }
    }

    /// Changes a table by these parts of an `ALTER TABLE`, of which there is at least one.
    #[must_use]
    pub fn alter(dialect: &Dialect, table: &TypeName, parts: &[String], changes: Vec<PlannedChange>) -> Self {
        let text = format!("ALTER TABLE {} {}", dialect.table(table.as_str()), parts.join(", "));
        Self { changes, text, values: Vec::new() }
    }

    /// Gives the rows that have no value for a field, whose column holds this, its initial one.
    #[must_use]
    pub fn fill(dialect: &Dialect, table: &TypeName, field: &FieldSchema, holds: Holds) -> Self {
        let (of, column) = (dialect.table(table.as_str()), quoted(&field.name));
        let mark = dialect.mark(holds);
        let mut text = format!("UPDATE {of} SET {column} = {mark} WHERE {column} IS NULL");
        let mut values = vec![(holds, field.initial())];
        if dialect.has_zeros && !field.has_zero() {
            // Rows that were written while the schema left the field out.
            text.push_str(&format!(" OR {column} = ?"));
            values.push((holds, field.zero()));
        }
        let change = PlannedChange::FillField { type_name: table.clone(), field: field.name.clone() };
        Self { changes: vec![change], text, values }
    }
}
