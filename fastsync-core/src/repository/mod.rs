//! The typed door to one type's records.

mod change;
mod field;
mod object_repository;
mod read;
mod selection;

use async_trait::async_trait;

pub use change::Change;
pub use field::Field;
pub use object_repository::Repository;
pub use read::{Listed, Unreadable};
pub use selection::Selection;

use self::change::{Changed, changed};
use self::read::{decode, recode};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Author, ObjectId, RecordKey, SessionKind, TypeName, Zone};
use crate::object::SyncableObject;
use crate::source::{Clear, Commit, CommitOutcome, SyncableDataSourceExt as _, Writes};
use crate::store::{EditSession, ObjectChanges, PendingReader, StateKey, Store, StoreRole};

/// Why an object is refused, in the application's own terms.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rejection {
    /// For programs, for example `out_of_stock`.
    pub code: String,
    /// For people.
    pub message: String,
}

impl Rejection {
    /// A refusal with a code and a message.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into() }
    }
}

/// The typed door to one type's records in one zone.
///
/// Implement `store` (and `zone` for a restricted type); everything else is provided, and a repository overrides
/// what differs, usually [`validate`](Self::validate). [`Repository`] is one without any difference.
///
/// On a client each call is one local commit, which also marks what it changed for the next push. On a server each
/// call is one session that every reader of the zone sees. All calls are atomic; a dropped future leaves all of
/// its effect or none.
#[async_trait]
pub trait SyncableRepository: Send + Sync + 'static {
    /// The type of its objects.
    type Object: SyncableObject;

    /// The store that the records live in.
    fn store(&self) -> &Store;

    /// The zone that the records live in.
    fn zone(&self) -> Zone {
        Zone::Global
    }

    /// Whether an object may be stored: asked before every local add and update, and by a server about every
    /// object that is pushed.
    ///
    /// # Errors
    /// Why not. A client keeps a pushed edit that was refused so aside, with this code and message.
    fn validate(&self, _object: &Self::Object) -> Result<(), Rejection> {
        Ok(())
    }

    /// Adds an object.
    ///
    /// # Errors
    /// `AlreadyExists`; those of [`EditSession::commit`]; `InvalidInput` if [`validate`](Self::validate) refuses, or a field
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
    /// Those of [`EditSession::commit`]; `InvalidInput` if [`validate`](Self::validate) refuses, or a field holds
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
    /// `NotFound`; those of [`EditSession::commit`]; `InvalidInput` if [`validate`](Self::validate) refuses, or a field holds
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
    /// # use fastsync_core::{Error, ErrorKind, ObjectId, Result, SyncableObject, SyncableRepository};
    /// # #[derive(SyncableObject)]
    /// # struct Stock {
    /// #     #[syncable(id)]
    /// #     id: ObjectId,
    /// #     pieces: u32,
    /// # }
    /// async fn take<R>(stock: &R, id: &ObjectId) -> Result<Option<Stock>>
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
    /// That of `change`; those of [`EditSession::commit`]; `InvalidInput` if [`validate`](Self::validate) refuses, `change`
    /// changes the id, or a field holds what could not be read again.
    async fn modify<F, C>(&self, id: &ObjectId, change: F) -> Result<Option<Self::Object>>
    where
        F: Fn(&mut Self::Object) -> C + Send + Sync,
        C: Change,
        Self: Sized,
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
    /// Those of [`EditSession::commit`].
    async fn remove(&self, id: &ObjectId) -> Result<bool> {
        Ok(self.remove_many(std::slice::from_ref(id)).await? == 1)
    }

    /// Removes objects, all or none; gives how many were there.
    ///
    /// # Errors
    /// Those of [`EditSession::commit`].
    async fn remove_many(&self, ids: &[ObjectId]) -> Result<usize> {
        let mut edit = self.store().edit();
        for id in ids {
            self.stage_remove(&mut edit, id)?;
        }
        edit.commit().await
    }

    /// Adds an object as part of a session over several types.
    ///
    /// # Errors
    /// `InvalidInput` if the object cannot be stored, [`validate`](Self::validate) refuses it, or the session edits
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
    async fn stage_modify<F, C>(
        &self,
        edit: &mut EditSession,
        id: &ObjectId,
        change: F,
    ) -> Result<Option<Self::Object>>
    where
        F: FnOnce(&mut Self::Object) -> C + Send,
        C: Change,
        Self: Sized,
    {
        let Some(Changed { read, key, object }) = changed(self, id, change).await? else { return Ok(None) };
        edit.update_of(&read, key, object.to_body()?, recode::<Self::Object>)?;
        Ok(Some(object))
    }

    /// Removes an object as part of a session over several types.
    ///
    /// # Errors
    /// `InvalidInput` if the session edits it already.
    fn stage_remove(&self, edit: &mut EditSession, id: &ObjectId) -> Result<()> {
        edit.remove(record_key(self, id.clone())?)
    }

    /// The object with this id.
    ///
    /// # Errors
    /// Those of the data source; `Corrupt` if what is stored does not fit the type.
    async fn find_by_id(&self, id: &ObjectId) -> Result<Option<Self::Object>> {
        let key = record_key(self, id.clone())?;
        let records = self.store().source().get(&key.type_name, &key.zone, std::slice::from_ref(id)).await?;
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

fn type_name<R: SyncableRepository + ?Sized>(repository: &R) -> Result<TypeName> {
    repository.store().name_of::<R::Object>()
}

fn record_key<R: SyncableRepository + ?Sized>(repository: &R, id: ObjectId) -> Result<RecordKey> {
    Ok(RecordKey { zone: repository.zone(), type_name: type_name(repository)?, id })
}

fn admit<R: SyncableRepository + ?Sized>(repository: &R, object: &R::Object) -> Result<RecordKey> {
    let key = record_key(repository, object.id()?)?;
    match repository.validate(object) {
        Ok(()) => Ok(key),
        Err(rejection) => Err(Error::from(rejection).with_record(&key)),
    }
}

async fn drop_records(store: &Store, type_name: TypeName, zone: Zone) -> Result<()> {
    if store.role() == StoreRole::Server {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "hard_delete",
            "a server's records are removed, not dropped",
        ));
    }
    let mut pending = PendingReader::new(store, PENDING_PAGE);
    while let Some(page) = pending.next().await? {
        if page.iter().any(|record| record.key.type_name == type_name && record.key.zone == zone) {
            return Err(Error::new(
                ErrorKind::PendingEdits,
                "hard_delete",
                format!("edits of type {type_name} in zone {zone} wait to be pushed: push them first"),
            ));
        }
    }
    let commit = Commit {
        session: store.new_session(),
        kind: SessionKind::Edit,
        author: Author { user: None, device: store.device(), number: 0 },
        at: store.now(),
        tag: store.new_tag().0,
        positioned: false,
        // An edit made since the look above stays: it is pending.
        clears: vec![Clear { type_name: type_name.clone(), zone: zone.clone(), through_change: 0 }],
        writes: Writes::Inline(Vec::new()),
        state: vec![StateKey::refetch_in(&type_name, &zone)?],
    };
    match store.source().commit_alone(commit).await? {
        CommitOutcome::Applied(_) | CommitOutcome::Duplicate(_) => {
            store.events().types([type_name].into());
            Ok(())
        }
        CommitOutcome::Conflicts { .. } => {
            Err(Error::new(ErrorKind::Backend, "hard_delete", "a clear has no conflicts"))
        }
    }
}

const PENDING_PAGE: usize = 4_096;

/// How often an object may move while it is changed.
const MODIFY_ATTEMPTS: usize = 16;
