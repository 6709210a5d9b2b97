//! The registered types.

use std::collections::BTreeMap;

use crate::error::Result;
use crate::model::{FieldName, TypeName, Value};
use crate::schema::TypeSchema;
use crate::source::{Columns, PlannedChange, rules};

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
        self.by_name.get(name).ok_or_else(|| rules::unknown_type(name))
    }

    pub(super) fn at(&self, order: TypeOrder) -> Option<&RegisteredType> {
        self.by_name.get(self.in_order.get(order)?)
    }

    /// What preparing these types comes to; nothing is changed.
    pub(super) fn decide(&self, types: &[TypeSchema]) -> Result<Decided> {
        let mut decided =
            Decided { types: self.clone(), unsettled: Vec::new(), changes: Vec::new(), problems: Vec::new() };
        for schema in rules::in_order(types)? {
            decided.register(schema);
        }
        rules::refuse(&decided.problems)?;
        Ok(decided)
    }
}

/// What preparing types comes to.
pub(super) struct Decided {
    /// The types as they are then.
    pub(super) types: Types,
    /// Those whose stored bodies must be settled.
    pub(super) unsettled: Vec<TypeName>,
    pub(super) changes: Vec<PlannedChange>,
    problems: Vec<String>,
}

impl Decided {
    fn register(&mut self, schema: &TypeSchema) {
        let Self { types, unsettled, changes, problems } = self;
        let name = schema.name();
        let known = types.by_name.get(name).map(|known| (&known.schema, known.columns.stored()));
        let before = problems.len();
        let made = rules::register(known, &types.in_order, schema, problems);
        if problems.len() > before {
            return;
        }
        changes.extend(made);
        if let Some(registered) = types.by_name.get_mut(name) {
            if registered.grow(schema) {
                unsettled.push(name.clone());
            }
            return;
        }
        let order = types.in_order.len();
        let registered = RegisteredType { schema: schema.clone(), order, columns: Columns::new(schema) };
        types.in_order.push(name.clone());
        types.by_name.insert(name.clone(), registered);
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
