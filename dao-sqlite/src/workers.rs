//! Threads that own the connections, so that no blocking call runs on the caller's async threads.
//!
//! A job that was handed over runs to its end, also if its future is dropped: its effect is whole or nothing.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

use fastsync_core::{Error, ErrorKind, Result};
use tokio::sync::oneshot;

use crate::connection::Store;
use crate::error::{BACKEND, Run};

type Job = Box<dyn FnOnce(&Store) + Send>;

/// One or more threads with a connection each, and their queue.
#[derive(Debug)]
pub(crate) struct Workers {
    queue: Arc<Queue>,
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    is_closed: bool,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").finish_non_exhaustive()
    }
}

impl Workers {
    pub(crate) fn start(name: &str, stores: Vec<Store>) -> Result<Self> {
        let workers = Self { queue: Arc::default() };
        for store in stores {
            let queue = Arc::clone(&workers.queue);
            thread::Builder::new().name(name.to_owned()).spawn(move || queue.run(&store)).map_err(
                |error| {
                    Error::new(ErrorKind::Backend, "open", "a thread cannot be started")
                        .with_backend(BACKEND)
                        .with_source(error)
                },
            )?;
        }
        Ok(workers)
    }

    /// Runs a job on one of the connections.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Store) -> Run<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        self.queue.push(Box::new(move |store| {
            // The caller may be gone.
            drop(reply.send(work(store)));
        }));
        match answer.await {
            Ok(result) => result.map_err(|fail| fail.into_error(operation)),
            Err(_) => {
                let error = Error::new(ErrorKind::Backend, operation, "the operation panicked");
                Err(error.with_backend(BACKEND))
            }
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.queue.state.lock().unwrap_or_else(PoisonError::into_inner).is_closed = true;
        self.queue.changed.notify_all();
    }
}

impl Queue {
    fn push(&self, job: Job) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).jobs.push_back(job);
        self.changed.notify_one();
    }

    fn run(&self, store: &Store) {
        while let Some(job) = self.next() {
            // A panic drops the job's reply, which the caller sees; the connection rolls back at its next use.
            drop(catch_unwind(AssertUnwindSafe(|| job(store))));
        }
    }

    /// The next job; `None` when the last handle is gone and every job is done.
    fn next(&self) -> Option<Job> {
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
}
