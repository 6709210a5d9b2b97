//! Storing that the server has what was pushed.
//!
//! The records of a local commit were appended to the index table together, and they stand together in the index of
//! what is pending: there they are found by one walk, and confirmed by one statement for each run of neighbours. One
//! by one they would be looked up all over a tree of random keys.

use std::collections::{BTreeMap, HashMap};

use crate::connection::Store;
use crate::error::Run;
use crate::key::Key;

/// A record by zone, type and id, as the index has it.
type IndexKey<'a> = (i64, i64, Key<'a>);

/// One record's acknowledgement, in the index's numbers.
#[derive(Debug)]
pub(crate) struct Acknowledgement {
    pub(crate) key: IndexKey<'static>,
    pub(crate) change: i64,
    pub(crate) revision: i64,
    pub(crate) incarnation: i64,
}

/// From how many records of a local commit on its pending records are walked.
const MANY: usize = 8;

pub(crate) const PENDING_OF: &str = "SELECT rowid, zone, type, id, incarnation FROM fastsync_records INDEXED BY fastsync_pending \
     WHERE change = ?1 AND change > 0";
pub(crate) const CONFIRM: &str =
    "UPDATE fastsync_records SET revision = ?3, change = 0 WHERE rowid BETWEEN ?1 AND ?2";
const ACKNOWLEDGE: &str = "UPDATE fastsync_records SET revision = CASE WHEN incarnation = ?6 THEN ?4 ELSE revision END, \
     change = CASE WHEN change = ?5 THEN 0 ELSE change END WHERE zone = ?1 AND type = ?2 AND id = ?3";

/// Stores acknowledgements, at most one of a record.
pub(crate) fn acknowledge(store: &Store, acknowledgements: Vec<Acknowledgement>) -> Run<()> {
    let mut by_change: BTreeMap<i64, Vec<Acknowledgement>> = BTreeMap::new();
    for acknowledgement in acknowledgements {
        by_change.entry(acknowledgement.change).or_default().push(acknowledgement);
    }
    for (change, acknowledgements) in by_change {
        let rest = if acknowledgements.len() < MANY {
            acknowledgements
        } else {
            confirm_pending(store, change, acknowledgements)?
        };
        let mut statement = store.connection.prepare_cached(ACKNOWLEDGE)?;
        for Acknowledgement { key: (zone, kind, id), change, revision, incarnation } in rest {
            statement.execute((zone, kind, id, revision, change, incarnation))?;
        }
    }
    Ok(())
}

/// Confirms the records that were not edited since; gives the acknowledgements of the others.
fn confirm_pending(store: &Store, change: i64, all: Vec<Acknowledgement>) -> Run<Vec<Acknowledgement>> {
    let places: HashMap<&IndexKey<'_>, usize> =
        all.iter().enumerate().map(|(place, acknowledgement)| (&acknowledgement.key, place)).collect();
    let mut confirmed = vec![false; all.len()];
    let mut runs: Vec<(i64, i64)> = Vec::with_capacity(all.len());
    let mut statement = store.connection.prepare_cached(PENDING_OF)?;
    let mut rows = statement.query([change])?;
    while let Some(row) = rows.next()? {
        let key = (row.get(1)?, row.get(2)?, Key::stored(row.get_ref(3)?)?);
        let Some(&place) = places.get(&key) else { continue };
        let incarnation: i64 = row.get(4)?;
        let found = all.get(place).filter(|found| found.incarnation == incarnation);
        if let (Some(found), Some(mark)) = (found, confirmed.get_mut(place)) {
            runs.push((row.get(0)?, found.revision));
            *mark = true;
        }
    }
    runs.sort_unstable();
    let mut statement = store.connection.prepare_cached(CONFIRM)?;
    let goes_on = |(row, revision): &(i64, i64), (next, other): &(i64, i64)| {
        row.checked_add(1) == Some(*next) && revision == other
    };
    for run in runs.chunk_by(goes_on) {
        if let (Some((first, revision)), Some((last, _))) = (run.first(), run.last()) {
            statement.execute((first, last, revision))?;
        }
    }
    let rest = all.into_iter().zip(confirmed).filter(|(_, confirmed)| !confirmed);
    Ok(rest.map(|(acknowledgement, _)| acknowledgement).collect())
}
