//! A repository without any difference.

use std::{fmt, marker::PhantomData};

use super::SyncableRepository;
use crate::model::Zone;
use crate::object::__private::{has_global_objects, has_restricted_objects};
use crate::object::SyncableObject;
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
    /// It does not compile for a restricted type, whose objects all have a zone:
    ///
    /// ```compile_fail,E0080
    /// use fastsync_core::{MemoryDataSource, Repository, Store, SyncableObject};
    ///
    /// #[derive(SyncableObject)]
    /// #[syncable(restricted)]
    /// struct Note {
    ///     #[syncable(id)]
    ///     id: String,
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> fastsync_core::Result<()> {
    /// let store = Store::client(MemoryDataSource::new()).register::<Note>().open().await?;
    /// let notes = Repository::<Note>::new(&store); // use `Repository::in_zone(&store, zone)`
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// The error comes from `cargo build` and `cargo test`. `cargo check` does not show it, since it does not look at the types
    /// that a generic function is called with. A type that does not say its [zones](SyncableObject::ZONES) is checked at run
    /// time.
    #[must_use]
    pub fn new(store: &Store) -> Self {
        const { has_global_objects::<T>() };
        Self { store: store.clone(), zone: Zone::Global, object: PhantomData }
    }

    /// The objects of a restricted type in one zone. Where a server registers the type, the zone does not matter.
    ///
    /// ```
    /// use fastsync_core::{MemoryDataSource, Repository, Store, SyncableObject, Zone};
    ///
    /// #[derive(SyncableObject)]
    /// #[syncable(restricted)]
    /// struct Note {
    ///     #[syncable(id)]
    ///     id: String,
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> fastsync_core::Result<()> {
    /// let store = Store::client(MemoryDataSource::new()).register::<Note>().open().await?;
    /// let notes = Repository::<Note>::in_zone(&store, Zone::restricted("ada")?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// It does not compile for a global type:
    ///
    /// ```compile_fail,E0080
    /// use fastsync_core::{MemoryDataSource, Repository, Store, SyncableObject, Zone};
    ///
    /// #[derive(SyncableObject)]
    /// struct Country {
    ///     #[syncable(id)]
    ///     id: String,
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> fastsync_core::Result<()> {
    /// let store = Store::client(MemoryDataSource::new()).register::<Country>().open().await?;
    /// let countries = Repository::<Country>::in_zone(&store, Zone::restricted("ada")?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Code for types of both sorts implements [`SyncableRepository`] by itself.
    #[must_use]
    pub fn in_zone(store: &Store, zone: Zone) -> Self {
        const { has_restricted_objects::<T>() };
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
