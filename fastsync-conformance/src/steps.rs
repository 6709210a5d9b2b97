//! What a case has done so far, in words: the report of a failure tells it.

use std::collections::VecDeque;
use std::fmt::{self, Display, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use fastsync_core::source::{
    Action, After, AuditRequest, Changes, ChangesPage, ChangesRequest, Commit, CommitOutcome, Expect, Found,
    PendingRequest, PlannedChange, Point, Preparation, Purge, StateRange, StateWrite, Turn, Write, Writes,
};
use fastsync_core::{
    ObjectId, Query, Record, RecordKey, Result, SessionId, SessionSummary, SyncableDataSource, TypeName,
    TypeSchema, Zone,
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

fn after_words(after: &After) -> String {
    match after {
        After::Point(point) => point_words(point),
        After::Position(position) => format!("position {}", position.0),
    }
}

fn found_words(found: &Found) -> String {
    let total = found.total.map(|total| format!(", {total} in all")).unwrap_or_default();
    format!("{}{total}", records_words(&found.records))
}

fn query_words(query: &Query) -> String {
    let Query { type_name, zone, filter, order, offset, limit, total, .. } = query;
    let total = if *total { ", counted" } else { "" };
    let filter: String = format!("{filter:?}").chars().take(FILTER_CHARS).collect();
    format!(
        "find {type_name} of {zone} where {filter}, order {order:?}, offset {offset}, limit {limit:?}{total}"
    )
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl SyncableDataSource for Noted {
    fn backend(&self) -> &'static str {
        self.inner.backend()
    }
    async fn prepare(&self, types: &[TypeSchema], how: Preparation) -> Result<Vec<PlannedChange>> {
        let verb = if how == Preparation::Plan { "plan" } else { "prepare" };
        let call = format!("{verb} {}", list(types, |schema| schema.name().to_string()));
        self.note(call, self.inner.prepare(types, how), |changes| list(changes, PlannedChange::to_string))
            .await
    }
    async fn get(&self, type_name: &TypeName, zone: &Zone, ids: &[ObjectId]) -> Result<Vec<Record>> {
        let call = format!("get {type_name} {} of {zone}", list(ids, |id| id.to_string()));
        self.note(call, self.inner.get(type_name, zone, ids), |found| records_words(found)).await
    }
    async fn find(&self, query: &Query) -> Result<Found> {
        self.note(query_words(query), self.inner.find(query), found_words).await
    }
    async fn changes(&self, request: &ChangesRequest) -> Result<Changes> {
        let ChangesRequest { zone, after, types, skip_own, limits, .. } = request;
        let after = after_words(after);
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
    async fn pending(&self, request: &PendingRequest) -> Result<Found> {
        let PendingRequest { after, limit, total } = request;
        let total = if *total { ", counted" } else { "" };
        let call = format!("pending after {after}, at most {limit}{total}");
        self.note(call, self.inner.pending(request), found_words).await
    }
    async fn zones(&self, type_name: &TypeName) -> Result<Vec<Zone>> {
        let call = format!("zones of {type_name}");
        self.note(call, self.inner.zones(type_name), |found| list(found, Zone::to_string)).await
    }
    async fn stage(&self, session: SessionId, sequence: u64, writes: Vec<Write>) -> Result<()> {
        let call = format!("stage batch {sequence}: {}", list(&writes, write_words));
        self.note(call, self.inner.stage(session, sequence, writes), |()| "done".into()).await
    }
    async fn commit(&self, commit: Commit, turn: Turn) -> Result<CommitOutcome> {
        self.note(commit_words(&commit), self.inner.commit(commit, turn), outcome_words).await
    }
    async fn sessions(&self, request: &AuditRequest) -> Result<Vec<SessionSummary>> {
        let call = match request {
            AuditRequest::Session(_) => "the entry of a session".to_owned(),
            AuditRequest::Zone { zone, after, limit } => {
                format!("sessions of {zone} after {}, at most {limit}", after.0)
            }
        };
        self.note(call, self.inner.sessions(request), |found| format!("{} entries", found.len())).await
    }
    async fn state(&self, range: &StateRange) -> Result<Vec<(String, Vec<u8>)>> {
        let tell = |found: &Vec<(String, Vec<u8>)>| {
            list(found, |(key, value)| format!("{key:?} of {} bytes", value.len()))
        };
        self.note(format!("state {range:?}"), self.inner.state(range), tell).await
    }
    async fn purge(&self, what: &Purge) -> Result<u64> {
        let call = match what {
            Purge::Tombstones { zone, through } => format!("purge {zone} through {}", through.0),
            Purge::Staged(Some(_)) => "drop what a session staged".to_owned(),
            Purge::Staged(None) => "drop what every session staged".to_owned(),
        };
        self.note(call, self.inner.purge(what), u64::to_string).await
    }
}
