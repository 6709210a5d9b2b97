//! Constraints of the user's own tables, as a database has them: declared by tests.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::state::{State, Stored};
use crate::model::{FieldName, ObjectId, RecordKey, TypeName, Value, Zone};

/// A constraint on one field of a type, as a database could have it on its table.
///
/// ```
/// use fastsync_core::source::memory::MemoryConstraint;
/// use fastsync_core::{FieldName, MemoryDataSource, TypeName};
///
/// let source = MemoryDataSource::new();
/// source.constrain(MemoryConstraint::Unique {
///     type_name: TypeName::new("tasks")?,
///     field: FieldName::new("slot")?,
/// });
/// # Ok::<(), fastsync_core::Error>(())
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub enum MemoryConstraint {
    /// No two live records have the same value, whatever their zones; null is no value.
    Unique {
        /// The type.
        type_name: TypeName,
        /// The field.
        field: FieldName,
    },
    /// The value of every live record passes.
    Check {
        /// The type.
        type_name: TypeName,
        /// The field.
        field: FieldName,
        /// Whether a value passes.
        passes: fn(&Value) -> bool,
    },
    /// The value is null or the id of a live record of `parent` in the same zone or the global one.
    Parent {
        /// The type of the children.
        type_name: TypeName,
        /// The field of the children.
        field: FieldName,
        /// The type of the parents.
        parent: TypeName,
    },
}

impl fmt::Debug for MemoryConstraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl MemoryConstraint {
    const fn column(&self) -> (&TypeName, &FieldName) {
        match self {
            Self::Unique { type_name, field }
            | Self::Check { type_name, field, .. }
            | Self::Parent { type_name, field, .. } => (type_name, field),
        }
    }

    /// The text of a refusal.
    fn text(&self) -> String {
        let (type_name, field) = self.column();
        let sort = match self {
            Self::Unique { .. } => "UNIQUE",
            Self::Check { .. } => "CHECK",
            Self::Parent { .. } => "PARENT",
        };
        format!("{sort} constraint failed: {type_name}.{field}")
    }

    /// Those of the written records that break it, in the state that a commit would lead to.
    fn broken(&self, state: &State, written: &BTreeSet<&RecordKey>) -> BTreeSet<RecordKey> {
        let mut broken = BTreeSet::new();
        match self {
            Self::Unique { .. } => {
                let mut holders: BTreeMap<String, Vec<RecordKey>> = BTreeMap::new();
                for (key, value) in self.values(state) {
                    // The values have an order as text only.
                    let text = serde_json::to_string(&value).unwrap_or_default();
                    holders.entry(text).or_default().push(key);
                }
                for mut keys in holders.into_values().filter(|keys| keys.len() > 1) {
                    // One of them stays: a record that is not written, or the first.
                    keys.sort_by_key(|key| written.contains(key));
                    broken.extend(keys.into_iter().skip(1).filter(|key| written.contains(key)));
                }
            }
            Self::Check { passes, .. } => {
                let failing = self.values(state).filter(|(_, value)| !passes(value)).map(|(key, _)| key);
                broken.extend(failing.filter(|key| written.contains(key)));
            }
            Self::Parent { parent, .. } => {
                for (child, value) in self.values(state) {
                    let Some(id) = id_of(&value) else { continue };
                    let keys = [&child.zone, &Zone::Global].map(|zone| RecordKey {
                        zone: zone.clone(),
                        type_name: parent.clone(),
                        id: id.clone(),
                    });
                    let is_there = |key: &RecordKey| state.stored(key).is_some_and(Stored::is_live);
                    if keys.iter().any(is_there) {
                        continue;
                    }
                    if written.contains(&child) {
                        broken.insert(child);
                    } else {
                        broken.extend(keys.into_iter().filter(|key| written.contains(key)));
                    }
                }
            }
        }
        broken
    }

    /// The values of the live records that are not null.
    fn values<'a>(&'a self, state: &'a State) -> impl Iterator<Item = (RecordKey, Value)> + 'a {
        let (type_name, field) = self.column();
        let column = state.types.get(type_name).ok().and_then(|registered| registered.column(field));
        let rows = state.zones_of(type_name).flat_map(move |(zone, table)| {
            table.iter().filter(|(_, stored)| stored.is_live()).map(move |(id, stored)| (zone, id, stored))
        });
        rows.filter_map(move |(zone, id, stored)| {
            let (at, missing) = column.as_ref()?;
            let value = stored.body.as_ref()?.get(*at).unwrap_or(missing);
            let key = RecordKey { zone: zone.clone(), type_name: type_name.clone(), id: id.clone() };
            (*value != Value::Null).then(|| (key, value.clone()))
        })
    }
}

fn id_of(value: &Value) -> Option<ObjectId> {
    match value {
        Value::Text(text) => ObjectId::new(text.as_str()).ok(),
        Value::Integer(number) => ObjectId::new(number.to_string()).ok(),
        _ => None,
    }
}

/// The written records that some constraint refuses, with the text of the refusal.
pub(super) fn refused(state: &State, written: &BTreeSet<&RecordKey>) -> BTreeMap<RecordKey, String> {
    let mut refused = BTreeMap::new();
    for constraint in &state.constraints {
        for key in constraint.broken(state, written) {
            refused.entry(key).or_insert_with(|| constraint.text());
        }
    }
    refused
}
