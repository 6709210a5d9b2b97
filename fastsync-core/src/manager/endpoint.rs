//! One type of a manager.

use std::marker::PhantomData;
use std::sync::Arc;

use crate::conflict::{Handling, Settled};
use crate::model::{Record, Zone};
use crate::object::SyncableObject;
use crate::repository::{Rejection, SyncableRepository};
use crate::schema::{TypeSchema, ZoneRestriction};

/// One type: its schema, what decides its conflicts, and the repository's rules if it has any of its own.
pub(crate) struct Endpoint {
    pub(super) schema: TypeSchema,
    pub(super) handling: Arc<dyn Handling>,
    pub(super) rules: Option<Box<dyn Rules>>,
}

/// A repository, whatever its objects.
pub(crate) trait Rules: Send + Sync {
    fn zone(&self) -> Zone;
    fn validate(&self, record: &Record) -> Result<(), Rejection>;
}

pub(super) struct RulesOf<T, R>(pub(super) R, pub(super) PhantomData<fn() -> T>);

impl<R: SyncableRepository> Rules for RulesOf<R::Object, R> {
    fn zone(&self) -> Zone {
        self.0.zone()
    }

    fn validate(&self, record: &Record) -> Result<(), Rejection> {
        let Some(body) = &record.body else { return Ok(()) };
        let object = R::Object::from_body(&record.key.id, body.clone())
            .map_err(|error| Rejection::new("invalid", error.message()))?;
        self.0.validate(&object)
    }
}

impl Endpoint {
    /// The zone of its objects in this manager; none if it is restricted and no repository says which.
    pub(crate) fn zone(&self) -> Option<Zone> {
        match &self.rules {
            Some(rules) => Some(rules.zone()),
            None => (!self.is_restricted()).then_some(Zone::Global),
        }
    }

    pub(super) fn is_restricted(&self) -> bool {
        self.schema.restriction() == ZoneRestriction::Restricted
    }

    /// Whether a live record may be stored.
    pub(crate) fn validate(&self, record: &Record) -> Result<(), Rejection> {
        self.rules.as_ref().map_or(Ok(()), |rules| rules.validate(record))
    }

    /// Asks the conflict handler. A failing or panicking handler is a rejection.
    pub(crate) async fn settle(&self, server: &Record, client: &Record) -> Result<Settled, Rejection> {
        let failed = |message: &str| Rejection::new("handler_failed", message);
        let settled = self.handling.settle(&self.schema, server, client).await;
        let settled = settled.map_err(|error| failed(error.message()))?;
        if let Settled::Merged(body) = &settled {
            let merged = Record { body: Some(body.clone()), ..server.clone() };
            self.validate(&merged).map_err(|rejection| failed(&rejection.message))?;
        }
        Ok(settled)
    }
}
