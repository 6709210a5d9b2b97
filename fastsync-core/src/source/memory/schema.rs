//! The registered types and how a body is laid out.

use std::collections::BTreeMap;

use crate::error::{Error, ErrorKind, Result};
use crate::model::{FieldName, TypeName, Value};
use crate::schema::{FieldSchema, TypeSchema};

/// The types that were prepared.
#[derive(Debug, Clone, Default)]
pub(super) struct Types {
    by_name: BTreeMap<TypeName, RegisteredType>,
    /// The types in the order of the feed; a type's place is its [`TypeOrder`].
    in_order: Vec<TypeName>,
}

/// A type's place in the feed, given once at its first registration.
pub(super) type TypeOrder = usize;

/// A prepared type.
///
/// Stored bodies hold one value per column. Columns are only ever appended, so a body written before a column
/// was added is just shorter, and a field that a later schema leaves out keeps its values.
#[derive(Debug, Clone)]
pub(super) struct RegisteredType {
    pub(super) schema: TypeSchema,
    pub(super) order: TypeOrder,
    columns: Vec<FieldSchema>,
    /// The column of each field of the schema.
    column_of: Vec<usize>,
}

impl Types {
    pub(super) fn get(&self, name: &TypeName) -> Result<&RegisteredType> {
        self.by_name.get(name).ok_or_else(|| {
            Error::new(ErrorKind::UnknownType, "lookup", "the type was not prepared")
                .with_context("type", name)
        })
    }

    pub(super) fn at(&self, order: TypeOrder) -> Option<&RegisteredType> {
        self.by_name.get(self.in_order.get(order)?)
    }

    pub(super) fn prepare(&mut self, types: &[TypeSchema]) -> Result<()> {
        let mut next = self.clone();
        let mut sorted: Vec<_> = types.iter().collect();
        sorted.sort_by_key(|schema| (schema.priority(), schema.name()));
        let mut problems = Vec::new();
        for schema in sorted {
            next.register(schema, &mut problems);
        }
        if !problems.is_empty() {
            return Err(Error::new(ErrorKind::Config, "prepare", problems.join("; ")));
        }
        *self = next;
        Ok(())
    }

    fn register(&mut self, schema: &TypeSchema, problems: &mut Vec<String>) {
        let name = schema.name();
        if let Some(registered) = self.by_name.get_mut(name) {
            let found = registered.schema.contradictions(&registered.columns, schema);
            if found.is_empty() {
                registered.adopt(schema);
            }
            problems.extend(found);
            return;
        }
        if let Some(other) =
            self.in_order.iter().find(|other| other.as_str().eq_ignore_ascii_case(name.as_str()))
        {
            problems.push(format!("type {name} differs from type {other} only in case"));
            return;
        }
        let mut registered = RegisteredType {
            schema: schema.clone(),
            order: self.in_order.len(),
            columns: Vec::new(),
            column_of: Vec::new(),
        };
        registered.adopt(schema);
        self.in_order.push(name.clone());
        self.by_name.insert(name.clone(), registered);
    }
}

impl RegisteredType {
    fn adopt(&mut self, schema: &TypeSchema) {
        self.schema = schema.clone();
        self.column_of.clear();
        for field in schema.fields() {
            let known = self.columns.iter_mut().enumerate().find(|(_, column)| column.name == field.name);
            let at = if let Some((at, column)) = known {
                column.nullable = field.nullable;
                at
            } else {
                self.columns.push(field.clone());
                self.columns.len() - 1
            };
            self.column_of.push(at);
        }
    }

    /// The body as this type's schema has it, from the stored columns.
    pub(super) fn read(&self, stored: &[Value]) -> Vec<Value> {
        let fields = self.schema.fields().iter().zip(&self.column_of);
        fields
            .map(|(field, column)| stored.get(*column).cloned().unwrap_or_else(|| field.initial()))
            .collect()
    }

    /// The stored columns of an admitted body.
    pub(super) fn write(&self, body: Vec<Value>) -> Vec<Value> {
        if self.columns.len() == self.column_of.len() && self.column_of.is_sorted() {
            // The columns are the fields.
            return body;
        }
        let mut stored: Vec<_> = self.columns.iter().map(FieldSchema::initial).collect();
        for (value, column) in body.into_iter().zip(&self.column_of) {
            if let Some(slot) = stored.get_mut(*column) {
                *slot = value;
            }
        }
        stored
    }

    /// Where a field is stored, and what it is in bodies that are older than it.
    pub(super) fn column(&self, field: &FieldName) -> Option<(usize, Value)> {
        let at = self.schema.position_of(field)?;
        Some((*self.column_of.get(at)?, self.schema.fields().get(at)?.initial()))
    }
}
