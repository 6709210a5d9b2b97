//! A synchronisation that stores what it received while the application keeps editing the same objects.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use crate::support::*;
use async_trait::async_trait;
use fastsync_core::*;
use futures_util::FutureExt as _;
use tokio::sync::Notify;

/// Lets another task edit before each commit which is not an edit itself: the lock step that a busy editor and a
/// synchronisation fall into on a storage with one writer at a time.
#[derive(Debug, Clone, Default)]
struct LockStep {
    is_on: Arc<AtomicBool>,
    turn: Arc<Notify>,
    edits: Arc<AtomicUsize>,
}

impl LockStep {
    async fn let_the_editor_go_first(self) {
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

/// A pull of an object that an editor rewrites before each attempt to store it.
async fn pull_beside_an_editor<H: ConflictsHandler<Task>>(
    handler: impl FnOnce(&Repository<Task>) -> H,
) -> Result<PullReport> {
    let server = server().await;
    server.tasks.add(&task("t", "of the server")).await.unwrap();
    let (source, step) = (Hooked::default(), LockStep::default());
    let stepping = step.clone();
    source.before_each(move |call| {
        let steps = stepping.is_on.load(Ordering::SeqCst)
            && matches!(call, Call::Commit(kind) if kind != SessionKind::Edit);
        steps.then(|| stepping.clone().let_the_editor_go_first().boxed())
    });
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
    step.is_on.store(true, Ordering::SeqCst);
    let (turn, edits) = (Arc::clone(&step.turn), Arc::clone(&step.edits));
    let editor = tokio::spawn(async move {
        loop {
            turn.notified().await;
            let n = edits.load(Ordering::SeqCst);
            tasks.update(&task("t", &format!("edit {n}"))).await.unwrap();
            edits.fetch_add(1, Ordering::SeqCst);
        }
    });
    let report = ends(client.pull()).await;
    step.is_on.store(false, Ordering::SeqCst);
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

/// Fails if the handler is asked while edits are held, which then wait for each other for ever.
#[tokio::test]
async fn a_handler_that_edits_does_not_wait_for_itself() {
    let report = pull_beside_an_editor(|tasks| Notes(tasks.clone())).await.unwrap();
    assert_eq!(report.conflicts.len(), 1);
}

/// Another process edits, which does not wait: the handler is asked while the edits of this process do. Fails if that goes
/// for the edit of the handler too.
#[tokio::test]
async fn a_handler_that_edits_does_not_wait_for_itself_beside_another_process() {
    let server = server().await;
    let source = Hooked::default();
    let store =
        Store::client(source.clone()).register::<Task>().clock(server.clock.clone()).open().await.unwrap();
    let tasks = Repository::<Task>::new(&store);
    let link = Link::new(LoopbackTransport::new(server.manager.clone(), SyncContext::new("ada")));
    let sync = SyncManager::client(&store).register(tasks.clone(), Notes(tasks.clone())).transport(link);
    let sync = sync.build().unwrap();
    server.tasks.add(&task("t", "of the server")).await.unwrap();
    sync.pull().await.unwrap();
    server.tasks.update(&task("t", "of the server, newer")).await.unwrap();
    tasks.update(&task("t", "edit")).await.unwrap();
    let other = client_on(&server, "ada", source.inner.clone()).await;
    let mut left = 20;
    source.before_each(move |call| {
        if call != Call::Commit(SessionKind::Apply) || left == 0 {
            return None;
        }
        left -= 1;
        let (tasks, edit) = (other.tasks.clone(), task("t", &format!("edit, {left} left")));
        Some(async move { tasks.update(&edit).await.unwrap() }.boxed())
    });
    assert_eq!(ends(sync.pull()).await.unwrap().conflicts.len(), 1);
    ends(sync.sync()).await.unwrap();
    assert_eq!(server.tasks.find_by_id(&id("t")).await.unwrap(), Some(task("t", "edit, 0 left")));
}
