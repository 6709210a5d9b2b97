//! The built-in strategies.

use std::{fmt, future::Future, pin::Pin};

use async_trait::async_trait;

use super::{ConflictsHandler, ObjectConflict, Resolution, Side};
use crate::error::Result;
use crate::model::edit_order;
use crate::object::SyncableObject;

/// The last edit to arrive at the server wins, whenever it was made.
///
/// An edit made offline last week beats one made today, if it arrives later. [`TimestampOrdering`] does not.
#[derive(Debug, Clone, Copy, Default)]
pub struct LastWriterWins;

/// The version that the server has stays.
#[derive(Debug, Clone, Copy, Default)]
pub struct ServerWins;

/// The edit that was made later wins, by hybrid logical clocks; ties are broken by device.
///
/// Commutative, associative and idempotent: whatever the order of arrival, the same version wins. Servers refuse
/// edits from too far in the future, so that a wrong clock cannot win for ever.
#[derive(Debug, Clone, Copy, Default)]
pub struct TimestampOrdering;

#[async_trait]
impl<T: SyncableObject> ConflictsHandler<T> for LastWriterWins {
    fn resolve_unread(&self, _: &ObjectConflict<()>) -> Option<Side> {
        Some(Side::Client)
    }

    async fn resolve(&self, _: ObjectConflict<T>) -> Result<Resolution<T>> {
        Ok(Resolution::Client)
    }
}

#[async_trait]
impl<T: SyncableObject> ConflictsHandler<T> for ServerWins {
    fn resolve_unread(&self, _: &ObjectConflict<()>) -> Option<Side> {
        Some(Side::Server)
    }

    async fn resolve(&self, _: ObjectConflict<T>) -> Result<Resolution<T>> {
        Ok(Resolution::Server)
    }
}

#[async_trait]
impl<T: SyncableObject> ConflictsHandler<T> for TimestampOrdering {
    fn resolve_unread(&self, conflict: &ObjectConflict<()>) -> Option<Side> {
        Some(later(conflict))
    }

    async fn resolve(&self, conflict: ObjectConflict<T>) -> Result<Resolution<T>> {
        Ok(later(&conflict).into())
    }
}

/// The side that was edited later.
fn later<T>(conflict: &ObjectConflict<T>) -> Side {
    let server = edit_order(conflict.server.modified_at, conflict.server.modified_by);
    let client = edit_order(conflict.client.modified_at, conflict.client.modified_by);
    if client > server { Side::Client } else { Side::Server }
}

type Rule<T> =
    dyn Fn(ObjectConflict<T>) -> Pin<Box<dyn Future<Output = Result<Resolution<T>>> + Send>> + Send + Sync;

/// A rule of the application's own, as a function.
///
/// ```
/// use fastsync_core::{PredefinedRules, Resolution};
/// # use fastsync_core::{ObjectId, Result, SyncableObject, TypeSchema, Value};
/// # #[derive(Clone)] struct Counter { hits: i64 }
/// # impl SyncableObject for Counter {
/// #     fn schema() -> Result<TypeSchema> { TypeSchema::builder("counters", "id").build() }
/// #     fn id(&self) -> Result<ObjectId> { ObjectId::new("c") }
/// #     fn to_body(&self) -> Result<Vec<Value>> { Ok(vec![]) }
/// #     fn from_body(_: &ObjectId, _: Vec<Value>) -> Result<Self> { Ok(Self { hits: 0 }) }
/// # }
/// // The greater count survives; a deletion loses against an edit.
/// let rules = PredefinedRules::new(|conflict: fastsync_core::ObjectConflict<Counter>| {
///     match (conflict.server.object, conflict.client.object) {
///         (Some(server), Some(client)) => Ok(Resolution::Merged(Counter { hits: server.hits.max(client.hits) })),
///         (Some(_), None) => Ok(Resolution::Server),
///         (None, _) => Ok(Resolution::Client),
///     }
/// });
/// # let _: &dyn fastsync_core::ConflictsHandler<Counter> = &rules;
/// ```
pub struct PredefinedRules<T>(Box<Rule<T>>);

impl<T: SyncableObject> PredefinedRules<T> {
    /// A rule that decides at once.
    pub fn new(rule: impl Fn(ObjectConflict<T>) -> Result<Resolution<T>> + Send + Sync + 'static) -> Self {
        Self(Box::new(move |conflict| {
            let decided = rule(conflict);
            Box::pin(async move { decided })
        }))
    }

    /// A rule that may wait, for example for a look-up elsewhere.
    pub fn new_async<F, Fut>(rule: F) -> Self
    where
        F: Fn(ObjectConflict<T>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Resolution<T>>> + Send + 'static,
    {
        Self(Box::new(move |conflict| Box::pin(rule(conflict))))
    }
}

#[async_trait]
impl<T: SyncableObject> ConflictsHandler<T> for PredefinedRules<T> {
    async fn resolve(&self, conflict: ObjectConflict<T>) -> Result<Resolution<T>> {
        (self.0)(conflict).await
    }
}

impl<T> fmt::Debug for PredefinedRules<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PredefinedRules")
    }
}
