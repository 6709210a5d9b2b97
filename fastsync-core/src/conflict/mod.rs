//! Settling conflicts: two edits of one object that do not know of each other.

mod strategies;

use async_trait::async_trait;

pub use strategies::{LastWriterWins, PredefinedRules, ServerWins, TimestampOrdering};

use crate::error::Result;
use crate::model::{DeviceId, Hlc, ObjectId, Zone};
use crate::object::SyncableObject;

/// One side of a conflict.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Version<T> {
    /// The object; `None` if this side deleted it.
    pub object: Option<T>,
    /// When it was edited, by the editing device's clock.
    pub modified_at: Hlc,
    /// The device that edited it.
    pub modified_by: DeviceId,
}

impl<T> Version<T> {
    /// The side that this device made at this time; no object if it deleted it.
    #[must_use]
    pub const fn new(object: Option<T>, modified_at: Hlc, modified_by: DeviceId) -> Self {
        Self { object, modified_at, modified_by }
    }
}

/// Two edits of one object that do not know of each other. At least one side is an edit, never are both deletions.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ObjectConflict<T> {
    /// The object.
    pub id: ObjectId,
    /// Its zone.
    pub zone: Zone,
    /// What is committed on the server.
    pub server: Version<T>,
    /// What the client edited without knowing the server's version.
    pub client: Version<T>,
}

impl<T> ObjectConflict<T> {
    /// A conflict of these two versions, for a test of a handler.
    #[must_use]
    pub const fn new(zone: Zone, id: ObjectId, server: Version<T>, client: Version<T>) -> Self {
        Self { id, zone, server, client }
    }
}

/// How a conflict is settled.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Resolution<T> {
    /// The server's version stays.
    Server,
    /// The client's version is taken (a deletion too).
    Client,
    /// This object, made of both, is taken. Its id is that of the conflict.
    Merged(T),
}

/// Decides how conflicts of a type are settled.
///
/// On a server it decides what a push does; on a client, what becomes of a local edit when a pull brings another
/// version. In both cases the result is stored with a new revision, given to the pusher, and reported. The server
/// has the last word.
///
/// # Contract
///
/// - A handler may run more than once for a conflict (records can move while it decides), so it has no side
///   effects. No lock is held while it runs.
/// - An error or a panic refuses the client's edit with the code `handler_failed`; nothing is changed.
/// - It is not asked about an object that the server has deleted: a deletion is never undone by an edit that does
///   not know of it.
#[async_trait]
pub trait ConflictsHandler<T: SyncableObject>: Send + Sync + 'static {
    /// Settles one conflict.
    ///
    /// # Errors
    /// If it cannot decide.
    async fn resolve(&self, conflict: ObjectConflict<T>) -> Result<Resolution<T>>;
}
