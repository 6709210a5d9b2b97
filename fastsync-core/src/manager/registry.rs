//! The types of a manager, as they are registered.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;

use super::endpoint::{Endpoint, RulesOf};
use crate::conflict::{ConflictsHandler, Handler, Handling};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{TypeName, Zone};
use crate::object::SyncableObject as _;
use crate::repository::SyncableRepository;
use crate::store::Store;

/// Collects registrations and their problems.
pub(crate) struct Registry {
    store: Store,
    pub(crate) endpoints: BTreeMap<TypeName, Endpoint>,
    pub(crate) problems: Vec<String>,
}

impl Registry {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, endpoints: BTreeMap::new(), problems: Vec::new() }
    }

    /// Adds a type with a handler of its own.
    pub(crate) fn register<R, H>(&mut self, repository: R, handler: H)
    where
        R: SyncableRepository,
        H: ConflictsHandler<R::Object>,
    {
        self.add(repository, Some(Arc::new(Handler::<R::Object, H>::new(handler))));
    }

    /// Adds a type with the handler that the store has for it.
    pub(crate) fn repository<R: SyncableRepository>(&mut self, repository: R) {
        self.add(repository, None);
    }

    fn add<R: SyncableRepository>(&mut self, repository: R, handling: Option<Arc<dyn Handling>>) {
        if let Err(error) = self.try_add(repository, handling) {
            self.problems.push(error.message().to_owned());
        }
    }

    fn try_add<R>(&mut self, repository: R, handling: Option<Arc<dyn Handling>>) -> Result<()>
    where
        R: SyncableRepository,
    {
        let invalid = |message| Err(Error::invalid("build", message));
        let name = self.store.name_of::<R::Object>()?;
        let schema = self.store.schema(&name)?.clone();
        if schema != R::Object::schema()? {
            return invalid(format!("the store knows type {name} with another schema"));
        }
        if !self.store.is(repository.store()) {
            return invalid(format!("the repository of type {name} uses another store"));
        }
        if self.endpoints.contains_key(&name) {
            return invalid(format!("type {name} is registered twice"));
        }
        let Some(handling) = handling.or_else(|| self.store.handling(&name)) else {
            return invalid(format!(
                "the store has no conflict handler for type {name}: open it with `sync::<..>(handler)`, or give one here by `register`"
            ));
        };
        let rules = Some(Box::new(RulesOf::<R::Object, R>(repository, PhantomData)) as _);
        self.endpoints.insert(name, Endpoint { schema, handling, rules });
        Ok(())
    }

    /// Adds the types that the store has with a handler, and notes every other type of it that has no repository.
    pub(crate) fn require_all(&mut self) {
        for schema in self.store.schemas() {
            let name = schema.name();
            if self.endpoints.contains_key(name) {
                continue;
            }
            match self.store.handling(name) {
                Some(handling) => {
                    let endpoint = Endpoint { schema: schema.clone(), handling, rules: None };
                    self.endpoints.insert(name.clone(), endpoint);
                }
                None => self.problems.push(format!("type {name} of the store has no registered repository")),
            }
        }
    }

    /// Notes a restricted type whose repository names no zone, and the reverse.
    pub(crate) fn require_zones(&mut self) {
        for (name, endpoint) in &self.endpoints {
            let fault = match (endpoint.zone(), endpoint.is_restricted()) {
                (Some(Zone::Global), true) => "is restricted and its repository is global",
                (Some(Zone::Restricted(_)), false) => "is global and its repository is not",
                _ => continue,
            };
            self.problems.push(format!("type {name} {fault}"));
        }
    }

    pub(crate) fn finish(self) -> Result<BTreeMap<TypeName, Endpoint>> {
        if self.problems.is_empty() {
            return Ok(self.endpoints);
        }
        Err(Error::new(ErrorKind::Config, "build", self.problems.join("; ")))
    }
}
