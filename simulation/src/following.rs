//! Devices with several pushes under way at once, on a real data source: each push is stored once, after those before it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use fastsync_core::protocol::{PullRequest, PushReply};
use fastsync_core::source::{Commit, CommitOutcome, ExpectState, Layer, SyncableDataSourceExt as _, Turn};
use fastsync_core::{
    Client, DeviceId, LoopbackTransport, MemoryDataSource, ObjectId, Outgoing, Position, PullAnswer,
    Repository, Result, Server, SessionLimits, Store, SyncContext, SyncManager, SyncableDataSource,
    SyncableRepository, SyncableRepositoryExt, Transport, Zone, ZoneAccess,
};

use crate::counts::Counts;
use crate::model::{Rule, Shelf, tally, with_token};
use crate::random::Seeded;
use crate::storage::{Storage, StorageKind};
use crate::text;

const DEVICES: u64 = 4;
/// How many local commits each device makes, each of which is a session.
const COMMITS: u64 = 60;
/// The most records of a commit.
const MOST: u64 = 10;
/// Every so often a commit edits the object that all devices edit, so that its push has an exception.
const SHARED: u64 = 9;
/// How many requests in a hundred go to the other process of the server.
const ASTRAY_PERCENT: u64 = 5;
/// How many calls of `push` in a hundred are dropped.
const ABANDONED_PERCENT: u64 = 30;

/// How long a device may take, on however busy a machine: a calm one does it in a second or two.
const LONGEST: Duration = Duration::from_secs(300);

/// What must have happened in a run.
pub const MINIMUM: &[(&str, u64)] = &[
    ("pushes stored that follow one without an answer", 20),
    ("pushes sent before their turn in vain", 1),
    ("calls dropped", 5),
    ("pushes with exceptions", 5),
];

/// Runs the devices on a storage of this kind; with `breaks`, on a server that compares no receipts and waits for no turn.
///
/// # Errors
/// What does not hold.
pub async fn run(kind: StorageKind, seed: u64, breaks: bool) -> std::result::Result<Counts, String> {
    let storage = Storage::new(kind).await?;
    let first = storage.open().await?;
    let second = if kind.takes_one_process() { Arc::clone(&first) } else { storage.open().await? };
    let server = |source: Arc<dyn SyncableDataSource>| async move {
        if breaks { serve(Careless(source)).await } else { serve(source).await }
    };
    let servers = [server(first).await.map_err(text)?, server(second).await.map_err(text)?];
    let seen = Arc::new(Seen::default());
    let mut tasks = Vec::new();
    for n in 0..DEVICES {
        let (servers, seen) = (servers.clone(), Arc::clone(&seen));
        tasks.push(tokio::spawn(async move { device(n, seed, &servers, &seen).await }));
    }
    let mut devices = Vec::new();
    for task in tasks {
        let device = tokio::time::timeout(LONGEST, task).await;
        let device = device.map_err(|_| format!("a device is not done within {LONGEST:?}"))?;
        devices.push(device.map_err(text)??);
    }
    check(servers[0].store(), &devices).await?;
    drop(servers);
    storage.remove().await?;
    let mut counts = Counts::default();
    counts.add("pushes stored that follow one without an answer", seen.followed.load(Ordering::SeqCst));
    counts.add("pushes sent before their turn in vain", seen.gaps.load(Ordering::SeqCst));
    counts.add("pushes with exceptions", seen.exceptions.load(Ordering::SeqCst));
    counts.add("calls dropped", seen.dropped.load(Ordering::SeqCst));
    Ok(counts)
}

async fn serve(source: impl SyncableDataSource) -> Result<SyncManager<Server>> {
    let store = Store::server(source).register::<Shelf>().open().await?;
    SyncManager::server(&store)
        .register(Repository::<Shelf>::new(&store), Rule::Union)
        .zones(|_: &SyncContext| ZoneAccess::none().read_write(Zone::Global))
        .build()
        .await
}

#[derive(Debug, Default)]
struct Seen {
    followed: AtomicU64,
    gaps: AtomicU64,
    exceptions: AtomicU64,
    dropped: AtomicU64,
}

/// A device's way to two processes of a server.
#[derive(Debug)]
struct Road {
    to: [LoopbackTransport; 2],
    home: usize,
    random: Seeded,
    seen: Arc<Seen>,
}

#[async_trait]
impl Transport for Road {
    async fn push(&self, request: &Outgoing) -> Result<PushReply> {
        let astray = usize::from(self.random.percent(ASTRAY_PERCENT));
        let way = &self.to[(self.home + astray) % 2];
        // A task of its own, as on a server that answers nobody any more.
        let (way, request) = (way.clone(), request.clone());
        let follows = request.follows.is_some();
        let reply = match tokio::spawn(async move { way.push(&request).await }).await {
            Ok(reply) => reply?,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        let count = match &reply {
            PushReply::Processed(receipt) if !receipt.exceptions.is_empty() => Some(&self.seen.exceptions),
            PushReply::Processed(_) => follows.then_some(&self.seen.followed),
            PushReply::Gap { .. } => Some(&self.seen.gaps),
            _ => None,
        };
        count.map(|count| count.fetch_add(1, Ordering::SeqCst));
        Ok(reply)
    }

    async fn pull(&self, request: &PullRequest) -> Result<PullAnswer> {
        self.to[self.home].pull(request).await
    }
}

/// Edits, and pushes until nothing waits.
async fn device(
    n: u64,
    seed: u64,
    servers: &[SyncManager<Server>; 2],
    seen: &Arc<Seen>,
) -> std::result::Result<(DeviceId, u64), String> {
    let random = Seeded::stream(seed, n);
    let name = format!("device-{n}");
    let store = Store::client(MemoryDataSource::new())
        .register::<Shelf>()
        .limits(SessionLimits::new(usize::try_from(MOST).unwrap_or(10), 1 << 20))
        .open()
        .await
        .map_err(text)?;
    let shelves = Repository::<Shelf>::new(&store);
    let to = [0, 1].map(|at: usize| LoopbackTransport::new(servers[at].clone(), SyncContext::new(&name)));
    let home = usize::try_from(n % 2).unwrap_or(0);
    let road = Road { to, home, random: random.clone(), seen: Arc::clone(seen) };
    let manager = SyncManager::client(&store)
        .register(shelves.clone(), Rule::Union)
        .transport(road)
        .build()
        .map_err(text)?;
    let (mut number, mut added) = (0, 0);
    while number < COMMITS {
        for _ in 0..=random.below(20) {
            number += 1;
            if number <= COMMITS {
                added += edit(&shelves, &name, number, &random).await.map_err(text)?;
            }
        }
        push(&manager, &random, seen).await?;
    }
    Ok((store.device(), added))
}

/// Gives the number of objects of its own.
async fn edit(shelves: &Repository<Shelf>, name: &str, number: u64, random: &Seeded) -> Result<u64> {
    let mut edit = shelves.store().edit();
    // As many as a session may have, or too many for another commit to go with them.
    let own = MOST / 2 + 1 + random.below(MOST / 2 - 1);
    for place in 0..own {
        let id = format!("{name}-{number}-{place}");
        shelves.stage_add(&mut edit, &Shelf { id, counter: 0, tokens: String::new() })?;
    }
    if number.is_multiple_of(SHARED) {
        let id = "shared".to_owned();
        let token = format!("{name}={number}");
        match shelves.find_by_id(&ObjectId::new(&id)?).await? {
            Some(old) => {
                let tokens = with_token(&old.tokens, &token);
                shelves.stage_update(&mut edit, &Shelf { tokens, ..old })?;
            }
            None => shelves.stage_add(&mut edit, &Shelf { id, counter: 0, tokens: token })?,
        }
    }
    edit.commit().await?;
    Ok(own)
}

async fn push(
    manager: &SyncManager<Client>,
    random: &Seeded,
    seen: &Seen,
) -> std::result::Result<(), String> {
    loop {
        let patience = if random.percent(ABANDONED_PERCENT) { random.below(40_000) } else { u64::MAX >> 20 };
        match tokio::time::timeout(Duration::from_micros(patience), manager.push()).await {
            Err(_) => drop(seen.dropped.fetch_add(1, Ordering::SeqCst)),
            Ok(Err(error)) if error.is_retryable() => {}
            Ok(Err(error)) => return Err(text(error)),
            Ok(Ok(report)) if report.forked => return Err("a device was taken for a copy".to_owned()),
            Ok(Ok(_)) => return Ok(()),
        }
    }
}

/// Everything is there, and the pushes of each device lie in their order, each once.
async fn check(store: &Store, devices: &[(DeviceId, u64)]) -> std::result::Result<(), String> {
    let sessions =
        store.source().sessions_of(&Zone::Global, Position::START, usize::MAX >> 1).await.map_err(text)?;
    let mut pushes: BTreeMap<DeviceId, Vec<u64>> = BTreeMap::new();
    for session in &sessions {
        pushes.entry(session.author.device).or_default().push(session.author.number);
    }
    for (device, _) in devices {
        let numbers = pushes.remove(device).unwrap_or_default();
        if !numbers.iter().copied().eq(1..=COMMITS) {
            return Err(format!("the pushes of a device lie in the order {numbers:?}"));
        }
    }
    let shelves = Repository::<Shelf>::new(store);
    let shared = shelves.find_by_id(&ObjectId::new("shared").map_err(text)?).await.map_err(text)?;
    let tokens = shared.map(|shelf| shelf.tokens).unwrap_or_default();
    let stored = shelves.get_all().await.map_err(text)?.len() as u64;
    let added = 1 + devices.iter().map(|(_, added)| added).sum::<u64>();
    if stored != added {
        return Err(format!("{stored} objects are stored, and {added} were added"));
    }
    for n in 0..DEVICES {
        let found = tally(&tokens, &format!("device-{n}"));
        if found != COMMITS / SHARED * SHARED {
            return Err(format!("the shared object has edit {found} of device {n}: {tokens}"));
        }
    }
    Ok(())
}

/// A data source that stores pushes without a look at what the device pushed before.
#[derive(Debug)]
struct Careless(Arc<dyn SyncableDataSource>);

impl Layer for Careless {
    type Inner = dyn SyncableDataSource;

    fn inner(&self) -> &Self::Inner {
        &*self.0
    }
    async fn commit(&self, mut commit: Commit, _: Turn) -> Result<CommitOutcome> {
        commit.state.iter_mut().for_each(|entry| entry.expect = ExpectState::Anything);
        self.inner().commit_alone(commit).await
    }
}
