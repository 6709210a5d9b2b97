//! What has to hold after a kill.

use std::collections::{BTreeMap, BTreeSet};

use fastsync_core::source::SyncableDataSourceExt as _;
use fastsync_core::{
    Query, Record, RecordKey, Repository, Result, Store, SyncableRepositoryExt, TypeName, Zone,
};

use super::workload::{CONTENDED, least_tally, pair, removed_by, row, rows_after, tally_of};
use crate::model::{Item, Shelf};

/// What a store shows.
#[derive(Debug)]
pub(crate) struct View {
    shelves: BTreeMap<String, Shelf>,
    items: Vec<Item>,
}

impl View {
    /// Reads a store.
    pub(crate) async fn of(store: &Store) -> Result<Self> {
        let shelves = Repository::<Shelf>::new(store).get_all().await?;
        let items = Repository::<Item>::new(store).get_all().await?;
        Ok(Self { shelves: shelves.into_iter().map(|shelf| (shelf.id.clone(), shelf)).collect(), items })
    }

    /// No session is there in part: every row has its twin, and the counters of a pair are equal.
    pub(crate) fn check_whole(&self, whose: &str) -> Result<(), String> {
        let kept = |id: &str| id.starts_with("row-") || id.starts_with("pair-");
        let shelves: BTreeMap<&str, i64> =
            self.shelves.values().filter(|s| kept(&s.id)).map(|s| (s.id.as_str(), s.counter)).collect();
        let items: BTreeMap<&str, i64> =
            self.items.iter().filter(|i| kept(&i.id)).map(|i| (i.id.as_str(), i.counter)).collect();
        if shelves == items {
            return Ok(());
        }
        let shelves: BTreeSet<_> = shelves.into_iter().collect();
        let items: BTreeSet<_> = items.into_iter().collect();
        Err(format!("{whose} shows half a session: {:?}", shelves.symmetric_difference(&items)))
    }

    /// Every session of a writer up to `last` is there; those after it up to `begun` may be.
    pub(crate) fn check_sessions(
        &self,
        whose: &str,
        writer: &str,
        last: u64,
        begun: u64,
    ) -> Result<(), String> {
        let expected: BTreeSet<u64> = rows_after(last).into_iter().collect();
        let maybe_removed: BTreeSet<u64> = (last + 1..=begun).filter_map(removed_by).collect();
        for number in 1..=last {
            let there = self.shelves.contains_key(&row(writer, number));
            if !there && expected.contains(&number) && !maybe_removed.contains(&number) {
                return Err(format!("{whose} has lost session {number} of {writer}, which was acknowledged"));
            }
            if there && !expected.contains(&number) {
                return Err(format!(
                    "{whose} shows row {number} of {writer}, whose removal was acknowledged"
                ));
            }
        }
        Ok(())
    }

    /// No update of a writer's tallies up to its session `last` is lost.
    pub(crate) fn check_tallies(&self, whose: &str, writer: &str, last: u64) -> Result<(), String> {
        for which in 0..CONTENDED {
            let (has, least) = (tally_of(&self.items, which, writer), least_tally(which, last));
            if has < least {
                return Err(format!(
                    "{whose} has lost an update: tally {which} of {writer} is {has} of {least}"
                ));
            }
        }
        Ok(())
    }

    /// How often pairs were written, as far as the counters tell.
    pub(crate) fn pair_writes(&self) -> i64 {
        (0..CONTENDED).filter_map(|which| self.shelves.get(&pair(which))).map(|shelf| shelf.counter).sum()
    }
}

/// Two stores hold the same live records, but for those that the first one has edited.
pub(crate) async fn check_equal(whose: &str, client: &Store, server: &Store) -> Result<(), String> {
    let text = |error: fastsync_core::Error| error.to_string();
    let edited = client.source().pending_after(0, usize::MAX >> 1).await.map_err(text)?;
    let edited: BTreeSet<RecordKey> = edited.into_iter().map(|record| record.key).collect();
    let local = live(client).await.map_err(text)?;
    let remote = live(server).await.map_err(text)?;
    for key in local.keys().chain(remote.keys()).filter(|key| !edited.contains(*key)) {
        let view = |record: Option<&Record>| record.map(|r| (r.body.clone(), r.metadata.revision));
        if view(local.get(key)) != view(remote.get(key)) {
            let (here, there) = (view(local.get(key)), view(remote.get(key)));
            return Err(format!("{whose} shows {key:?} as {here:?}, the server as {there:?}"));
        }
    }
    Ok(())
}

async fn live(store: &Store) -> Result<BTreeMap<RecordKey, Record>> {
    let mut all = BTreeMap::new();
    for name in ["shelves", "items"] {
        let found = store.source().find(&Query::all(TypeName::new(name)?, Zone::Global)).await?.records;
        all.extend(found.into_iter().map(|record| (record.key.clone(), record)));
    }
    Ok(all)
}
