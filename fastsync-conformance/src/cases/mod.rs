//! The cases, grouped by subject. Each takes a fresh [`Fixture`](crate::Fixture) and panics if the data source
//! breaks the sentence of the contract that its documentation quotes.

pub mod blocking;
pub mod cancellation;
pub mod changes;
pub mod clears;
pub mod commit;
pub mod concurrency;
pub mod constraints;
pub mod duplicates;
pub mod durability;
pub mod expectations;
pub mod get;
pub mod identity;
pub mod load;
pub mod paging;
pub mod pending;
pub mod prepare;
pub mod query;
pub mod reset;
pub mod sessions;
pub mod skip_own;
pub mod staging;
pub mod state;
pub mod turn;
pub mod values;

/// What the cases use.
mod prelude {
    pub(super) use std::collections::{BTreeMap, BTreeSet};

    pub(super) use fastsync_core::source::{
        Changes, ChangesRequest, Clear, Commit, CommitOutcome, Conflict, ConflictReason, Expect, ExpectState,
        PageLimits, Point, Receipt, ResetReason, SkipOwn, StateWrite, Write, Writes,
    };
    pub(super) use fastsync_core::{
        Author, Comparison, DeviceId, ErrorKind, FieldKind, FieldName, Filter, Hlc, Incarnation, ObjectId,
        Order, Position, Query, Record, RecordKey, Revision, SessionId, SessionKind, Tag, Timestamp,
        TypeSchema, Value, Zone,
    };

    pub(super) use crate::fixture::{Fixture, all_changes, ids};
    pub(super) use crate::records::{
        WriteExt as _, acknowledge, acme, birch, key, name, put, put_pending, schemas,
    };
    pub(super) use crate::run::join_all;
    pub(super) use crate::walk::Walk;
}
