//! A conflict handler behind one door, whatever its objects.

use std::marker::PhantomData;
use std::panic::AssertUnwindSafe;

use async_trait::async_trait;
use futures_util::FutureExt as _;

use super::{ConflictsHandler, ObjectConflict, Resolution, Side, Version};
use crate::error::{Error, Result};
use crate::model::{Record, Value};
use crate::object::SyncableObject;
use crate::schema::TypeSchema;

/// How a conflict was settled, without types.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Settled {
    Server,
    Client,
    Merged(Vec<Value>),
}

/// Settles conflicts of records of one type.
#[async_trait]
pub(crate) trait Handling: Send + Sync + 'static {
    /// Asks the handler.
    ///
    /// # Errors
    /// Those of the handler, a panic of it, an object that it made and that the schema does not admit.
    async fn settle(&self, schema: &TypeSchema, server: &Record, client: &Record) -> Result<Settled>;
}

/// A user's handler.
pub(crate) struct Handler<T, H> {
    handler: H,
    object: PhantomData<fn() -> T>,
}

impl<T: SyncableObject, H: ConflictsHandler<T>> Handler<T, H> {
    pub(crate) const fn new(handler: H) -> Self {
        Self { handler, object: PhantomData }
    }
}

#[async_trait]
impl<T: SyncableObject, H: ConflictsHandler<T>> Handling for Handler<T, H> {
    async fn settle(&self, schema: &TypeSchema, server: &Record, client: &Record) -> Result<Settled> {
        // The handler is the user's code: a panic of it must not take the engine down.
        let panicked = || Error::invalid("resolve", "the conflict handler panicked");
        let unread = ObjectConflict {
            id: server.key.id.clone(),
            zone: server.key.zone.clone(),
            server: unread(server),
            client: unread(client),
        };
        match std::panic::catch_unwind(AssertUnwindSafe(|| self.handler.resolve_unread(&unread))) {
            Err(_) => return Err(panicked()),
            Ok(Some(Side::Server)) => return Ok(Settled::Server),
            Ok(Some(Side::Client)) => return Ok(Settled::Client),
            Ok(None) => {}
        }
        let conflict = ObjectConflict {
            id: server.key.id.clone(),
            zone: server.key.zone.clone(),
            server: version(server)?,
            client: version(client)?,
        };
        let resolving = AssertUnwindSafe(async { self.handler.resolve(conflict).await }).catch_unwind();
        match resolving.await.map_err(|_| panicked())?? {
            Resolution::Server => Ok(Settled::Server),
            Resolution::Client => Ok(Settled::Client),
            Resolution::Merged(object) => merged(schema, server, &object),
        }
    }
}

fn merged<T: SyncableObject>(schema: &TypeSchema, server: &Record, object: &T) -> Result<Settled> {
    if object.id()? != server.key.id {
        return Err(Error::invalid("resolve", "the conflict handler gave an object with another id"));
    }
    let mut body = object.to_body()?;
    schema.admit(&mut body)?;
    Ok(Settled::Merged(body))
}

fn unread(record: &Record) -> Version<()> {
    let metadata = record.metadata;
    Version::new(record.body.as_ref().map(|_| ()), metadata.modified_at, metadata.modified_by)
}

fn version<T: SyncableObject>(record: &Record) -> Result<Version<T>> {
    let object = record.body.as_ref().map(|body| T::from_body(&record.key.id, body.clone())).transpose()?;
    let metadata = record.metadata;
    Ok(Version { object, modified_at: metadata.modified_at, modified_by: metadata.modified_by })
}
