//! What the process that is stopped writes: streams of commits, each of which says by its content which one it is.
//!
//! The `round`th commit of a stream replaces all that the one before wrote, so the storage shows of each stream one round,
//! whole, or is broken.

use fastsync_core::source::{
    Commit, CommitOutcome, Preparation, StateWrite, SyncableDataSourceExt as _, Write, Writes,
};
use fastsync_core::{
    Author, Record, Revision, SessionId, SessionKind, SyncableDataSource, Tag, Timestamp, Value, Zone,
};

use crate::records;
use crate::samples::{device, items, name, notes, record};

/// Stream 0: pushes of few records, now and then a very large one. Stream 1: pushes of many. Both are staged now and
/// then. Stream 2: local edits.
pub(super) const STREAMS: usize = 3;

/// The streams whose commits have a position in [`Zone::Global`].
pub(super) const PUSHES: std::ops::Range<usize> = 0..2;

/// The round of each stream, whatever it stands for; 0 is none.
pub(super) type Rounds = [u64; STREAMS];

/// How much a process does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    /// How many records a push of many has.
    pub(super) many: u64,
    /// After which round it ends.
    pub(super) last: u64,
    /// Whether the streams go on beside each other, or in turn.
    pub(super) at_once: bool,
}

const FEW: u64 = 12;

/// A body of this size takes more than one page of any engine: sled has it in a file of its own.
const VERY_LARGE: usize = 700_000;

pub(super) fn session(stream: usize, round: u64) -> SessionId {
    SessionId::from_uuid(uuid::Uuid::from_u128((number(stream) + 1) << 64 | u128::from(round)))
}

fn number(stream: usize) -> u128 {
    u128::try_from(stream).unwrap_or_default()
}

pub(super) fn state_key(stream: usize) -> String {
    format!("stream/{stream}")
}

/// The zone of a stream's records.
pub(super) fn zone(stream: usize) -> Zone {
    if PUSHES.contains(&stream) { Zone::Global } else { records::acme() }
}

/// Everything that is there of a stream after this round, tombstones included, in the order of ids.
pub(super) fn written(plan: Plan, stream: usize, round: u64) -> Vec<Record> {
    let count = match (round, stream) {
        (0, _) => 0,
        (_, 1) => plan.many,
        _ => FEW,
    };
    let written = (0..count).map(|n| {
        let id = format!("{stream}-{n:05}");
        let text = format!("{round} {}", "x".repeat(if n == 0 { 3 } else { 280 }));
        let whole = i64::try_from(round).unwrap_or_default();
        let mut record = if PUSHES.contains(&stream) {
            let large = stream == 0 && n == 0 && round.is_multiple_of(4);
            let note = large.then(|| "y".repeat(VERY_LARGE).into());
            // The second one is deleted in every other round.
            let body = vec![text.into(), whole.into(), note.unwrap_or(Value::Null)];
            record("items", &zone(stream), &id, (n != 1 || !round.is_multiple_of(2)).then_some(body))
        } else {
            record("notes", &zone(stream), &id, Some(vec![text.into()]))
        };
        record.metadata.revision = Revision::from_bits(round << 32 | n << 8 | 1);
        record
    });
    written.collect()
}

fn commit(stream: usize, round: u64, writes: Vec<Write>) -> Commit {
    let is_push = PUSHES.contains(&stream);
    Commit {
        session: session(stream, round),
        kind: if is_push { SessionKind::Push } else { SessionKind::Apply },
        author: Author { user: None, device: device(), number: if is_push { round } else { 0 } },
        at: Timestamp::from_millis(round),
        tag: Tag(round),
        positioned: is_push,
        clears: Vec::new(),
        writes: Writes::Inline(writes),
        state: vec![StateWrite::set(state_key(stream), Some(round.to_string().into_bytes()))],
    }
}

/// Prepares the types that are written.
pub(super) async fn prepare(source: &dyn SyncableDataSource) -> fastsync_core::Result<()> {
    source.prepare(&[items(), notes()], Preparation::Apply).await.map(drop)
}

/// Commits one round of a stream; a round that was committed already stays as it is. `staged` says how many of its
/// batches are acknowledged, which another attempt does not repeat.
pub(super) async fn write(
    source: &dyn SyncableDataSource,
    plan: Plan,
    stream: usize,
    round: u64,
    staged: &mut u64,
) -> Result<(), String> {
    let records = written(plan, stream, round);
    let put = if PUSHES.contains(&stream) { records::put } else { records::put_pending };
    let writes: Vec<_> = records.iter().map(put).collect();
    let mut commit = commit(stream, round, writes);
    if PUSHES.contains(&stream) && round.is_multiple_of(3) {
        let Writes::Inline(writes) = &commit.writes else { return Err("inline writes".to_owned()) };
        let half = writes.len().div_ceil(2);
        for (sequence, batch) in (0..).zip(writes.chunks(half)) {
            if sequence >= *staged {
                let answer = source.stage(commit.session, sequence, batch.to_vec()).await;
                answer.map_err(|error| format!("stage: {error}"))?;
                *staged = sequence + 1;
            }
        }
        commit.writes = Writes::Staged { overrides: Vec::new() };
    }
    match source.commit_alone(commit).await {
        Ok(CommitOutcome::Applied(_) | CommitOutcome::Duplicate(_)) => Ok(()),
        Ok(other) => Err(format!("the commit is not applied: {other:?}")),
        Err(error) => Err(format!("commit: {error}")),
    }
}

/// The name of the type of a stream's records.
pub(super) fn type_name(stream: usize) -> fastsync_core::TypeName {
    if PUSHES.contains(&stream) { name("items") } else { name("notes") }
}
