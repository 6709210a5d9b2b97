//! What one transaction of a commit does, step by step.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use fastsync_core::source::rules::Verdict;
use fastsync_core::source::{
    Action, Commit, Conflict, ConflictReason, ExpectState, OnMismatch, Receipt, StateConflict, StateWrite,
    Write,
};
use fastsync_core::{ObjectId, Record, RecordKey};
use fastsync_dao_kit::sql::{Fail, Run};
use sqlx::PgConnection;

use crate::codec::Entry;
use crate::finish::{Written, finish};
use crate::index::{Given, entries, look_up};
use crate::plan::{At, Item, Plan};
use crate::read::records;
use crate::registry::Type;
use crate::rows::{self, Refused};
use crate::sql::{MAX_ROWS, bytes};
use crate::store::Store;

/// How many looked up entries are kept until the index is written; beyond, they are looked up again.
const MAX_KEPT_ENTRIES: usize = 65_536;

/// What an attempt takes for granted; if it is wrong, nothing was written, and the next one takes nothing for granted.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Hopes {
    /// Records that are expected to be new are new: whoever inserts their index rows finds out.
    pub(crate) is_new: bool,
    /// No rule of a user's table refuses anything, so no savepoint is needed.
    pub(crate) is_smooth: bool,
}

/// What the index has, by zone, type and id.
type Known = HashMap<(u64, u64), HashMap<ObjectId, Entry>>;

/// The numbers of the zone and the type of an item.
fn place(item: &Item) -> (u64, u64) {
    (item.zone, item.kind.n)
}

/// The state of one transaction.
pub(crate) struct Attempt<'a> {
    pub(crate) store: &'a Store,
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

impl<'a> Attempt<'a> {
    pub(crate) fn new(store: &'a Store, commit: &'a Commit, plan: &Plan, hopes: Hopes) -> Self {
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
    pub(crate) async fn finish(&self, connection: &mut PgConnection, plan: &Plan) -> Run<Option<Given>> {
        finish(self.store, connection, self.commit, plan.device, &self.written).await
    }
}

impl Attempt<'_> {
    /// Locks and checks the state entries that something is expected of.
    pub(crate) async fn check_state(&self, connection: &mut PgConnection) -> Run<Vec<StateConflict>> {
        let writes = self.commit.state.iter().filter(|write| write.expect != ExpectState::Anything);
        let mut expected: Vec<_> = writes.collect();
        // Everybody locks in one order.
        expected.sort_by_key(|write| &write.key);
        let mut current = HashMap::with_capacity(expected.len());
        for writes in expected.chunks(MAX_ROWS) {
            let select = "SELECT name, value FROM @state WHERE name = ANY (?) ORDER BY name FOR UPDATE";
            let mut sql = self.store.schema.sql(select);
            sql.add_array(writes.iter().map(|write| write.key.as_bytes()));
            for row in sql.all(connection).await? {
                let found = |at| bytes(&row, at).map(|found| found.unwrap_or_default().to_vec());
                current.insert(found(0)?, found(1)?);
            }
        }
        let mut verdict = Verdict::default();
        let found = |write: &StateWrite| current.get(write.key.as_bytes()).map(Vec::as_slice);
        expected.iter().for_each(|write| verdict.state(write, found(write)));
        Ok(verdict.into_state())
    }

    /// What the index has for the items of all batches of a staged commit. Batches come in any order, and the server takes a
    /// second to see that two commits wait for each other: so the rows are locked in one order before. Not those of a session
    /// beyond what is kept in memory.
    async fn lock_in_order(&self, connection: &mut PgConnection, plan: &mut Plan) -> Run<Option<Known>> {
        if !plan.is_staged || !self.keeps {
            return Ok(None);
        }
        let mut wanted: BTreeMap<(u64, u64), BTreeSet<ObjectId>> = BTreeMap::new();
        for number in 0..plan.len() {
            for item in plan.batch(self.store, connection, number).await?.iter() {
                wanted.entry(place(item)).or_default().insert(item.key().id.clone());
            }
        }
        let mut known = Known::new();
        for (place, ids) in wanted {
            let ids: Vec<_> = ids.iter().collect();
            known.insert(place, entries(self.store, connection, place, &ids).await?);
        }
        Ok(Some(known))
    }

    /// Checks every expectation against the state before this commit; gives the writes that stop it.
    pub(crate) async fn look(
        &mut self,
        connection: &mut PgConnection,
        plan: &mut Plan,
    ) -> Run<Vec<Conflict>> {
        let mut aborting = Vec::new();
        let mut skipped = Vec::new();
        let known = self.lock_in_order(connection, plan).await?;
        'batches: for number in 0..plan.len() {
            let items = plan.batch(self.store, connection, number).await?;
            let entries = match &known {
                Some(known) => items
                    .iter()
                    .map(|item| known.get(&place(item)).and_then(|ids| ids.get(&item.key().id)))
                    .map(Option::<&Entry>::copied)
                    .collect(),
                None => look_up(self.store, connection, &items, self.hopes.is_new).await?,
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
            self.skipped = conflicts(self.store, connection, skipped).await?;
        }
        conflicts(self.store, connection, aborting).await
    }

    pub(crate) async fn clear(&self, connection: &mut PgConnection) -> Run<()> {
        let mut clears = Vec::with_capacity(self.commit.clears.len());
        for clear in &self.commit.clears {
            let kind = self.store.kind(connection, &clear.type_name).await?;
            if let Some(zone) =
                self.store.zone(connection, &clear.zone).await?.filter(|_| kind.schema.fits(&clear.zone))
            {
                clears.push((kind, zone, clear));
            }
        }
        // Foreign keys are checked row by row, so children go first.
        clears.sort_by_key(|(kind, ..)| std::cmp::Reverse(kind.schema.priority()));
        for (kind, zone, clear) in clears {
            let in_zone = if kind.is_restricted() { " AND u.zone = ?" } else { "" };
            let mut sql = self.store.schema.sql(format!(
                "DELETE FROM {} AS u USING @records AS r WHERE {}{in_zone} AND r.zone = ? AND r.type = ? \
                 AND r.change <= ?",
                kind.table,
                kind.is_of_entry(),
            ));
            if let Some(key) = clear.zone.key() {
                sql.add(key);
            }
            sql.bind(zone).bind(kind.n).bind(clear.through_change).execute(connection).await?;
            let sql =
                self.store.schema.sql("DELETE FROM @records WHERE zone = ? AND type = ? AND change <= ?");
            sql.bind(zone).bind(kind.n).bind(clear.through_change).execute(connection).await?;
        }
        Ok(())
    }

    /// Writes the users' rows, parents first; gives the refused writes that stop the commit.
    pub(crate) async fn write_rows(
        &mut self,
        connection: &mut PgConnection,
        plan: &mut Plan,
    ) -> Run<Vec<Refused>> {
        let mut refused = Vec::new();
        for phase in plan.phases(self.store, connection).await? {
            for number in 0..plan.len() {
                if !plan.has(self.store, connection, number, phase).await? {
                    continue;
                }
                let items = plan.batch(self.store, connection, number).await?;
                let items: Vec<_> = items
                    .iter()
                    .filter(|item| item.phase() == phase && matches!(item.write.action, Action::Put { .. }))
                    .filter(|item| !self.left_out.contains(&item.at))
                    .collect();
                for items in items.chunk_by(|a, b| (a.zone, a.kind.n) == (b.zone, b.kind.n)) {
                    items.iter().for_each(|item| self.written.put(&item.zone, &item.kind.n, item.is_edit()));
                    let how = (phase.is_deletion(), self.hopes.is_smooth);
                    refused.extend(rows::write(self.store, connection, items, how).await?);
                }
            }
        }
        refused = self.retry(connection, refused).await?;
        if refused.iter().any(|refused| refused.is_clash) {
            refused = self.exchange(connection, refused).await?;
        }
        let (skipped, aborting): (Vec<_>, Vec<_>) =
            refused.into_iter().partition(|refused| refused.item.write.on_mismatch == OnMismatch::Skip);
        if aborting.is_empty() {
            for refused in &skipped {
                let item = &refused.item;
                self.written.take_back(&item.zone, &item.kind.n, item.is_edit());
                self.left_out.insert(refused.item.at);
            }
            self.skipped.extend(conflicts_of(self.store, connection, skipped).await?);
        }
        Ok(aborting)
    }

    /// A unique value may have been in the way that a later write gave free, or a row missing that a later one adds.
    async fn retry(&self, connection: &mut PgConnection, refused: Vec<Refused>) -> Run<Vec<Refused>> {
        let mut left = refused;
        loop {
            let before = left.len();
            left = self.again(connection, left).await?;
            // Rows that wait for each other in a long row would take as many rounds.
            if left.len() == before || left.iter().any(|refused| refused.is_clash) {
                return Ok(left);
            }
        }
    }

    /// Writes refused rows again; gives those that are refused again.
    pub(crate) async fn again(
        &self,
        connection: &mut PgConnection,
        refused: Vec<Refused>,
    ) -> Run<Vec<Refused>> {
        let group = |refused: &Refused| (refused.item.zone, refused.item.kind.n, refused.item.phase());
        let mut left = Vec::new();
        for refused in refused.chunk_by(|a, b| group(a) == group(b)) {
            let items: Vec<_> = refused.iter().map(|refused| &refused.item).collect();
            let is_deletion = items.iter().any(|item| item.write.is_deletion());
            left.extend(rows::write(self.store, connection, &items, (is_deletion, false)).await?);
        }
        Ok(left)
    }

    pub(crate) async fn write_index(
        &mut self,
        connection: &mut PgConnection,
        plan: &mut Plan,
        given: &Given,
    ) -> Run<()> {
        for number in 0..plan.len() {
            let items = plan.batch(self.store, connection, number).await?;
            let entries = match self.entries.remove(&number) {
                Some(entries) => entries,
                None => look_up(self.store, connection, &items, self.hopes.is_new).await?,
            };
            let items: Vec<_> =
                items.iter().zip(entries).filter(|(item, _)| !self.left_out.contains(&item.at)).collect();
            for (item, entry) in &items {
                // A row that was not there could not be locked. One that was there can have gone with a clear.
                if entry.is_some_and(|entry| !item.write.expect.holds(Some(entry.current()))) {
                    return Err(Fail::Moved);
                }
            }
            crate::index::write(self.store, connection, &items, given).await?;
        }
        Ok(())
    }

    pub(crate) async fn receipt(&mut self, connection: &mut PgConnection, given: Given) -> Run<Receipt> {
        let mut positions = Vec::with_capacity(given.positions.len());
        for (zone, position) in given.positions {
            positions.push((self.store.zone_of(connection, zone).await?, fastsync_core::Position(position)));
        }
        positions.sort();
        Ok(Receipt { positions, change: given.change, skipped: std::mem::take(&mut self.skipped) })
    }
}

pub(crate) async fn conflicts_of(
    store: &Store,
    connection: &mut PgConnection,
    refused: Vec<Refused>,
) -> Run<Vec<Conflict>> {
    let refused = refused.into_iter().take(Conflict::MAX_PER_OUTCOME);
    let failed = refused.map(|Refused { item, text, .. }| (item, ConflictReason::Constraint(text))).collect();
    conflicts(store, connection, failed).await
}

/// The failed writes with what is there instead.
async fn conflicts(
    store: &Store,
    connection: &mut PgConnection,
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
        let found = records(store, connection, &kind, &key.zone, &ids).await?;
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
