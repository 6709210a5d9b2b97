//! Bodies by column, for storages that have no columns of their own.

use crate::model::Value;
use crate::schema::{FieldSchema, TypeSchema};

/// Where the values of a type's fields are in its stored bodies.
///
/// Columns are only ever appended. A body that was stored before a column was is shorter, and a field that a later schema
/// leaves out keeps its values.
///
/// ```
/// use fastsync_core::source::Columns;
/// use fastsync_core::{FieldKind, TypeSchema};
///
/// let first = TypeSchema::builder("items", "id").field("name", FieldKind::Text).build()?;
/// let mut columns = Columns::new(&first);
/// let stored = columns.write(vec!["bolt".into()]);
///
/// let second = TypeSchema::builder("items", "id")
///     .field("size", FieldKind::Integer)
///     .field("name", FieldKind::Text)
///     .default_value("size", 8_i64)
///     .build()?;
/// assert!(!columns.grow(&first, &second), "what is stored stays as it is");
/// assert!(columns.read(&stored) == [8_i64.into(), "bolt".into()]);
/// # Ok::<(), fastsync_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Columns {
    /// What a body has that is shorter is the initial value of the column, whatever its field's is by now.
    columns: Vec<FieldSchema>,
    /// The column of each field of the schema.
    column_of: Vec<usize>,
}

impl Columns {
    /// The columns of a type that is new.
    #[must_use]
    pub fn new(schema: &TypeSchema) -> Self {
        Self::restore(Vec::new(), schema)
    }

    /// The columns of a type whose [`Self::stored`] were these when it had this schema.
    #[must_use]
    pub fn restore(stored: Vec<FieldSchema>, schema: &TypeSchema) -> Self {
        let mut columns = Self { columns: stored, column_of: Vec::new() };
        columns.lay_out(schema);
        columns
    }

    /// What to store with the schema.
    #[must_use]
    pub fn stored(&self) -> &[FieldSchema] {
        &self.columns
    }

    /// Takes a schema in place of an earlier one that it does not contradict (see [`TypeSchema::contradictions`]).
    /// If it gives true, [`Self::settle`] every stored body before it is read.
    pub fn grow(&mut self, before: &TypeSchema, schema: &TypeSchema) -> bool {
        let mut has_nulls = false;
        let fields = schema.fields().iter().filter_map(|field| {
            let stored = before.continued(&self.columns, field)?;
            let at = self.columns.iter().position(|column| column.name == stored.name)?;
            Some((field, at, before.lacks(&self.columns, field)))
        });
        for (field, at, is_lacking) in fields.collect::<Vec<_>>() {
            let Some(column) = self.columns.get_mut(at) else { continue };
            column.name = field.name.clone();
            if is_lacking && !field.nullable {
                has_nulls = true;
                if column.initial() == Value::Null {
                    column.default = Some(field.initial());
                }
            }
        }
        self.lay_out(schema);
        has_nulls
    }

    fn lay_out(&mut self, schema: &TypeSchema) {
        self.column_of.clear();
        for field in schema.fields() {
            let known = self.columns.iter_mut().enumerate().find(|(_, column)| column.name == field.name);
            let at = if let Some((at, column)) = known {
                (column.kind, column.nullable) = (field.kind, field.nullable);
                at
            } else {
                let mut column = FieldSchema { was: Vec::new(), ..field.clone() };
                if !column.nullable && column.has_initial() {
                    column.default = Some(column.initial());
                }
                self.columns.push(column);
                self.columns.len() - 1
            };
            self.column_of.push(at);
        }
    }

    /// Replaces the nulls of a stored body that its fields no longer allow; says whether there were any.
    pub fn settle(&self, schema: &TypeSchema, stored: &mut [Value]) -> bool {
        let mut is_changed = false;
        for (field, column) in
            schema.fields().iter().zip(&self.column_of).filter(|(field, _)| !field.nullable)
        {
            if let Some(value) = stored.get_mut(*column).filter(|value| **value == Value::Null) {
                *value = field.initial();
                is_changed = true;
            }
        }
        is_changed
    }

    /// The body as the schema has it, from a stored one.
    #[must_use]
    pub fn read(&self, stored: &[Value]) -> Vec<Value> {
        let value = |column: &usize| stored.get(*column).cloned().unwrap_or_else(|| self.missing(*column));
        self.column_of.iter().map(value).collect()
    }

    /// As [`Self::read`], of a stored body that is not needed any more.
    #[must_use]
    pub fn take(&self, mut stored: Vec<Value>) -> Vec<Value> {
        let is_plain = self.column_of.iter().enumerate().all(|(at, column)| at == *column);
        if is_plain && stored.len() == self.column_of.len() {
            return stored;
        }
        let mut value = |column: &usize| match stored.get_mut(*column) {
            Some(value) => std::mem::replace(value, Value::Null),
            None => self.missing(*column),
        };
        self.column_of.iter().map(&mut value).collect()
    }

    /// What to store of a body that fits the schema. Columns that are left of earlier ones are null.
    #[must_use]
    pub fn write(&self, body: Vec<Value>) -> Vec<Value> {
        if self.columns.len() == self.column_of.len() && self.column_of.is_sorted() {
            // The columns are the fields.
            return body;
        }
        let mut stored = vec![Value::Null; self.columns.len()];
        for (value, column) in body.into_iter().zip(&self.column_of) {
            if let Some(slot) = stored.get_mut(*column) {
                *slot = value;
            }
        }
        stored
    }

    /// The column of the field at this place of the schema, and what it is in bodies that are shorter.
    #[must_use]
    pub fn column(&self, field: usize) -> Option<(usize, Value)> {
        let at = *self.column_of.get(field)?;
        Some((at, self.missing(at)))
    }

    fn missing(&self, column: usize) -> Value {
        self.columns.get(column).map_or(Value::Null, FieldSchema::initial)
    }
}
