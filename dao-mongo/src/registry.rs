//! The prepared types: those that this process knows, and their note in `fastsync_meta`.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use fastsync_core::source::entry;
use fastsync_core::source::rules::{NotedType, TypeTable, unknown_type};
use fastsync_core::{TypeName, TypeSchema};
use mongodb::Database;
use mongodb::bson::{Bson, Document, doc};
use serde::{Deserialize, Serialize};

use crate::command::{META, whole};
use crate::error::{Fail, Run};

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
pub(crate) struct Types(RwLock<TypeTable<i32, Type>>);

impl Types {
    pub(crate) fn get(&self, name: &TypeName) -> Run<Arc<Type>> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.get(name).cloned().ok_or_else(|| unknown_type(name).into())
    }

    pub(crate) fn at(&self, n: i32) -> Option<Arc<Type>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).at(n).cloned()
    }

    /// Takes these types, also in place of known ones.
    pub(crate) fn put(&self, types: Vec<Type>) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        types.into_iter().for_each(|kind| known.insert(kind.n, kind.schema.name().clone(), kind));
    }

    /// Takes the stored types that are not known here yet.
    pub(crate) async fn load(&self, database: &Database) -> Run<()> {
        let (stored, _) = stored_types(database).await?;
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for StoredType { n, noted } in stored {
            if known.at(n).is_none() {
                known.insert(n, noted.schema.name().clone(), Type::new(n, noted.schema));
            }
        }
        Ok(())
    }
}

/// The types that were prepared, by number, and how often they were changed.
pub(crate) async fn stored_types(database: &Database) -> Run<(Vec<StoredType>, i64)> {
    let found = database.collection::<Document>(META).find_one(doc! { "_id": "types" }).await?;
    let Some(found) = found else { return Ok((Vec::new(), 0)) };
    let unreadable = || Fail::corrupt("fastsync_meta holds a type that cannot be read");
    let types = found.get_array("types").map_err(|_| unreadable())?;
    let read = |stored: &Bson| -> Run<StoredType> {
        Ok(entry::decode_json(stored.as_str().ok_or_else(unreadable)?.as_bytes())?)
    };
    let types = types.iter().map(read).collect::<Run<Vec<_>>>()?;
    Ok((types, whole(found.get("changes")).unwrap_or(0)))
}

/// Stores the types unless another process did so since they were read, after so many changes.
pub(crate) async fn replace_types(database: &Database, types: &[StoredType], changes: i64) -> Run<bool> {
    let types = types.iter().map(entry::encode_json).collect::<fastsync_core::Result<Vec<_>>>()?;
    let meta = database.collection::<Document>(META);
    let next = doc! { "_id": "types", "changes": changes.saturating_add(1), "types": types };
    if changes == 0 {
        return match meta.insert_one(next).await.map_err(Fail::from) {
            Err(fail) if fail.is_duplicate_key() => Ok(false),
            other => other.map(|_| true),
        };
    }
    let replaced = meta.replace_one(doc! { "_id": "types", "changes": changes }, next).await?;
    Ok(replaced.matched_count == 1)
}
