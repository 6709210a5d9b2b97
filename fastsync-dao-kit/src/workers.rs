//! Threads for work that blocks, so that none of it runs on the caller's async threads. No runtime
//! is needed.
//!
//! Work that was handed over runs to its end, also if its future is dropped: its effect is whole or
//! nothing.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

use fastsync_core::{Error, ErrorKind, Result};
use tokio::sync::oneshot;

/// Jobs that wait for a thread. The threads end when the last handle is gone and every job is done.
pub(crate) struct Queue<J> {
    state: Mutex<State<J>>,
    changed: Condvar,
}

struct State<J> {
    jobs: VecDeque<J>,
    is_closed: bool,
}

impl<J> Queue<J> {
    pub(crate) fn new() -> Arc<Self> {
        let state = Mutex::new(State { jobs: VecDeque::new(), is_closed: false });
        Arc::new(Self { state, changed: Condvar::new() })
    }

    pub(crate) fn push(&self, job: J) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).jobs.push_back(job);
        self.changed.notify_one();
    }

    pub(crate) fn close(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).is_closed = true;
        self.changed.notify_all();
    }

    /// Waits for the next job; `None` at the end.
    pub(crate) fn next(&self) -> Option<J> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            if state.is_closed {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    #[cfg(feature = "kv")]
    pub(crate) fn next_if_any(&self) -> Option<J> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).jobs.pop_front()
    }
}

type Job<S> = Box<dyn FnOnce(&S) + Send>;

/// One or more threads, each of which owns a connection or what else the work is done with, and
/// their queue.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> fastsync_core::Result<()> {
/// let workers = fastsync_dao_kit::workers::Workers::start("shelf", "shelf-reader", vec![20, 20])?;
/// assert_eq!(workers.run("get", |shelf| Ok(shelf + 1)).await?, 21);
/// # Ok(())
/// # }
/// ```
pub struct Workers<S> {
    backend: &'static str,
    queue: Arc<Queue<Job<S>>>,
}

impl<S> fmt::Debug for Workers<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workers").field("backend", &self.backend).finish_non_exhaustive()
    }
}

impl<S: Send + 'static> Workers<S> {
    /// Starts a thread of this name for each of these.
    ///
    /// # Errors
    /// `Backend` if a thread cannot be started.
    pub fn start(backend: &'static str, name: &str, each: Vec<S>) -> Result<Self> {
        // If one of the threads cannot be started, dropping this ends the others.
        let workers = Self { backend, queue: Queue::new() };
        for owned in each {
            let queue = Arc::clone(&workers.queue);
            let work = move || {
                while let Some(job) = queue.next() {
                    // A panic drops the job's reply, which the caller sees.
                    drop(catch_unwind(AssertUnwindSafe(|| job(&owned))));
                }
            };
            thread::Builder::new().name(name.to_owned()).spawn(work).map_err(|error| {
                let failed = Error::new(ErrorKind::Backend, "open", "a thread cannot be started");
                failed.with_backend(backend).with_source(error)
            })?;
        }
        Ok(workers)
    }

    /// Runs a job on one of the threads.
    ///
    /// # Errors
    /// Those of the job; `Backend` if it panicked. What the thread owns is used by the next job all the same.
    pub async fn run<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&S) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        self.queue.push(Box::new(move |owned| {
            // The caller may be gone.
            drop(reply.send(work(owned)));
        }));
        answer.await.unwrap_or_else(|_| {
            let error = Error::new(ErrorKind::Backend, operation, "the operation panicked");
            Err(error.with_backend(self.backend))
        })
    }
}

impl<S> Drop for Workers<S> {
    fn drop(&mut self) {
        self.queue.close();
    }
}
