//! The registered types, with their repositories and handlers behind one untyped door.

use std::{collections::BTreeMap, panic::AssertUnwindSafe};

use async_trait::async_trait;
use futures_util::FutureExt;

use crate::conflict::{ConflictsHandler, ObjectConflict, Resolution, Side, Version};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Record, TypeName, Value, Zone};
use crate::object::SyncableObject;
use crate::repository::{Rejection, SyncableRepository};
use crate::schema::{TypeSchema, ZoneRestriction};
use crate::store::Store;

/// How a conflict was settled, without types.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Settled {
    Server,
    Client,
    Merged(Vec<Value>),
}

/// One registered type.
#[async_trait]
pub(crate) trait Endpoint: Send + Sync {
    /// The zone of the repository.
    fn zone(&self) -> Zone;
    /// Whether a live record may be stored.
    fn validate(&self, record: &Record) -> Result<(), Rejection>;
    /// Asks the conflict handler. A failing or panicking handler is a rejection.
    async fn settle(&self, server: &Record, client: &Record) -> Result<Settled, Rejection>;
}

struct Registered<R, H> {
    repository: R,
    handler: H,
    schema: TypeSchema,
}

#[async_trait]
impl<R, H> Endpoint for Registered<R, H>
where
    R: SyncableRepository,
    H: ConflictsHandler<R::Object>,
{
    fn zone(&self) -> Zone {
        self.repository.zone()
    }

    fn validate(&self, record: &Record) -> Result<(), Rejection> {
        let Some(body) = &record.body else { return Ok(()) };
        let object = R::Object::from_body(&record.key.id, body.clone())
            .map_err(|error| Rejection::new("invalid", error.message()))?;
        self.repository.validate(&object)
    }

    async fn settle(&self, server: &Record, client: &Record) -> Result<Settled, Rejection> {
        let failed = |error: &Error| Rejection::new("handler_failed", error.message());
        // The handler is the user's code: a panic of it must not take the engine down.
        let panicked = || Rejection::new("handler_failed", "the conflict handler panicked");
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
            server: version(server).map_err(|error| failed(&error))?,
            client: version(client).map_err(|error| failed(&error))?,
        };
        let resolving = AssertUnwindSafe(async { self.handler.resolve(conflict).await }).catch_unwind();
        match resolving.await {
            Err(_) => Err(panicked()),
            Ok(Err(error)) => Err(failed(&error)),
            Ok(Ok(Resolution::Server)) => Ok(Settled::Server),
            Ok(Ok(Resolution::Client)) => Ok(Settled::Client),
            Ok(Ok(Resolution::Merged(object))) => {
                self.merged(server, &object).map_err(|error| failed(&error))
            }
        }
    }
}

impl<R, H> Registered<R, H>
where
    R: SyncableRepository,
    H: ConflictsHandler<R::Object>,
{
    fn merged(&self, server: &Record, object: &R::Object) -> Result<Settled> {
        if object.id()? != server.key.id {
            return Err(Error::invalid("resolve", "the conflict handler gave an object with another id"));
        }
        let mut body = object.to_body()?;
        self.schema.admit(&mut body)?;
        if let Err(rejection) = self.repository.validate(object) {
            return Err(Error::invalid("resolve", rejection.message));
        }
        Ok(Settled::Merged(body))
    }
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

/// Collects registrations and their problems.
pub(crate) struct Registry {
    store: Store,
    pub(crate) endpoints: BTreeMap<TypeName, Box<dyn Endpoint>>,
    pub(crate) problems: Vec<String>,
}

impl Registry {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, endpoints: BTreeMap::new(), problems: Vec::new() }
    }

    pub(crate) fn register<R, H>(&mut self, repository: R, handler: H)
    where
        R: SyncableRepository,
        H: ConflictsHandler<R::Object>,
    {
        if let Err(error) = self.try_register(repository, handler) {
            self.problems.push(error.message().to_owned());
        }
    }

    fn try_register<R, H>(&mut self, repository: R, handler: H) -> Result<()>
    where
        R: SyncableRepository,
        H: ConflictsHandler<R::Object>,
    {
        let name = self.store.name_of::<R::Object>()?;
        let schema = self.store.schema(&name)?.clone();
        if schema != R::Object::schema()? {
            return Err(Error::invalid("build", format!("the store knows type {name} with another schema")));
        }
        if !self.store.is(repository.store()) {
            return Err(Error::invalid("build", format!("the repository of type {name} uses another store")));
        }
        if self.endpoints.contains_key(&name) {
            return Err(Error::invalid("build", format!("type {name} is registered twice")));
        }
        self.endpoints.insert(name, Box::new(Registered { repository, handler, schema }));
        Ok(())
    }

    /// Notes every type of the store that has no repository.
    pub(crate) fn require_all(&mut self) {
        for schema in self.store.schemas() {
            if !self.endpoints.contains_key(schema.name()) {
                self.problems
                    .push(format!("type {} of the store has no registered repository", schema.name()));
            }
        }
    }

    /// Notes a restricted type whose repository names no zone, and the reverse.
    pub(crate) fn require_zones(&mut self) {
        for (name, endpoint) in &self.endpoints {
            let restricted = self
                .store
                .schema(name)
                .is_ok_and(|schema| schema.restriction() == ZoneRestriction::Restricted);
            if restricted == (endpoint.zone() == Zone::Global) {
                let fault = if restricted {
                    "is restricted and its repository is global"
                } else {
                    "is global and its repository is not"
                };
                self.problems.push(format!("type {name} {fault}"));
            }
        }
    }

    pub(crate) fn finish(self) -> Result<BTreeMap<TypeName, Box<dyn Endpoint>>> {
        if self.problems.is_empty() {
            return Ok(self.endpoints);
        }
        Err(Error::new(ErrorKind::Config, "build", self.problems.join("; ")))
    }
}
