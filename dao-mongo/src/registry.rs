//! The prepared types.

use std::collections::HashMap;

use fastsync_core::TypeSchema;
use fastsync_core::source::rules::{NotedType, TypeTable};
use serde::{Deserialize, Serialize};

/// A type as `fastsync_meta` has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StoredType {
    /// Its place in the order of types in the feed.
    pub(crate) n: i32,
    #[serde(flatten)]
    pub(crate) noted: NotedType,
}

/// A prepared type.
#[derive(Debug)]
pub(crate) struct Type {
    pub(crate) n: i32,
    pub(crate) schema: TypeSchema,
    positions: HashMap<String, usize>,
}

impl Type {
    pub(crate) fn new(n: i32, schema: TypeSchema) -> Self {
        let names = schema.fields().iter().enumerate();
        let positions = names.map(|(at, field)| (field.name.as_str().to_owned(), at)).collect();
        Self { n, schema, positions }
    }

    /// The collection of this type's objects.
    pub(crate) fn collection(&self) -> &str {
        self.schema.name().as_str()
    }

    /// The place of a field in a record's body.
    pub(crate) fn position_of(&self, name: &str) -> Option<usize> {
        self.positions.get(name).copied()
    }
}

/// Every type of the store, as this process prepared it or, if it did not, as it was prepared last.
pub(crate) type Registry = TypeTable<i32, Type>;

/// Adds the stored types that are not known here yet.
pub(crate) fn add_stored(registry: &mut Registry, types: Vec<StoredType>) {
    for StoredType { n, noted } in types {
        if registry.at(n).is_none() {
            registry.insert(n, noted.schema.name().clone(), Type::new(n, noted.schema));
        }
    }
}
