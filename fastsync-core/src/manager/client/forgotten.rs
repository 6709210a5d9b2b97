//! Objects that the server had acknowledged and has forgotten: kept, and marked until the application decides.

use std::collections::{BTreeMap, BTreeSet};

use super::Client;
use super::queue::moved_by_another_process;
use super::receipt::ReceiptPlan;
use crate::error::Result;
use crate::model::{Incarnation, ObjectId, Record, RecordKey, Revision, SyncMetadata, TypeName, Zone};
use crate::source::entry::{decode, encode};
use crate::source::{
    Action, CommitOutcome, Expect, OnMismatch, StateWrite, SyncableDataSourceExt as _, Write, Writes,
};
use crate::store::{StateKey, unchanged};

/// What becomes of objects that the server had acknowledged and does not know any more: its database was restored from a
/// backup, or it is another one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenForgotten {
    /// They stay on the device, are not sent, and are listed by [`forgotten`](crate::SyncManager::forgotten) until the application
    /// decides.
    #[default]
    KeepAndAsk,
    /// They stay, and are sent with the next push.
    SendAgain,
    /// They are removed, as what was deleted is.
    Accept,
}

/// Which objects are marked, each with its life.
#[derive(Debug, Clone, Default)]
pub(super) struct Marks(BTreeMap<RecordKey, Incarnation>);

/// How many objects are sent again as one local commit.
const TOGETHER: usize = 100;

/// How many of them wait under one number.
const APART: usize = 1_000;

impl Marks {
    pub(super) fn entry(key: &RecordKey, life: Incarnation) -> Result<StateWrite> {
        Ok(StateWrite::set(StateKey::forgotten(key), Some(encode(&(key, life))?)))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn insert(&mut self, key: RecordKey, life: Incarnation) {
        self.0.insert(key, life);
    }

    pub(super) fn contains(&self, key: &RecordKey) -> bool {
        self.0.contains_key(key)
    }

    /// Whether a record waits for a decision, as it is. One that was removed, or came back, does not.
    pub(super) fn holds(&self, Record { key, body, metadata }: &Record) -> bool {
        body.is_some()
            && metadata.is_pending()
            && metadata.revision.is_none()
            && self.0.get(key) == Some(&metadata.incarnation)
    }
}

/// A record that the server has forgotten, as an edit of nothing that keeps its life. What was added as a default object was
/// acknowledged, so it gives way to no other one any more: it has a life that is the same on every device too.
pub(super) fn unbased(local: Record) -> Write {
    let expect = unchanged(&local);
    let incarnation = kept_life(&local);
    let metadata = SyncMetadata { revision: Revision::NONE, incarnation, ..local.metadata };
    let record = Record { metadata, ..local };
    Write { action: Action::Put { record, pending: true }, expect, on_mismatch: OnMismatch::Abort }
}

/// The life under which a record is kept that the server has forgotten.
pub(super) fn kept_life(local: &Record) -> Incarnation {
    let life = local.metadata.incarnation;
    if life == local.key.life_if_absent() { local.key.life_if_forgotten() } else { life }
}

impl Client {
    pub(super) async fn load_marks(&self) -> Result<Marks> {
        let mut marks = Marks::default();
        for (_, mark) in self.store.source().entries(StateKey::FORGOTTEN).await? {
            let (key, life) = decode(&mark)?;
            marks.insert(key, life);
        }
        Ok(marks)
    }

    pub(super) async fn forgotten(&self) -> Result<Vec<Record>> {
        Ok(self.marked(&self.load_marks().await?).await?.0)
    }

    /// The records that wait for a decision, and marks that say nothing any more.
    pub(super) async fn marked(&self, marks: &Marks) -> Result<(Vec<Record>, Vec<RecordKey>)> {
        let mut ids: BTreeMap<(&TypeName, &Zone), Vec<ObjectId>> = BTreeMap::new();
        for RecordKey { zone, type_name, id } in marks.0.keys() {
            ids.entry((type_name, zone)).or_default().push(id.clone());
        }
        let mut waiting = Vec::new();
        // Of a type that is not registered, nothing can be read.
        for ((name, zone), ids) in ids.into_iter().filter(|((name, _), _)| self.endpoints.contains_key(*name))
        {
            let found = self.store.source().get(name, zone, &ids).await?;
            waiting.extend(found.into_iter().filter(|record| marks.holds(record)));
        }
        let current: BTreeSet<&RecordKey> = waiting.iter().map(|record| &record.key).collect();
        let outdated = marks
            .0
            .keys()
            .filter(|key| self.endpoints.contains_key(&key.type_name) && !current.contains(key));
        let outdated = outdated.cloned().collect();
        Ok((waiting, outdated))
    }

    /// Lets forgotten objects be sent with the next push; how many.
    pub(super) async fn send_forgotten(&self, keys: &[RecordKey]) -> Result<u64> {
        let keys: BTreeSet<&RecordKey> = keys.iter().collect();
        let marks = self.load_marks().await?;
        let mut chosen = self.marked(&marks).await?.0;
        chosen.retain(|record| keys.contains(&record.key));
        self.send_marked(chosen, &marks).await
    }

    /// The same with all of them, if that is what this manager does with such objects.
    pub(super) async fn send_forgotten_by_policy(&self) -> Result<()> {
        if self.when_forgotten == WhenForgotten::SendAgain {
            let marks = self.load_marks().await?;
            if !marks.is_empty() {
                let mut waiting = self.marked(&marks).await?.0;
                // Other managers of this store decide about theirs.
                waiting.retain(|record| self.pulls(&record.key));
                self.send_marked(waiting, &marks).await?;
            }
        }
        Ok(())
    }

    async fn send_marked(&self, mut records: Vec<Record>, marks: &Marks) -> Result<u64> {
        let count = u64::try_from(records.len()).unwrap_or(u64::MAX);
        // What was forgotten at once has one number, and a local commit is never cut. One in which something was edited stays.
        let mut has_edits: BTreeMap<u64, bool> = BTreeMap::new();
        let numbers: BTreeSet<u64> = records.iter().map(|record| record.metadata.change).collect();
        for number in numbers {
            let local_commit = self.local_commit(number).await?;
            has_edits.insert(number, !local_commit.iter().all(|record| marks.holds(record)));
        }
        let is_edit = |record: &Record| has_edits.get(&record.metadata.change) == Some(&true);
        let priority =
            |record: &Record| self.store.schema(&record.key.type_name).map_or(0, |schema| schema.priority());
        // Parents before children.
        records.sort_by(|a, b| (priority(a), &a.key).cmp(&(priority(b), &b.key)));
        let limits = self.store.limits();
        let mut records = records.into_iter().peekable();
        while records.peek().is_some() {
            let (mut writes, mut state, mut bytes) = (Vec::new(), Vec::new(), 0_usize);
            while let Some(mut record) = records.next_if(|record| {
                let fits = bytes.saturating_add(record.approximate_bytes()) <= limits.bytes;
                writes.is_empty() || (fits && writes.len() < TOGETHER.min(limits.records))
            }) {
                bytes = bytes.saturating_add(record.approximate_bytes());
                state.push(StateWrite::set(StateKey::forgotten(&record.key), None));
                let change = record.metadata.change;
                if !is_edit(&record) {
                    // Under the number of this commit.
                    record.metadata.change = 0;
                }
                writes.push(Write {
                    action: Action::Put { record, pending: true },
                    expect: Expect::Change(change),
                    on_mismatch: OnMismatch::Abort,
                });
            }
            let commit =
                self.apply_commit(self.store.new_session(), Vec::new(), Writes::Inline(writes), state);
            match self.store.source().commit_alone(commit).await? {
                CommitOutcome::Applied(_) | CommitOutcome::Duplicate(_) => {}
                CommitOutcome::Conflicts { .. } => return Err(moved_by_another_process()),
            }
        }
        Ok(count)
    }

    /// Keeps what a receipt calls gone where the server has forgotten it; what that is.
    pub(super) async fn keep_forgotten(&self, plan: &mut ReceiptPlan) -> Result<Vec<Record>> {
        if plan.gone.is_empty() || self.when_forgotten == WhenForgotten::Accept {
            return Ok(Vec::new());
        }
        let zones = plan.gone.iter().map(|key| key.zone.clone()).collect();
        let (marks, lost) = (self.load_marks().await?, self.lost_zones(zones).await?);
        let gone = std::mem::take(&mut plan.gone);
        let forgotten = gone.iter().filter(|key| lost.contains(&key.zone) || marks.contains(key));
        Ok(forgotten.filter_map(|key| plan.keep_forgotten(key)).collect())
    }

    /// Gives what was forgotten at once numbers of its own, part by part: what has one number is read as a whole.
    pub(super) async fn number_apart(&self, keys: &[RecordKey]) -> Result<()> {
        if keys.len() <= APART {
            return Ok(());
        }
        let mut number = None;
        for part in keys.chunks(APART) {
            for run in part.chunk_by(|a, b| a.type_name == b.type_name && a.zone == b.zone) {
                let Some(first) = run.first() else { continue };
                let ids: Vec<ObjectId> = run.iter().map(|key| key.id.clone()).collect();
                let found = self.store.source().get(&first.type_name, &first.zone, &ids).await?;
                // What was edited since has a later one.
                let pending = found.iter().map(|record| record.metadata.change).filter(|change| *change != 0);
                number = number.or_else(|| pending.min());
                let Some(number) = number else { continue };
                let of_pull = found.into_iter().filter(|record| record.metadata.change == number);
                let writes = of_pull.map(|mut record| {
                    record.metadata.change = 0;
                    Write {
                        action: Action::Put { record, pending: true },
                        expect: Expect::Change(number),
                        on_mismatch: OnMismatch::Skip,
                    }
                });
                let writes = Writes::Inline(writes.collect());
                let commit = self.apply_commit(self.store.new_session(), Vec::new(), writes, Vec::new());
                self.store.source().commit_alone(commit).await?;
            }
        }
        Ok(())
    }

    /// Removes forgotten objects; how many.
    pub(super) async fn accept_forgotten(&self, keys: &[RecordKey]) -> Result<u64> {
        let keys: BTreeSet<&RecordKey> = keys.iter().collect();
        let waiting = self.forgotten().await?.into_iter().map(|record| record.key);
        let chosen: Vec<RecordKey> = waiting.filter(|key| keys.contains(key)).collect();
        self.discard_pending(&chosen).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::entry::assert_golden;

    /// Fails if the form of a mark changes: form 1 stays as it is.
    #[test]
    fn a_mark_is_as_in_its_file() {
        let key = RecordKey {
            zone: Zone::restricted("z").unwrap(),
            type_name: TypeName::new("items").unwrap(),
            id: ObjectId::new("1").unwrap(),
        };
        let entry = Marks::entry(&key, Incarnation::from_bits(300)).unwrap();
        assert_eq!(entry.key, "fastsync/forgotten/items/restricted:z/1");
        let stored = entry.value.unwrap();
        assert_golden("forgotten-1", &[&stored]);
        assert_eq!(decode::<(RecordKey, Incarnation)>(&stored).unwrap(), (key, Incarnation::from_bits(300)));
    }
}
