//! The registered types.

use std::collections::BTreeMap;

use crate::error::{Error, ErrorKind, Result};
use crate::model::{FieldName, TypeName, Value};
use crate::schema::TypeSchema;
use crate::source::Columns;

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
#[derive(Debug, Clone)]
pub(super) struct RegisteredType {
    pub(super) schema: TypeSchema,
    pub(super) order: TypeOrder,
    pub(super) columns: Columns,
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

    /// Registers types; gives those whose stored bodies must be settled.
    pub(super) fn prepare(&mut self, types: &[TypeSchema]) -> Result<Vec<TypeName>> {
        let mut next = self.clone();
        let mut sorted: Vec<_> = types.iter().collect();
        sorted.sort_by_key(|schema| (schema.priority(), schema.name()));
        let mut problems = Vec::new();
        let mut unsettled = Vec::new();
        for schema in sorted {
            if next.register(schema, &mut problems) {
                unsettled.push(schema.name().clone());
            }
        }
        if !problems.is_empty() {
            return Err(Error::new(ErrorKind::Config, "prepare", problems.join("; ")));
        }
        *self = next;
        Ok(unsettled)
    }

    fn register(&mut self, schema: &TypeSchema, problems: &mut Vec<String>) -> bool {
        let name = schema.name();
        if let Some(registered) = self.by_name.get_mut(name) {
            let found = registered.schema.contradictions(registered.columns.stored(), schema);
            let is_taken = found.is_empty();
            problems.extend(found);
            return is_taken && registered.grow(schema);
        }
        if let Some(other) =
            self.in_order.iter().find(|other| other.as_str().eq_ignore_ascii_case(name.as_str()))
        {
            problems.push(format!("type {name} differs from type {other} only in case"));
            return false;
        }
        let order = self.in_order.len();
        let registered = RegisteredType { schema: schema.clone(), order, columns: Columns::new(schema) };
        self.in_order.push(name.clone());
        self.by_name.insert(name.clone(), registered);
        false
    }
}

impl RegisteredType {
    fn grow(&mut self, schema: &TypeSchema) -> bool {
        let is_unsettled = self.columns.grow(&self.schema, schema);
        self.schema = schema.clone();
        is_unsettled
    }

    /// Where a field is stored, and what it is in bodies that are older than it.
    pub(super) fn column(&self, field: &FieldName) -> Option<(usize, Value)> {
        self.columns.column(self.schema.position_of(field)?)
    }
}
