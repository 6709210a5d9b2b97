//! The prepared types.

use std::collections::HashMap;
use std::sync::Arc;

use fastsync_core::source::rules::{NotedType, TypeTable};
use fastsync_core::{TypeName, TypeSchema};
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
#[derive(Debug, Default)]
pub(crate) struct Registry(TypeTable<i32, Type>);

impl Registry {
    pub(crate) fn insert(&mut self, kind: Type) {
        self.0.insert(kind.n, kind.schema.name().clone(), kind);
    }

    pub(crate) fn get(&self, name: &TypeName) -> Option<Arc<Type>> {
        self.0.get(name).cloned()
    }

    pub(crate) fn at(&self, n: i32) -> Option<Arc<Type>> {
        self.0.at(n).cloned()
    }

    /// Adds the stored types that are not known here yet.
    pub(crate) fn add_stored(&mut self, types: Vec<StoredType>) {
        for stored in types {
            if self.0.at(stored.n).is_none() {
                self.insert(Type::new(stored.n, stored.noted.schema));
            }
        }
    }
}
