//! The writes of a commit, checked and in the order in which they are applied.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::BuildHasher;
use std::sync::Arc;

use fastsync_core::source::{Commit, StateWrite, Write, Writes};
use fastsync_core::{Error, ErrorKind, RecordKey, SessionId, TypeName};

use crate::connection::Store;
use crate::error::{BACKEND, Fail, Run};
use crate::registry::Type;
use crate::staging::{Batch, admit, batches, load};

/// A write's place: its batch, counted from 0 (the writes given with the commit come after all batches), and its
/// place in the batch. Later writes of a key have greater places.
pub(crate) type At = (u32, u32);

/// What is done with each write; it answers whether to go on.
pub(crate) type Visit<'a> = dyn FnMut(At, &Arc<Type>, &Write) -> Run<bool> + 'a;

const GIVEN: u32 = u32::MAX;

/// One round over the writes: puts go by rising priority, then deletions by falling priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Phase {
    is_deletion: bool,
    rank: i64,
}

#[derive(Debug)]
pub(crate) struct Plan {
    session: SessionId,
    /// The writes given with the commit, by key.
    given: Vec<Write>,
    pub(crate) is_staged: bool,
    overridden: HashSet<RecordKey>,
    batches: Vec<Batch>,
    loaded: Option<(u32, Vec<Write>)>,
    /// Once looked for: the place of the last staged write of each key, by two hashes of the key.
    last: Option<HashMap<(u64, u64), At>>,
    hashers: [RandomState; 2],
    kinds: Vec<Arc<Type>>,
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
            loaded: None,
            last: None,
            hashers: [RandomState::new(), RandomState::new()],
            kinds: Vec::new(),
        };
        for write in &mut given {
            let kind = plan.kind(store, &write.action.key().type_name)?;
            admit(&kind, write)?;
        }
        // Neighbours in the indexes are written one after the other.
        given.sort_by(|a, b| a.action.key().cmp(b.action.key()));
        let twice = given.windows(2).find_map(|pair| match pair {
            [a, b] if a.action.key() == b.action.key() => Some(a.action.key()),
            _ => None,
        });
        if let Some(key) = twice {
            return Err(Fail::Core(invalid("a key is written twice").with_record(key)));
        }
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
        self.loaded = None;
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
        let hashers = self.hashers.clone();
        let mut last = HashMap::new();
        self.each(store, None, &mut |at, _, write| {
            last.insert(key_hash(&hashers, write.action.key()), at);
            Ok(true)
        })?;
        self.last = Some(last);
        Ok(())
    }

    fn is_superseded(&self, at: At, key: &RecordKey) -> bool {
        let last = self.last.as_ref().and_then(|last| last.get(&key_hash(&self.hashers, key)));
        last.is_some_and(|last| *last != at)
    }

    /// The rounds that this commit needs.
    pub(crate) fn phases(&mut self, store: &Store) -> Run<BTreeSet<Phase>> {
        let mut names: BTreeSet<(TypeName, bool)> = BTreeSet::new();
        for batch in &self.batches {
            names.extend(batch.types.iter().cloned());
        }
        let mut phases = BTreeSet::new();
        for (name, is_deletion) in names {
            phases.insert(phase(&*self.kind(store, &name)?, is_deletion));
        }
        let given = std::mem::take(&mut self.given);
        for write in &given {
            let kind = self.kind(store, &write.action.key().type_name)?;
            phases.insert(phase(&kind, write.is_deletion()));
        }
        self.given = given;
        Ok(phases)
    }

    /// Gives every write of a round, or every write. One batch is in memory at a time.
    pub(crate) fn each(&mut self, store: &Store, only: Option<Phase>, work: &mut Visit<'_>) -> Run<()> {
        for number in 0..u32::try_from(self.batches.len()).unwrap_or(GIVEN) {
            if !self.has(store, number, only)? {
                continue;
            }
            let writes = self.take(store, number)?;
            let go_on = self.pass(store, number, &writes, only, work)?;
            self.loaded = Some((number, writes));
            if !go_on {
                return Ok(());
            }
        }
        let given = std::mem::take(&mut self.given);
        let result = self.pass(store, GIVEN, &given, only, work);
        self.given = given;
        result.map(|_| ())
    }

    fn pass(
        &mut self,
        store: &Store,
        batch: u32,
        writes: &[Write],
        only: Option<Phase>,
        work: &mut Visit<'_>,
    ) -> Run<bool> {
        for (place, write) in writes.iter().enumerate() {
            let key = write.action.key();
            if batch != GIVEN && self.overridden.contains(key) {
                continue;
            }
            let kind = self.kind(store, &key.type_name)?;
            if only.is_some_and(|only| only != phase(&kind, write.is_deletion())) {
                continue;
            }
            let place = u32::try_from(place).map_err(|_| Fail::Core(invalid("a batch is too long")))?;
            if self.is_superseded((batch, place), key) {
                continue;
            }
            if !work((batch, place), &kind, write)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn has(&mut self, store: &Store, number: u32, only: Option<Phase>) -> Run<bool> {
        let Some(only) = only else { return Ok(true) };
        let Some(batch) = self.batches.get(number as usize) else { return Ok(false) };
        for (name, is_deletion) in batch.types.clone() {
            if phase(&*self.kind(store, &name)?, is_deletion) == only {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn take(&mut self, store: &Store, number: u32) -> Run<Vec<Write>> {
        if let Some((_, writes)) = self.loaded.take().filter(|(loaded, _)| *loaded == number) {
            return Ok(writes);
        }
        match self.batches.get(number as usize) {
            Some(batch) => load(store, self.session, batch.sequence),
            None => Ok(Vec::new()),
        }
    }

    /// A type by name: a commit has few, so a list is the fastest map.
    fn kind(&mut self, store: &Store, name: &TypeName) -> Run<Arc<Type>> {
        if let Some(kind) = self.kinds.iter().find(|kind| kind.schema.name() == name) {
            return Ok(Arc::clone(kind));
        }
        let kind = store.kind(name)?;
        self.kinds.push(Arc::clone(&kind));
        Ok(kind)
    }
}

/// Two hashes with random keys: that two keys share both does not happen.
fn key_hash([one, two]: &[RandomState; 2], key: &RecordKey) -> (u64, u64) {
    (one.hash_one(key), two.hash_one(key))
}

fn phase(kind: &Type, is_deletion: bool) -> Phase {
    let priority = i64::from(kind.schema.priority());
    Phase { is_deletion, rank: if is_deletion { -priority } else { priority } }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidInput, "commit", message).with_backend(BACKEND)
}
