//! The writes of a commit, checked and in the order in which they are applied.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use fastsync_core::source::rules::{LastWrites, Phase};
use fastsync_core::source::{Commit, StateWrite, Write, Writes};
use fastsync_core::{RecordKey, SessionId, TypeName};

use crate::connection::Store;
use crate::error::{Fail, Run};
use crate::merge::{self, Merge, Staged};
use crate::registry::Type;
use crate::staging::{Batch, batches};

/// A write's place: its batch, counted from 0 (the writes given with the commit come after all batches), and its
/// place in the batch. Later writes of a key have greater places.
pub(crate) type At = (u32, u32);

/// A write and its place.
pub(crate) type Placed<'a> = (At, &'a Write);

/// How a commit notices that a key is staged twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Watch {
    /// It does not: no key is, or only the last write of each is given.
    Nothing,
    /// The writes of a key are given one after the other.
    Neighbours,
    /// By remembering every key.
    All,
}

/// What is done with some writes of one type; it answers whether to go on.
pub(crate) type Visit<'a> = dyn FnMut(&Arc<Type>, &[Placed<'_>]) -> Run<bool> + 'a;

const GIVEN: u32 = u32::MAX;

/// How many staged writes are given at once.
const GROUP: usize = 256;

#[derive(Debug)]
pub(crate) struct Plan {
    session: SessionId,
    /// The writes given with the commit, by key.
    given: Vec<Write>,
    pub(crate) is_staged: bool,
    overridden: HashSet<RecordKey>,
    batches: Vec<Batch>,
    /// Once looked for.
    last: Option<LastWrites<At>>,
    kinds: RefCell<Vec<Arc<Type>>>,
}

impl Plan {
    /// Takes the writes out of a commit and refuses what can be refused without looking at the store's records.
    pub(crate) fn new(store: &Store, commit: &mut Commit) -> Run<Self> {
        let (mut given, is_staged) = match std::mem::replace(&mut commit.writes, Writes::Inline(Vec::new())) {
            Writes::Inline(writes) => (writes, false),
            Writes::Staged { overrides } => (overrides, true),
        };
        let mut plan = Self {
            session: commit.session,
            given: Vec::new(),
            is_staged,
            overridden: HashSet::new(),
            batches: Vec::new(),
            last: None,
            kinds: RefCell::default(),
        };
        for write in &mut given {
            let kind = plan.kind(store, &write.action.key().type_name)?;
            write.admit_signed(&kind.schema)?;
        }
        Write::sort(&mut given)?;
        if is_staged {
            plan.overridden = given.iter().map(|write| write.action.key().clone()).collect();
        }
        plan.given = given;
        for clear in &commit.clears {
            plan.kind(store, &clear.type_name)?;
        }
        StateWrite::check_keys(&commit.state)?;
        Ok(plan)
    }

    /// Reads which batches are staged; inside the transaction, since others may stage meanwhile.
    pub(crate) fn read_batches(&mut self, store: &Store) -> Run<()> {
        self.last = None;
        if self.is_staged {
            self.batches = batches(store, self.session)?;
        }
        Ok(())
    }

    /// From here on only the last staged write of each key is given. It costs a pass, so it is for commits that a
    /// first attempt has found to need it.
    pub(crate) fn find_last_writes(&mut self, store: &Store) -> Run<()> {
        if !self.is_staged || self.last.is_some() {
            return Ok(());
        }
        let mut last = LastWrites::default();
        self.each(store, None, &mut |_, placed| {
            placed.iter().for_each(|(at, write)| last.note(write.action.key(), *at));
            Ok(true)
        })?;
        self.last = Some(last);
        Ok(())
    }

    fn is_superseded(&self, at: At, key: &RecordKey) -> bool {
        self.last.as_ref().is_some_and(|last| last.is_superseded(key, at))
    }

    /// The rounds that this commit needs.
    pub(crate) fn phases(&self, store: &Store) -> Run<BTreeSet<Phase>> {
        let staged = self.batches.iter().flat_map(|batch| &batch.types).map(|(name, is)| (name, *is));
        let given = self.given.iter().map(|write| (&write.action.key().type_name, write.is_deletion()));
        let phase = |(name, is_deletion)| Ok(Phase::of(&self.kind(store, name)?.schema, is_deletion));
        staged.chain(given).map(phase).collect()
    }

    /// How to notice in these rounds that a key is staged twice.
    pub(crate) fn watch(&self, phases: &BTreeSet<Phase>) -> Watch {
        if !self.is_staged || self.last.is_some() {
            return Watch::Nothing;
        }
        // A round of puts and one of deletions may both have a key, and so may two merges.
        let deletions = phases.iter().filter(|phase| phase.is_deletion()).count();
        let is_one_kind = deletions == 0 || deletions == phases.len();
        if is_one_kind && self.batches.len() <= merge::WIDTH { Watch::Neighbours } else { Watch::All }
    }

    /// Gives every write of a round, or every write: what was staged in the order of keys, then what was given.
    pub(crate) fn each(&self, store: &Store, only: Option<Phase>, work: &mut Visit<'_>) -> Run<()> {
        if self.each_staged(store, only, work)? {
            self.each_given(store, only, work)?;
        }
        Ok(())
    }

    fn each_staged(&self, store: &Store, only: Option<Phase>, work: &mut Visit<'_>) -> Run<bool> {
        let mut of_round = Vec::with_capacity(self.batches.len());
        for (number, batch) in (0..GIVEN).zip(&self.batches) {
            if self.has(store, batch, only)? {
                of_round.push((number, batch));
            }
        }
        let mut group: Vec<Staged> = Vec::new();
        for some in of_round.chunks(merge::WIDTH) {
            let mut merged = Merge::open(&store.connection, some)?;
            loop {
                let next = merged.read()?;
                let is_over = next.is_none();
                if is_over || group.len() == GROUP {
                    let placed: Vec<_> =
                        group.iter().map(|staged| ((staged.batch, staged.place), &staged.write)).collect();
                    if !self.hand_over(store, &placed, work)? {
                        return Ok(false);
                    }
                    group.clear();
                }
                let Some(mut staged) = next else { break };
                let key = staged.write.action.key();
                if self.overridden.contains(key) {
                    continue;
                }
                let kind = self.kind(store, &key.type_name)?;
                if self.is_wanted(&kind, (staged.batch, staged.place), &staged.write, only) {
                    // A type may have been prepared anew since it was staged.
                    staged.write.admit_signed(&kind.schema)?;
                    group.push(staged);
                }
            }
        }
        Ok(true)
    }

    fn each_given(&self, store: &Store, only: Option<Phase>, work: &mut Visit<'_>) -> Run<()> {
        let mut placed = Vec::with_capacity(self.given.len());
        for (place, write) in self.given.iter().enumerate() {
            let place = u32::try_from(place).map_err(|_| Fail::invalid("commit", "a commit is too long"))?;
            let at = (GIVEN, place);
            let kind = self.kind(store, &write.action.key().type_name)?;
            if self.is_wanted(&kind, at, write, only) {
                placed.push((at, write));
            }
        }
        self.hand_over(store, &placed, work)?;
        Ok(())
    }

    fn hand_over(&self, store: &Store, placed: &[Placed<'_>], work: &mut Visit<'_>) -> Run<bool> {
        for of_type in placed.chunk_by(|(_, a), (_, b)| a.action.key().type_name == b.action.key().type_name)
        {
            let Some((_, first)) = of_type.first() else { continue };
            let kind = self.kind(store, &first.action.key().type_name)?;
            if !work(&kind, of_type)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn is_wanted(&self, kind: &Type, at: At, write: &Write, only: Option<Phase>) -> bool {
        only.is_none_or(|only| only == Phase::of(&kind.schema, write.is_deletion()))
            && !self.is_superseded(at, write.action.key())
    }

    fn has(&self, store: &Store, batch: &Batch, only: Option<Phase>) -> Run<bool> {
        let Some(only) = only else { return Ok(true) };
        for (name, is_deletion) in &batch.types {
            if Phase::of(&self.kind(store, name)?.schema, *is_deletion) == only {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A type by name: a commit has few, so a list is the fastest map.
    fn kind(&self, store: &Store, name: &TypeName) -> Run<Arc<Type>> {
        if let Some(kind) = self.kinds.borrow().iter().find(|kind| kind.schema.name() == name) {
            return Ok(Arc::clone(kind));
        }
        let kind = store.kind(name)?;
        self.kinds.borrow_mut().push(Arc::clone(&kind));
        Ok(kind)
    }
}
