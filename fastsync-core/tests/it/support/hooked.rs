//! A storage that lets something else happen first, at moments that a test chooses.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use fastsync_core::source::{
    Commit, CommitOutcome, Found, Layer, PendingRequest, PlannedChange, Preparation, Turn, Write,
};
use fastsync_core::*;
use futures_util::future::{BoxFuture, FutureExt as _};

/// What the engine is about to ask of the storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    Commit(SessionKind),
    Pending,
    Prepare,
    Stage,
}

type Answer = dyn Fn(CommitOutcome) -> CommitOutcome + Send + Sync;

type Hook = Box<dyn FnMut(Call) -> Option<BoxFuture<'static, ()>> + Send>;

/// A storage in memory: what another process does to it at the worst moment comes before the call that it is in front of.
#[derive(Clone, Default)]
pub struct Hooked {
    pub inner: MemoryDataSource,
    hook: Arc<Mutex<Option<Hook>>>,
    /// How many commits have removed records without a trace.
    pub clears: Arc<AtomicUsize>,
    answer: Option<Arc<Answer>>,
}

impl std::fmt::Debug for Hooked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hooked")
    }
}

impl Hooked {
    /// A door to this storage.
    pub fn on(inner: MemoryDataSource) -> Self {
        Self { inner, ..Self::default() }
    }

    /// Asks before each call what is to happen first.
    pub fn before_each(&self, hook: impl FnMut(Call) -> Option<BoxFuture<'static, ()>> + Send + 'static) {
        *self.hook.lock().unwrap() = Some(Box::new(hook));
    }

    /// Lets something happen once, before the `nth` such call from now on.
    pub fn before(&self, call: Call, nth: usize, first: impl Future<Output = ()> + Send + 'static) {
        let (mut left, mut first) = (nth, Some(first.boxed()));
        self.before_each(move |next| {
            left -= usize::from(next == call && left > 0);
            if left == 0 { first.take() } else { None }
        });
    }

    /// What a commit answers goes through a function first.
    #[must_use]
    pub fn answering(
        mut self,
        answer: impl Fn(CommitOutcome) -> CommitOutcome + Send + Sync + 'static,
    ) -> Self {
        self.answer = Some(Arc::new(answer));
        self
    }

    fn answered(&self, outcome: CommitOutcome) -> CommitOutcome {
        match &self.answer {
            Some(answer) => answer(outcome),
            None => outcome,
        }
    }

    async fn first(&self, call: Call) {
        let first = self.hook.lock().unwrap().as_mut().and_then(|hook| hook(call));
        if let Some(first) = first {
            first.await;
        }
    }
}

/// Names one conflict of a commit at a time, as a data source may.
pub fn one_at_a_time(outcome: CommitOutcome) -> CommitOutcome {
    match outcome {
        CommitOutcome::Conflicts { mut writes, state } => {
            writes.truncate(1);
            CommitOutcome::Conflicts { writes, state }
        }
        other => other,
    }
}

impl Layer for Hooked {
    type Inner = MemoryDataSource;

    fn inner(&self) -> &MemoryDataSource {
        &self.inner
    }
    async fn prepare(&self, types: &[TypeSchema], how: Preparation) -> Result<Vec<PlannedChange>> {
        if how == Preparation::Apply {
            self.first(Call::Prepare).await;
        }
        self.inner.prepare(types, how).await
    }
    async fn pending(&self, request: &PendingRequest) -> Result<Found> {
        if request.limit > 0 {
            self.first(Call::Pending).await;
        }
        self.inner.pending(request).await
    }
    async fn stage(&self, session: SessionId, sequence: u64, writes: Vec<Write>) -> Result<()> {
        self.first(Call::Stage).await;
        self.inner.stage(session, sequence, writes).await
    }
    async fn commit(&self, commit: Commit, turn: Turn) -> Result<CommitOutcome> {
        self.first(Call::Commit(commit.kind)).await;
        self.clears.fetch_add(usize::from(!commit.clears.is_empty()), Ordering::SeqCst);
        self.inner.commit(commit, turn).await.map(|outcome| self.answered(outcome))
    }
}
