//! The storage port: what a backend does for the engine.

mod changes;
mod columns;
mod commit;
pub mod entry;
mod layer;
pub mod memory;
mod plan;
mod reads;
mod request;
pub mod rules;
mod turn;
pub mod upgrade;

use std::{fmt::Debug, sync::Arc};

use async_trait::async_trait;

pub use changes::{
    After, Changes, ChangesPage, ChangesRequest, Head, PageLimits, Point, ResetReason, SkipOwn,
};
pub use columns::Columns;
pub use commit::{
    Action, Clear, Commit, CommitOutcome, Conflict, ConflictReason, Expect, ExpectState, OnMismatch, Receipt,
    StateConflict, StateWrite, Write, Writes,
};
pub use layer::{Layer, Method};
pub use plan::PlannedChange;
pub use reads::SyncableDataSourceExt;
pub use request::{AuditRequest, Found, PendingRequest, Preparation, Purge, StateRange};
pub use turn::Turn;

use crate::error::Result;
use crate::model::{ObjectId, Record, SessionId, SessionSummary, TypeName, Zone};
use crate::query::Query;
use crate::schema::TypeSchema;

/// A place where records live: the one door between the engine and a database.
///
/// A data source is simple: it stores records, answers reads, and commits conditional batches. It knows nothing
/// of conflicts, cursors or transports. The same data source serves a client and a server.
///
/// # Contract
///
/// Isolation: every read sees one committed state; a commit is seen whole or not at all, by every handle and
/// every process on the same storage. Durability: what a method acknowledged survives the death of the process
/// at any later instant, and is not visible to anyone before it is durable.
///
/// Cancellation: a future dropped before it is ready either had its whole effect or none.
///
/// Identity: types, zones, ids and state keys are compared byte by byte.
///
/// Blocking work never runs on the caller's async threads: use threads of your own, or those of the runtime
/// that your driver needs anyway. Every method may be called from many tasks at once.
///
/// Each "Behaviour" sentence below is a case of the suite in `fastsync-conformance`.
#[async_trait]
pub trait SyncableDataSource: Debug + Send + Sync + 'static {
    /// The short name of the backend for messages, for example `"sqlite"`.
    fn backend(&self) -> &'static str;

    /// Creates or verifies the storage of these types, and returns what it changed.
    ///
    /// # Behaviour
    /// - Calling it again with the same types changes nothing.
    /// - A type or a field that is new is added; existing records keep their values and a new field of theirs is
    ///   its default, or null, or the kind's zero (`false`, `0`, `0.0`, empty) if the field is not nullable. A
    ///   default that changes later does not change them.
    /// - A new field without null, zero and default is refused with `Config` that says that it needs a default, and
    ///   nothing is changed (see [`FieldSchema::has_initial`]).
    /// - A field that is gone and comes back is as it was in records that were not written meanwhile. The others have
    ///   what a new field has, or what it was in them before.
    /// - A field that becomes nullable keeps its values.
    /// - A field that is no longer nullable needs a default, which its nulls become; else it is refused as a
    ///   contradiction.
    /// - A field whose kind takes every value that its kind took before ([`FieldKind::takes`]: a wider whole number)
    ///   keeps its values. Ids of any kind may become text; any other change is a contradiction.
    /// - A field that has another name now, and says which it had, keeps its values.
    /// - Types prepared earlier and not named now keep their records.
    /// - A type that contradicts what is stored (a kind, the id field, the restriction) is refused with
    ///   `Config` that names every contradiction, and nothing is changed.
    /// - A type that is given twice, with different schemas, is refused with `Config`, and nothing is changed.
    ///
    /// [`TypeSchema::contradictions`] is this rule, and [`TypeSchema::lacks`] says which fields to fill and
    /// [`TypeSchema::continued`] which to rename.
    ///
    /// Sync tables of an earlier version are upgraded first, in steps. Until then other methods may refuse to work with
    /// them (see [`upgrade`]).
    ///
    /// [`FieldKind::takes`]: crate::FieldKind::takes
    /// [`FieldSchema::has_initial`]: crate::FieldSchema::has_initial
    ///
    /// With [`Preparation::Plan`] it is a dry run: it returns what it would change, and changes nothing.
    ///
    /// # Behaviour of a plan
    /// - It names every type that is new, and every field of a known one that is added, renamed, left out, or may be
    ///   null now or must not be any more.
    /// - It is empty exactly if nothing would be changed, whoever prepared the types before.
    /// - It changes nothing: no type is known by it, and no record is another.
    /// - What would be refused, it refuses with the same error.
    async fn prepare(&self, types: &[TypeSchema], how: Preparation) -> Result<Vec<PlannedChange>>;

    /// The records with these ids, tombstones included.
    ///
    /// # Behaviour
    /// - Records come in the order of `ids`; ids that are not there are left out; an id named twice may come
    ///   once or twice.
    /// - Only records of exactly this zone and type are found.
    /// - A type that was not prepared is `UnknownType`; so it is in every method that takes one.
    async fn get(&self, type_name: &TypeName, zone: &Zone, ids: &[ObjectId]) -> Result<Vec<Record>>;

    /// The live records that a query selects, and their total number if [`Query::total`] is set.
    ///
    /// # Behaviour
    /// - Filter, order, offset and limit are as [`Query`] says; text compares by bytes, tombstones are absent.
    /// - The total is of the filter alone, whatever offset and limit are, and of the same state as the records.
    /// - A query that does not fit the type is `InvalidInput` (see [`Query::admit`]).
    async fn find(&self, query: &Query) -> Result<Found>;

    /// The records of a zone in commit order after a point of its history, with the zone's head read in the same
    /// snapshot.
    ///
    /// # Behaviour
    /// - Each record appears once, at the position of the last positioned commit that wrote it, in its latest
    ///   state; tombstones are included.
    /// - Records come by position; within a position grouped by type, in an order of types that never changes;
    ///   within a type by the bytes of the id.
    /// - Continuing after [`ChangesPage::next`] neither repeats nor skips a record, however pages are cut;
    ///   a record that is written meanwhile turns up again further along.
    /// - A page holds at most `limits.records` records and, unless it is one record alone, about
    ///   `limits.bytes` bytes; its reader ends when `caught_up` is true and never because a page is short.
    /// - `caught_up` is true exactly if no further record follows in this snapshot; then `next` is the head.
    /// - With `types`, records of other types are passed over.
    /// - With `skip_own`, records last written by that device's pushes up to that number are passed over.
    /// - A start point before the horizon, beyond the head, or whose tag is not that of its position gives
    ///   [`Changes::ResetRequired`]: [`ResetReason::History`] if the point is not in this history, else
    ///   [`ResetReason::Horizon`]. The very beginning is before the horizon only with `skip_own`: that reader
    ///   has records already, and whether they were deleted since it could not learn.
    /// - A reading that began at the very beginning goes on below the horizon as long as the horizon has not moved
    ///   since ([`Point::horizon`]).
    /// - A reader that begins at [`Point::LOAD`] has nothing, asks without `skip_own` and takes records in any order
    ///   until it has caught up. A data source may let it load: it gives what is there by type and id, as
    ///   [`Point::loading`] says, and then what was committed since the load began, by position. Each record
    ///   comes at least once, and last in its latest state. Records without a position are left out, as they are by
    ///   position. Large tables are read faster in their own order.
    ///   Another data source takes it for [`Point::START`].
    /// - A zone that nothing was written to has head 0 and no records.
    /// - With [`After::Position`], a reader that kept a position without its tag continues after the whole
    ///   session there. The position may be before the horizon: purged tombstones are then missing from
    ///   the answer. A position that no session has gives [`ResetReason::History`].
    async fn changes(&self, request: &ChangesRequest) -> Result<Changes>;

    /// Records with local edits that wait to be pushed, by the number of the local commit that edited them last
    /// (then in a fixed order), and their total number if [`PendingRequest::total`] is set.
    ///
    /// # Behaviour
    /// - Tombstones of objects deleted locally are included.
    /// - A record leaves this list exactly when a commit acknowledges its latest change, writes it without
    ///   [`Action::Put::pending`], or clears it.
    /// - The total counts from the beginning, wherever the page begins and ends.
    async fn pending(&self, request: &PendingRequest) -> Result<Found>;

    /// The zones that have records of a type, in their order.
    ///
    /// # Behaviour
    /// - A zone in which every record of the type is a tombstone is among them; one from which they were cleared or purged is
    ///   not.
    async fn zones(&self, type_name: &TypeName) -> Result<Vec<Zone>>;

    /// Keeps one batch of writes of a large session for [`Writes::Staged`]. A session may be of any size:
    /// staging and committing it hold its keys and a few batches in memory, never all its bodies.
    ///
    /// # Behaviour
    /// - Staged writes are durable and change nothing that any other method reads.
    /// - Staging the same `(session, sequence)` again keeps the first batch.
    /// - Batches are committed in the order of `sequence`, whatever the order of staging.
    async fn stage(&self, session: SessionId, sequence: u64, writes: Vec<Write>) -> Result<()>;

    /// Commits a session: the one way to write.
    ///
    /// # Behaviour
    /// - All or nothing: clears, writes and state entries take effect together or not at all.
    /// - The same session id again gives [`CommitOutcome::Duplicate`] with the first receipt and changes nothing, whatever it
    ///   brings; of two at once exactly one is `Applied`.
    /// - Every expectation is checked against the state before this commit, in the same isolation as the write:
    ///   of two commits that expect the same revision of a record exactly one is applied.
    /// - If any write with [`OnMismatch::Abort`] or any state expectation fails, nothing is changed and
    ///   [`CommitOutcome::Conflicts`] names them with what is there instead: at least one, at most
    ///   [`Conflict::MAX_PER_OUTCOME`] writes and at most as many state entries, in any order.
    /// - A failed write with [`OnMismatch::Skip`] is left out and named in [`Receipt::skipped`].
    /// - A write that a constraint of the user's own table refuses is a conflict with
    ///   [`ConflictReason::Constraint`]; another row is never overwritten.
    /// - Rows of one commit may exchange the values of unique columns: a value that only a row of the same commit has, which
    ///   gives it up, refuses nothing, as far as the user's own rules let a value stand in for it meanwhile.
    /// - With `positioned`, the session gets the next position of every zone that it wrote a record to, assigned
    ///   at the end under the zone's lock: a reader that sees position n sees every session at or below n.
    ///   A zone without a written record gets none. An acknowledgement or a clear writes no record: it gives no
    ///   position, moves nothing in the history, and is not counted in the audit entry.
    /// - Records are stored with the revision that they bring. Put without `pending` their change is 0; put with
    ///   it, it is the change that they bring or, where that is 0, the number of this commit, which is greater
    ///   than every number given before. Numbers may have gaps.
    /// - Put of a tombstone removes the object from queries and keeps the tombstone for `get` and `changes`.
    /// - Parents (lower priority) are written before children and deleted after them, over the whole commit.
    /// - A key written twice in one inline commit is refused with `InvalidInput`. In staged batches only the last
    ///   write of a key counts, in what it does and in what it expects; a key in `overrides` replaces every
    ///   staged write of it. A key twice in `overrides` is refused with `InvalidInput`.
    /// - An acknowledgement gives its revision to a record of its incarnation only, and ends the edit that it names
    ///   and no other.
    /// - After a staged commit is applied its batches are gone; after any other outcome they are still there.
    /// - A record whose body does not fit its type is refused with `InvalidInput` or `TooLarge`. What was staged is
    ///   held against the type as it is at the commit.
    /// - A state entry is compared after the commit's predecessor in its [`Turn`] is over. Await
    ///   [`Turn::comes`] first, unless your commits run beside each other: then do invisible work before
    ///   that, and signal by the turn how far this commit is.
    async fn commit(&self, commit: Commit, turn: Turn) -> Result<CommitOutcome>;

    /// Audit entries of committed sessions: of one session, or of a zone in commit order.
    async fn sessions(&self, request: &AuditRequest) -> Result<Vec<SessionSummary>>;

    /// State entries, the small durable values that commits write: the one of a key, or all whose key begins
    /// with a prefix, by the bytes of the key.
    async fn state(&self, range: &StateRange) -> Result<Vec<(String, Vec<u8>)>>;

    /// Removes tombstones of a zone, or staged batches. Returns the number of tombstones removed.
    ///
    /// # Behaviour
    /// - [`Purge::Tombstones`] removes those of the zone that were written at or below the position, and
    ///   moves the horizon there. Live records and younger tombstones stay.
    /// - A tombstone that waits to be pushed stays, however old it is.
    /// - The horizon never moves back and never beyond the head.
    /// - [`Purge::Staged`] removes the batches of one session or of all. Removing what is not there is fine.
    async fn purge(&self, what: &Purge) -> Result<u64>;
}

/// The longest key of a state entry in bytes.
pub const MAX_STATE_KEY_BYTES: usize = 512;

/// Handles share the storage, so any `Arc` of a data source is one.
#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: SyncableDataSource + ?Sized> SyncableDataSource for Arc<S> {
    fn backend(&self) -> &'static str {
        (**self).backend()
    }
    async fn prepare(&self, types: &[TypeSchema], how: Preparation) -> Result<Vec<PlannedChange>> {
        (**self).prepare(types, how).await
    }
    async fn get(&self, type_name: &TypeName, zone: &Zone, ids: &[ObjectId]) -> Result<Vec<Record>> {
        (**self).get(type_name, zone, ids).await
    }
    async fn find(&self, query: &Query) -> Result<Found> {
        (**self).find(query).await
    }
    async fn changes(&self, request: &ChangesRequest) -> Result<Changes> {
        (**self).changes(request).await
    }
    async fn pending(&self, request: &PendingRequest) -> Result<Found> {
        (**self).pending(request).await
    }
    async fn zones(&self, type_name: &TypeName) -> Result<Vec<Zone>> {
        (**self).zones(type_name).await
    }
    async fn stage(&self, session: SessionId, sequence: u64, writes: Vec<Write>) -> Result<()> {
        (**self).stage(session, sequence, writes).await
    }
    async fn commit(&self, commit: Commit, turn: Turn) -> Result<CommitOutcome> {
        (**self).commit(commit, turn).await
    }
    async fn sessions(&self, request: &AuditRequest) -> Result<Vec<SessionSummary>> {
        (**self).sessions(request).await
    }
    async fn state(&self, range: &StateRange) -> Result<Vec<(String, Vec<u8>)>> {
        (**self).state(range).await
    }
    async fn purge(&self, what: &Purge) -> Result<u64> {
        (**self).purge(what).await
    }
}
