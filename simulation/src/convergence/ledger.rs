//! What is known of a run from outside the engine: which edits were accepted, which lives of which objects ended,
//! which pushes were committed. Violations that show at once are noted here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedRwLockReadGuard, RwLock};

use fastsync_core::{DeviceId, Incarnation, Record, RecordKey, Value};

use crate::counts::Counts;

/// A handle to the one ledger of a run.
#[derive(Debug, Clone, Default)]
pub(super) struct Ledger {
    facts: Arc<Mutex<Facts>>,
    /// Held for reading by commits that go on without their caller.
    landing: Arc<RwLock<()>>,
}

/// What is known.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// What happened, and how often.
    pub(super) counts: Counts,
    /// What must not have happened.
    pub(super) violations: Vec<String>,
    next: u64,
    accepted: BTreeMap<String, RecordKey>,
    excused: BTreeSet<String>,
    /// The lives that each token was ever part of, in any store.
    carriers: BTreeMap<String, BTreeSet<Incarnation>>,
    /// The lives that someone ended.
    ended: BTreeSet<Incarnation>,
    /// The lives whose tombstone the server has committed.
    buried: BTreeSet<(RecordKey, Incarnation)>,
    pushes: BTreeSet<(DeviceId, u64)>,
}

impl Ledger {
    /// Everything that is known.
    pub(super) fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps [`Self::landed`] waiting until this is dropped.
    pub(super) async fn landing(&self) -> OwnedRwLockReadGuard<()> {
        Arc::clone(&self.landing).read_owned().await
    }

    /// Waits for the commits whose callers gave up.
    pub(super) async fn landed(&self) {
        drop(self.landing.write().await);
    }

    /// Counts something.
    pub(super) fn note(&self, what: &'static str) {
        self.facts().counts.note(what);
    }

    /// Notes something that must not happen.
    pub(super) fn violated(&self, what: impl Into<String>) {
        self.facts().violations.push(what.into());
    }
}

/// The tokens of a record.
pub(super) fn tokens(record: &Record) -> impl Iterator<Item = &str> {
    let texts = record.body.iter().flatten().filter_map(|value| match value {
        Value::Text(text) => Some(text.as_str()),
        _ => None,
    });
    texts.flat_map(str::split_whitespace).filter(|token| token.starts_with('#'))
}

impl Facts {
    /// A number that was never given before.
    pub(super) fn fresh(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// An edit that brought this token into a record was accepted.
    pub(super) fn accept(&mut self, token: &str, key: &RecordKey) {
        self.accepted.insert(token.to_owned(), key.clone());
    }

    /// An edit was given up on purpose: its tokens may be missing.
    pub(super) fn excuse(&mut self, token: &str) {
        self.excused.insert(token.to_owned());
    }

    /// A store holds this record now, as an edit or as the server's.
    pub(super) fn stored(&mut self, record: &Record) {
        let life = record.metadata.incarnation;
        if record.is_deleted() {
            self.ended.insert(life);
            return;
        }
        for token in tokens(record) {
            if let Some(carriers) = self.carriers.get_mut(token) {
                carriers.insert(life);
            } else {
                self.carriers.insert(token.to_owned(), BTreeSet::from([life]));
            }
        }
    }

    /// The server has committed this record.
    pub(super) fn committed(&mut self, record: &Record) {
        let life = (record.key.clone(), record.metadata.incarnation);
        if record.is_deleted() {
            self.counts.note("deletions committed by the server");
            self.buried.insert(life);
        } else if self.buried.contains(&life) {
            self.violations.push(format!("a deleted object is back on the server: {record:?}"));
        }
    }

    /// The server has committed a push.
    pub(super) fn pushed(&mut self, device: DeviceId, number: u64) {
        if !self.pushes.insert((device, number)) {
            self.violations.push(format!("push {number} of device {device} was committed twice"));
        }
    }

    /// How many pushes the server has committed.
    pub(super) fn pushes(&self) -> usize {
        self.pushes.len()
    }

    /// Accepted edits that are nowhere, although their object was not deleted and nobody gave them up.
    pub(super) fn lost(&self, present: &BTreeSet<String>) -> Vec<String> {
        let lost = self.accepted.iter().filter(|(token, _)| {
            let deleted = || self.carriers.get(*token).is_some_and(|lives| !lives.is_disjoint(&self.ended));
            !present.contains(*token) && !self.excused.contains(*token) && !deleted()
        });
        lost.map(|(token, key)| format!("the edit {token} of {key:?} is lost")).collect()
    }

    /// How many edits were accepted that may not be missing at the end.
    pub(super) fn accountable(&self) -> usize {
        let deleted =
            |token: &String| self.carriers.get(token).is_some_and(|lives| !lives.is_disjoint(&self.ended));
        self.accepted.keys().filter(|token| !self.excused.contains(*token) && !deleted(token)).count()
    }
}
