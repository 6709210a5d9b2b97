//! A data source that fails on demand.

use std::sync::{Arc, Mutex, PoisonError};

use fastsync_core::source::Layer;
pub use fastsync_core::source::Method;
use fastsync_core::{Error, ErrorKind, Result, SyncableDataSource};

/// On which side of its effect a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum When {
    /// Before: nothing happened.
    Before,
    /// After: it happened, and the caller does not learn of it.
    After,
}

/// One failure to come.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// Which methods count and can fail.
    pub methods: Vec<Method>,
    /// Which of their calls fails, counted from the arming of the fault: 1 is the next.
    pub call: u64,
    /// Whether the call has its effect.
    pub when: When,
    /// The kind of the error.
    pub kind: ErrorKind,
}

impl Fault {
    /// Of the calls of these methods the one of this number fails; 1 is the next.
    #[must_use]
    pub const fn new(methods: Vec<Method>, call: u64, when: When, kind: ErrorKind) -> Self {
        Self { methods, call, when, kind }
    }

    /// The next commit fails before it does anything: the storage cannot be reached.
    #[must_use]
    pub fn next_commit_fails() -> Self {
        Self { methods: vec![Method::Commit], call: 1, when: When::Before, kind: ErrorKind::Unavailable }
    }

    /// The next commit is applied and its answer lost: the outcome is unknown to the caller.
    #[must_use]
    pub fn next_commit_times_out() -> Self {
        Self { methods: vec![Method::Commit], call: 1, when: When::After, kind: ErrorKind::Timeout }
    }
}

/// Wraps a data source and makes chosen calls fail. Clones share the faults that are to come.
///
/// ```
/// use fastsync_conformance::{Fault, FaultSource};
/// use fastsync_core::{MemoryDataSource, SyncableDataSource};
///
/// let source = FaultSource::new(MemoryDataSource::new());
/// source.arm(Fault::next_commit_times_out());
/// assert_eq!(source.armed(), 1);
/// assert_eq!(source.backend(), "memory");
/// ```
#[derive(Debug, Clone)]
pub struct FaultSource<S> {
    inner: S,
    faults: Arc<Mutex<Vec<Fault>>>,
}

impl<S: Sync> FaultSource<S> {
    /// Wraps a data source; nothing fails yet.
    pub fn new(inner: S) -> Self {
        Self { inner, faults: Arc::default() }
    }

    /// The data source inside.
    #[must_use]
    pub const fn inner(&self) -> &S {
        &self.inner
    }

    /// Adds a failure. Each comes once.
    pub fn arm(&self, fault: Fault) {
        self.with_faults(|faults| faults.push(fault));
    }

    /// Drops the failures that did not come yet.
    pub fn disarm(&self) {
        self.with_faults(Vec::clear);
    }

    /// How many failures did not come yet.
    #[must_use]
    pub fn armed(&self) -> usize {
        self.with_faults(|faults| faults.len())
    }

    fn with_faults<T>(&self, operation: impl FnOnce(&mut Vec<Fault>) -> T) -> T {
        operation(&mut self.faults.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Counts a call and tells whether and when it fails.
    fn due(&self, method: Method) -> Option<(When, ErrorKind)> {
        self.with_faults(|faults| {
            for fault in faults.iter_mut().filter(|fault| fault.methods.contains(&method)) {
                fault.call = fault.call.saturating_sub(1);
            }
            let at = faults.iter().position(|fault| fault.methods.contains(&method) && fault.call == 0)?;
            let fault = faults.remove(at);
            Some((fault.when, fault.kind))
        })
    }
}

impl<S: SyncableDataSource> Layer for FaultSource<S> {
    type Inner = S;

    fn inner(&self) -> &S {
        &self.inner
    }

    async fn around<T: Send>(
        &self,
        method: Method,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let Some((when, kind)) = self.due(method) else { return call.await };
        if when == When::After {
            call.await?;
        }
        Err(Error::new(kind, "fault", format!("{method:?} fails as it was told to")))
    }
}
