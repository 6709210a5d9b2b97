//! What the to-do client and its servers share: the type of the objects that they keep in step.

use fastsync_core::{Clock, SyncableObject, SystemClock, Timestamp};
use uuid::Uuid;

/// One thing to do.
///
/// The derive makes it a type that can be stored and sent: a table `tasks` with the columns `id`, `text`, `done`
/// and `created`.
#[derive(Debug, Clone, PartialEq, SyncableObject)]
#[syncable(name = "tasks")]
pub struct Task {
    /// Made by whoever adds the task. Random, so that two devices never choose the same one.
    #[syncable(id)]
    pub id: Uuid,
    /// What to do.
    pub text: String,
    /// Whether it is done.
    pub done: bool,
    /// When it was added.
    pub created: Timestamp,
}

impl Task {
    /// A new task, not done yet.
    #[must_use]
    #[allow(clippy::disallowed_methods, reason = "the library itself never makes an id; applications do")]
    pub fn new(text: impl Into<String>) -> Self {
        Self { id: Uuid::new_v4(), text: text.into(), done: false, created: SystemClock.now() }
    }
}
