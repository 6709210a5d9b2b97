//! The types that a data source knows.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::{Error, ErrorKind};
use crate::model::TypeName;

/// What is said of a type that was not prepared.
#[must_use]
pub fn unknown_type(name: &TypeName) -> Error {
    Error::new(ErrorKind::UnknownType, "lookup", "the type was not prepared").with_context("type", name)
}

/// Types by name and by the number that a data source gave them. `T` is what it knows of a type.
#[derive(Debug, Clone)]
pub struct TypeTable<N, T> {
    by_name: BTreeMap<TypeName, Arc<T>>,
    by_number: BTreeMap<N, Arc<T>>,
}

impl<N, T> Default for TypeTable<N, T> {
    fn default() -> Self {
        Self { by_name: BTreeMap::new(), by_number: BTreeMap::new() }
    }
}

impl<N: Ord + Copy, T> TypeTable<N, T> {
    /// Adds a type, or takes it in place of the one of this name and number.
    pub fn insert(&mut self, number: N, name: TypeName, known: T) {
        let known = Arc::new(known);
        self.by_number.insert(number, Arc::clone(&known));
        self.by_name.insert(name, known);
    }

    /// The type of this name.
    #[must_use]
    pub fn get(&self, name: &TypeName) -> Option<&Arc<T>> {
        self.by_name.get(name)
    }

    /// The type of this number.
    #[must_use]
    pub fn at(&self, number: N) -> Option<&Arc<T>> {
        self.by_number.get(&number)
    }

    /// The types from this number on, in the order of their numbers.
    pub fn from(&self, number: N) -> impl Iterator<Item = &T> {
        self.by_number.range(number..).map(|(_, known)| &**known)
    }

    /// The greatest number.
    #[must_use]
    pub fn last(&self) -> Option<N> {
        self.by_number.last_key_value().map(|(number, _)| *number)
    }

    /// The names, in their order.
    pub fn names(&self) -> impl Iterator<Item = &TypeName> {
        self.by_name.keys()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_found_by_either_and_replaced_in_both() {
        let name = |name: &str| TypeName::new(name).unwrap();
        let mut table = TypeTable::default();
        assert_eq!(table.last(), None);
        for (number, known) in [(2, "b"), (1, "a"), (2, "c")] {
            table.insert(number, name(if number == 2 { "two" } else { "one" }), known);
        }
        assert_eq!(
            (table.get(&name("two")).map(|known| **known), table.at(2).map(|known| **known)),
            (Some("c"), Some("c"))
        );
        assert_eq!((table.get(&name("three")), table.at(3)), (None, None));
        assert_eq!(table.from(1).copied().collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!(table.from(2).copied().collect::<Vec<_>>(), ["c"]);
        assert_eq!(table.names().map(TypeName::as_str).collect::<Vec<_>>(), ["one", "two"]);
        assert_eq!(table.last(), Some(2));
    }
}
