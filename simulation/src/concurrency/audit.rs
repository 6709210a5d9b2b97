//! What the database holds when everyone is done.

use std::collections::{BTreeMap, BTreeSet};

use fastsync_core::source::SyncableDataSourceExt as _;
use fastsync_core::{
    ObjectId, Position, Repository, Server, SessionKind, SessionSummary, SyncManager, SyncableRepositoryExt,
    Zone,
};

use super::pusher::CONTENDED;
use super::victims::{self, Life};
use super::worker::name;
use crate::model::{Item, tally};

/// Sessions that the audit has to name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected {
    pub(super) pushers: u64,
    pub(super) sessions_each: u64,
    pub(super) sessions: u64,
    pub(super) records: u64,
    /// How many of the sessions nobody was told the records of.
    pub(super) untold: u64,
}

/// How often the store may have moved while it was looked at: a database may go on with what a killed process had asked
/// of it.
const LOOKS: u32 = 100;

/// Every push is in the audit once, with every record; positions are 1, 2, 3 ...; no update is lost.
/// Of a killed process everything is there that it was told to be.
pub(super) async fn check(
    server: &SyncManager<Server>,
    expected: Expected,
    killed: &[Life],
) -> Result<(), String> {
    let text = |error: fastsync_core::Error| error.to_string();
    let source = server.store().source();
    for _ in 0..LOOKS {
        let sessions =
            source.sessions_of(&Zone::Global, Position::START, usize::MAX >> 1).await.map_err(text)?;
        let outcome = check_sessions(server, &sessions, expected, killed).await;
        let seen = Position(sessions.len() as u64);
        if source.sessions_of(&Zone::Global, seen, 1).await.map_err(text)?.is_empty() {
            return outcome;
        }
    }
    Err("the pushers are done, and the store does not come to rest".to_owned())
}

async fn check_sessions(
    server: &SyncManager<Server>,
    sessions: &[SessionSummary],
    expected: Expected,
    killed: &[Life],
) -> Result<(), String> {
    let mut pushes: BTreeMap<_, BTreeSet<u64>> = BTreeMap::new();
    let (mut devices, mut count, mut records) = (BTreeSet::new(), 0, 0);
    let mut of_killed: BTreeMap<&str, u64> = BTreeMap::new();
    for (session, position) in sessions.iter().zip(1..) {
        if session.positions != [(Zone::Global, Position(position))] {
            return Err(format!("session {position} is at {:?}", session.positions));
        }
        let Some(user) = session.author.user.as_deref().filter(|_| session.kind == SessionKind::Push) else {
            return Err(format!("the audit does not say who pushed: {session:?}"));
        };
        if !pushes.entry(session.author.device).or_default().insert(session.author.number) {
            return Err(format!("a push was committed twice: {session:?}"));
        }
        if victims::is_victim(user) {
            *of_killed.entry(user).or_default() += 1;
        } else {
            devices.insert(session.author.device);
            count += 1;
            records += session.counts.iter().map(|(_, count)| count).sum::<u64>();
        }
    }
    for numbers in pushes.values() {
        if numbers.iter().zip(1..).any(|(number, expected)| *number != expected) {
            return Err(format!("pushes of a device are missing: {numbers:?}"));
        }
    }
    let found = (devices.len() as u64, count, records);
    let may_be_more = expected.untold > 0 && records > expected.records;
    if found != (expected.pushers, expected.sessions, if may_be_more { records } else { expected.records }) {
        return Err(format!("the audit has (devices, sessions, records) {found:?} instead of {expected:?}"));
    }
    check_tallies(server, expected).await?;
    check_killed(server, killed, &of_killed).await
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

async fn check_killed(
    server: &SyncManager<Server>,
    killed: &[Life],
    sessions: &BTreeMap<&str, u64>,
) -> Result<(), String> {
    let text = |error: fastsync_core::Error| error.to_string();
    let items = Repository::<Item>::new(server.store());
    for life in killed {
        let found = sessions.get(life.name.as_str()).copied().unwrap_or(0);
        // The one that was under way may be there, as a whole.
        if found != life.acknowledged && found != life.acknowledged + 1 {
            return Err(format!("{life:?} has {found} sessions in the audit"));
        }
        for which in 0..CONTENDED {
            let id = ObjectId::new(format!("tally-{which}")).map_err(text)?;
            let item = items.find_by_id(&id).await.map_err(text)?.ok_or("a tally is missing")?;
            let last = (1..=found).rev().find(|number| number % CONTENDED == which).unwrap_or(0);
            if tally(&item.tokens, &life.name) != last {
                return Err(format!("an update is lost: tally {which} of {life:?} is not {last}"));
            }
        }
    }
    Ok(())
}
