//! A puller on the protocol itself: it keeps what it was sent, and notices what comes twice and what never comes.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use fastsync_core::protocol::{Cursor, PullPage, PullReply, PullRequest, SyncOperationMetadata};
use fastsync_core::source::SyncableDataSourceExt as _;
use fastsync_core::{
    DeviceId, Error, ErrorKind, Position, Query, Result, Revision, Server, Store, SyncContext, SyncManager,
    SyncableObject, TypeName, Value, Zone,
};
use tokio::sync::watch;

use crate::model::{Item, Shelf};
use crate::random::Seeded;

/// How often the store may have moved when it is compared.
const WALKS_AT_REST: u32 = 1_000;

type Key = (TypeName, String);

/// What a puller has seen, and what is wrong with it.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) pages: u64,
    pub(super) walks: u64,
    pub(super) records: u64,
    /// Records of the store that never came.
    pub(super) missed: u64,
    pub(super) problems: Vec<String>,
}

/// One puller.
pub(super) struct Puller {
    server: SyncManager<Server>,
    user: SyncContext,
    device: DeviceId,
    page: u32,
    cursor: Option<Cursor>,
    position: Position,
    state: HashMap<Key, (Revision, i64)>,
    /// The counters of each type in `state`, summed.
    sums: BTreeMap<TypeName, i64>,
    delivered: HashSet<(Key, Revision)>,
    random: Seeded,
    seen: Seen,
}

/// The longest rest between two walks, in milliseconds.
const REST: u64 = 20;

impl Puller {
    pub(super) fn new(name: &str, server: &SyncManager<Server>, page: u32, random: Seeded) -> Self {
        Self {
            server: server.clone(),
            user: SyncContext::new(name),
            device: DeviceId::random(&random),
            page,
            cursor: None,
            position: Position::START,
            state: HashMap::new(),
            sums: BTreeMap::new(),
            delivered: HashSet::new(),
            random,
            seen: Seen::default(),
        }
    }

    /// Pulls until it is told that nothing more comes, and once more; then compares with the store.
    pub(super) async fn pull(mut self, done: watch::Receiver<bool>) -> Result<Seen> {
        loop {
            let last = *done.borrow();
            self.walk().await?;
            if last {
                break;
            }
            // Now and then at once, mostly after a while: the pushers are to have most of the machine.
            tokio::time::sleep(Duration::from_millis(self.random.below(REST))).await;
        }
        self.compare().await?;
        Ok(self.seen)
    }

    /// One walk: pages until one says that it reached the head.
    async fn walk(&mut self) -> Result<()> {
        loop {
            let request = self.request()?;
            // A client asks again with the same cursor.
            let reply = again(|| self.server.process_pull(&self.user, request.clone())).await?;
            let PullReply::Page(page) = reply else {
                self.seen.problems.push(format!("a puller that is up to date is answered {reply:?}"));
                return Ok(());
            };
            let caught_up = page.caught_up;
            self.read(page);
            if caught_up {
                self.seen.walks += 1;
                self.check_sums();
                return self.check_positions().await;
            }
        }
    }

    /// Walks, and gives the live records of the store at the same position.
    async fn walk_at_rest(&mut self) -> Result<Vec<fastsync_core::Record>> {
        for _ in 0..WALKS_AT_REST {
            let before = self.position;
            self.walk().await?;
            let records = again(|| live(self.server.store())).await?;
            let source = self.server.store().source();
            let later = again(|| source.sessions_of(&Zone::Global, self.position, 1)).await?;
            if self.position == before && later.is_empty() {
                return Ok(records);
            }
        }
        let detail = "the pushers are done, and the store does not come to rest";
        Err(Error::new(ErrorKind::Contention, "compare", detail))
    }

    fn request(&self) -> Result<PullRequest> {
        let types = [Shelf::schema()?, Item::schema()?];
        let metadata = SyncOperationMetadata::new(self.device, types.iter());
        let mut request = PullRequest::new(metadata, vec![Zone::Global]);
        request.cursor.clone_from(&self.cursor);
        (request.max_records, request.max_bytes) = (self.page, 1 << 20);
        Ok(request)
    }

    fn read(&mut self, page: PullPage) {
        self.seen.pages += 1;
        self.cursor = Some(page.cursor);
        for group in page.payload.groups {
            for row in group.rows {
                self.seen.records += 1;
                let key = (group.type_name.clone(), row.0.to_string());
                let counter = row.5.iter().flatten().find_map(|value| match value {
                    Value::Integer(number) => Some(*number),
                    _ => None,
                });
                // In a first load a record comes again that is committed while it goes on.
                let is_loading = self.seen.walks == 0;
                if !self.delivered.insert((key.clone(), row.1)) && !is_loading {
                    self.seen.problems.push(format!("{key:?} came twice at one revision"));
                }
                let counter = counter.unwrap_or(0);
                let before = self.state.insert(key, (row.1, counter)).map_or(0, |(_, before)| before);
                *self.sums.entry(group.type_name.clone()).or_default() += counter - before;
            }
        }
    }

    /// Every session writes the same to both types, so the sums are equal whenever all of it is here.
    fn check_sums(&mut self) {
        let sum =
            |of: &str| self.sums.iter().find(|(name, _)| name.as_str() == of).map_or(0, |(_, sum)| *sum);
        let (shelves, items) = (sum("shelves"), sum("items"));
        if shelves != items {
            let problem = format!("a caught-up puller sums shelves to {shelves}, items to {items}");
            self.seen.problems.push(problem);
        }
    }

    /// The positions that are visible continue without a gap.
    async fn check_positions(&mut self) -> Result<()> {
        let source = self.server.store().source();
        let sessions = again(|| source.sessions_of(&Zone::Global, self.position, 10_000)).await?;
        for session in sessions {
            let at = session.positions.iter().find(|(zone, _)| *zone == Zone::Global).map(|(_, at)| *at);
            if at != Some(self.position.next()) {
                self.seen.problems.push(format!("position {at:?} follows {:?}", self.position));
                return Ok(());
            }
            self.position = self.position.next();
        }
        Ok(())
    }

    /// Compares with the store at a moment at which nothing is committed: what a killed process had asked of a database
    /// may still come.
    async fn compare(&mut self) -> Result<()> {
        let records = self.walk_at_rest().await?;
        for record in records {
            let key = (record.key.type_name, record.key.id.to_string());
            if self.state.get(&key).map(|(revision, _)| *revision) != Some(record.metadata.revision) {
                self.seen.missed += 1;
            }
        }
        Ok(())
    }
}

/// Calls until it is not told to come again: a connection may be cut, and a database away for a while.
async fn again<T, F: Future<Output = Result<T>>>(call: impl Fn() -> F) -> Result<T> {
    loop {
        match call().await {
            Err(error) if error.is_retryable() => tokio::task::yield_now().await,
            outcome => return outcome,
        }
    }
}

/// Every live record of a server's shared types.
pub(super) async fn live(store: &Store) -> Result<Vec<fastsync_core::Record>> {
    let mut all = Vec::new();
    for name in ["shelves", "items"] {
        all.extend(store.source().find(&Query::all(TypeName::new(name)?, Zone::Global)).await?.records);
    }
    Ok(all)
}
