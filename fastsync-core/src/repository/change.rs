//! Changing an object as it is stored now.

use super::SyncableRepository;
use super::key::admit;
use super::read::decode;
use crate::error::{Error, Result};
use crate::model::{RecordKey, SyncMetadata};

/// What the function given to [`modify`](super::SyncableRepositoryExt::modify) returns: `()`, or a `Result` if it can fail. Its
/// error is the error of the call, and nothing is changed.
pub trait Change {
    /// The outcome.
    ///
    /// # Errors
    /// Why the change cannot be made.
    fn outcome(self) -> Result<()>;
}

impl Change for () {
    fn outcome(self) -> Result<()> {
        Ok(())
    }
}

impl<E: Into<Error>> Change for Result<(), E> {
    fn outcome(self) -> Result<()> {
        self.map_err(Into::into)
    }
}

/// An object that was read and changed.
pub(super) struct Changed<T> {
    pub(super) read: SyncMetadata,
    pub(super) key: RecordKey,
    pub(super) object: T,
}

/// Reads an object and changes it; none if it is not there.
pub(super) async fn changed<R: SyncableRepository + ?Sized, C: Change>(
    repository: &R,
    key: RecordKey,
    change: impl FnOnce(&mut R::Object) -> C + Send,
) -> Result<Option<Changed<R::Object>>> {
    let source = repository.store().source();
    let found = source.get(&key.type_name, &key.zone, std::slice::from_ref(&key.id)).await?;
    let Some(record) = found.into_iter().find(|record| !record.is_deleted()) else { return Ok(None) };
    let read = record.metadata;
    let mut object: R::Object = decode(record)?;
    change(&mut object).outcome().map_err(|error| error.with_record(&key))?;
    if admit(repository, &object)? != key {
        return Err(Error::invalid("modify", "the change gave the object another id").with_record(&key));
    }
    Ok(Some(Changed { read, key, object }))
}
