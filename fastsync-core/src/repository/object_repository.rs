//! A repository without any difference.

use std::{fmt, marker::PhantomData};

use super::SyncableRepository;
use crate::model::Zone;
use crate::object::SyncableObject;
use crate::schema::ZoneRestriction;
use crate::store::Store;

/// The repository of a type that needs no rules of its own. [`SyncableRepositoryExt`](super::SyncableRepositoryExt) has the
/// operations.
///
/// A cheap handle; clones share the same store.
pub struct Repository<T> {
    store: Store,
    zone: Zone,
    object: PhantomData<fn() -> T>,
}

impl<T: SyncableObject> Repository<T> {
    /// The objects of a global type.
    ///
    /// It does not compile for a restricted type:
    ///
    /// ```compile_fail,E0080
    /// use fastsync_core::{Repository, Store, SyncableObject};
    ///
    /// #[derive(SyncableObject)]
    /// #[syncable(restricted)]
    /// struct Note {
    ///     #[syncable(id)]
    ///     id: String,
    /// }
    ///
    /// fn notes(store: &Store) -> Repository<Note> {
    ///     Repository::new(store) // use `Repository::in_zone(store, zone)`
    /// }
    /// ```
    ///
    /// `cargo build` and `cargo test` say so; `cargo check` does not look into the types that a generic function is used
    /// with.
    #[must_use]
    pub fn new(store: &Store) -> Self {
        const {
            assert!(
                !matches!(T::ZONES, Some(ZoneRestriction::Restricted)),
                "objects of this type live in restricted zones: use `Repository::in_zone(store, zone)`"
            );
        }
        Self { store: store.clone(), zone: Zone::Global, object: PhantomData }
    }

    /// The objects of a restricted type in one zone. Where a server registers the type, the zone does not
    /// matter.
    ///
    /// It does not compile for a global type:
    ///
    /// ```compile_fail,E0080
    /// use fastsync_core::{Repository, Store, SyncableObject, Zone};
    ///
    /// #[derive(SyncableObject)]
    /// struct Country {
    ///     #[syncable(id)]
    ///     id: String,
    /// }
    ///
    /// fn countries(store: &Store, zone: Zone) -> Repository<Country> {
    ///     Repository::in_zone(store, zone) // use `Repository::new(store)`
    /// }
    /// ```
    #[must_use]
    pub fn in_zone(store: &Store, zone: Zone) -> Self {
        const {
            assert!(
                !matches!(T::ZONES, Some(ZoneRestriction::Global)),
                "objects of this type are global: use `Repository::new(store)`, or make the type `restricted`"
            );
        }
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
