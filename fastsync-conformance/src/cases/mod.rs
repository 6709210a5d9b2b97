//! The cases, grouped by subject. Each takes a fresh [`Fixture`](crate::Fixture) and panics if the data source
//! breaks the sentence of the contract that the list of cases has for it.

pub(crate) mod blocking;
pub(crate) mod cancellation;
pub(crate) mod changes;
pub(crate) mod clears;
pub(crate) mod commit;
pub(crate) mod concurrency;
pub(crate) mod constraints;
pub(crate) mod duplicates;
pub(crate) mod durability;
pub(crate) mod exchanges;
pub(crate) mod expectations;
pub(crate) mod get;
pub(crate) mod identity;
pub(crate) mod kinds;
pub(crate) mod load;
pub(crate) mod ordering;
pub(crate) mod paging;
pub(crate) mod pending;
pub(crate) mod plan;
pub(crate) mod prepare;
pub(crate) mod query;
pub(crate) mod reset;
pub(crate) mod sessions;
pub(crate) mod skip_own;
pub(crate) mod staging;
pub(crate) mod state;
pub(crate) mod turn;
pub(crate) mod values;

/// What the cases use.
mod prelude {
    pub(super) use std::collections::{BTreeMap, BTreeSet};

    pub(super) use fastsync_core::source::{
        After, Changes, ChangesRequest, Clear, Commit, CommitOutcome, Conflict, ConflictReason, Expect,
        ExpectState, Found, MAX_STATE_KEY_BYTES, PageLimits, PendingRequest, PlannedChange, Point,
        Preparation, Receipt, ResetReason, SkipOwn, StateWrite, SyncableDataSourceExt, Write, Writes,
    };
    pub(super) use fastsync_core::{
        Author, Comparison, Decimal, DeviceId, ErrorKind, FieldKind, FieldName, Filter, Hlc, IdKind,
        Incarnation, ObjectId, Order, Position, Query, Record, RecordKey, Revision, SessionId, SessionKind,
        Tag, Timestamp, TypeSchema, Value, Zone,
    };

    pub(super) use crate::fixture::{Fixture, all_changes, ids};
    pub(super) use crate::records::{
        WriteExt as _, acknowledge, acme, birch, key, name, put, put_pending, schemas,
    };
    pub(super) use crate::run::join_all;
    pub(super) use crate::walk::Walk;
}
