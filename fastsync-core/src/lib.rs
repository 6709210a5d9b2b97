// The home page. It shows the facade, so its examples are tested there (`fastsync/src/lib.rs`).
#![cfg_attr(not(doctest), doc = include_str!("../README.md"))]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(test),
    warn(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unreachable
    )
)]

pub mod conflict;
pub mod context;
pub mod error;
pub mod manager;
pub mod model;
pub mod object;
pub mod protocol;
pub mod query;
pub mod repository;
pub mod schema;
pub mod source;
pub mod store;
pub mod transport;

pub use conflict::{
    ConflictsHandler, LastWriterWins, ObjectConflict, PredefinedRules, Resolution, ServerWins, Side,
    TimestampOrdering, Version,
};
pub use context::{SyncContext, ZoneAccess, ZonePolicy};
pub use error::{Error, ErrorKind, Result};
#[cfg(feature = "derive")]
pub use fastsync_derive::SyncableObject;
pub use manager::SyncManager;
pub use manager::client::{
    AsideReason, Client, ClientBuilder, ClientStatus, PendingEdits, PullLimits, PullReport, PushReport,
    RejectedEdit, SetAside, SettledConflict, Settlement, SyncError, SyncPhase, SyncProgress, SyncReport,
    WaitingEdits, WaitingReason, WhenForgotten,
};
pub use manager::server::{Restamp, Server, ServerBuilder, ServerLimits, Submission, SubmittedEdit};
pub use model::*;
pub use object::{FieldValue, IdValue, SyncableObject, ToObjectId};
pub use query::{Comparison, Filter, Order, Query};
pub use repository::{
    Change, Field, Listed, ObjectStream, Rejection, Repository, Selection, SyncableRepository,
    SyncableRepositoryExt, Unreadable,
};
pub use schema::{
    FieldKind, FieldSchema, IdKind, MAX_RECORD_BYTES, TypeSchema, TypeSchemaBuilder, ZoneRestriction,
};
pub use source::memory::MemoryDataSource;
pub use source::{SyncableDataSource, SyncableDataSourceExt};
pub use store::{
    EditSession, Migration, MigrationRow, ObjectChanges, SessionLimits, Store, StoreBuilder, StoreChange,
    StoreRole,
};
pub use transport::{LoopbackTransport, Outgoing, PullAnswer, SyncHandler, Transport};
