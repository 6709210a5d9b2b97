//! What the database holds when everyone is done.

use std::collections::{BTreeMap, BTreeSet};

use fastsync_core::{
    ObjectId, Position, Repository, Server, SessionKind, SyncManager, SyncableRepository, Zone,
};

use super::pusher::CONTENDED;
use super::worker::name;
use crate::model::{Item, tally};

/// Sessions that the audit has to name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected {
    pub(super) pushers: u64,
    pub(super) sessions_each: u64,
    pub(super) sessions: u64,
    pub(super) records: u64,
}

/// Every push is in the audit once, with every record; positions are 1, 2, 3 ...; no update is lost.
pub(super) async fn check(server: &SyncManager<Server>, expected: Expected) -> Result<(), String> {
    let text = |error: fastsync_core::Error| error.to_string();
    let source = server.store().source();
    let sessions = source.sessions(&Zone::Global, Position::START, usize::MAX >> 1).await.map_err(text)?;
    let mut pushes: BTreeMap<_, BTreeSet<u64>> = BTreeMap::new();
    let mut records = 0;
    for (session, position) in sessions.iter().zip(1..) {
        if session.positions != [(Zone::Global, Position(position))] {
            return Err(format!("session {position} is at {:?}", session.positions));
        }
        if session.kind != SessionKind::Push || session.author.user.is_none() {
            return Err(format!("the audit does not say who pushed: {session:?}"));
        }
        if !pushes.entry(session.author.device).or_default().insert(session.author.number) {
            return Err(format!("a push was committed twice: {session:?}"));
        }
        records += session.counts.iter().map(|(_, count)| count).sum::<u64>();
    }
    for numbers in pushes.values() {
        if numbers.iter().zip(1..).any(|(number, expected)| *number != expected) {
            return Err(format!("pushes of a device are missing: {numbers:?}"));
        }
    }
    let found = (pushes.len() as u64, sessions.len() as u64, records);
    if found != (expected.pushers, expected.sessions, expected.records) {
        return Err(format!("the audit has (devices, sessions, records) {found:?} instead of {expected:?}"));
    }
    check_tallies(server, expected).await
}

async fn check_tallies(server: &SyncManager<Server>, expected: Expected) -> Result<(), String> {
    let text = |error: fastsync_core::Error| error.to_string();
    let items = Repository::<Item>::new(server.store());
    for which in 0..CONTENDED {
        let id = ObjectId::new(format!("tally-{which}")).map_err(text)?;
        let item = items.find_by_id(&id).await.map_err(text)?.ok_or("a tally is missing")?;
        for pusher in 0..expected.pushers {
            let last = (1..=expected.sessions_each).rev().find(|number| number % CONTENDED == which);
            let (has, last) = (tally(&item.tokens, &name(pusher)), last.unwrap_or(0));
            if has != last {
                return Err(format!(
                    "an update is lost: tally {which} of pusher {pusher} is {has} of {last}"
                ));
            }
        }
    }
    Ok(())
}
