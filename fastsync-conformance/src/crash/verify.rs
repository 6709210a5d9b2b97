//! What must be there after a crash.

use std::collections::BTreeMap;

use fastsync_core::source::{Changes, ChangesRequest, PageLimits, SyncableDataSourceExt as _};
use fastsync_core::{Position, Query, Record, SessionId, SyncableDataSource, Zone};

use super::CrashHarness;
use super::workload::{self, PUSHES, Plan, Rounds, STREAMS};
use crate::samples::request;

/// Opens the storage and looks at everything. Of each stream the last acknowledged round is there, or the one that was
/// being committed; gives which.
pub(super) async fn verify(
    harness: &impl CrashHarness,
    place: &str,
    plan: Plan,
    acknowledged: &Rounds,
) -> Result<Rounds, String> {
    let source = harness.open(place).await.map_err(|error| format!("it cannot be opened: {error}"))?;
    workload::prepare(&*source).await.map_err(|error| format!("prepare: {error}"))?;
    let mut found = [0; STREAMS];
    for (stream, (found, &said)) in found.iter_mut().zip(acknowledged).enumerate() {
        *found = round_of(&*source, stream).await?;
        if !(said..=said + 1).contains(found) {
            return Err(format!("stream {stream}: round {said} was acknowledged, {found} is there"));
        }
        records(&*source, plan, stream, *found).await?;
    }
    history(&*source, plan, &found).await?;
    pending(&*source, &found).await?;
    Ok(found)
}

type Seen = (String, u64, bool);

/// Of a record what tells which one it is.
fn seen(record: &Record) -> Seen {
    (record.key.id.as_str().to_owned(), record.metadata.revision.to_bits(), record.body.is_some())
}

/// The round that the state entry names, which was written in the same commit.
async fn round_of(source: &dyn SyncableDataSource, stream: usize) -> Result<u64, String> {
    let state = source.entry(&workload::state_key(stream)).await.map_err(|error| error.to_string())?;
    let Some(state) = state else { return Ok(0) };
    let round = String::from_utf8(state).ok().and_then(|text| text.parse().ok());
    round.ok_or_else(|| format!("the state of stream {stream} is no number"))
}

/// The live records of a stream are those of the round, with their bodies.
async fn records(
    source: &dyn SyncableDataSource,
    plan: Plan,
    stream: usize,
    round: u64,
) -> Result<(), String> {
    let all = Query::all(workload::type_name(stream), workload::zone(stream));
    let found = source.find(&all).await.map_err(|error| format!("find: {error}"))?.records;
    let mine = format!("{stream}-");
    let mut found: Vec<_> =
        found.into_iter().filter(|record| record.key.id.as_str().starts_with(&mine)).collect();
    found.sort_by(|a, b| a.key.id.cmp(&b.key.id));
    let mut expected = workload::written(plan, stream, round);
    expected.retain(|record| record.body.is_some());
    let bodies = |records: &[Record]| records.iter().map(|record| record.body.clone()).collect::<Vec<_>>();
    let ids = |records: &[Record]| records.iter().map(seen).collect::<Vec<_>>();
    if ids(&found) != ids(&expected) || bodies(&found) != bodies(&expected) {
        let revisions: std::collections::BTreeSet<_> =
            found.iter().map(|found| seen(found).1 >> 32).collect();
        return Err(format!(
            "stream {stream} has no whole round {round}: {} records of rounds {revisions:?}",
            found.len()
        ));
    }
    Ok(())
}

/// Every push has a position, and there are no others: 1, 2, 3 and so on. Reading the zone gives each record once, as it
/// is now.
async fn history(source: &dyn SyncableDataSource, plan: Plan, found: &Rounds) -> Result<(), String> {
    let mut sessions: Vec<SessionId> = Vec::new();
    let mut after = Position::START;
    loop {
        let page =
            source.sessions_of(&Zone::Global, after, 1_000).await.map_err(|error| error.to_string())?;
        let Some(last) = page.last().and_then(|last| last.positions.first()) else { break };
        after = last.1;
        for summary in page {
            let next = Position(u64::try_from(sessions.len()).unwrap_or_default() + 1);
            if summary.positions != [(Zone::Global, next)] {
                return Err(format!("position {next:?} is missing: {:?} follows", summary.positions));
            }
            sessions.push(summary.id);
        }
    }
    let mut expected: Vec<SessionId> = Vec::new();
    for (stream, &last) in found.iter().enumerate() {
        let rounds = (1..=last).map(|round| workload::session(stream, round));
        if PUSHES.contains(&stream) {
            expected.extend(rounds);
        } else {
            for session in rounds {
                let there = source.session(session).await.map_err(|error| error.to_string())?;
                there.ok_or_else(|| format!("session {session} of stream {stream} is missing"))?;
            }
        }
    }
    let count = sessions.len();
    sessions.sort_unstable();
    expected.sort_unstable();
    if sessions != expected {
        return Err(format!("{count} pushes are in the history, not the {} of {found:?}", expected.len()));
    }

    let limits = PageLimits { records: 500, bytes: 1 << 20 };
    let mut request = ChangesRequest { limits, ..request(&Zone::Global) };
    let mut read = BTreeMap::new();
    loop {
        let page = match source.changes(&request).await {
            Ok(Changes::Page(page)) => page,
            other => return Err(format!("changes: {other:?}")),
        };
        for record in &page.records {
            if read.insert(record.key.id.clone(), seen(record)).is_some() {
                return Err(format!("{} is given twice", record.key.id));
            }
        }
        if page.caught_up {
            if page.head.position != Position(u64::try_from(count).unwrap_or_default()) {
                return Err(format!("the head is at {:?} after {count} pushes", page.head.position));
            }
            break;
        }
        if request.after == page.next.clone().into() {
            return Err("a reader does not get on".to_owned());
        }
        request.after = page.next.into();
    }
    let written = PUSHES.flat_map(|stream| workload::written(plan, stream, found[stream]));
    let expected: BTreeMap<_, _> = written.map(|record| (record.key.id.clone(), seen(&record))).collect();
    if read == expected {
        Ok(())
    } else {
        Err(format!("a reader gets {} records, not the {} of {found:?}", read.len(), expected.len()))
    }
}

/// The edits wait to be pushed, all under the number of one commit.
async fn pending(source: &dyn SyncableDataSource, found: &Rounds) -> Result<(), String> {
    let pending = source.pending_after(0, usize::MAX).await.map_err(|error| error.to_string())?;
    let edits = found[PUSHES.end];
    let changes: std::collections::BTreeSet<_> = pending.iter().map(|edit| edit.metadata.change).collect();
    let rounds = pending.iter().all(|edit| edit.metadata.revision.to_bits() >> 32 == edits);
    if changes.len() != usize::from(edits > 0) || !rounds {
        return Err(format!(
            "{} edits of changes {changes:?} are pending, not those of round {edits}",
            pending.len()
        ));
    }
    let count = source.count_pending().await.map_err(|error| error.to_string())?;
    if usize::try_from(count) == Ok(pending.len()) {
        Ok(())
    } else {
        Err(format!("{} edits are pending, {count} are counted", pending.len()))
    }
}
