//! A repository without any difference.

use std::{fmt, marker::PhantomData};

use super::SyncableRepository;
use crate::model::Zone;
use crate::object::SyncableObject;
use crate::store::Store;

/// The repository of a type that needs no rules of its own.
///
/// A cheap handle; clones share the same store.
pub struct Repository<T> {
    store: Store,
    zone: Zone,
    object: PhantomData<fn() -> T>,
}

impl<T: SyncableObject> Repository<T> {
    /// The objects of a global type.
    #[must_use]
    pub fn new(store: &Store) -> Self {
        Self::in_zone(store, Zone::Global)
    }

    /// The objects of a restricted type in one zone.
    #[must_use]
    pub fn in_zone(store: &Store, zone: Zone) -> Self {
        Self { store: store.clone(), zone, object: PhantomData }
    }
}

impl<T: SyncableObject> SyncableRepository for Repository<T> {
    type Object = T;

    fn store(&self) -> &Store {
        &self.store
    }

    fn zone(&self) -> Zone {
        self.zone.clone()
    }
}

impl<T> Clone for Repository<T> {
    fn clone(&self) -> Self {
        Self { store: self.store.clone(), zone: self.zone.clone(), object: PhantomData }
    }
}

impl<T> fmt::Debug for Repository<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repository").field("zone", &self.zone).field("store", &self.store).finish()
    }
}
