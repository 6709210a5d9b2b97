//! What one transaction of a commit does, step by step.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use fastsync_core::source::rules::Verdict;
use fastsync_core::source::{
    Action, Commit, Conflict, ConflictReason, ExpectState, OnMismatch, Receipt, StateConflict, Write,
};
use fastsync_core::{ObjectId, Record, RecordKey};

use crate::sql::driver::{Database, Link, Row as _};
use crate::sql::entry::Entry;
use crate::sql::fail::{Fail, Run};
use crate::sql::finish::{Written, finish};
use crate::sql::index::{Given, entries, look_up};
use crate::sql::kind::Type;
use crate::sql::load::ROWS;
use crate::sql::plan::{At, Item, Plan};
use crate::sql::read::records;
use crate::sql::rows::{self, Refused};
use crate::sql::statement::Sql;
use crate::sql::store::Store;
use crate::sql::walk::rows_by;

/// How many looked up entries are kept until the index is written; beyond, they are looked up again.
const MAX_KEPT_ENTRIES: usize = 65_536;

/// What an attempt takes for granted; if it is wrong, nothing was written, and the next one takes nothing for granted.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Hopes {
    /// Records that are expected to be new are new: whoever inserts their index rows finds out.
    pub(crate) is_new: bool,
    /// No rule of a user's table refuses anything, so a refusal may end the transaction.
    pub(crate) is_smooth: bool,
}

/// What the index has, by the numbers of zones and types, and by id.
type Known = HashMap<(u64, u64), HashMap<ObjectId, Entry>>;

/// The state of one transaction.
pub(crate) struct Attempt<'a, D: Database> {
    pub(crate) store: &'a Store<D>,
    commit: &'a Commit,
    hopes: Hopes,
    keeps: bool,
    /// What the index had for the items of each batch.
    entries: HashMap<usize, Vec<Option<Entry>>>,
    /// Writes that are not applied: their expectation failed or a rule of a table refused them.
    left_out: HashSet<At>,
    skipped: Vec<Conflict>,
    written: Written,
}

impl<'a, D: Database> Attempt<'a, D> {
    pub(crate) fn new(store: &'a Store<D>, commit: &'a Commit, plan: &Plan, hopes: Hopes) -> Self {
        Self {
            store,
            commit,
            hopes,
            keeps: plan.writes() <= MAX_KEPT_ENTRIES,
            entries: HashMap::new(),
            left_out: HashSet::new(),
            skipped: Vec::new(),
            written: Written::default(),
        }
    }

    /// Takes the session's positions, after everything else but the index rows; `None` if the session is there already.
    pub(crate) async fn finish(&self, link: &mut D::Link, plan: &Plan) -> Run<Option<Given>> {
        finish(self.store, link, self.commit, plan.device, &self.written).await
    }
}

impl<D: Database> Attempt<'_, D> {
    /// Locks and checks the state entries that something is expected of.
    pub(crate) async fn check_state(&self, link: &mut D::Link) -> Run<Vec<StateConflict>> {
        let writes = self.commit.state.iter().filter(|write| write.expect != ExpectState::Anything);
        let mut expected: Vec<_> = writes.collect();
        // Everybody locks in one order.
        expected.sort_by_key(|write| &write.key);
        let mut current = HashMap::with_capacity(expected.len());
        let dialect = link.dialect();
        for writes in expected.chunks(dialect.most_keys) {
            let hint = dialect.by_index("PRIMARY");
            let mut sql = Sql::new(format!("SELECT name, value FROM fastsync_state{hint} WHERE name"));
            sql.push_list(dialect, writes.iter().map(|write| write.key.as_bytes()));
            sql.push(&dialect.locking("name"));
            for row in sql.all(link).await? {
                current.insert(row.text(0)?.to_owned(), row.bytes(1)?.unwrap_or_default().to_vec());
            }
        }
        let mut verdict = Verdict::default();
        expected.iter().for_each(|write| verdict.state(write, current.get(&write.key).map(Vec::as_slice)));
        Ok(verdict.into_state())
    }

    /// What the index has for the items of all batches of a staged commit. Batches come in any order, so where it takes long to
    /// see that two commits wait for each other, the rows are locked in one order before. Not those of a session
    /// beyond what is kept in memory.
    async fn lock_in_order(&self, link: &mut D::Link, plan: &mut Plan) -> Run<Option<Known>> {
        if !plan.is_staged || !self.keeps || !link.dialect().forms.locks_in_order {
            return Ok(None);
        }
        let mut wanted: BTreeMap<(u64, u64), BTreeSet<ObjectId>> = BTreeMap::new();
        for number in 0..plan.len() {
            for item in plan.batch(self.store, link, number).await?.iter() {
                wanted.entry(item.place()).or_default().insert(item.key().id.clone());
            }
        }
        let mut known = Known::new();
        for (place, ids) in wanted {
            let ids: Vec<_> = ids.iter().collect();
            known.insert(place, entries(link, place, &ids).await?);
        }
        Ok(Some(known))
    }

    /// Checks every expectation against the state before this commit; gives the writes that stop it.
    pub(crate) async fn look(&mut self, link: &mut D::Link, plan: &mut Plan) -> Run<Vec<Conflict>> {
        let mut aborting = Vec::new();
        let mut skipped = Vec::new();
        let known = self.lock_in_order(link, plan).await?;
        'batches: for number in 0..plan.len() {
            let items = plan.batch(self.store, link, number).await?;
            let of_item = |item: &Item| known.as_ref()?.get(&item.place())?.get(&item.key().id).copied();
            let entries = match &known {
                Some(_) => items.iter().map(of_item).collect(),
                None => look_up(link, &items, self.hopes.is_new).await?,
            };
            for (item, entry) in items.iter().zip(&entries) {
                if item.write.expect.holds(entry.as_ref().map(Entry::current)) {
                    continue;
                }
                match item.write.on_mismatch {
                    OnMismatch::Abort => aborting.push((item.clone(), ConflictReason::Mismatch)),
                    OnMismatch::Skip => {
                        self.left_out.insert(item.at);
                        skipped.push((item.clone(), ConflictReason::Mismatch));
                    }
                }
                if aborting.len() >= Conflict::MAX_PER_OUTCOME {
                    break 'batches;
                }
            }
            if self.keeps && self.commit.clears.is_empty() {
                self.entries.insert(number, entries);
            }
        }
        if aborting.is_empty() {
            self.skipped = conflicts(self.store, link, skipped).await?;
        }
        conflicts(self.store, link, aborting).await
    }

    pub(crate) async fn clear(&self, link: &mut D::Link) -> Run<()> {
        let mut clears = Vec::with_capacity(self.commit.clears.len());
        for clear in &self.commit.clears {
            let kind = self.store.kind(link, &clear.type_name).await?;
            if let Some(zone) =
                self.store.zone(link, &clear.zone).await?.filter(|_| kind.schema.fits(&clear.zone))
            {
                clears.push((kind, zone, clear));
            }
        }
        // Foreign keys are checked row by row, so children go first.
        clears.sort_by_key(|(kind, ..)| std::cmp::Reverse(kind.schema.priority()));
        for (kind, zone, clear) in clears {
            let (table, id, of_entry) = (kind.table(), kind.id(), kind.id_of_entry());
            let of_table = format!("u.{id} = {of_entry}{}", kind.if_restricted(" AND u.zone = ?"));
            let of_index = "u.zone = r.zone AND u.position = r.position AND u.type = r.type AND u.id = r.id";
            let of_zone = "r.zone = ? AND r.type = ? AND r.`change` <= ?";
            let dialect = link.dialect();
            let rows = rows_by(dialect, ROWS);
            let delete = |table: &str, on: &str| dialect.delete_joined(table, &rows, on, of_zone);
            let tombstones = delete("fastsync_tombstones", of_index);
            let mut sql = Sql::new(delete(&table, &of_table));
            if let Some(key) = clear.zone.key() {
                sql.add(key);
            }
            sql.bind(zone).bind(kind.n).bind(clear.through_change).execute(link).await?;
            let few = [
                tombstones.as_str(),
                "DELETE FROM fastsync_pending WHERE zone = ? AND type = ? AND `change` <= ?",
            ];
            let rest = "DELETE FROM fastsync_records WHERE zone = ? AND type = ? AND `change` <= ?";
            let few = few.into_iter().filter(|_| dialect.has_few_tables());
            for statement in few.chain([rest]) {
                let sql = Sql::new(statement).bind(zone).bind(kind.n).bind(clear.through_change);
                sql.execute(link).await?;
            }
        }
        Ok(())
    }

    /// Writes the users' rows, parents first; gives the refused writes that stop the commit.
    pub(crate) async fn write_rows(&mut self, link: &mut D::Link, plan: &mut Plan) -> Run<Vec<Refused>> {
        let mut refused = Vec::new();
        for phase in plan.phases(self.store, link).await? {
            for number in 0..plan.len() {
                if !plan.has(self.store, link, number, phase).await? {
                    continue;
                }
                let items = plan.batch(self.store, link, number).await?;
                let items: Vec<_> = items
                    .iter()
                    .filter(|item| item.phase() == phase && matches!(item.write.action, Action::Put { .. }))
                    .filter(|item| !self.left_out.contains(&item.at))
                    .collect();
                for items in items.chunk_by(|a, b| a.place() == b.place()) {
                    items.iter().for_each(|item| self.written.put(&item.zone, &item.kind.n, item.is_edit()));
                    let how = (phase.is_deletion(), self.hopes.is_smooth);
                    refused.extend(rows::write(self.store, link, items, how).await?);
                }
            }
        }
        refused = self.retry(link, refused).await?;
        if self.hopes.is_new && !refused.is_empty() {
            return Err(Fail::Moved);
        }
        if refused.iter().any(|refused| refused.is_clash) {
            refused = self.exchange(link, refused).await?;
        }
        let (skipped, aborting): (Vec<_>, Vec<_>) =
            refused.into_iter().partition(|refused| refused.item.write.on_mismatch == OnMismatch::Skip);
        if aborting.is_empty() {
            for refused in &skipped {
                let item = &refused.item;
                self.written.take_back(&item.zone, &item.kind.n, item.is_edit());
                self.left_out.insert(refused.item.at);
            }
            self.skipped.extend(conflicts_of(self.store, link, skipped).await?);
        }
        Ok(aborting)
    }

    /// A unique value may have been in the way that a later write gave free, or a row missing that a later one adds.
    async fn retry(&self, link: &mut D::Link, refused: Vec<Refused>) -> Run<Vec<Refused>> {
        let mut left = refused;
        loop {
            let before = left.len();
            left = self.again(link, left).await?;
            // Rows that wait for each other in a long row would take as many rounds.
            if left.len() == before || left.iter().any(|refused| refused.is_clash) {
                return Ok(left);
            }
        }
    }

    /// Writes refused rows again; gives those that are refused again.
    pub(crate) async fn again(&self, link: &mut D::Link, refused: Vec<Refused>) -> Run<Vec<Refused>> {
        let group = |refused: &Refused| (refused.item.zone, refused.item.kind.n, refused.item.phase());
        let mut left = Vec::new();
        for refused in refused.chunk_by(|a, b| group(a) == group(b)) {
            let items: Vec<_> = refused.iter().map(|refused| &refused.item).collect();
            let is_deletion = items.iter().any(|item| item.write.is_deletion());
            left.extend(rows::write(self.store, link, &items, (is_deletion, false)).await?);
        }
        Ok(left)
    }

    pub(crate) async fn write_index(
        &mut self,
        link: &mut D::Link,
        plan: &mut Plan,
        given: &Given,
    ) -> Run<()> {
        for number in 0..plan.len() {
            let items = plan.batch(self.store, link, number).await?;
            let entries = match self.entries.remove(&number) {
                Some(entries) => entries,
                None => look_up(link, &items, self.hopes.is_new).await?,
            };
            let items: Vec<_> =
                items.iter().zip(entries).filter(|(item, _)| !self.left_out.contains(&item.at)).collect();
            for (item, entry) in &items {
                // A row that was not there could not be locked. One that was there can have gone with a clear.
                if entry.is_some_and(|entry| !item.write.expect.holds(Some(entry.current()))) {
                    return Err(Fail::Moved);
                }
            }
            crate::sql::index::write(link, &items, given).await?;
        }
        Ok(())
    }

    pub(crate) async fn receipt(&mut self, link: &mut D::Link, given: Given) -> Run<Receipt> {
        let mut positions = Vec::with_capacity(given.positions.len());
        for (zone, position) in given.positions {
            positions.push((self.store.zone_of(link, zone).await?, fastsync_core::Position(position)));
        }
        positions.sort();
        Ok(Receipt { positions, change: given.change, skipped: std::mem::take(&mut self.skipped) })
    }
}

pub(crate) async fn conflicts_of<D: Database>(
    store: &Store<D>,
    link: &mut D::Link,
    refused: Vec<Refused>,
) -> Run<Vec<Conflict>> {
    let refused = refused.into_iter().take(Conflict::MAX_PER_OUTCOME);
    let failed = refused.map(|Refused { item, text, .. }| (item, ConflictReason::Constraint(text))).collect();
    conflicts(store, link, failed).await
}

/// The failed writes with what is there instead.
async fn conflicts<D: Database>(
    store: &Store<D>,
    link: &mut D::Link,
    failed: Vec<(Item, ConflictReason)>,
) -> Run<Vec<Conflict>> {
    let mut groups: BTreeMap<_, (Arc<Type>, &RecordKey, Vec<ObjectId>)> = BTreeMap::new();
    for (item, _) in &failed {
        let group = groups
            .entry((item.zone, item.kind.n))
            .or_insert_with(|| (Arc::clone(&item.kind), item.key(), Vec::new()));
        group.2.push(item.key().id.clone());
    }
    let mut current: HashMap<RecordKey, Record> = HashMap::with_capacity(failed.len());
    for (kind, key, ids) in groups.into_values() {
        let found = records(store, link, &kind, &key.zone, &ids).await?;
        current.extend(found.into_iter().map(|record| (record.key.clone(), record)));
    }
    Ok(failed
        .into_iter()
        .map(|(item, reason)| {
            let current = current.remove(item.key());
            let write: Write = item.write;
            Conflict { write, current, reason }
        })
        .collect())
}
