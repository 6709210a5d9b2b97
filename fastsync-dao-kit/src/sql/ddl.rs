//! Tables of types: how they are made, and the steps that change one.

use fastsync_core::source::PlannedChange;
use fastsync_core::{FieldKind, FieldName, FieldSchema, TypeName, TypeSchema, Value, ZoneRestriction};

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
    pub values: Vec<(FieldKind, Value)>,
}

impl Step {
    /// Makes the table of a type.
    #[must_use]
    pub fn create(dialect: &Dialect, schema: &TypeSchema) -> Self {
        let id = quoted(schema.id_field());
        let key = |length: &str| dialect.columns.key.replace("{}", length);
        let restricted = schema.restriction() == ZoneRestriction::Restricted;
        let mut parts = Vec::new();
        if restricted {
            parts.push(format!("`zone` {} NOT NULL", key("128")));
        }
        parts.push(format!("{id} {} NOT NULL", key("255")));
        parts.extend(schema.fields().iter().map(|field| dialect.column(field)));
        let zone = if restricted { "`zone`, " } else { "" };
        parts.push(format!("PRIMARY KEY ({zone}{id})"));
        let (table, columns) = (quoted(schema.name()), parts.join(", "));
        let text = format!("CREATE TABLE IF NOT EXISTS {table} ({columns}){}", dialect.table_options);
        let change = PlannedChange::MakeTable { type_name: schema.name().clone() };
        Self { changes: vec![change], text, values: Vec::new() }
    }

    /// Renames a column.
    #[must_use]
    pub fn rename(table: &TypeName, from: &FieldName, to: &FieldName) -> Self {
        let text = format!("ALTER TABLE {} RENAME COLUMN {} TO {}", quoted(table), quoted(from), quoted(to));
        let (type_name, from, to) = (table.clone(), from.clone(), to.clone());
        let changes = vec![PlannedChange::RenameField { type_name, from, to }];
        Self { changes, text, values: Vec::new() }
    }

    /// Changes a table by these parts of an `ALTER TABLE`, of which there is at least one.
    #[must_use]
    pub fn alter(table: &TypeName, parts: &[String], changes: Vec<PlannedChange>) -> Self {
        let text = format!("ALTER TABLE {} {}", quoted(table), parts.join(", "));
        Self { changes, text, values: Vec::new() }
    }

    /// Gives the rows that have no value for a field its initial one.
    #[must_use]
    pub fn fill(table: &TypeName, field: &FieldSchema) -> Self {
        let column = quoted(&field.name);
        let mut text = format!("UPDATE {} SET {column} = ? WHERE {column} IS NULL", quoted(table));
        let mut values = vec![(field.kind, field.initial())];
        if !field.has_zero() {
            // Rows that were written while the schema left the field out.
            text.push_str(&format!(" OR {column} = ?"));
            values.push((field.kind, field.zero()));
        }
        let change = PlannedChange::FillField { type_name: table.clone(), field: field.name.clone() };
        Self { changes: vec![change], text, values }
    }
}
