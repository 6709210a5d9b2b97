//! What a data source's author writes to run the suite.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fastsync_core::{FieldName, SyncableDataSource, TypeName};

/// One storage to run one case on, empty at first. Dropping the harness removes it.
///
/// A harness owns what the storage needs (a temporary directory, the name of a fresh database). Each case gets a
/// harness of its own, so cases run in parallel and in any order.
#[async_trait]
pub trait Harness: Send + Sync + 'static {
    /// A new handle to the storage of this harness, as a program that starts would open it.
    async fn open(&self) -> Arc<dyn SyncableDataSource>;

    /// Why no case can run here, if that is so: the server that the storage lives in is not there. The cases then
    /// say `SKIPPED` with this reason. A harness whose server must be there panics instead.
    fn skip(&self) -> Option<String> {
        None
    }

    /// Whether what is stored is still there after every handle was dropped. Where it is not, the cases on
    /// durability go on with the handle they have.
    fn is_durable(&self) -> bool {
        true
    }

    /// Whether a handle can be opened while another is open. Where it cannot, the cases with two handles use
    /// one twice.
    fn shares_storage(&self) -> bool {
        true
    }

    /// How long a case may take. One that takes longer fails.
    fn time_limit(&self) -> Duration {
        Duration::from_secs(120)
    }

    /// How many batches are staged in the storage, counted with the database's own tools: no method of a data source
    /// tells. `None` where it cannot be counted; the case that asks for it then says `SKIPPED`.
    async fn count_staged(&self) -> Option<u64> {
        None
    }

    /// Adds a constraint to the user's own tables, as a user would with the database's tools, and tells whether
    /// that could be done. Databases with constraints answer `true`; the cases then check what the contract
    /// says of them. Where it cannot be done they say `SKIPPED`.
    async fn constrain(&self, constraint: &Constraint) -> bool {
        let _ = constraint;
        false
    }
}

/// A constraint of the user's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Constraint {
    /// No two live objects of the type in one zone have the same value in the field.
    Unique {
        /// The type.
        type_name: TypeName,
        /// The field.
        field: FieldName,
    },
    /// The field holds the id of a live object of the parent type in the same zone.
    Reference {
        /// The child type.
        type_name: TypeName,
        /// The field of the child.
        field: FieldName,
        /// The parent type.
        parent: TypeName,
    },
}
