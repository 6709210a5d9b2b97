//! What a case has done so far, in words: the report of a failure tells it.

use std::collections::VecDeque;
use std::fmt::{self, Display, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use fastsync_core::source::{
    Action, Changes, ChangesPage, ChangesRequest, Commit, CommitOutcome, Expect, PlannedChange, Point,
    StateWrite, Turn, Write, Writes,
};
use fastsync_core::{
    ObjectId, Position, Query, Record, RecordKey, Result, SessionId, SessionSummary, SyncableDataSource,
    TypeName, TypeSchema, Zone,
};

/// How many calls are kept.
const KEPT: usize = 12;

/// How many items of a list are named.
const NAMED: usize = 6;

/// The longest description of a filter.
const FILTER_CHARS: usize = 300;

/// The last calls of a case, and why it was skipped if it was.
#[derive(Debug, Default)]
pub(crate) struct Steps(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    count: usize,
    last: VecDeque<Step>,
    skipped: Option<String>,
}

#[derive(Debug)]
struct Step {
    number: usize,
    call: String,
    /// `None` while the call goes on, and for ever if it was abandoned.
    outcome: Option<String>,
}

impl Steps {
    fn with<T>(&self, operation: impl FnOnce(&mut Kept) -> T) -> T {
        operation(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn begin(&self, call: String) -> usize {
        self.with(|kept| {
            kept.count += 1;
            kept.last.push_back(Step { number: kept.count, call, outcome: None });
            if kept.last.len() > KEPT {
                kept.last.pop_front();
            }
            kept.count
        })
    }

    pub(crate) fn end(&self, number: usize, outcome: String) {
        self.with(|kept| {
            if let Some(step) = kept.last.iter_mut().find(|step| step.number == number) {
                step.outcome = Some(outcome);
            }
        });
    }

    pub(crate) fn skip(&self, reason: String) {
        self.with(|kept| kept.skipped = Some(reason));
    }

    pub(crate) fn skipped(&self) -> Option<String> {
        self.with(|kept| kept.skipped.take())
    }
}

impl Display for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with(|kept| {
            for Step { number, call, outcome } in &kept.last {
                let outcome = outcome.as_deref().unwrap_or("it has not ended");
                writeln!(f, "    {number}. {call} -> {outcome}")?;
            }
            Ok(())
        })
    }
}

/// A data source that notes what is asked of it.
#[derive(Debug)]
pub(crate) struct Noted {
    inner: Arc<dyn SyncableDataSource>,
    steps: Arc<Steps>,
}

impl Noted {
    pub(crate) fn new(inner: Arc<dyn SyncableDataSource>, steps: Arc<Steps>) -> Self {
        Self { inner, steps }
    }

    async fn note<T>(
        &self,
        call: String,
        work: impl Future<Output = Result<T>> + Send,
        tell: impl FnOnce(&T) -> String + Send,
    ) -> Result<T> {
        let number = self.steps.begin(call);
        let result = work.await;
        self.steps.end(number, result.as_ref().map_or_else(|error| format!("error: {error}"), tell));
        result
    }
}

/// The first of these in words, and how many there are.
fn list<T>(items: &[T], tell: impl Fn(&T) -> String) -> String {
    let mut words = items.iter().take(NAMED).map(tell).collect::<Vec<_>>().join(", ");
    if items.len() > NAMED {
        // Writing to a string does not fail.
        let _ = write!(words, " ... ({} in all)", items.len());
    }
    format!("[{words}]")
}

fn key_words(key: &RecordKey) -> String {
    format!("{} {} of {}", key.type_name, key.id, key.zone)
}

fn record_words(record: &Record) -> String {
    let life = if record.is_deleted() { "tombstone " } else { "" };
    let change = record.metadata.change;
    let change = if change > 0 { format!(" (edit {change})") } else { String::new() };
    format!("{life}{} {}{change}", record.key.type_name, record.key.id)
}

fn records_words(records: &[Record]) -> String {
    format!("{} records {}", records.len(), list(records, record_words))
}

fn write_words(write: &Write) -> String {
    let action = match &write.action {
        Action::Put { record, pending } => {
            let verb = if record.is_deleted() { "delete" } else { "put" };
            let how = if *pending { " as an edit" } else { "" };
            format!("{verb} {}{how}", key_words(&record.key))
        }
        Action::Acknowledge { key, change, .. } => format!("acknowledge edit {change} of {}", key_words(key)),
    };
    match write.expect {
        Expect::Anything => action,
        expect => format!("{action} if {expect:?}, else {:?}", write.on_mismatch),
    }
}

fn state_words(write: &StateWrite) -> String {
    let verb = if write.value.is_some() { "set" } else { "remove" };
    format!("{verb} {:?} if {:?}", write.key, write.expect)
}

fn commit_words(commit: &Commit) -> String {
    let how = if commit.positioned { "" } else { " without position" };
    let mut words = format!("commit {:?}{how}", commit.kind);
    if !commit.clears.is_empty() {
        let clears = list(&commit.clears, |clear| {
            format!("{} of {} through edit {}", clear.type_name, clear.zone, clear.through_change)
        });
        let _ = write!(words, ", clear {clears}");
    }
    let _ = match &commit.writes {
        Writes::Inline(writes) => write!(words, ", write {}", list(writes, write_words)),
        Writes::Staged { overrides } => {
            write!(words, ", write what was staged with overrides {}", list(overrides, write_words))
        }
    };
    if !commit.state.is_empty() {
        let _ = write!(words, ", state {}", list(&commit.state, state_words));
    }
    words
}

fn outcome_words(outcome: &CommitOutcome) -> String {
    let receipt_words = |receipt: &fastsync_core::source::Receipt| {
        let positions = list(&receipt.positions, |(zone, position)| format!("{} of {zone}", position.0));
        format!("positions {positions}, edit {}, {} skipped", receipt.change, receipt.skipped.len())
    };
    match outcome {
        CommitOutcome::Applied(receipt) => format!("applied: {}", receipt_words(receipt)),
        CommitOutcome::Duplicate(receipt) => format!("duplicate: {}", receipt_words(receipt)),
        CommitOutcome::Conflicts { writes, state } => {
            let writes = list(writes, |conflict| key_words(conflict.write.action.key()));
            let state = list(state, |conflict| conflict.key.clone());
            format!("conflicts: writes {writes}, state {state}")
        }
    }
}

fn point_words(point: &Point) -> String {
    let within = point.within.as_ref().map(|(name, id)| format!(" within, at {name} {id}"));
    let loading = if point.loading { " of a load" } else { "" };
    format!("{}{loading}{}", point.position.0, within.unwrap_or_default())
}

fn changes_words(changes: &Changes) -> String {
    match changes {
        Changes::Page(ChangesPage { records, next, head, caught_up, .. }) => {
            let caught_up = if *caught_up { ", caught up" } else { "" };
            let (next, head) = (point_words(next), head.position.0);
            format!("{}, next {next}, head {head}{caught_up}", records_words(records))
        }
        Changes::ResetRequired(reason) => format!("reset required: {reason:?}"),
    }
}

fn query_words(verb: &str, query: &Query) -> String {
    let Query { type_name, zone, filter, order, offset, limit, .. } = query;
    let filter: String = format!("{filter:?}").chars().take(FILTER_CHARS).collect();
    format!("{verb} {type_name} of {zone} where {filter}, order {order:?}, offset {offset}, limit {limit:?}")
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl SyncableDataSource for Noted {
    fn backend(&self) -> &'static str {
        self.inner.backend()
    }
    async fn prepare(&self, types: &[TypeSchema]) -> Result<()> {
        let call = format!("prepare {}", list(types, |schema| schema.name().to_string()));
        self.note(call, self.inner.prepare(types), |()| "done".into()).await
    }
    async fn plan(&self, types: &[TypeSchema]) -> Result<Vec<PlannedChange>> {
        let call = format!("plan {}", list(types, |schema| schema.name().to_string()));
        self.note(call, self.inner.plan(types), |changes| list(changes, PlannedChange::to_string)).await
    }
    async fn get(&self, type_name: &TypeName, zone: &Zone, ids: &[ObjectId]) -> Result<Vec<Record>> {
        let call = format!("get {type_name} {} of {zone}", list(ids, |id| id.to_string()));
        self.note(call, self.inner.get(type_name, zone, ids), |found| records_words(found)).await
    }
    async fn find(&self, query: &Query) -> Result<Vec<Record>> {
        self.note(query_words("find", query), self.inner.find(query), |found| records_words(found)).await
    }
    async fn count(&self, query: &Query) -> Result<u64> {
        self.note(query_words("count", query), self.inner.count(query), u64::to_string).await
    }
    async fn changes(&self, request: &ChangesRequest) -> Result<Changes> {
        let ChangesRequest { zone, after, types, skip_own, limits, .. } = request;
        let after = point_words(after);
        let types = types.as_ref().map(|types| format!(" of types {}", list(types, TypeName::to_string)));
        let own =
            skip_own.map(|own| format!(" without own pushes through {}", own.through)).unwrap_or_default();
        let call = format!(
            "changes of {zone} after {after}{}{own}, at most {} records and {} bytes",
            types.unwrap_or_default(),
            limits.records,
            limits.bytes
        );
        self.note(call, self.inner.changes(request), changes_words).await
    }
    async fn point(&self, zone: &Zone, position: Position) -> Result<Option<Point>> {
        let call = format!("point {} of {zone}", position.0);
        self.note(call, self.inner.point(zone, position), |point| format!("{point:?}")).await
    }
    async fn pending(&self, after: u64, limit: usize) -> Result<Vec<Record>> {
        let call = format!("pending after {after}, at most {limit}");
        self.note(call, self.inner.pending(after, limit), |found| records_words(found)).await
    }
    async fn count_pending(&self) -> Result<u64> {
        self.note("count pending".into(), self.inner.count_pending(), u64::to_string).await
    }
    async fn zones(&self, type_name: &TypeName) -> Result<Vec<Zone>> {
        let call = format!("zones of {type_name}");
        self.note(call, self.inner.zones(type_name), |found| list(found, Zone::to_string)).await
    }
    async fn stage(&self, session: SessionId, sequence: u64, writes: Vec<Write>) -> Result<()> {
        let call = format!("stage batch {sequence}: {}", list(&writes, write_words));
        self.note(call, self.inner.stage(session, sequence, writes), |()| "done".into()).await
    }
    async fn unstage(&self, session: Option<SessionId>) -> Result<()> {
        let call = if session.is_some() { "unstage a session" } else { "unstage every session" };
        self.note(call.into(), self.inner.unstage(session), |()| "done".into()).await
    }
    async fn commit(&self, commit: Commit) -> Result<CommitOutcome> {
        self.note(commit_words(&commit), self.inner.commit(commit), outcome_words).await
    }
    async fn commit_in_turn(&self, commit: Commit, turn: Turn) -> Result<CommitOutcome> {
        let call = format!("in turn, {}", commit_words(&commit));
        self.note(call, self.inner.commit_in_turn(commit, turn), outcome_words).await
    }
    async fn session(&self, id: SessionId) -> Result<Option<SessionSummary>> {
        self.note("session".into(), self.inner.session(id), |found| format!("{found:?}")).await
    }
    async fn sessions(&self, zone: &Zone, after: Position, limit: usize) -> Result<Vec<SessionSummary>> {
        let call = format!("sessions of {zone} after {}, at most {limit}", after.0);
        self.note(call, self.inner.sessions(zone, after, limit), |found| format!("{} entries", found.len()))
            .await
    }
    async fn state(&self, key: &str) -> Result<Option<Vec<u8>>> {
        let tell = |value: &Option<Vec<u8>>| match value {
            Some(value) => format!("{} bytes", value.len()),
            None => "no entry".into(),
        };
        self.note(format!("state {key:?}"), self.inner.state(key), tell).await
    }
    async fn states(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>> {
        let tell = |found: &Vec<(String, Vec<u8>)>| list(found, |(key, _)| format!("{key:?}"));
        self.note(format!("states {prefix:?}"), self.inner.states(prefix), tell).await
    }
    async fn purge(&self, zone: &Zone, through: Position) -> Result<u64> {
        let call = format!("purge {zone} through {}", through.0);
        self.note(call, self.inner.purge(zone, through), u64::to_string).await
    }
}
