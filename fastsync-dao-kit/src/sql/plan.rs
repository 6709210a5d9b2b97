//! The writes of a commit, checked and in the order in which they are applied.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use fastsync_core::source::rules::{LastWrites, Phase};
use fastsync_core::source::{Action, Commit, StateWrite, Write, Writes};
use fastsync_core::{ErrorKind, RecordKey, SessionId};
use uuid::Uuid;

use crate::sql::driver::{Database, Link};
use crate::sql::fail::{Fail, Run};
use crate::sql::kind::Type;
use crate::sql::staging::{Part, load, parts};
use crate::sql::store::Store;

/// A write's place: its batch and its place in the batch.
pub(crate) type At = (usize, usize);

/// A write with the numbers that its names have in the index.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) at: At,
    pub(crate) kind: Arc<Type>,
    pub(crate) zone: u64,
    /// The device that edited the record last.
    pub(crate) device: u64,
    pub(crate) write: Write,
}

impl Item {
    pub(crate) fn key(&self) -> &RecordKey {
        self.write.action.key()
    }

    /// The numbers of its zone and type.
    pub(crate) fn place(&self) -> (u64, u64) {
        (self.zone, self.kind.n)
    }

    pub(crate) fn phase(&self) -> Phase {
        Phase::of(&self.kind.schema, self.write.is_deletion())
    }

    /// Whether it leaves an edit that waits to be pushed.
    pub(crate) const fn is_edit(&self) -> bool {
        matches!(self.write.action, Action::Put { pending: true, .. })
    }
}

/// How many bytes of staged parts are kept in memory between the rounds.
const KEPT_BYTES: u64 = 16 << 20;

/// The batches of a commit: the staged parts in order, and last the writes given with the commit.
#[derive(Debug)]
pub(crate) struct Plan {
    session: SessionId,
    /// Who commits.
    pub(crate) device: u64,
    pub(crate) is_staged: bool,
    given: Arc<Vec<Item>>,
    parts: Vec<Part>,
    /// Staged writes whose key is written again later.
    superseded: HashSet<At>,
    kept: HashMap<usize, Arc<Vec<Item>>>,
    kept_bytes: u64,
    /// How many staged writes there are.
    staged: usize,
}

impl Plan {
    /// Refuses what can be refused without looking at the store's records, and reads what is staged.
    ///
    /// Runs outside a transaction: zones and devices get their numbers here. Takes writes that are given whole; a plan of
    /// staged ones may have to be made again.
    pub(crate) async fn new<D: Database>(
        store: &Store<D>,
        link: &mut D::Link,
        commit: &mut Commit,
    ) -> Run<Self> {
        let (given, is_staged) = match &mut commit.writes {
            Writes::Inline(writes) => (std::mem::take(writes), false),
            Writes::Staged { overrides } => (overrides.clone(), true),
        };
        let mut last = LastWrites::default();
        let replaced = Write::keys(&given)?.into_iter().filter(|_| is_staged);
        replaced.for_each(|key| last.replace(key));
        check_state(store, commit)?;
        for clear in &commit.clears {
            store.kind(link, &clear.type_name).await?;
        }
        let author = commit.author.device.as_uuid();
        let device = store.devices_or_new(link, &BTreeSet::from([author])).await?;
        let mut plan = Self {
            session: commit.session,
            device: device.get(&author).copied().unwrap_or_default(),
            is_staged,
            given: Arc::default(),
            parts: Vec::new(),
            superseded: HashSet::new(),
            kept: HashMap::new(),
            kept_bytes: 0,
            staged: 0,
        };
        if is_staged {
            plan.parts = parts(link, commit.session).await?;
            plan.read_staged(store, link, last).await?;
        }
        let given = given.into_iter().enumerate().collect();
        plan.given = Arc::new(items(store, link, plan.parts.len(), given).await?);
        Ok(plan)
    }

    /// One pass over what is staged, from its end: the first time that a key is met it is the last write of it.
    async fn read_staged<D: Database>(
        &mut self,
        store: &Store<D>,
        link: &mut D::Link,
        mut last: LastWrites<()>,
    ) -> Run<()> {
        for (batch, part) in self.parts.clone().iter().enumerate().rev() {
            let writes = load(link, self.session, part).await?;
            for (place, write) in writes.iter().enumerate().rev() {
                if !last.counts_from_the_end(write.action.key()) {
                    self.superseded.insert((batch, place));
                }
            }
            self.staged = self.staged.saturating_add(writes.len());
            let items = items(store, link, batch, self.counting(batch, writes)).await?;
            self.keep(batch, part.bytes, items);
        }
        Ok(())
    }

    fn keep(&mut self, batch: usize, bytes: u64, items: Vec<Item>) -> Arc<Vec<Item>> {
        let items = Arc::new(items);
        let kept_bytes = self.kept_bytes.saturating_add(bytes);
        if kept_bytes <= KEPT_BYTES {
            self.kept_bytes = kept_bytes;
            self.kept.insert(batch, Arc::clone(&items));
        }
        items
    }

    /// Whether what is staged is still what this plan has read.
    pub(crate) async fn is_current<L: Link>(&self, link: &mut L) -> Run<bool> {
        if !self.is_staged {
            return Ok(true);
        }
        let now = parts(link, self.session).await?;
        Ok(now.len() == self.parts.len() && now.iter().zip(&self.parts).all(|(now, then)| now.is(then)))
    }

    /// How many batches there are.
    pub(crate) fn len(&self) -> usize {
        self.parts.len().saturating_add(1)
    }

    /// About how many writes there are.
    pub(crate) fn writes(&self) -> usize {
        self.staged.saturating_add(self.given.len())
    }

    /// The writes of a batch that count, by zone, type and id.
    pub(crate) async fn batch<D: Database>(
        &mut self,
        store: &Store<D>,
        link: &mut D::Link,
        number: usize,
    ) -> Run<Arc<Vec<Item>>> {
        let Some(part) = self.parts.get(number) else { return Ok(Arc::clone(&self.given)) };
        if let Some(kept) = self.kept.get(&number) {
            return Ok(Arc::clone(kept));
        }
        let writes = load(link, self.session, part).await?;
        Ok(Arc::new(items(store, link, number, self.counting(number, writes)).await?))
    }

    /// The writes of a batch that count, with their places in it: what replaces another is all that has to fit its type.
    fn counting(&self, batch: usize, writes: Vec<Write>) -> Vec<(usize, Write)> {
        let counts = |(place, _): &(usize, Write)| !self.superseded.contains(&(batch, *place));
        writes.into_iter().enumerate().filter(counts).collect()
    }

    /// The rounds that this commit needs.
    pub(crate) async fn phases<D: Database>(
        &self,
        store: &Store<D>,
        link: &mut D::Link,
    ) -> Run<BTreeSet<Phase>> {
        let mut phases: BTreeSet<_> = self.given.iter().map(Item::phase).collect();
        for (name, is_deletion) in self.parts.iter().flat_map(|part| &part.types) {
            let kind = store.kind(link, name).await?;
            phases.insert(Phase::of(&kind.schema, *is_deletion));
        }
        Ok(phases)
    }

    /// Whether a batch may have writes of a round.
    pub(crate) async fn has<D: Database>(
        &self,
        store: &Store<D>,
        link: &mut D::Link,
        number: usize,
        phase: Phase,
    ) -> Run<bool> {
        let Some(part) = self.parts.get(number) else { return Ok(true) };
        for (name, is_deletion) in &part.types {
            let kind = store.kind(link, name).await?;
            if Phase::of(&kind.schema, *is_deletion) == phase {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Writes that are admitted, with their numbers, in the order in which all commits lock them.
async fn items<D: Database>(
    store: &Store<D>,
    link: &mut D::Link,
    batch: usize,
    writes: Vec<(usize, Write)>,
) -> Run<Vec<Item>> {
    let devices: BTreeSet<Uuid> = writes.iter().filter_map(|(_, write)| editor(write)).collect();
    let devices = store.devices_or_new(link, &devices).await?;
    let mut items = Vec::with_capacity(writes.len());
    for (place, mut write) in writes {
        let kind = store.kind(link, &write.action.key().type_name).await?;
        // A type may have been prepared anew since a batch was staged, so this is done at every reading.
        write.admit(&kind.schema)?;
        let zone = store.zone_or_new(link, &write.action.key().zone).await?;
        let device = editor(&write).and_then(|device| devices.get(&device)).copied().unwrap_or_default();
        items.push(Item { at: (batch, place), kind, zone, device, write });
    }
    items.sort_by(|a, b| (a.zone, a.kind.n, &a.key().id).cmp(&(b.zone, b.kind.n, &b.key().id)));
    Ok(items)
}

fn editor(write: &Write) -> Option<Uuid> {
    match &write.action {
        Action::Put { record, .. } => Some(record.metadata.modified_by.as_uuid()),
        Action::Acknowledge { .. } => None,
    }
}

fn check_state<D: Database>(store: &Store<D>, commit: &Commit) -> Run<()> {
    StateWrite::check_keys(&commit.state)?;
    for write in &commit.state {
        if write.value.as_ref().is_some_and(|value| value.len() > store.database.statement_bytes()) {
            let message = format!("a state value is larger than {} bytes", store.database.statement_bytes());
            return Err(Fail::new(ErrorKind::TooLarge, "commit", message));
        }
    }
    Ok(())
}
