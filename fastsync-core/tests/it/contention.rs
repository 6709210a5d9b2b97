//! A synchronisation that stores what it received while the application keeps editing the same objects.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use crate::support::{Link, Task, TestClock, id, server, task};
use async_trait::async_trait;
use fastsync_core::source::{Changes, ChangesRequest, Commit, CommitOutcome, Point, Turn, Write};
use fastsync_core::*;
use tokio::sync::Notify;

/// A storage in memory that lets another task edit before each commit which is not an edit itself: the lock step that
/// a busy editor and a synchronisation fall into on a storage with one writer at a time.
#[derive(Debug, Clone, Default)]
struct LockStep {
    inner: MemoryDataSource,
    is_on: Arc<AtomicBool>,
    turn: Arc<Notify>,
    edits: Arc<AtomicUsize>,
}

impl LockStep {
    async fn let_the_editor_go_first(&self) {
        let before = self.edits.load(Ordering::SeqCst);
        self.turn.notify_one();
        // An edit in memory waits for nothing: if it is not there by now, it is made to wait.
        for _ in 0..100 {
            if self.edits.load(Ordering::SeqCst) > before {
                return;
            }
            tokio::task::yield_now().await;
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl SyncableDataSource for LockStep {
    fn backend(&self) -> &'static str {
        self.inner.backend()
    }
    async fn prepare(&self, types: &[TypeSchema]) -> Result<()> {
        self.inner.prepare(types).await
    }
    async fn get(&self, type_name: &TypeName, zone: &Zone, ids: &[ObjectId]) -> Result<Vec<Record>> {
        self.inner.get(type_name, zone, ids).await
    }
    async fn find(&self, query: &Query) -> Result<Vec<Record>> {
        self.inner.find(query).await
    }
    async fn count(&self, query: &Query) -> Result<u64> {
        self.inner.count(query).await
    }
    async fn changes(&self, request: &ChangesRequest) -> Result<Changes> {
        self.inner.changes(request).await
    }
    async fn point(&self, zone: &Zone, position: Position) -> Result<Option<Point>> {
        self.inner.point(zone, position).await
    }
    async fn pending(&self, after: u64, limit: usize) -> Result<Vec<Record>> {
        self.inner.pending(after, limit).await
    }
    async fn count_pending(&self) -> Result<u64> {
        self.inner.count_pending().await
    }
    async fn stage(&self, session: SessionId, sequence: u64, writes: Vec<Write>) -> Result<()> {
        self.inner.stage(session, sequence, writes).await
    }
    async fn unstage(&self, session: Option<SessionId>) -> Result<()> {
        self.inner.unstage(session).await
    }
    async fn commit(&self, commit: Commit) -> Result<CommitOutcome> {
        if self.is_on.load(Ordering::SeqCst) && commit.kind != SessionKind::Edit {
            self.let_the_editor_go_first().await;
        }
        self.inner.commit(commit).await
    }
    async fn commit_in_turn(&self, commit: Commit, turn: Turn) -> Result<CommitOutcome> {
        self.inner.commit_in_turn(commit, turn).await
    }
    async fn session(&self, id: SessionId) -> Result<Option<SessionSummary>> {
        self.inner.session(id).await
    }
    async fn sessions(&self, zone: &Zone, after: Position, limit: usize) -> Result<Vec<SessionSummary>> {
        self.inner.sessions(zone, after, limit).await
    }
    async fn state(&self, key: &str) -> Result<Option<Vec<u8>>> {
        self.inner.state(key).await
    }
    async fn states(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>> {
        self.inner.states(prefix).await
    }
    async fn purge(&self, zone: &Zone, through: Position) -> Result<u64> {
        self.inner.purge(zone, through).await
    }
}

/// A pull of an object that an editor rewrites before each attempt to store it.
async fn pull_beside_an_editor<H: ConflictsHandler<Task>>(
    handler: impl FnOnce(&Repository<Task>) -> H,
) -> Result<PullReport> {
    let server = server().await;
    server.tasks.add(&task("t", "of the server")).await.unwrap();
    let source = LockStep::default();
    let clock = TestClock::new(1_000_000);
    let store = Store::client(source.clone()).register::<Task>().clock(clock).open().await.unwrap();
    let tasks = Repository::<Task>::new(&store);
    let handler = handler(&tasks);
    let link = Link::new(LoopbackTransport::new(server.manager.clone(), SyncContext::new("ada")));
    let client =
        SyncManager::client(&store).register(tasks.clone(), handler).transport(link).build().unwrap();
    client.pull().await.unwrap();
    let newer = task("t", "of the server, newer");
    server.tasks.update(&newer).await.unwrap();
    tasks.update(&task("t", "edit")).await.unwrap();
    source.is_on.store(true, Ordering::SeqCst);
    let (turn, edits) = (Arc::clone(&source.turn), Arc::clone(&source.edits));
    let editor = tokio::spawn(async move {
        loop {
            turn.notified().await;
            let n = edits.load(Ordering::SeqCst);
            tasks.update(&task("t", &format!("edit {n}"))).await.unwrap();
            edits.fetch_add(1, Ordering::SeqCst);
        }
    });
    let report = client.pull().await;
    source.is_on.store(false, Ordering::SeqCst);
    editor.abort();
    // Whatever it came to, the last edit is there and is not lost by what follows.
    let last = Repository::<Task>::new(&store).find_by_id(&id("t")).await.unwrap().unwrap();
    assert!(last.text.starts_with("edit"), "{last:?}");
    client.sync().await.unwrap();
    assert_eq!(server.tasks.find_by_id(&id("t")).await.unwrap(), Some(last));
    report
}

#[tokio::test]
async fn an_editor_that_never_rests_does_not_keep_a_pull_from_its_end() {
    let report = pull_beside_an_editor(|_| LastWriterWins).await.unwrap();
    assert_eq!(report.conflicts.len(), 1);
}

/// Keeps the local edit, and notes that it did in an object of its own.
struct Notes(Repository<Task>);

#[async_trait]
impl ConflictsHandler<Task> for Notes {
    async fn resolve(&self, conflict: ObjectConflict<Task>) -> Result<Resolution<Task>> {
        let note = task("note", "a conflict");
        if let Err(error) = self.0.update(&note).await
            && error.kind() == ErrorKind::NotFound
        {
            self.0.add(&note).await?;
        }
        LastWriterWins.resolve(conflict).await
    }
}

#[tokio::test]
async fn a_handler_that_edits_does_not_wait_for_itself() {
    let report = pull_beside_an_editor(|tasks| Notes(tasks.clone())).await.unwrap();
    assert_eq!(report.conflicts.len(), 1);
}
