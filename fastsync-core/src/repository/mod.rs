//! The typed door to one type's records.

mod change;
mod drop;
mod field;
mod key;
mod keyset;
mod object_repository;
mod object_stream;
mod operations;
mod read;
mod rejection;
mod selection;

pub use change::Change;
pub use field::Field;
pub use object_repository::Repository;
pub use object_stream::ObjectStream;
pub use operations::SyncableRepositoryExt;
pub use read::{Listed, Unreadable};
pub use rejection::Rejection;
pub use selection::Selection;

use crate::model::Zone;
use crate::object::SyncableObject;
use crate::store::Store;

/// The typed door to one type's records in one zone.
///
/// Implement `store` (and `zone` for a restricted type), and the hooks that you need, usually [`validate`](Self::validate).
/// [`SyncableRepositoryExt`] has the operations: import it where you call them. [`Repository`] has no hooks.
///
/// ```
/// use fastsync_core::*;
///
/// #[derive(SyncableObject)]
/// struct Task {
///     #[syncable(id)]
///     id: String,
///     text: String,
/// }
///
/// /// Tasks have a text.
/// struct Tasks(Store);
///
/// impl SyncableRepository for Tasks {
///     type Object = Task;
///
///     fn store(&self) -> &Store {
///         &self.0
///     }
///
///     fn validate(&self, task: &Task) -> std::result::Result<(), Rejection> {
///         if task.text.is_empty() { Err(Rejection::new("no_text", "a task needs a text")) } else { Ok(()) }
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// let tasks = Tasks(Store::client(MemoryDataSource::new()).register::<Task>().open().await?);
/// let error = tasks.add(&Task { id: "1".into(), text: String::new() }).await.unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::InvalidInput);
/// # Ok(())
/// # }
/// ```
pub trait SyncableRepository: Send + Sync + 'static {
    /// The type of its objects.
    type Object: SyncableObject;

    /// The store that the records live in.
    fn store(&self) -> &Store;

    /// The zone that the records live in.
    fn zone(&self) -> Zone {
        Zone::Global
    }

    /// Whether an object may be stored: asked before every local add and update, and by a server about every
    /// object that is pushed.
    ///
    /// # Errors
    /// Why not. A client keeps a pushed edit that was refused so aside, with this code and message.
    fn validate(&self, _object: &Self::Object) -> Result<(), Rejection> {
        Ok(())
    }
}
