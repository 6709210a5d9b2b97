//! Pushers and pullers of one process, on a server's manager of its own.

use std::sync::Arc;

use fastsync_core::{
    Repository, Result, Server, ServerLimits, SessionLimits, Store, SyncContext, SyncManager,
    SyncableDataSource, Zone, ZoneAccess,
};
use tokio::sync::watch;

use super::puller::{Puller, Seen};
use super::pusher::{Done, push};
use crate::model::{CheckedItems, Item, Note, Rule, Shelf, zone};
use crate::random::Seeded;
use crate::storage;

/// What the workers of a process do.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) seed: u64,
    /// The numbers of its pushers.
    pub(super) pushers: std::ops::Range<u64>,
    /// Sessions of each pusher.
    pub(super) sessions: u64,
    /// The most records of a session.
    pub(super) most: u64,
    /// The page size of each puller.
    pub(super) pages: Vec<u32>,
}

/// The name of a pusher: its user, and its entry in the tallies.
pub(super) fn name(pusher: u64) -> String {
    format!("pusher{pusher}")
}

/// A server on this storage.
pub(super) async fn open(source: impl SyncableDataSource) -> Result<SyncManager<Server>> {
    let store =
        Store::server(source).register::<Shelf>().register::<Item>().register::<Note>().open().await?;
    let session = SessionLimits::new(1_000, 4 << 20);
    SyncManager::server(&store)
        .register(Repository::<Shelf>::new(&store), Rule::Union)
        .register(CheckedItems(Repository::<Item>::new(&store)), Rule::Union)
        .register(Repository::<Note>::in_zone(&store, zone("any")), Rule::Union)
        .limits(ServerLimits::default().with_session(session))
        .zones(|_: &SyncContext| ZoneAccess::none().read_write(Zone::Global).read_write(zone("north")))
        .build()
        .await
}

/// How often a process tries to open a storage on which connections are cut.
const OPENINGS: u32 = 10;

/// A server on the storage of this name, beside other processes. Its connection may be cut while it opens.
pub(super) async fn open_beside(name: &str) -> Result<SyncManager<Server>, String> {
    let mut problem = String::new();
    for _ in 0..OPENINGS {
        match storage::open(name).await {
            Ok(source) => match open(source).await {
                Ok(server) => return Ok(server),
                Err(error) => problem = error.to_string(),
            },
            Err(error) => problem = error,
        }
    }
    Err(format!("{name} cannot be opened in {OPENINGS} tries: {problem}"))
}

/// Runs pushers and pullers; `finished` is told when the pushers are done, and `stop` says when the pullers are to
/// come to an end.
pub(super) async fn work(
    server: &SyncManager<Server>,
    plan: Plan,
    finished: impl FnOnce() + Send,
    stop: impl Future<Output = ()> + Send,
) -> Result<(Done, Vec<Seen>), String> {
    let text = |error: fastsync_core::Error| error.to_string();
    let (tell, done) = watch::channel(false);
    let pullers: Vec<_> = plan
        .pages
        .iter()
        .zip(0_u64..)
        .map(|(page, number)| {
            let random = Seeded::stream(plan.seed, 1_000 + plan.pushers.start * 10 + number);
            tokio::spawn(Puller::new("puller", server, *page, random).pull(done.clone()))
        })
        .collect();
    let plan = Arc::new(plan);
    let pushers: Vec<_> = plan
        .pushers
        .clone()
        .map(|number| {
            let (server, plan) = (server.clone(), Arc::clone(&plan));
            let random = Seeded::stream(plan.seed, number);
            tokio::spawn(async move { push(&name(number), &server, plan.sessions, plan.most, &random).await })
        })
        .collect();
    let mut all = Done::default();
    for pusher in pushers {
        let done = pusher.await.map_err(|error| error.to_string())?.map_err(text)?;
        all.sessions += done.sessions;
        all.records += done.records;
        all.conflicts += done.conflicts;
        all.retries += done.retries;
        all.abandoned += done.abandoned;
        all.untold += done.untold;
    }
    finished();
    stop.await;
    // Pullers keep their receivers until they end.
    let _ = tell.send(true);
    let mut seen = Vec::new();
    for puller in pullers {
        seen.push(puller.await.map_err(|error| error.to_string())?.map_err(text)?);
    }
    Ok((all, seen))
}
