//! The keys of a repository's records.

use super::SyncableRepository;
use crate::error::{Error, Result};
use crate::model::{RecordKey, TypeName};
use crate::object::{SyncableObject as _, ToObjectId};

/// The name of the repository's type.
pub(super) fn type_name<R: SyncableRepository + ?Sized>(repository: &R) -> Result<TypeName> {
    repository.store().name_of::<R::Object>()
}

/// The key of the object with this id.
///
/// # Errors
/// `InvalidInput`, with the field and the id, if no object of the type can have it; `UnknownType`.
pub(super) fn key_of<R, I>(repository: &R, id: &I) -> Result<RecordKey>
where
    R: SyncableRepository + ?Sized,
    I: ToObjectId + ?Sized,
{
    let type_name = type_name(repository)?;
    let schema = repository.store().schema(&type_name)?;
    let id = id
        .object_id()
        .and_then(|id| schema.admit_id(&id).map_err(|error| error.with_context("id", &id)).map(|()| id))
        .map_err(|error| error.with_context("field", format_args!("{type_name}.{}", schema.id_field())))?;
    Ok(RecordKey { zone: repository.zone(), type_name, id })
}

/// The key of an object that may be stored.
///
/// # Errors
/// `InvalidInput` if its id is none, or the repository refuses it.
pub(super) fn admit<R>(repository: &R, object: &R::Object) -> Result<RecordKey>
where
    R: SyncableRepository + ?Sized,
{
    let key = RecordKey { zone: repository.zone(), type_name: type_name(repository)?, id: object.id()? };
    match repository.validate(object) {
        Ok(()) => Ok(key),
        Err(rejection) => Err(Error::from(rejection).with_record(&key)),
    }
}
