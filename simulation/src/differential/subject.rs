//! One data source of a run, and what comes back from it in terms that all share.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use fastsync_core::source::{
    Action, Changes, ChangesRequest, Clear, Commit, CommitOutcome, Conflict, Expect, PageLimits, Point,
    Preparation, SyncableDataSourceExt as _, Write, Writes,
};
use fastsync_core::{Error, MemoryDataSource, Position, Query, Record, SyncableDataSource};

use super::operation::{Operation, Outcome, schemas, types, zones};
use crate::storage::{Storage, StorageKind};
use crate::text;

/// The numbers that a data source gave to the local commits of the run, in their order.
#[derive(Debug, Clone, Default)]
pub(super) struct Edits {
    numbers: Vec<u64>,
}

impl Edits {
    /// The number of the local commit at this place; 0 is none.
    fn number(&self, place: u64) -> u64 {
        let at = usize::try_from(place).ok().and_then(|place| place.checked_sub(1));
        at.and_then(|at| self.numbers.get(at)).copied().unwrap_or(0)
    }

    /// The place of a number.
    pub(super) fn place(&self, number: u64) -> u64 {
        if number == 0 {
            return 0;
        }
        self.numbers.binary_search(&number).map_or(u64::MAX, |at| at as u64 + 1)
    }

    pub(super) fn count(&self) -> u64 {
        self.numbers.len() as u64
    }
}

/// Where a data source under comparison keeps its records.
#[derive(Debug)]
enum Place {
    Memory(MemoryDataSource),
    Storage(Storage),
}

/// A data source under comparison.
pub struct Subject {
    name: &'static str,
    place: Place,
    source: Option<Arc<dyn SyncableDataSource>>,
    edits: Edits,
}

impl std::fmt::Debug for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subject").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Subject {
    /// The one in memory.
    #[must_use]
    pub fn memory() -> Self {
        Self::at("memory", Place::Memory(MemoryDataSource::new()))
    }

    /// One on a new storage of this kind.
    ///
    /// # Errors
    /// Why it cannot be made.
    pub async fn new(kind: StorageKind) -> Result<Self, String> {
        Ok(Self::at(kind.name(), Place::Storage(Storage::new(kind).await?)))
    }

    fn at(name: &'static str, place: Place) -> Self {
        Self { name, place, source: None, edits: Edits::default() }
    }

    pub(super) const fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn edits(&self) -> &Edits {
        &self.edits
    }

    pub(super) fn source(&self) -> &Arc<dyn SyncableDataSource> {
        self.source.as_ref().expect("the data source is open")
    }

    pub(super) async fn open(&mut self) -> Result<(), String> {
        let source: Arc<dyn SyncableDataSource> = match &self.place {
            Place::Memory(source) => Arc::new(source.clone()),
            Place::Storage(storage) => storage.open().await?,
        };
        source.prepare(&schemas(), Preparation::Apply).await.map_err(text)?;
        self.source = Some(source);
        Ok(())
    }

    pub(super) async fn reopen(&mut self) -> Result<(), String> {
        drop(self.source.take());
        self.open().await
    }

    /// Removes what it has stored.
    pub(super) async fn remove(mut self) -> Result<(), String> {
        drop(self.source.take());
        match self.place {
            Place::Memory(_) => Ok(()),
            Place::Storage(storage) => storage.remove().await,
        }
    }

    /// Runs an operation.
    pub(super) async fn run(&mut self, operation: &Operation) -> Outcome {
        let source = Arc::clone(self.source());
        let outcome = self.outcome(&*source, operation).await;
        outcome.unwrap_or_else(|error| Outcome::Refused(error.kind()))
    }

    async fn outcome(
        &mut self,
        source: &dyn SyncableDataSource,
        operation: &Operation,
    ) -> Result<Outcome, Error> {
        Ok(match operation {
            Operation::Commit(commit) => {
                let outcome = source.commit_alone(self.numbered_commit(commit)).await?;
                if let CommitOutcome::Applied(receipt) = &outcome
                    && receipt.change > 0
                {
                    self.edits.numbers.push(receipt.change);
                }
                Outcome::Commit(Box::new(self.placed_outcome(outcome)))
            }
            Operation::Stage(session, sequence, writes) => {
                let writes = writes.iter().map(|write| self.numbered(write)).collect();
                source.stage(*session, *sequence, writes).await?;
                Outcome::Done
            }
            Operation::Unstage(session) => {
                source.unstage(*session).await?;
                Outcome::Done
            }
            Operation::Purge(zone, through) => Outcome::Count(source.purge_tombstones(zone, *through).await?),
            Operation::Get(kind, zone, ids) => {
                Outcome::Records(self.placed_all(source.get(kind, zone, ids).await?))
            }
            Operation::Find(query) => Outcome::Records(self.placed_all(source.find(query).await?.records)),
            Operation::Count(query) => Outcome::Count(source.count(query).await?),
            Operation::Changes(request) => Outcome::Changes(self.placed_page(source.changes(request).await?)),
            Operation::Session(id) => Outcome::Sessions(source.session(*id).await?.into_iter().collect()),
            Operation::Sessions(zone, after, limit) => {
                Outcome::Sessions(source.sessions_of(zone, *after, *limit).await?)
            }
            Operation::States(prefix) => Outcome::States(source.entries(prefix).await?),
        })
    }

    fn numbered(&self, write: &Write) -> Write {
        let mut write = write.clone();
        match &mut write.action {
            Action::Put { record, .. } => {
                record.metadata.change = self.edits.number(record.metadata.change);
            }
            Action::Acknowledge { change, .. } => *change = self.edits.number(*change),
        }
        if let Expect::Change(change) = &mut write.expect {
            *change = self.edits.number(*change);
        }
        write
    }

    fn numbered_commit(&self, commit: &Commit) -> Commit {
        let all = |writes: &[Write]| writes.iter().map(|write| self.numbered(write)).collect();
        let clear = |clear: &Clear| Clear {
            through_change: self.edits.number(clear.through_change),
            ..clear.clone()
        };
        Commit {
            clears: commit.clears.iter().map(clear).collect(),
            writes: match &commit.writes {
                Writes::Inline(writes) => Writes::Inline(all(writes)),
                Writes::Staged { overrides } => Writes::Staged { overrides: all(overrides) },
            },
            ..commit.clone()
        }
    }

    fn placed(&self, mut record: Record) -> Record {
        record.metadata.change = self.edits.place(record.metadata.change);
        record
    }

    fn placed_all(&self, records: Vec<Record>) -> Vec<Record> {
        records.into_iter().map(|record| self.placed(record)).collect()
    }

    fn placed_conflicts(&self, conflicts: Vec<Conflict>) -> Vec<Conflict> {
        let mut placed: Vec<Conflict> = conflicts
            .into_iter()
            .map(|mut conflict| {
                match &mut conflict.write.action {
                    Action::Put { record, .. } => {
                        record.metadata.change = self.edits.place(record.metadata.change);
                    }
                    Action::Acknowledge { change, .. } => *change = self.edits.place(*change),
                }
                if let Expect::Change(change) = &mut conflict.write.expect {
                    *change = self.edits.place(*change);
                }
                Conflict { current: conflict.current.map(|record| self.placed(record)), ..conflict }
            })
            .collect();
        // In which order they are named is left to the data source.
        placed.sort_by(|a, b| a.write.action.key().cmp(b.write.action.key()));
        placed
    }

    fn placed_outcome(&self, outcome: CommitOutcome) -> CommitOutcome {
        let receipt = |mut receipt: fastsync_core::source::Receipt| {
            receipt.change = self.edits.place(receipt.change);
            receipt.skipped = self.placed_conflicts(receipt.skipped);
            receipt.positions.sort();
            receipt
        };
        match outcome {
            CommitOutcome::Applied(applied) => CommitOutcome::Applied(receipt(applied)),
            CommitOutcome::Duplicate(first) => CommitOutcome::Duplicate(receipt(first)),
            CommitOutcome::Conflicts { writes, mut state } => {
                state.sort_by(|a, b| a.key.cmp(&b.key));
                CommitOutcome::Conflicts { writes: self.placed_conflicts(writes), state }
            }
        }
    }

    fn placed_page(&self, changes: Changes) -> Changes {
        match changes {
            Changes::Page(mut page) => {
                page.records = self.placed_all(page.records);
                // It is told "about" how many.
                page.remaining = None;
                Changes::Page(page)
            }
            reset => reset,
        }
    }

    /// Everything that is stored, one thing a line.
    pub(super) async fn everything(&self) -> Result<String, String> {
        let source = self.source();
        let mut all = String::new();
        let mut lines = |what: &str, records: Vec<Record>| {
            for record in self.placed_all(records) {
                let json = serde_json::to_string(&record).expect("a record is JSON");
                writeln!(all, "{what} {json}").expect("a string takes it");
            }
        };
        for zone in zones() {
            for kind in types() {
                lines("found", source.find(&Query::all(kind, zone.clone())).await.map_err(text)?.records);
            }
            let request = ChangesRequest {
                zone: zone.clone(),
                after: Point::START.into(),
                types: None,
                skip_own: None,
                limits: PageLimits { records: 1_000_000, bytes: 1 << 40 },
                count_remaining: false,
            };
            match source.changes(&request).await.map_err(text)? {
                Changes::Page(page) => lines(&format!("{zone} {:?}", page.head), page.records),
                Changes::ResetRequired(reason) => return Err(format!("everything is {reason:?}")),
            }
        }
        let mut pending = BTreeMap::new();
        for record in source.pending_after(0, 1_000_000).await.map_err(text)? {
            // Within a local commit they come in an order of the data source's own.
            pending.insert((self.edits.place(record.metadata.change), record.key.clone()), record);
        }
        lines("pending", pending.into_values().collect());
        let count = source.count_pending().await.map_err(text)?;
        writeln!(all, "{count} pending").expect("a string takes it");
        for zone in zones() {
            for mut session in source.sessions_of(&zone, Position::START, 1_000_000).await.map_err(text)? {
                session.counts.sort();
                writeln!(all, "{}", serde_json::to_string(&session).expect("JSON"))
                    .expect("a string takes it");
            }
        }
        for (key, value) in source.entries("").await.map_err(text)? {
            writeln!(all, "state {key:?} {value:?}").expect("a string takes it");
        }
        Ok(all)
    }
}
