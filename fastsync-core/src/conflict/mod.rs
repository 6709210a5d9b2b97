//! Settling conflicts: two edits of one object that do not know of each other.

mod handling;
mod strategies;

use async_trait::async_trait;

pub(crate) use handling::{Handler, Handling, Settled};
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

/// The version of a conflict that is taken as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Side {
    /// The server's version stays.
    Server,
    /// The client's version is taken (a deletion too).
    Client,
}

impl<T> From<Side> for Resolution<T> {
    fn from(side: Side) -> Self {
        match side {
            Side::Server => Self::Server,
            Side::Client => Self::Client,
        }
    }
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
/// - An error or a panic refuses the client's edit on a server with the code `handler_failed`; nothing is changed. On a
///   client the edit stays, and the server's version is set aside until it is decided
///   ([`AsideReason::HandlerFailed`](crate::AsideReason::HandlerFailed)).
/// - It is not asked about an object that the server has deleted: a deletion is never undone by an edit that does
///   not know of it.
#[async_trait]
pub trait ConflictsHandler<T: SyncableObject>: Send + Sync + 'static {
    /// Settles a conflict by who edited when, with `()` in place of each object. `None`, as it is unless overridden, has
    /// [`resolve`](Self::resolve) look at the objects.
    ///
    /// What is decided here costs no decoding, and is decided also where a version cannot be read by this release of the
    /// type.
    fn resolve_unread(&self, conflict: &ObjectConflict<()>) -> Option<Side> {
        let _ = conflict;
        None
    }

    /// Settles one conflict.
    ///
    /// # Errors
    /// If it cannot decide.
    async fn resolve(&self, conflict: ObjectConflict<T>) -> Result<Resolution<T>>;
}
