//! What every repository can do.

use async_trait::async_trait;

use super::change::{Changed, changed};
use super::drop::drop_records;
use super::key::{admit, key_of, type_name};
use super::read::{self, Listed, decode, recode};
use super::{Change, ObjectStream, Selection, SyncableRepository};
use crate::error::{ErrorKind, Result};
use crate::model::RecordKey;
use crate::object::{SyncableObject as _, ToObjectId};
use crate::source::SyncableDataSourceExt as _;
use crate::store::{EditSession, ObjectChanges};

/// How often an object may move while it is changed.
const MODIFY_ATTEMPTS: usize = 16;

/// The operations of a repository. Every [`SyncableRepository`] has them; none implements them.
///
/// On a client each call is one local commit, which also marks what it changed for the next push. On a server each
/// call is one session that every reader of the zone sees. All calls are atomic; a dropped future leaves all of
/// its effect or none.
///
/// An id is what the type has as its id (`&task.id`), text, or an [`ObjectId`](crate::ObjectId): see [`ToObjectId`].
///
/// ```
/// use fastsync_core::{
///     MemoryDataSource, Repository, Result, Store, SyncableObject, SyncableRepositoryExt as _,
/// };
/// use uuid::Uuid;
///
/// #[derive(Debug, Clone, PartialEq, SyncableObject)]
/// struct Task {
///     #[syncable(id)]
///     id: Uuid,
///     text: String,
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// let store = Store::client(MemoryDataSource::new()).register::<Task>().open().await?;
/// let tasks = Repository::<Task>::new(&store);
/// let task = Task { id: Uuid::from_u128(7), text: "buy bread".into() };
/// tasks.add(&task).await?;
/// assert_eq!(tasks.find_by_id(&task.id).await?, Some(task.clone()));
/// assert!(tasks.remove(&task.id).await?);
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait SyncableRepositoryExt: SyncableRepository {
    /// Adds an object.
    ///
    /// # Errors
    /// `AlreadyExists`; those of [`EditSession::commit`]; `InvalidInput` if [`validate`](SyncableRepository::validate) refuses, or a field
    /// holds what could not be read again (a date in the year 10000).
    async fn add(&self, object: &Self::Object) -> Result<()> {
        self.add_many(std::slice::from_ref(object)).await
    }

    /// Adds objects, all or none.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    async fn add_many(&self, objects: &[Self::Object]) -> Result<()> {
        let mut edit = self.store().edit();
        for object in objects {
            self.stage_add(&mut edit, object)?;
        }
        edit.commit().await.map(|_| ())
    }

    /// Adds an object unless one with its id is there, or was; gives whether it was added here.
    ///
    /// For default objects with a fixed id that every fresh install creates before its first sync: the user may have
    /// renamed or deleted that object on another device. If the server has it, or knows that it was deleted, the server's
    /// version takes its place without a conflict, whatever the conflict strategy. An [`update`](Self::update) makes it an
    /// object like any other.
    ///
    /// The alternative is to pull first, and to add what is missing then. A server that has purged the deletion does not
    /// know of it any more.
    ///
    /// # Errors
    /// Those of [`EditSession::commit`]; `InvalidInput` if [`validate`](SyncableRepository::validate) refuses, or a field holds
    /// what could not be read again.
    async fn add_if_absent(&self, object: &Self::Object) -> Result<bool> {
        let mut edit = self.store().edit();
        self.stage_add_if_absent(&mut edit, object)?;
        Ok(edit.commit().await? == 1)
    }

    /// Replaces an object by one with the same id. A field that has what reading the stored object gives stays as it is
    /// stored, also where the type reads several stored values alike (`#[serde(other)]`).
    ///
    /// # Errors
    /// `NotFound`; those of [`EditSession::commit`]; `InvalidInput` if [`validate`](SyncableRepository::validate) refuses, or a field holds
    /// what could not be read again.
    async fn update(&self, object: &Self::Object) -> Result<()> {
        self.update_many(std::slice::from_ref(object)).await
    }

    /// Replaces objects, all or none.
    ///
    /// # Errors
    /// As [`update`](Self::update).
    async fn update_many(&self, objects: &[Self::Object]) -> Result<()> {
        let mut edit = self.store().edit();
        for object in objects {
            self.stage_update(&mut edit, object)?;
        }
        edit.commit().await.map(|_| ())
    }

    /// Changes an object as it is stored now, and gives it as it was stored; `None` if it is not there. Where `change` gives an
    /// error, nothing is changed.
    ///
    /// `change` may be called more than once: if the object moves between reading and writing (a pull that runs
    /// meanwhile, another task), it is read again. An object that was read earlier and is given to
    /// [`update`](Self::update) replaces whatever came in between.
    ///
    /// ```
    /// # use fastsync_core::{Error, ErrorKind, Result, SyncableObject, SyncableRepository, SyncableRepositoryExt};
    /// # #[derive(SyncableObject)]
    /// # struct Stock {
    /// #     #[syncable(id)]
    /// #     id: String,
    /// #     pieces: u32,
    /// # }
    /// async fn take<R>(stock: &R, id: &str) -> Result<Option<Stock>>
    /// where
    ///     R: SyncableRepository<Object = Stock>,
    /// {
    ///     let change = |stock: &mut Stock| {
    ///         let missing = || Error::new(ErrorKind::InvalidInput, "take", "none is left");
    ///         stock.pieces = stock.pieces.checked_sub(1).ok_or_else(missing)?;
    ///         Ok::<_, Error>(())
    ///     };
    ///     stock.modify(id, change).await
    /// }
    /// ```
    ///
    /// # Errors
    /// That of `change`; those of [`EditSession::commit`]; `InvalidInput` if [`validate`](SyncableRepository::validate) refuses, `change`
    /// changes the id, or a field holds what could not be read again.
    async fn modify<I, F, C>(&self, id: &I, change: F) -> Result<Option<Self::Object>>
    where
        I: ToObjectId + ?Sized,
        F: Fn(&mut Self::Object) -> C + Send + Sync,
        C: Change,
    {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let mut edit = self.store().edit();
            let Some(object) = self.stage_modify(&mut edit, id, &change).await? else { return Ok(None) };
            match edit.commit().await {
                Ok(_) => return Ok(Some(object)),
                Err(error) if error.kind() == ErrorKind::Contention && attempts < MODIFY_ATTEMPTS => {}
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }

    /// Removes an object; gives whether it was there.
    ///
    /// # Errors
    /// `InvalidInput` if no object of the type can have this id; those of [`EditSession::commit`].
    async fn remove<I: ToObjectId + ?Sized>(&self, id: &I) -> Result<bool> {
        let mut edit = self.store().edit();
        self.stage_remove(&mut edit, id)?;
        Ok(edit.commit().await? == 1)
    }

    /// Removes objects, all or none; gives how many were there.
    ///
    /// # Errors
    /// As [`remove`](Self::remove).
    async fn remove_many<I: ToObjectId>(&self, ids: &[I]) -> Result<usize> {
        let mut edit = self.store().edit();
        for id in ids {
            self.stage_remove(&mut edit, id)?;
        }
        edit.commit().await
    }

    /// Adds an object as part of a session over several types.
    ///
    /// # Errors
    /// `InvalidInput` if the object cannot be stored, [`validate`](SyncableRepository::validate) refuses it, or the session edits
    /// it already.
    fn stage_add(&self, edit: &mut EditSession, object: &Self::Object) -> Result<()> {
        edit.add(admit(self, object)?, object.to_body()?, recode::<Self::Object>)
    }

    /// Adds an object as part of a session over several types, unless one with its id is there or was
    /// ([`add_if_absent`](Self::add_if_absent)).
    ///
    /// # Errors
    /// As [`stage_add`](Self::stage_add).
    fn stage_add_if_absent(&self, edit: &mut EditSession, object: &Self::Object) -> Result<()> {
        edit.add_if_absent(admit(self, object)?, object.to_body()?, recode::<Self::Object>)
    }

    /// Replaces an object as part of a session over several types.
    ///
    /// # Errors
    /// As [`stage_add`](Self::stage_add).
    fn stage_update(&self, edit: &mut EditSession, object: &Self::Object) -> Result<()> {
        edit.update(admit(self, object)?, object.to_body()?, recode::<Self::Object>)
    }

    /// Reads an object as it is stored, changes it as part of a session over several types, and gives it as it will be stored;
    /// `None` if it is not there.
    ///
    /// It does not see what the session has staged. A session edits an object once.
    ///
    /// # Errors
    /// As [`modify`](Self::modify) and [`stage_add`](Self::stage_add). The commit of the session fails with `Contention` if the
    /// object was changed since, and with `NotFound` if it was removed; a new session reads it again.
    async fn stage_modify<I, F, C>(
        &self,
        edit: &mut EditSession,
        id: &I,
        change: F,
    ) -> Result<Option<Self::Object>>
    where
        I: ToObjectId + ?Sized,
        F: FnOnce(&mut Self::Object) -> C + Send,
        C: Change,
    {
        let Some(Changed { read, key, object }) = changed(self, key_of(self, id)?, change).await? else {
            return Ok(None);
        };
        edit.update_of(&read, key, object.to_body()?, recode::<Self::Object>)?;
        Ok(Some(object))
    }

    /// Removes an object as part of a session over several types.
    ///
    /// # Errors
    /// `InvalidInput` if the session edits it already, or no object of the type can have this id.
    fn stage_remove<I: ToObjectId + ?Sized>(&self, edit: &mut EditSession, id: &I) -> Result<()> {
        edit.remove(key_of(self, id)?)
    }

    /// The object with this id.
    ///
    /// # Errors
    /// `InvalidInput` if no object of the type can have this id; those of the data source; `Corrupt` if what is stored does
    /// not fit the type.
    async fn find_by_id<I: ToObjectId + ?Sized>(&self, id: &I) -> Result<Option<Self::Object>> {
        let RecordKey { type_name, zone, id } = key_of(self, id)?;
        let records = self.store().source().get(&type_name, &zone, &[id]).await?;
        records.into_iter().find(|record| !record.is_deleted()).map(decode).transpose()
    }

    /// Every object, by id. One that this version of the type cannot read is left out; [`list`](Self::list) names it.
    ///
    /// # Errors
    /// Those of the data source.
    async fn get_all(&self) -> Result<Vec<Self::Object>> {
        self.query(Selection::all()).await
    }

    /// The selected objects; filter, order and limit are run by the database. One that this version of the type cannot
    /// read is left out; [`list`](Self::list) names it.
    ///
    /// # Errors
    /// `InvalidInput` if the selection does not fit the type; those of the data source.
    async fn query(&self, selection: Selection) -> Result<Vec<Self::Object>> {
        Ok(self.list(selection).await?.objects)
    }

    /// The selected objects, and those of them that this version of the type cannot read.
    ///
    /// # Errors
    /// As [`query`](Self::query).
    async fn list(&self, selection: Selection) -> Result<Listed<Self::Object>> {
        let records =
            self.store().source().find(&selection.into_query(type_name(self)?, self.zone())).await?.records;
        Ok(read::list(records))
    }

    /// The selected objects one after the other, in bounded memory: at most a page of 1,000 is held.
    ///
    /// Each page goes on behind the last object of the page before, in the order of the selection and by id. The stream owns
    /// what it needs, so it may outlive the repository.
    ///
    /// # Behaviour
    ///
    /// - It is not a snapshot. An object that nobody touches meanwhile comes exactly once.
    /// - An object that is added, changed or removed meanwhile may come in its new state, in its old one, or not at all.
    /// - By id, no object comes twice. In the order of other fields, one whose value moves ahead of the reader may.
    /// - An object that this version of the type cannot read is an error, `Corrupt`, with its id; the stream goes on behind it.
    /// - Any other error is the last item: those of [`query`](Self::query).
    ///
    /// ```
    /// use fastsync_core::*;
    /// use futures_util::TryStreamExt as _;
    ///
    /// #[derive(SyncableObject)]
    /// struct Parcel {
    ///     #[syncable(id)]
    ///     id: u32,
    ///     grams: u32,
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<()> {
    /// # let store = Store::client(MemoryDataSource::new()).register::<Parcel>().open().await?;
    /// # let parcels = Repository::<Parcel>::new(&store);
    /// # parcels.add_many(&[1, 2, 3].map(|id| Parcel { id, grams: 400 * id })).await?;
    /// let heavy = Selection::matching(Parcel::GRAMS.greater(500_u32)?);
    /// let mut found = parcels.stream(heavy);
    /// let mut sum = 0;
    /// while let Some(parcel) = found.try_next().await? {
    ///     sum += parcel.grams;
    /// }
    /// assert_eq!(sum, 2_000);
    /// # Ok(())
    /// # }
    /// ```
    fn stream(&self, selection: Selection) -> ObjectStream<Self::Object> {
        ObjectStream::new(self.store(), type_name(self), self.zone(), selection)
    }

    /// How many objects the selection's filter holds for.
    ///
    /// # Errors
    /// As [`query`](Self::query).
    async fn count(&self, selection: Selection) -> Result<u64> {
        self.store().source().count(&selection.into_query(type_name(self)?, self.zone())).await
    }

    /// Drops every record of this repository from a client's store, without deleting anything on the server: the
    /// next pull fetches them again. Other types are not touched.
    ///
    /// # Errors
    /// `PendingEdits` if edits of this type wait to be pushed; `Unsupported` on a server.
    async fn hard_delete(&self) -> Result<()> {
        drop_records(self.store(), type_name(self)?, self.zone()).await
    }

    /// The changes of this repository's records from now on, by anyone in this process.
    ///
    /// # Errors
    /// `InvalidInput` if the type's schema is invalid.
    fn changes(&self) -> Result<ObjectChanges> {
        Ok(self.store().events().subscribe(Some((type_name(self)?, self.zone()))))
    }
}

#[async_trait]
impl<R: SyncableRepository + ?Sized> SyncableRepositoryExt for R {}
