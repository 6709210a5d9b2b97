//! What is known of a run from outside the engine: which edits were accepted, which lives of which objects ended,
//! which pushes were committed. Violations that show at once are noted here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fastsync_core::{DeviceId, Incarnation, Record, RecordKey, Revision, SettledConflict, Settlement, Value};

use crate::counts::Counts;

/// A handle to the one ledger of a run.
#[derive(Debug, Clone, Default)]
pub(super) struct Ledger(Arc<Mutex<Facts>>);

/// What is known.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// What happened, and how often.
    pub(super) counts: Counts,
    /// What must not have happened.
    pub(super) violations: Vec<String>,
    next: u64,
    accepted: BTreeMap<String, Accepted>,
    excused: BTreeSet<String>,
    /// The tokens that the server has ever committed.
    applied: BTreeSet<String>,
    /// The tokens of versions that gave way, as their device was told.
    reported: BTreeSet<String>,
    /// The tokens that were counted as ended.
    heard: BTreeSet<String>,
    /// What each pending token was made on.
    bases: BTreeMap<String, Revision>,
    /// The tokens and the life of each object on the server.
    versions: BTreeMap<RecordKey, (BTreeSet<String>, Incarnation)>,
    /// Whether a device ever took a new identity.
    forked: bool,
    /// Which client a device is.
    devices: BTreeMap<DeviceId, usize>,
    /// The versions of the server's that gave way to a client's: what the client has to be told of.
    overwritten: Overwritten,
    /// How often a client was told that its version stays, or becomes a part of what stays.
    kept: BTreeMap<(usize, RecordKey), u64>,
    /// Of what a client was told in a call that failed nobody knows.
    untold: BTreeSet<(usize, RecordKey)>,
    /// The lives that each token was ever part of, in any store.
    carriers: BTreeMap<String, BTreeSet<Incarnation>>,
    /// The lives that someone ended.
    ended: BTreeSet<Incarnation>,
    /// The lives whose tombstone the server has committed.
    buried: BTreeSet<(RecordKey, Incarnation)>,
    /// The tokens whose only life was deleted on the server.
    dead: BTreeMap<String, Incarnation>,
    pushes: BTreeSet<(DeviceId, u64)>,
}

impl Ledger {
    /// Everything that is known.
    pub(super) fn facts(&self) -> MutexGuard<'_, Facts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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

/// How many versions of an object gave way to a client's.
type Overwritten = BTreeMap<(usize, RecordKey), u64>;

/// An edit.
#[derive(Debug)]
struct Accepted {
    key: RecordKey,
    /// The client that made it; none if the server's application did.
    client: Option<usize>,
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
    pub(super) fn accept(&mut self, token: &str, key: &RecordKey, client: Option<usize>) {
        self.accepted.insert(token.to_owned(), Accepted { key: key.clone(), client });
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
                if self.buried.contains(&(record.key.clone(), life)) {
                    self.dead.insert(token.to_owned(), life);
                }
            }
        }
    }

    /// A client's store holds this edit now.
    pub(super) fn based(&mut self, record: &Record) {
        for token in tokens(record) {
            self.bases.insert(token.to_owned(), record.metadata.revision);
        }
    }

    /// The server has committed this record, which this device has pushed if any has.
    pub(super) fn committed(&mut self, record: &Record, pusher: Option<DeviceId>) {
        let life = (record.key.clone(), record.metadata.incarnation);
        if record.is_deleted() {
            self.counts.note("deletions committed by the server");
            self.bury(record.metadata.incarnation);
            self.buried.insert(life);
            self.versions.remove(&record.key);
            return;
        }
        if self.buried.contains(&life) {
            self.violations.push(format!("a deleted object is back on the server: {record:?}"));
        }
        let now: BTreeSet<String> = tokens(record).map(str::to_owned).collect();
        self.applied.extend(now.iter().cloned());
        self.resurrected(record, &now);
        let before = self.versions.insert(record.key.clone(), (now, record.metadata.incarnation));
        let Some((before, _)) = before else { return };
        let now = &self.versions[&record.key].0;
        let gone: Vec<_> =
            before.iter().filter(|token| !now.contains(*token) && !self.deleted(token)).collect();
        if gone.is_empty() {
            return;
        }
        match pusher.and_then(|device| self.devices.get(&device)) {
            Some(client) => *self.overwritten.entry((*client, record.key.clone())).or_default() += 1,
            None => self.violations.push(format!("the server's own edit drops {gone:?}: {record:?}")),
        }
    }

    /// An edit that was part of a deleted object only is no part of another one.
    fn resurrected(&mut self, record: &Record, tokens: &BTreeSet<String>) {
        if self.forked {
            // A device of a new identity does not know which of its objects the server had stored and buried.
            return;
        }
        for token in tokens {
            let died = self.dead.get(token).is_some_and(|life| *life != record.metadata.incarnation);
            if died {
                let problem = format!("the edit {token} of a deleted object is in another one: {record:?}");
                self.violations.push(problem);
            }
        }
    }

    /// The edits that were part of this life of an object only died with it.
    fn bury(&mut self, life: Incarnation) {
        let only = |lives: &BTreeSet<Incarnation>| lives.len() == 1 && lives.contains(&life);
        let died = self.carriers.iter().filter(|(_, lives)| only(lives));
        self.dead.extend(died.map(|(token, _)| (token.clone(), life)));
    }

    /// The life of an object that the server has.
    pub(super) fn life_on_server(&self, key: &RecordKey) -> Option<Incarnation> {
        self.versions.get(key).map(|(_, life)| *life)
    }

    /// Which client a device is.
    pub(super) fn device(&mut self, device: DeviceId, client: usize) {
        let is_other = self.devices.iter().any(|(known, of)| *of == client && *known != device);
        self.forked |= is_other;
        self.devices.insert(device, client);
    }

    /// A client was told of these conflicts.
    pub(super) fn told(&mut self, client: usize, conflicts: &[SettledConflict]) {
        for conflict in conflicts {
            self.reported.extend(conflict.dropped.iter().flat_map(tokens).map(str::to_owned));
            if conflict.settlement != Settlement::KeptServer {
                *self.kept.entry((client, conflict.key.clone())).or_default() += 1;
            }
        }
    }

    /// What a client's newest edit in this record was made on, if the server has not stored it.
    pub(super) fn base_of(&self, client: usize, record: &Record) -> Option<Revision> {
        let own = |token: &&str| {
            let is_own = self.accepted.get(*token).is_some_and(|edit| edit.client == Some(client));
            is_own && !self.applied.contains(*token)
        };
        let newest = tokens(record).filter(own).max_by_key(|token| token[1..].parse::<u64>().unwrap_or(0))?;
        self.bases.get(newest).copied()
    }

    /// A call of a client has ended, and these tokens wait in its store: each other edit of it is stored by the server,
    /// was reported, or is known to be gone. Those that are none of that are counted; they are no failure yet, since a call that
    /// failed may have settled them and not said so.
    pub(super) fn called(&mut self, client: usize, waiting: &BTreeSet<String>, failed: bool) {
        let unheard = self.accepted.iter().filter(|(token, edit)| {
            edit.client == Some(client) && !waiting.contains(*token) && !self.is_accounted(token)
        });
        let unheard: Vec<_> = unheard.map(|(token, _)| token.clone()).collect();
        let what = match failed {
            true => "edits whose end was reported by a call that failed",
            false => "edits whose end was not reported",
        };
        for token in unheard {
            self.counts.note(what);
            self.heard.insert(token);
        }
    }

    /// A call of a client has failed: what it has settled before nobody was told.
    pub(super) fn untold(&mut self, client: usize, keys: impl IntoIterator<Item = RecordKey>) {
        self.untold.extend(keys.into_iter().map(|key| (client, key)));
    }

    /// The objects that a client has edited since a token was given.
    pub(super) fn edited_since(&self, client: usize, token: u64) -> Vec<RecordKey> {
        let since = self.accepted.iter().filter(|(name, edit)| {
            let number = name.strip_prefix('#').and_then(|number| number.parse::<u64>().ok());
            edit.client == Some(client) && number.is_some_and(|number| number > token)
        });
        since.map(|(_, edit)| edit.key.clone()).collect()
    }

    /// The last number that was given.
    pub(super) fn last(&self) -> u64 {
        self.next
    }

    fn is_accounted(&self, token: &str) -> bool {
        self.applied.contains(token)
            || self.reported.contains(token)
            || self.excused.contains(token)
            || self.heard.contains(token)
            || self.deleted(token)
    }

    fn deleted(&self, token: &str) -> bool {
        self.carriers.get(token).is_some_and(|lives| !lives.is_disjoint(&self.ended))
    }

    /// Versions of the server's that gave way to a client which was not told.
    pub(super) fn unheard(&self) -> Vec<String> {
        let unheard = self.overwritten.iter().filter(|(at, times)| {
            !self.untold.contains(*at) && self.kept.get(*at).copied().unwrap_or(0) < **times
        });
        let text = |((client, key), times): (&(usize, RecordKey), &u64)| {
            format!("{times} versions of {key:?} gave way to client {client}, which was not told of as many")
        };
        unheard.map(text).collect()
    }

    /// Forgets which versions gave way to pushes since then: they arrived when nobody waited for an answer.
    pub(super) fn nobody_waited_since(&mut self, overwritten: Overwritten) {
        self.overwritten = overwritten;
    }

    /// Which versions gave way so far.
    pub(super) fn overwritten(&self) -> Overwritten {
        self.overwritten.clone()
    }

    /// How many versions of the server's gave way.
    pub(super) fn overwritings(&self) -> u64 {
        self.overwritten.values().sum()
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
            !present.contains(*token) && !self.excused.contains(*token) && !self.deleted(token)
        });
        lost.map(|(token, edit)| format!("the edit {token} of {:?} is lost", edit.key)).collect()
    }

    /// How many edits were accepted that may not be missing at the end.
    pub(super) fn accountable(&self) -> usize {
        self.accepted.keys().filter(|token| !self.excused.contains(*token) && !self.deleted(token)).count()
    }
}
