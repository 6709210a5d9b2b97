//! A pusher: a device whose sessions contend for a few objects and bring some of their own.

use std::time::Duration;

use fastsync_core::{
    Client, ErrorKind, LoopbackTransport, MemoryDataSource, ObjectId, Repository, Result, Server,
    SessionLimits, SettledConflict, Settlement, Store, SyncContext, SyncManager, SyncableRepositoryExt,
};

use crate::model::{Item, Note, Rule, Shelf, with_token, zone};
use crate::random::Seeded;

/// How many pairs and tallies the pushers contend for.
pub(super) const CONTENDED: u64 = 3;

/// How many pushes in a hundred are given up half-way.
const ABANDONED_PERCENT: u64 = 10;

/// What a pusher has done.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Done {
    /// Sessions that the server acknowledged.
    pub(super) sessions: u64,
    /// Records of them.
    pub(super) records: u64,
    /// Conflicts that were settled.
    pub(super) conflicts: u64,
    /// How often it was told to come again.
    pub(super) retries: u64,
    /// How often it gave a push up half-way, and pushed again.
    pub(super) abandoned: u64,
    /// Sessions that were committed although the push was given up: nobody told what became of their records.
    pub(super) untold: u64,
}

/// Pushes so many sessions of 1 to `most` records.
pub(super) async fn push(
    name: &str,
    server: &SyncManager<Server>,
    sessions: u64,
    most: u64,
    random: &Seeded,
) -> Result<Done> {
    let (store, manager) = open(name, server).await?;
    let mut done = Done::default();
    for number in 1..=sessions {
        // Evenly over the orders of magnitude: many small sessions, some large ones.
        let size = 1 + random.below(1 << random.below(u64::from(most.ilog2()) + 1)).min(most - 1);
        edit(&store, name, number, size).await?;
        loop {
            // Its future is dropped wherever it stands: the server has all of the session or nothing.
            let patience =
                if random.percent(ABANDONED_PERCENT) { random.below(4_000) } else { u64::MAX >> 20 };
            let Ok(outcome) = tokio::time::timeout(Duration::from_micros(patience), manager.push()).await
            else {
                done.abandoned += 1;
                continue;
            };
            match outcome {
                Ok(report) if report.sessions == 0 => {
                    done.untold += 1;
                    break;
                }
                Ok(report) => {
                    done.sessions += report.sessions;
                    // A conflict that the sender wins counts as applied too.
                    let kept = |conflict: &&SettledConflict| conflict.settlement == Settlement::KeptClient;
                    let kept = report.conflicts.iter().filter(kept).count();
                    done.records += report.applied + (report.conflicts.len() - kept) as u64;
                    done.conflicts += report.conflicts.len() as u64;
                    break;
                }
                Err(error) if matches!(error.kind(), ErrorKind::Contention | ErrorKind::Unavailable) => {
                    done.retries += 1;
                }
                Err(error) => return Err(error),
            }
        }
        if random.percent(30) {
            tokio::time::sleep(Duration::from_micros(random.below(2_000))).await;
        }
    }
    Ok(done)
}

pub(super) async fn open(name: &str, server: &SyncManager<Server>) -> Result<(Store, SyncManager<Client>)> {
    let store = Store::client(MemoryDataSource::new())
        .register::<Shelf>()
        .register::<Item>()
        .register::<Note>()
        .limits(SessionLimits::new(500, 1 << 20))
        .open()
        .await?;
    let manager = SyncManager::client(&store)
        .register(Repository::<Shelf>::new(&store), Rule::Union)
        .register(Repository::<Item>::new(&store), Rule::Union)
        .register(Repository::<Note>::in_zone(&store, zone("north")), Rule::Union)
        .transport(LoopbackTransport::new(server.clone(), SyncContext::new(name)))
        .build()?;
    Ok((store, manager))
}

/// The pair that everyone writes, the tally that everyone raises, and twins of its own: about `size` records.
pub(super) async fn edit(store: &Store, name: &str, number: u64, size: u64) -> Result<()> {
    let (shelves, items) = (Repository::<Shelf>::new(store), Repository::<Item>::new(store));
    let mut edit = store.edit();
    let contended = number % CONTENDED;
    if size > 1 {
        let id = format!("pair-{contended}");
        let old = shelves.find_by_id(&ObjectId::new(&id)?).await?;
        let counter = old.as_ref().map_or(0, |shelf| shelf.counter) + 1;
        let shelf = Shelf { id: id.clone(), counter, tokens: String::new() };
        let item = Item { id: id.clone(), shelf: id, counter, tokens: String::new(), refused: false };
        if old.is_some() {
            shelves.stage_update(&mut edit, &shelf)?;
            items.stage_update(&mut edit, &item)?;
        } else {
            shelves.stage_add(&mut edit, &shelf)?;
            items.stage_add(&mut edit, &item)?;
        }
    }
    let id = format!("tally-{contended}");
    let token = format!("{name}={number}");
    match items.find_by_id(&ObjectId::new(&id)?).await? {
        Some(old) => {
            let tokens = with_token(&old.tokens, &token);
            items.stage_update(&mut edit, &Item { tokens, ..old })?;
        }
        None => {
            let item = Item { id: id.clone(), shelf: id, counter: 0, tokens: token, refused: false };
            items.stage_add(&mut edit, &item)?;
        }
    }
    for twin in 0..size.saturating_sub(3) / 2 {
        let id = format!("row-{name}-{number:05}-{twin:03}");
        shelves.stage_add(&mut edit, &Shelf { id: id.clone(), counter: 1, tokens: String::new() })?;
        let item = Item { id: id.clone(), shelf: id, counter: 1, tokens: String::new(), refused: false };
        items.stage_add(&mut edit, &item)?;
    }
    edit.commit().await.map(|_| ())
}
